//! Ctrl-C: a flag that work in progress looks at between two chunks.

use tokio::sync::watch;

/// Whether the person at the terminal has asked to stop.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens to Ctrl-C from now on. A second Ctrl-C ends the program at once.
    pub(crate) fn listen() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                // Without a handler Ctrl-C ends the process, as it does by default. The sender stays, so that nobody
                // takes its end for an interrupt.
                std::future::pending::<()>().await;
            }
            let _ = sender.send(true);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(i32::from(crate::output::INTERRUPTED));
            }
        });
        Interrupt(receiver)
    }

    /// Returns whether Ctrl-C was pressed.
    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for Ctrl-C.
    pub(crate) async fn wait(&mut self) {
        if self.0.wait_for(|set| *set).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
