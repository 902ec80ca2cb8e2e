//! What is worth a line in the log, and not one for each request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which one line is enough.
const EVERY: Duration = Duration::from_secs(60);

/// Says when something that happens again and again is to be logged: the first time, and then once a minute.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Returns whether it is to be logged now.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_again_and_again_is_logged_once() {
        let seldom = Seldom::default();
        assert!(seldom.is_due());
        assert!((0..100).all(|_| !seldom.is_due()));
    }
}
