//! Where instances run: on the threads that all tasks share while they behave, and on threads of their own while they do not.
//!
//! A call into an instance that runs on another executor than its caller costs 13 to 17 us, and 4 to 6 us on the same one. So
//! an instance runs beside its callers. But what it computes there holds a thread that others need: an instruction that fills
//! 200 MB of memory, or a list of 32 MiB that is lifted, cannot be interrupted, and takes tens of milliseconds. So an
//! instance that was seen to compute for long, by the time of its thread, goes on on [threads of its own](GuestThreads),
//! which all others go before, until it has behaved for a while: for a second at first, and twice as long each time that it
//! did not keep to it. Long is what it computes without answering or moving anything: a driver that answers a hundred calls
//! in a poll is a busy one. Each begins there too, since what it does first is not known.
//!
//! Wherever it runs, a driver that took more than its share of the processors rests.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Sleep;

use super::ceiling::Stretch;
use super::cpu_time::{self, Budget, CpuShare};
use super::priority;
use crate::contract::{Error, ErrorKind, Result};

/// An answer that takes less computing is as good as any. The tick interrupts a guest every millisecond.
const GOOD: Duration = Duration::from_micros(600);

/// What part of its time an instance may spend on answers that are not good, and keep its place.
const TOLERATED: f64 = 0.2;

/// How much more than that it may spend at once.
const PATIENCE: Duration = Duration::from_millis(4);

/// How long an instance stays away, the first time and at most.
const FIRST_STAY: Duration = Duration::from_secs(1);
const LONGEST_STAY: Duration = Duration::from_secs(60);

/// Threads for instances that compute. One for all drivers of a runtime; they end with it.
pub(super) struct GuestThreads {
    executor: Option<Runtime>,
    handle: Handle,
    /// What all instances on these threads may take together: all processors but one.
    budget: Budget,
}

impl GuestThreads {
    /// Starts as many threads as there are processors, but at least two: a guest that cannot be interrupted is not to keep
    /// all others from beginning.
    ///
    /// # Errors
    ///
    /// If no thread can be had.
    pub(super) fn start() -> Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let executor = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("wharf-guest")
            .on_thread_start(|| priority::lower(priority::GUESTS))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Other, "the threads that run components cannot start").with_source(error)
            })?;
        let handle = executor.handle().clone();
        Ok(GuestThreads { executor: Some(executor), handle, budget: Budget::new(CpuShare::all_but_one()) })
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        if let Some(executor) = self.executor.take() {
            // The last clone of a runtime may be dropped by a task, which must not wait for threads.
            executor.shutdown_background();
        }
    }
}

/// How a component's instances behaved lately, all together: those that begin later begin where it belongs.
#[derive(Default)]
pub(super) struct Conduct {
    state: Mutex<ConductState>,
}

#[derive(Default)]
struct ConductState {
    /// Time spent on answers that were not good, less what is tolerated.
    burnt: Duration,
    /// When that was counted last.
    at: Option<Instant>,
    /// Until when its instances stay away.
    away_until: Option<Instant>,
    stay: Duration,
}

impl Conduct {
    /// Counts a poll that has ended, and in which the instance came to compute for so long without an answer. Returns
    /// whether it belongs on the threads of its own.
    fn polled(&self, computed: Duration, unanswered: Duration, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered >= GOOD {
            let since = state.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
            // Some of the poll may have been spent on other answers, and some of the stretch in earlier polls.
            state.burnt = state.burnt.saturating_sub(since.mul_f64(TOLERATED)) + computed.min(unanswered);
            if state.burnt >= PATIENCE {
                state.burnt = PATIENCE;
                state.send_away(now);
            }
        }
        state.away_until.is_some_and(|until| now < until)
    }
}

impl ConductState {
    fn send_away(&mut self, now: Instant) {
        self.stay = match self.away_until {
            // It is away, and goes on as before.
            Some(until) if now < until => self.stay,
            Some(until) if now < until + 10 * self.stay => (2 * self.stay).min(LONGEST_STAY),
            _ => FIRST_STAY,
        };
        self.away_until = Some(now + self.stay);
    }
}

/// An instance's task, and what places it.
pub(super) struct Guest {
    /// The task. Ends with the instance.
    pub(super) running: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What the driver's instances may take together.
    pub(super) budget: Arc<Budget>,
    pub(super) conduct: Arc<Conduct>,
    /// What it has computed since it last answered or moved something.
    pub(super) stretch: Stretch,
    pub(super) threads: Arc<GuestThreads>,
    /// Whether it has begun to serve: until then it stays on the threads of its own.
    pub(super) serves: Arc<AtomicBool>,
    /// Whether it is to end: then it does not rest.
    pub(super) ends: Arc<AtomicBool>,
}

impl Guest {
    /// Runs it. To be called in the executor that its callers are in: its own tasks, timers and connections are there,
    /// wherever it runs.
    pub(super) fn spawn(self) {
        let home = Handle::current();
        let threads = Arc::clone(&self.threads);
        threads.handle.spawn(Leg { guest: Some(self), home, away: true, rest: None });
    }

    /// Charges what was computed, and returns the rest that is to be taken before it goes on.
    fn owes(&self, computed: Duration, now: Instant, away: bool) -> Option<Pin<Box<Sleep>>> {
        let mut rest = self.budget.spend(computed, now);
        if away {
            rest = rest.max(self.threads.budget.spend(computed, now));
        }
        rest.map(|time| Box::pin(tokio::time::sleep(time)))
    }
}

/// A guest's time at one place. When it moves, another begins.
struct Leg {
    /// None once it has moved on.
    guest: Option<Guest>,
    home: Handle,
    away: bool,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Future for Leg {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Leg { guest: at, home, away, rest } = &mut *self;
        let Some(guest) = at else { return Poll::Ready(()) };
        // What it starts is to be where its callers are, and so are timers.
        let entered = away.then(|| home.enter());
        while let Some(resting) = rest
            && !guest.ends.load(Ordering::Relaxed)
        {
            std::task::ready!(resting.as_mut().poll(cx));
            *rest = guest.owes(Duration::ZERO, Instant::now(), *away);
        }
        *rest = None;

        let poll = cpu_time::Poll::begin();
        let ended = guest.running.as_mut().poll(cx);
        let (computed, now) = poll.elapsed();
        *rest = guest.owes(computed, now, *away);
        let unanswered = guest.stretch.longest();
        let serves = guest.serves.load(Ordering::Relaxed);
        // One that is where it belongs, and behaves, is not asked about.
        let belongs_away =
            (*away || unanswered >= GOOD) && (guest.conduct.polled(computed, unanswered, now) || !serves);
        if ended.is_ready() {
            return Poll::Ready(());
        }
        if belongs_away != *away {
            // Whatever wakes this task from now on wakes nobody: the next one polls at once.
            let next = if belongs_away { guest.threads.handle.clone() } else { home.clone() };
            drop(entered);
            let leg = Leg { guest: at.take(), home: home.clone(), away: belongs_away, rest: rest.take() };
            next.spawn(leg);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A poll that computed for so long, and answered nothing.
    fn polled(conduct: &Conduct, computed: Duration, now: Instant) -> bool {
        conduct.polled(computed, computed, now)
    }

    #[test]
    fn one_that_computes_for_long_goes_away_and_comes_back_when_it_has_behaved() {
        let (conduct, start) = (Conduct::default(), Instant::now());
        // One instruction that takes long.
        assert!(polled(&conduct, 20 * MILLISECOND, start + 20 * MILLISECOND));
        assert!(polled(&conduct, MILLISECOND / 10, start + Duration::from_millis(900)));
        assert!(!polled(&conduct, MILLISECOND / 10, start + Duration::from_millis(1100)));
        // One that is interrupted by the tick over and over.
        let conduct = Conduct::default();
        let sent = (1..=10).position(|tick| polled(&conduct, MILLISECOND, start + tick * MILLISECOND));
        assert_eq!(sent, Some(4), "polls of a millisecond, one after the other");
    }

    #[test]
    fn short_polls_and_a_long_one_now_and_then_are_tolerated() {
        let (conduct, start) = (Conduct::default(), Instant::now());
        for tick in 1..=10_000 {
            let now = start + tick * MILLISECOND;
            assert!(!polled(&conduct, MILLISECOND / 2, now), "after {tick} ms");
            assert!(tick % 10 != 0 || !polled(&conduct, MILLISECOND, now), "after {tick} ms");
        }
    }

    #[test]
    fn long_polls_with_many_answers_are_those_of_a_busy_driver() {
        let (conduct, start) = (Conduct::default(), Instant::now());
        for tick in 1..=1000 {
            assert!(!conduct.polled(MILLISECOND, MILLISECOND / 50, start + tick * MILLISECOND), "after {tick} ms");
        }
    }

    #[test]
    fn short_polls_count_once_when_their_answer_is_long_in_coming() {
        let (conduct, start) = (Conduct::default(), Instant::now());
        let sent = (1..=500).position(|poll: u32| {
            let computed = MILLISECOND / 50;
            conduct.polled(computed, poll * computed, start + poll * computed)
        });
        // Those of the first 0.6 ms are not known to be of a long one, and a fifth is tolerated.
        assert!(sent.is_some_and(|sent| (230..=330).contains(&sent)), "{sent:?}");
    }

    #[test]
    fn one_that_does_it_again_stays_away_for_longer() {
        let (conduct, mut now) = (Conduct::default(), Instant::now());
        for stay in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(polled(&conduct, 50 * MILLISECOND, now));
            now += Duration::from_secs(stay);
            assert!(polled(&conduct, Duration::ZERO, now - MILLISECOND), "{stay} s");
            assert!(!polled(&conduct, Duration::ZERO, now), "{stay} s");
            now += MILLISECOND;
        }
        // It behaved for ten times as long.
        now += Duration::from_secs(600);
        assert!(polled(&conduct, 50 * MILLISECOND, now));
        assert!(!polled(&conduct, Duration::ZERO, now + Duration::from_secs(1)));
    }

    /// A guest that does this at each poll, and wakes itself.
    fn guest(share: f64, stretch: &Stretch, mut step: impl FnMut() + Send + 'static) -> Guest {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let running = std::future::poll_fn(move |cx| {
            step();
            cx.waker().wake_by_ref();
            if ended.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        });
        let counted = stretch.clone();
        Guest {
            running: Box::pin(async move { counted.around(running).await }),
            budget: Arc::new(Budget::new(CpuShare::new(share).unwrap())),
            conduct: Arc::default(),
            stretch: stretch.clone(),
            threads: Arc::new(GuestThreads::start().unwrap()),
            serves: Arc::new(AtomicBool::new(true)),
            ends,
        }
    }

    fn compute(time: Duration) {
        let poll = cpu_time::Poll::begin();
        while poll.elapsed().0 < time {}
    }

    #[tokio::test]
    async fn a_driver_computes_no_more_than_its_share() {
        let polls = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = Arc::clone(&polls);
        let guest = guest(0.2, &Stretch::default(), move || {
            compute(5 * MILLISECOND);
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let (ends, begun) = (Arc::clone(&guest.ends), Instant::now());
        guest.spawn();
        tokio::time::sleep(Duration::from_secs(1)).await;
        ends.store(true, Ordering::Relaxed);
        let (computed, took) = (5 * MILLISECOND * polls.load(Ordering::Relaxed), begun.elapsed());
        // Its share, what it had put by, and the poll that went beyond both.
        let most = took.mul_f64(0.2) + 10 * MILLISECOND + 10 * MILLISECOND;
        assert!(computed >= 5 * MILLISECOND && computed <= most, "{computed:?} in {took:?}");
    }

    /// Returns where each of so many polls ran that do this: true is on the threads of its own.
    async fn places(polls: usize, stretch: &Stretch, mut step: impl FnMut(usize) + Send + 'static) -> Vec<bool> {
        let (told, mut placed) = tokio::sync::mpsc::unbounded_channel();
        let mut count = 0;
        let guest = guest(100.0, stretch, move || {
            count += 1;
            step(count);
            let away = std::thread::current().name().is_some_and(|name| name.starts_with("wharf-guest"));
            let _ = told.send(away);
        });
        let ends = Arc::clone(&guest.ends);
        guest.spawn();
        let mut seen = Vec::new();
        while seen.len() < polls {
            seen.push(placed.recv().await.unwrap());
        }
        ends.store(true, Ordering::Relaxed);
        seen
    }

    #[tokio::test]
    async fn an_instance_runs_beside_its_callers_until_it_computes_for_long() {
        let seen = places(120, &Stretch::default(), |poll| {
            if poll == 100 {
                compute(20 * MILLISECOND);
            }
        })
        .await;
        // What it does first is not known; then it is trusted, until it computes for long.
        assert!(seen[0], "the first poll");
        assert!(seen[1..100].iter().all(|away| !away), "{seen:?}");
        assert!(seen[100..].iter().all(|away| *away), "{seen:?}");
    }

    #[tokio::test]
    async fn an_instance_that_computes_in_short_polls_without_an_answer_goes_away() {
        let short = |_| compute(MILLISECOND / 5);
        let seen = places(200, &Stretch::default(), short).await;
        assert!(seen[60..].iter().all(|away| *away), "{seen:?}");
        let stretch = Stretch::default();
        let answers = stretch.clone();
        let seen = places(200, &stretch, move |poll| {
            short(poll);
            answers.progress();
        })
        .await;
        assert!(seen[1..].iter().all(|away| !away), "{seen:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_computes_for_long_runs_below_the_priority_of_the_rest() {
        let ours = priority::current().unwrap();
        let threads = GuestThreads::start().unwrap();
        let theirs = threads.handle.spawn(async { priority::current() }).await.unwrap().unwrap();
        assert!(theirs > ours, "{theirs} is not lower than {ours}");
    }

    #[tokio::test]
    async fn an_instance_that_is_to_end_does_not_rest_first() {
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        let (told, mut computed) = tokio::sync::mpsc::unbounded_channel();
        let guest = guest(0.001, &Stretch::default(), move || {
            let _ = &alive;
            compute(20 * MILLISECOND);
            let _ = told.send(());
        });
        let ends = Arc::clone(&guest.ends);
        guest.spawn();
        computed.recv().await.unwrap();
        tokio::time::sleep(100 * MILLISECOND).await;
        // It owes a rest of many seconds.
        ends.store(true, Ordering::Relaxed);
        assert!(tokio::time::timeout(Duration::from_secs(3), ended).await.is_ok(), "it rests still");
    }
}
