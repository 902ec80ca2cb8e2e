//! The server of one address: takes connections, and ends without cutting off what is under way.
//!
//! | what a client does | what ends it | default |
//! |---|---|---|
//! | connects and sends no whole head | `header_timeout` | 30 s |
//! | shakes hands slowly | `handshake_timeout` | 10 s |
//! | sends a head that is too large | `header_size`: answered with 431 | 64 KiB |
//! | keeps a connection that it does not use | `idle` | 120 s |
//! | takes nothing of its answer | `stall` | 5 min |
//! | vanishes without a word | probes of TCP (150 s) and pings of HTTP/2 (40 s) | |
//! | sends nothing of its upload | the registry: see `RegistryBuilder::idle` | 60 s |

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::connection;
use super::listen::Listener;
use super::tls::Tls;

pub(crate) use super::connection::Peer;

/// What one client may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long the head of a request may take, from its first byte; the first also from the connection's beginning.
    pub(crate) header_timeout: Duration,
    /// How large it may be, in bytes.
    pub(crate) header_size: usize,
    /// How long a TLS handshake may take.
    pub(crate) handshake_timeout: Duration,
    /// How long a connection may be kept unused.
    pub(crate) idle: Duration,
    /// How long a client may take no byte of an answer.
    pub(crate) stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_timeout: Duration::from_secs(30),
            header_size: 64 * 1024,
            handshake_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(300),
        }
    }
}

impl Limits {
    /// The shortest that a connection is watched for.
    pub(super) fn shortest(&self) -> Duration {
        self.header_timeout.min(self.idle).min(self.stall)
    }
}

/// How far the end of a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It takes no more connections and requests, and finishes what is under way.
    Draining,
    /// It cuts off what is under way.
    Now,
}

impl Phase {
    /// Waits until the end has come this far. What nobody can ask for any more has come.
    pub(super) async fn reached(self, phase: &mut watch::Receiver<Phase>) {
        let _ = phase.wait_for(|phase| *phase >= self).await;
    }
}

/// Ends servers. Every clone ends the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(Arc<watch::Sender<Phase>>);

impl Shutdown {
    /// Creates one that has not been asked for anything.
    pub(crate) fn new() -> Self {
        Shutdown(Arc::new(watch::Sender::new(Phase::Serving)))
    }

    /// Asks for the end: the first time for one that waits for what is under way, then for one at once. Returns what was
    /// asked for now.
    pub(crate) fn ask(&self) -> Phase {
        self.0.send_modify(|phase| {
            *phase = match phase {
                Phase::Serving => Phase::Draining,
                Phase::Draining | Phase::Now => Phase::Now,
            };
        });
        *self.0.borrow()
    }

    /// Returns what tells when the phase changes.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// How many connections were cut off with something under way, or without having said goodbye.
    pub(crate) cut: usize,
    /// How long it took from the first asking.
    pub(crate) took: Duration,
}

/// A server that is ready to serve.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) listener: Listener,
    /// What makes its connections ones of TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whether HTTP/2 is understood without TLS, from clients that know that it is: `h2c`.
    pub(crate) cleartext_http2: bool,
    /// Who answers.
    pub(crate) router: Router,
    /// What a client may cost.
    pub(crate) limits: Limits,
    /// How long the end waits for what is under way; zero for as long as it takes.
    pub(crate) drain_timeout: Duration,
}

/// The first and the longest pause after a connection that could not be taken: as Go's servers.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Server {
    /// Serves until it is asked to end, and then until what is under way has ended, the time for it is over or it is asked
    /// again.
    pub(crate) async fn run(self, shutdown: &Shutdown) -> Ended {
        let Server { listener, tls, cleartext_http2, router, limits, drain_timeout } = self;
        let limits = Arc::new(limits);
        let mut phase = shutdown.phase();
        let mut connections = JoinSet::new();
        let mut pause = Pause::default();
        loop {
            tokio::select! {
                biased;
                () = Phase::Draining.reached(&mut phase) => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => tell_panic(ended),
                accepted = listener.accept() => match accepted {
                    Ok((socket, address)) => {
                        pause = Pause::default();
                        let (tls, router, limits) = (tls.clone(), router.clone(), limits.clone());
                        connections.spawn(connection::serve(
                            socket, address, tls, cleartext_http2, router, limits, shutdown.phase(),
                        ));
                    }
                    Err(error) if is_of_client(&error) => {}
                    Err(error) => {
                        let wait = pause.next();
                        tracing::error!(
                            target: "wharf::server", address = %listener.bound(), %error, ?wait,
                            "no connection could be taken; trying again",
                        );
                        tokio::select! {
                            () = tokio::time::sleep(wait) => {}
                            () = Phase::Draining.reached(&mut phase) => {}
                        }
                    }
                },
            }
        }
        let started = Instant::now();
        // From here on clients are refused, and try another registry.
        drop(listener);
        let all = async {
            while let Some(ended) = connections.join_next().await {
                tell_panic(ended)
            }
        };
        tokio::select! {
            () = all => {}
            () = Phase::Now.reached(&mut phase) => {}
            () = tokio::time::sleep(drain_timeout), if !drain_timeout.is_zero() => {}
        }
        let cut = connections.len();
        connections.shutdown().await;
        Ended { cut, took: started.elapsed() }
    }
}

/// Whether a connection could not be taken because its client was gone already.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Pauses that grow: what fails now, such as for want of file descriptors, fails again at once.
#[derive(Debug, Default)]
struct Pause(Option<Duration>);

impl Pause {
    fn next(&mut self) -> Duration {
        let pause = self.0.map_or(PAUSES.0, |last| (last * 2).min(PAUSES.1));
        self.0 = Some(pause);
        pause
    }
}

fn tell_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(target: "wharf::server", %error, "a connection panicked: this is a bug in wharf, please report it");
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
