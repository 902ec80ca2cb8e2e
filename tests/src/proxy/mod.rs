//! A proxy between a cloud driver and its server: it sees every request, and breaks some of them.
//!
//! It relays HTTP/1.1 on 127.0.0.1 and passes heads and bodies on byte for byte, since signatures cover them: the server
//! is to sign for the address that the client used, the `Host` header included. It does not use an HTTP library, because
//! what it has to do is what such a library prevents: to reset a connection between two bytes, to close it inside a
//! body, to send the same bytes again.
//!
//! ```no_run
//! use wharf_conformance::proxy::{Fault, Faults, Proxy};
//!
//! let proxy = Proxy::start_faulty("http://127.0.0.1:7480", Faults::new(0.05, 1))?;
//! proxy.fail_next(Fault::ErrorAfter, |request| request.method == "POST" && request.has_query("uploadId"));
//! println!("give the driver {} as its endpoint", proxy.url());
//! println!("{}", proxy.report());
//! assert!(proxy.report().idle_classes().is_empty());
//! # std::io::Result::Ok(())
//! ```

mod choice;
mod fault;
mod relay;
mod report;
mod seen;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use choice::Choice;
pub use fault::{Fault, Faults};
use relay::Relay;
pub use report::Report;
pub use seen::Seen;
use seen::Seens;

/// A proxy that runs until it is dropped.
///
/// It has threads of its own, so that it works for a test without a runtime, and whatever the test's runtime does.
pub struct Proxy {
    address: SocketAddr,
    relay: Arc<Relay>,
    /// Some until it is dropped.
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Starts a proxy that only watches, and breaks what [`fail_next`](Self::fail_next) says.
    ///
    /// `upstream` is the server's address, as `http://127.0.0.1:PORT` or without the scheme.
    ///
    /// # Errors
    ///
    /// If the address is not one, or the system refuses a port or a thread.
    pub fn start(upstream: &str) -> io::Result<Proxy> {
        Self::start_faulty(upstream, Faults { classes: Vec::new(), ..Faults::new(0.0, 0) })
    }

    /// Starts a proxy that breaks some of the requests.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_faulty(upstream: &str, faults: Faults) -> io::Result<Proxy> {
        let server = upstream.strip_prefix("http://").unwrap_or(upstream).trim_end_matches('/');
        let server = server.parse().map_err(|_| {
            let message = format!("`{upstream}` is not the address of a server, such as http://127.0.0.1:7480");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("proxy")
            .enable_io()
            .enable_time()
            .build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let delay = faults.delay;
        let relay = Arc::new(Relay { server, delay, seens: Seens::default(), choice: Mutex::new(Choice::new(faults)) });
        let listener = {
            let _guard = runtime.enter();
            TcpListener::from_std(listener)?
        };
        runtime.spawn(Arc::clone(&relay).accept(listener));
        Ok(Proxy { address, relay, runtime: Some(runtime) })
    }

    /// Returns where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the same as a URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests so far, in the order in which they came; one that is under way too.
    ///
    /// What a client has been given is in here already when it gets it.
    pub fn requests(&self) -> Vec<Seen> {
        self.relay.seens.all()
    }

    /// Returns how many of the requests so far are such.
    pub fn count_where(&self, predicate: impl Fn(&Seen) -> bool) -> usize {
        self.requests().iter().filter(|seen| predicate(seen)).count()
    }

    /// Forgets the requests so far. The report still counts them.
    pub fn clear(&self) {
        self.relay.seens.clear();
    }

    /// Breaks the next request that is such, once, whatever the rate is.
    ///
    /// A request that this class of faults cannot strike ([`Fault`] says which) is passed over, and the next one waited
    /// for. Of several instructions that fit a request, the oldest counts.
    pub fn fail_next(&self, fault: Fault, predicate: impl Fn(&Seen) -> bool + Send + 'static) {
        self.fail_times(1, fault, predicate);
    }

    /// Breaks the next requests that are such, as often as said.
    pub fn fail_times(&self, times: usize, fault: Fault, predicate: impl Fn(&Seen) -> bool + Send + 'static) {
        lock(&self.relay.choice).instruct(times, fault, Box::new(predicate));
    }

    /// Returns how many faults of [`fail_next`](Self::fail_next) have not struck yet.
    pub fn pending(&self) -> usize {
        lock(&self.relay.choice).pending()
    }

    /// Returns what struck how often since the start.
    pub fn report(&self) -> Report {
        lock(&self.relay.choice).report(self.relay.seens.total())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads would panic in a test that is itself asynchronous.
            runtime.shutdown_background();
        }
    }
}

/// Locks what stays whole if somebody panics: counters and lists, each changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
