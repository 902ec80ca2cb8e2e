//! The limits that are found inside a running instance: what it grows to, and how long it computes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter};

use super::Limits;

/// A limit that ended an instance, as the error of what it was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitReached(pub(super) &'static str);

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it reached `limits: {{ {}: .. }}`", self.0)
    }
}

impl StdError for LimitReached {}

/// Returns the limit that an error of wasmtime's comes from, if any.
pub(super) fn limit_behind(error: &wasmtime::Error) -> Option<&'static str> {
    if let Some(LimitReached(limit)) = error.downcast_ref() {
        return Some(limit);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Some("instances");
    }
    error.chain().find_map(|cause| {
        if let Some(ResourceTableError::Full) = cause.downcast_ref() {
            return Some("files");
        }
        // These two errors of wasmtime's have no type that could be asked for; the tests of the limits would fail if
        // their words changed.
        let words = cause.to_string();
        if words.contains("fuel allocated for hostcalls") {
            Some("transfer")
        } else if words.contains("handle limit exceeded") {
            Some("handles")
        } else {
            None
        }
    })
}

/// What an instance may still grow by. Growth beyond it ends the instance at once: hardly a language copes with a
/// growth that fails, and the caller is told the cause.
pub(super) struct Ceiling {
    memory: Account,
    tables: Account,
}

/// How much there is of something, and how much there may be.
struct Account {
    limit: usize,
    used: usize,
    /// What was added last, for when it did not come about.
    last: usize,
}

impl Account {
    fn new(limit: usize) -> Self {
        Account { limit, used: 0, last: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize, name: &'static str) -> wasmtime::Result<bool> {
        let by = desired.saturating_sub(current);
        match self.used.checked_add(by).filter(|used| *used <= self.limit) {
            Some(used) => {
                self.used = used;
                self.last = by;
                Ok(true)
            }
            None => Err(LimitReached(name).into()),
        }
    }

    fn give_back(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl Ceiling {
    pub(super) fn new(limits: &Limits) -> Self {
        Ceiling {
            memory: Account::new(Limits::bytes(limits.memory)),
            tables: Account::new(usize::try_from(limits.tables).unwrap_or(usize::MAX)),
        }
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.memory.grow(current, desired, "memory")
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.give_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.tables.grow(current, desired, "tables")
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.give_back();
        Ok(())
    }
}

/// How long an instance has computed in one stretch: since it last waited, answered or moved something.
///
/// Its task is polled; while it computes, it is interrupted by the tick, gives the other tasks their turn and goes on
/// at the next poll. A poll that ends otherwise ends the stretch.
#[derive(Clone, Default)]
pub(super) struct Stretch(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// What earlier polls of the stretch took.
    before: Duration,
    /// When this poll began.
    since: Option<Instant>,
    /// Whether the last poll ended with an interruption.
    interrupted: bool,
}

impl Stretch {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what polls the instance, and counts each poll.
    pub(super) async fn around<F: Future>(&self, running: F) -> F::Output {
        let mut running = std::pin::pin!(running);
        std::future::poll_fn(|cx| {
            self.resume();
            running.as_mut().poll(cx)
        })
        .await
    }

    /// A poll begins.
    fn resume(&self) {
        let mut inner = self.lock();
        if !std::mem::take(&mut inner.interrupted) {
            inner.before = Duration::ZERO;
        }
        inner.since = Some(Instant::now());
    }

    /// Something was answered or moved.
    pub(super) fn progress(&self) {
        let mut inner = self.lock();
        inner.before = Duration::ZERO;
        inner.since = inner.since.map(|_| Instant::now());
    }

    /// The tick interrupts the instance. Returns how long it has computed by now.
    pub(super) fn interrupt(&self) -> Duration {
        let mut inner = self.lock();
        let this_poll = inner.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        inner.before += this_poll;
        inner.interrupted = true;
        inner.before
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn growth_of_all_memories_counts_together() {
        let limits = Limits { memory: bytesize::ByteSize::b(100), ..Limits::default() };
        let mut ceiling = Ceiling::new(&limits);
        assert!(ceiling.memory_growing(0, 60, None).unwrap());
        assert!(ceiling.memory_growing(0, 40, None).unwrap());
        let error = ceiling.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(limit_behind(&error), Some("memory"));
    }

    #[test]
    fn growth_that_did_not_come_about_is_given_back() {
        let limits = Limits { memory: bytesize::ByteSize::b(100), ..Limits::default() };
        let mut ceiling = Ceiling::new(&limits);
        ceiling.memory_growing(0, 100, None).unwrap();
        ceiling.memory_grow_failed(wasmtime::format_err!("no room")).unwrap();
        assert!(ceiling.memory_growing(0, 100, None).unwrap());
    }

    #[test]
    fn a_stretch_goes_on_over_interruptions_and_ends_with_a_wait() {
        let stretch = Stretch::default();
        let step = Duration::from_millis(5);
        for _ in 0..2 {
            stretch.resume();
            std::thread::sleep(step);
            stretch.interrupt();
        }
        stretch.resume();
        std::thread::sleep(step);
        assert!(stretch.interrupt() >= 3 * step);
        stretch.resume();
        // This poll ends without an interruption: the instance waits.
        stretch.resume();
        assert!(stretch.interrupt() < step);
    }
}
