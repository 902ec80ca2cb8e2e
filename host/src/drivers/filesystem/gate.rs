//! What an operation may still change once its caller has gone: nothing.
//!
//! A blocking thread cannot be stopped. Without the gate, a put or a commit whose future was dropped would rename its file
//! over the path seconds later, over what was stored there meanwhile: by this process or by another, which no lock in
//! memory would keep in order. With it, a change has either happened when the drop of the future returns, or never will.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lets the steps of one operation pass while its caller waits for it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<Mutex<bool>>);

/// The caller's side of a gate. Dropped, it closes the gate.
///
/// Keep it in the future that the caller may drop. The drop waits for the step that is in the gate at that moment, which is
/// one system call that changes a name.
#[derive(Debug, Default)]
pub(super) struct Caller(Gate);

impl Caller {
    pub(super) fn gate(&self) -> Gate {
        self.0.clone()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        *self.0.is_closed() = true;
    }
}

impl Gate {
    /// Takes one step that changes what is at a path.
    ///
    /// # Errors
    ///
    /// The step's, or [`io::ErrorKind::Interrupted`] if the caller has gone: nothing is done then.
    pub(super) fn pass<T>(&self, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let is_closed = self.is_closed();
        if *is_closed {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the caller dropped the operation"));
        }
        step()
    }

    fn is_closed(&self) -> MutexGuard<'_, bool> {
        // A step that panicked has changed nothing of the gate.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_passes_once_the_caller_has_gone() {
        let caller = Caller::default();
        let gate = caller.gate();
        assert_eq!(gate.pass(|| Ok(1)).unwrap(), 1);
        drop(caller);
        let error = gate.pass(|| -> io::Result<()> { panic!("a step was taken for nobody") }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn the_drop_waits_for_the_step_that_is_being_taken() {
        let caller = Caller::default();
        let gate = caller.gate();
        let (entered, enters) = mpsc::channel();
        let step = std::thread::spawn(move || {
            gate.pass(|| {
                entered.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
                Ok(std::time::Instant::now())
            })
        });
        enters.recv().unwrap();
        drop(caller);
        let dropped = std::time::Instant::now();
        assert!(step.join().unwrap().unwrap() <= dropped);
    }
}
