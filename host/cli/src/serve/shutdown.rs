//! The end of a server, in two steps: what is under way may finish, or is cut off.

use std::sync::Arc;

use tokio::sync::watch;

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
