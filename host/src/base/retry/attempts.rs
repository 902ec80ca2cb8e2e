//! The attempts at one thing: how many there were, and what is said when there are to be no more.

use std::time::Duration;

use tokio::time::Instant;

use super::policy::{Repeat, Retry, is_transient};
use crate::contract::{Error, ErrorKind, Result};

/// How often one request may kill the driver's instance: a driver that dies five times within a minute is closed to
/// everybody, and one caller's request must not bring that about.
const DEATHS: u32 = 2;

/// The attempts at one thing. The first has begun when this is made.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// How many failed.
    failed: u32,
    /// When the first began; none: when the first failed.
    began: Option<Instant>,
    deaths: u32,
    /// The last one of which nobody knows whether it happened.
    unknown: Option<Error>,
}

impl Attempts {
    /// Counts the time from now on, for something that ends with its answer.
    pub(super) fn begin() -> Self {
        Attempts { began: Some(Instant::now()), ..Attempts::default() }
    }

    /// Counts attempts and time from the next failure on: for a stream, which may go on for hours before it. Deaths are
    /// counted on: an instance that dies after each chunk is killed by the stream as a whole.
    pub(super) fn begin_anew(&mut self) {
        if self.failed > 0 {
            *self = Attempts { deaths: self.deaths, ..Attempts::default() };
        }
    }

    /// Counts a failure, and waits until the next attempt may begin.
    ///
    /// # Errors
    ///
    /// If there is to be none: [`end`](Attempts::end) of this error.
    pub(super) async fn wait_after(&mut self, retry: &Retry, error: Error, repeat: Repeat) -> Result<()> {
        if self.pause(retry, &error, repeat).await {
            self.remember(error)
        } else {
            return Err(self.end(error));
        }
        Ok(())
    }

    /// As [`wait_after`](Attempts::wait_after) for a caller who looks what became of the attempt. Returns whether there
    /// may be another; if so, the error is to be [remembered](Attempts::remember).
    pub(super) async fn pause(&mut self, retry: &Retry, error: &Error, repeat: Repeat) -> bool {
        match self.next(retry, error, repeat) {
            Some(wait) => sleep(wait).await,
            None => return false,
        }
        true
    }

    /// Counts a failure and returns how long to wait before the next attempt; none if there is to be none.
    pub(super) fn next(&mut self, retry: &Retry, error: &Error, repeat: Repeat) -> Option<Duration> {
        self.failed += 1;
        self.deaths += u32::from(error.is_death());
        let began = *self.began.get_or_insert_with(Instant::now);
        if error.is_death() && self.deaths >= DEATHS {
            return None;
        }
        let wait = retry.wait_after(error, repeat, self.failed, began)?;
        let (tried, wait_ms) = (self.failed, wait.as_millis() as u64);
        tracing::debug!(target: "wharf::retry", %error, tried, wait_ms, "trying again");
        Some(wait)
    }

    /// Keeps what has to be told of a failed attempt, should a later one fail too.
    pub(super) fn remember(&mut self, error: Error) {
        if error.kind() == &ErrorKind::OutcomeUnknown {
            self.unknown = Some(error);
        }
    }

    /// Returns whether the outcome of an earlier attempt is not known.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Counts a failure that is not tried again, whatever it is, and returns [`end`](Attempts::end) of it.
    pub(super) fn last(&mut self, error: Error) -> Error {
        self.failed += 1;
        self.end(error)
    }

    /// Returns the error that the caller gets after the last attempt, which failed with `error`. It says how often it was
    /// tried.
    ///
    /// An attempt of which nobody knows the outcome is not forgotten for a later one of which it is known: the whole may
    /// have happened.
    pub(super) fn end(&mut self, error: Error) -> Error {
        let error = match self.unknown.take() {
            Some(unknown) if is_transient(&error) && error.kind() != &ErrorKind::OutcomeUnknown => {
                unknown.with_note(format_args!("the last attempt: {}: {}", error.kind().name(), error.message()))
            }
            Some(_) if !is_transient(&error) => error.with_note("an earlier attempt may have happened all the same"),
            _ => error,
        };
        match error.attempts() {
            None if is_transient(&error) => error.with_attempts(self.failed),
            _ => error,
        }
    }
}

/// Waits. No time at all needs no clock, whose smallest step is a millisecond.
pub(super) async fn sleep(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}
