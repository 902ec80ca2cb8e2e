//! A span for each operation, and at its end an event with time, bytes and outcome.
//!
//! The target of both is `wharf::driver`, the level debug. The event's fields: `elapsed_us`; `bytes` for streams of
//! bytes and `entries` for listings; `outcome`, which is `ok`, the error's kind, or `dropped` where the caller went away
//! before the end.

use std::future::Future;
use std::time::Instant;

use tracing::{Instrument, Level, Span};

use super::stamp::Stamp;
use crate::contract::{Error, Result};

const TARGET: &str = "wharf::driver";

/// The measurement of one operation. Nothing at all, and as cheap, when nobody listens.
pub(super) struct Measure(Option<Box<Running>>);

struct Running {
    span: Span,
    started: Instant,
    bytes: Option<u64>,
    entries: Option<u64>,
    outcome: &'static str,
}

impl Measure {
    /// Begins to measure.
    pub(super) fn begin(stamp: &Stamp<'_>) -> Self {
        // One load of an atomic where no subscriber wants the level.
        if !tracing::enabled!(target: TARGET, Level::DEBUG) {
            return Measure(None);
        }
        let span = tracing::debug_span!(
            target: TARGET,
            "storage",
            driver = %stamp.driver,
            operation = stamp.operation.name(),
            path = %stamp.path,
        );
        let running = Running { span, started: Instant::now(), bytes: None, entries: None, outcome: "dropped" };
        Measure(Some(Box::new(running)))
    }

    /// Runs a future within the span, so that what the driver logs stands below it.
    pub(super) async fn around<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            None => future.await,
            Some(running) => future.instrument(running.span.clone()).await,
        }
    }

    /// Runs a step of a stream within the span.
    pub(super) fn step<T>(&self, step: impl FnOnce() -> T) -> T {
        match &self.0 {
            None => step(),
            Some(running) => running.span.in_scope(step),
        }
    }

    /// Counts bytes that went through.
    pub(super) fn add_bytes(&mut self, bytes: u64) {
        if let Some(running) = &mut self.0 {
            *running.bytes.get_or_insert(0) += bytes;
        }
    }

    /// Counts an entry that went through.
    pub(super) fn add_entry(&mut self) {
        if let Some(running) = &mut self.0 {
            *running.entries.get_or_insert(0) += 1;
        }
    }

    /// Ends with success, now.
    pub(super) fn succeed(&mut self) {
        self.end("ok");
    }

    /// Ends with a failure, now.
    pub(super) fn fail(&mut self, error: &Error) {
        self.end(error.kind().name());
    }

    /// Ends with a result, now.
    pub(super) fn end_with<T>(&mut self, result: &Result<T>) {
        match result {
            Ok(_) => self.succeed(),
            Err(error) => self.fail(error),
        }
    }

    fn end(&mut self, outcome: &'static str) {
        if let Some(mut running) = self.0.take() {
            running.outcome = outcome;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let elapsed_us = self.started.elapsed().as_micros() as u64;
        let (bytes, entries, outcome) = (self.bytes, self.entries, self.outcome);
        tracing::debug!(target: TARGET, parent: &self.span, elapsed_us, bytes, entries, outcome, "storage operation");
    }
}
