//! The server of one address: takes connections, and ends without cutting off what is under way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::connection::{self, Load};
use super::limits::Limits;
use super::listen::{Bound, Listener};
use super::places::Places;
use super::queues::Queues;
use super::shutdown::{Phase, Shutdown};
use super::tls::Tls;

pub(crate) use super::connection::Peer;

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
        let port = match listener.bound() {
            Bound::Tcp(address) => address.port(),
            Bound::Unix(_) => 0,
        };
        let (queues, places) =
            (Queues::default(), Places::new(limits.connections, limits.client_share, limits.proxies.clone()));
        loop {
            tokio::select! {
                biased;
                () = Phase::Draining.reached(&mut phase) => break,
                Some(ended) = connections.join_next(), if !connections.is_empty() => tell_panic(ended),
                accepted = listener.accept() => match accepted {
                    Ok((socket, address)) => {
                        pause = Pause::default();
                        let Some(place) = places.take(address) else { continue };
                        let (tls, router, limits) = (tls.clone(), router.clone(), limits.clone());
                        let load = Load { connections: connections.len(), port, queues: queues.clone(), limits };
                        let serve = connection::serve(
                            socket, address, tls, cleartext_http2, router, load, shutdown.phase(),
                        );
                        connections.spawn(async move {
                            serve.await;
                            drop(place);
                        });
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
