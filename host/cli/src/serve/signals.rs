//! What the system asks the server to do.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// End, with what is under way; asked again, at once. The signal's name.
    Stop(&'static str),
    /// Read certificates again.
    Reload,
}

/// The signals that a server listens to, from the creation of this on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen. From now on SIGTERM, SIGINT and SIGHUP no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// Where the system refuses it.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Ask {
        tokio::select! {
            Some(()) = self.terminate.recv() => Ask::Stop("SIGTERM"),
            Some(()) = self.interrupt.recv() => Ask::Stop("SIGINT"),
            Some(()) = self.hangup.recv() => Ask::Reload,
            // The streams of signals do not end.
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn each_signal_asks_for_what_it_is_for() {
        let mut signals = Signals::listen().unwrap();
        for (number, ask) in [
            (Number::HUP, Ask::Reload),
            (Number::TERM, Ask::Stop("SIGTERM")),
            (Number::INT, Ask::Stop("SIGINT")),
            (Number::HUP, Ask::Reload),
        ] {
            kill_process(getpid(), number).unwrap();
            assert_eq!(signals.next().await, ask);
        }
    }
}
