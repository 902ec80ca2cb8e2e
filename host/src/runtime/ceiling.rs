//! The limits that are found inside a running instance: what it grows to, and how long it computes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter};

use super::Limits;
use super::cpu_time::Poll;

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

/// How long an instance has computed since it last moved or answered something, less what it has waited since.
///
/// Its task is polled; while it computes, it is interrupted by the tick, gives the other tasks their turn and goes on
/// at the next poll. A poll that ends otherwise ends in a wait: for something outside, which is taken off, or for nothing,
/// as `thread.yield` and a sleep of no time do. Only the time until somebody wakes the task counts as waited, so that
/// neither those nor a busy executor renew what an instance may compute.
#[derive(Clone, Default)]
pub(super) struct Stretch(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// What earlier polls took, less what was waited in between.
    before: Duration,
    /// The thread time of this poll.
    since: Option<Poll>,
    /// When the last poll ended; none while one goes on, and after an interruption.
    ended: Option<Instant>,
    /// When the task was first woken since this poll, or the last one, began.
    woken: Option<Instant>,
    /// The longest stretch that ended in an answer, since somebody asked.
    longest: Duration,
}

impl Stretch {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what polls the instance, and counts each poll.
    pub(super) async fn around<F: Future>(&self, running: F) -> F::Output {
        let mut running = std::pin::pin!(running);
        let alarm = Arc::new(Alarm { stretch: self.clone(), task: Mutex::new(Waker::noop().clone()) });
        let waker = Waker::from(Arc::clone(&alarm));
        std::future::poll_fn(|cx| {
            alarm.of(cx.waker());
            self.resume();
            let polled = running.as_mut().poll(&mut Context::from_waker(&waker));
            self.pause();
            polled
        })
        .await
    }

    /// A poll begins.
    fn resume(&self) {
        let mut inner = self.lock();
        let now = Instant::now();
        if let Some(ended) = inner.ended.take() {
            // One that nobody has woken was polled for another's sake, and waits on.
            let waited = inner.woken.unwrap_or(now).saturating_duration_since(ended);
            inner.before = inner.before.saturating_sub(waited);
        }
        inner.woken = None;
        inner.since = Some(Poll::begin());
    }

    /// A poll ends.
    fn pause(&self) {
        let mut inner = self.lock();
        // None after an interruption, which has counted it.
        if let Some(since) = inner.since.take() {
            let (computed, now) = since.elapsed();
            inner.before += computed;
            inner.ended = Some(now);
        }
    }

    /// The task is woken.
    fn wake(&self) {
        let mut inner = self.lock();
        if inner.woken.is_none() {
            inner.woken = Some(Instant::now());
        }
    }

    /// Something was answered or moved.
    pub(super) fn progress(&self) {
        let mut inner = self.lock();
        let lap = inner.since.map(Poll::lap);
        let this_poll = lap.map_or(Duration::ZERO, |(computed, _)| computed);
        inner.longest = inner.longest.max(inner.before + this_poll);
        inner.before = Duration::ZERO;
        inner.since = lap.map(|(_, next)| next);
    }

    /// Returns the longest that it has computed without an answer since it was asked last, and goes on to do. Between polls.
    pub(super) fn longest(&self) -> Duration {
        let mut inner = self.lock();
        std::mem::take(&mut inner.longest).max(inner.before)
    }

    /// The tick interrupts the instance. Returns how long it has computed by now.
    pub(super) fn interrupt(&self) -> Duration {
        let mut inner = self.lock();
        let this_poll = inner.since.take().map_or(Duration::ZERO, |since| since.elapsed().0);
        inner.before += this_poll;
        inner.before
    }
}

/// Wakes the task of an instance, and notes when.
struct Alarm {
    stretch: Stretch,
    task: Mutex<Waker>,
}

impl Alarm {
    /// Wakes this task from now on.
    fn of(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.clone_from(waker);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.stretch.wake();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        task.wake();
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

    const STEP: Duration = Duration::from_millis(20);

    #[test]
    fn a_stretch_goes_on_over_interruptions() {
        let stretch = Stretch::default();
        for _ in 0..2 {
            stretch.resume();
            compute(STEP);
            stretch.interrupt();
            stretch.pause();
            stretch.wake();
        }
        stretch.resume();
        compute(STEP);
        assert!(stretch.interrupt() >= 3 * STEP);
    }

    #[test]
    fn a_thread_that_waits_for_a_processor_does_not_lengthen_a_stretch() {
        let stretch = Stretch::default();
        stretch.resume();
        std::thread::sleep(3 * STEP);
        assert!(stretch.interrupt() < STEP);
    }

    /// Keeps this thread busy for so long, by the time that it computes.
    fn compute(time: Duration) {
        let poll = Poll::begin();
        // What it counts may have begun a millisecond earlier.
        while poll.elapsed().0 < time + Duration::from_millis(1) {}
    }

    /// What an instance does until it is interrupted: computes, and gives its turn away in between.
    async fn computes(stretch: &Stretch, gives_away: impl AsyncFn()) -> Duration {
        let computing = async {
            for _ in 0..4 {
                compute(STEP);
                gives_away().await;
            }
            stretch.interrupt()
        };
        stretch.around(computing).await
    }

    #[tokio::test]
    async fn what_only_gives_its_turn_away_goes_on_computing() {
        let stretch = Stretch::default();
        // As wasmtime does for `thread.yield`: it wakes itself, and others of the executor have their turn.
        let yields = async || {
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut yielded, true) {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            })
            .await;
        };
        let others = async {
            for _ in 0..4 {
                std::thread::sleep(STEP);
                tokio::task::yield_now().await;
            }
        };
        let (computed, ()) = tokio::join!(computes(&stretch, yields), others);
        assert!(computed >= 4 * STEP, "{computed:?}");
    }

    #[tokio::test]
    async fn a_wait_is_taken_off_and_no_more_than_it() {
        let stretch = Stretch::default();
        let computed = computes(&stretch, async || tokio::time::sleep(STEP / 10).await).await;
        assert!(computed >= 2 * STEP, "a short wait renewed it: {computed:?}");
        let stretch = Stretch::default();
        let computed = computes(&stretch, async || tokio::time::sleep(5 * STEP).await).await;
        assert!(computed < STEP, "a long wait is a rest: {computed:?}");
    }

    #[tokio::test]
    async fn what_moves_something_begins_anew_and_its_longest_stretch_is_told_once() {
        let stretch = Stretch::default();
        let computed = computes(&stretch, async || stretch.progress()).await;
        assert!(computed < STEP, "{computed:?}");
        let longest = stretch.longest();
        assert!(longest >= STEP && longest < 3 * STEP, "{longest:?}");
        assert!(stretch.longest() < STEP);
    }

    #[test]
    fn growth_of_all_tables_counts_together() {
        let limits = Limits { tables: 100, ..Limits::default() };
        let mut ceiling = Ceiling::new(&limits);
        assert!(ceiling.table_growing(0, 60, None).unwrap());
        assert!(ceiling.table_growing(0, 40, None).unwrap());
        let error = ceiling.table_growing(40, 41, None).unwrap_err();
        assert_eq!(limit_behind(&error), Some("tables"));
    }
}
