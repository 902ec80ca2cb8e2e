//! How much of a processor a guest takes: measured in thread time, and bounded by a share.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A poll shorter than this is measured by the clock: it is hardly ever interrupted, and asking the system for the time of
/// the thread would cost more than most polls do.
const SHORT: Duration = Duration::from_micros(500);

/// How old the last reading of a thread's time may be when a poll begins.
const FRESH: Duration = Duration::from_millis(1);

/// How much a driver may take at once after it took little, as time at its full share.
const BURST: Duration = Duration::from_millis(50);

/// The longest wait for a share, so that whoever waits looks up now and then.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How many processors a driver may take up, on average. Written as a number: `0.5`, `2`.
///
/// ```
/// use wharf::runtime::CpuShare;
///
/// let share: CpuShare = serde_json::from_str("0.5")?;
/// assert_eq!(share.cores(), 0.5);
/// assert!(serde_json::from_str::<CpuShare>("0").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuShare {
    thousandths: NonZeroU32,
}

/// The largest share, in cores. More than any machine has.
const LARGEST_SHARE: f64 = 100_000.0;

impl CpuShare {
    /// Returns a share of so many cores, to a thousandth; none if it is not between 0.001 and 100,000.
    pub fn new(cores: f64) -> Option<Self> {
        if !(0.001..=LARGEST_SHARE).contains(&cores) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        NonZeroU32::new((cores * 1000.0).round() as u32).map(|thousandths| CpuShare { thousandths })
    }

    /// Returns the share in cores.
    pub fn cores(self) -> f64 {
        f64::from(self.thousandths.get()) / 1000.0
    }

    /// Returns all cores of this machine, or of the quota of this process, but one; a half where there is only one.
    pub(super) fn all_but_one() -> Self {
        let cores =
            std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
        let thousandths = cores.saturating_sub(1).saturating_mul(1000).max(500);
        CpuShare { thousandths: NonZeroU32::new(thousandths).unwrap_or(NonZeroU32::MIN) }
    }
}

impl Default for CpuShare {
    /// One core, or a half where there is only one.
    fn default() -> Self {
        let all_but_one = Self::all_but_one();
        CpuShare { thousandths: all_but_one.thousandths.min(NonZeroU32::new(1000).unwrap_or(NonZeroU32::MIN)) }
    }
}

impl Serialize for CpuShare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.cores())
    }
}

impl<'de> Deserialize<'de> for CpuShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let cores = f64::deserialize(deserializer)?;
        CpuShare::new(cores)
            .ok_or_else(|| de::Error::custom(format!("{cores} is no share: it is a number of cores, such as 0.5 or 2")))
    }
}

/// What may still be taken of a share: earned as time goes by, and spent by computing.
pub(super) struct Budget {
    cores: f64,
    state: Mutex<State>,
}

struct State {
    /// In seconds of thread time; below zero: as much too much was taken.
    left: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(share: CpuShare) -> Self {
        let cores = share.cores();
        Budget { cores, state: Mutex::new(State { left: cores * BURST.as_secs_f64(), at: Instant::now() }) }
    }

    /// Puts by what was earned since.
    fn earned(&self, now: Instant) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.saturating_duration_since(state.at).as_secs_f64() * self.cores;
        state.left = (state.left + earned).min(self.cores * BURST.as_secs_f64());
        state.at = now.max(state.at);
        state
    }

    /// Takes what was computed by `now`, and returns for how long to rest; none: go on.
    pub(super) fn spend(&self, time: Duration, now: Instant) -> Option<Duration> {
        let mut state = self.earned(now);
        state.left -= time.as_secs_f64();
        self.rest(state.left)
    }

    fn rest(&self, left: f64) -> Option<Duration> {
        // A timer's step: shorter rests would be longer than they should be.
        let debt = -left / self.cores;
        (debt >= 0.001).then(|| Duration::from_secs_f64(debt.min(LONGEST_WAIT.as_secs_f64())))
    }
}

thread_local! {
    /// What this thread had computed, and when that was looked up.
    static READING: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// The thread time of one poll: what runs it, on which thread it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    began: Instant,
    /// What the thread had computed a millisecond before at most.
    before: Duration,
}

impl Poll {
    /// A poll begins on this thread.
    pub(super) fn begin() -> Self {
        Self::begin_at(Instant::now())
    }

    /// Returns how long the poll has computed, as [`elapsed`](Self::elapsed) does, and one that begins where it ends.
    pub(super) fn lap(self) -> (Duration, Self) {
        let (computed, now) = self.elapsed();
        (computed, Self::begin_at(now))
    }

    fn begin_at(now: Instant) -> Self {
        let before = match READING.get() {
            Some((at, computed)) if now.saturating_duration_since(at) < FRESH => computed,
            _ => {
                let computed = thread_time();
                READING.set(Some((now, computed)));
                computed
            }
        };
        Poll { began: now, before }
    }

    /// Returns how long the poll has computed, to a millisecond, and the time that it is. On the thread on which it began.
    pub(super) fn elapsed(self) -> (Duration, Instant) {
        let now = Instant::now();
        let wall = now.saturating_duration_since(self.began);
        if wall < SHORT {
            return (wall, now);
        }
        let computed = thread_time();
        READING.set(Some((now, computed)));
        (computed.saturating_sub(self.before).min(wall), now)
    }
}

/// Returns how long this thread has run on a processor.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_share_is_a_number_of_cores_above_zero() {
        assert_eq!(serde_json::from_str::<CpuShare>("2").unwrap().cores(), 2.0);
        assert_eq!(serde_json::to_string(&CpuShare::new(0.25).unwrap()).unwrap(), "0.25");
        for wrong in ["0", "-1", "0.0001", "1e9", "\"1\""] {
            assert!(serde_json::from_str::<CpuShare>(wrong).is_err(), "{wrong}");
        }
        assert!(CpuShare::default().cores() <= 1.0 && CpuShare::default().cores() <= CpuShare::all_but_one().cores());
    }

    #[test]
    fn whoever_takes_more_than_the_share_rests_until_it_is_made_up_for() {
        let budget = Budget::new(CpuShare::new(0.5).unwrap());
        let start = Instant::now();
        let second = Duration::from_secs(1);
        // A burst is put by, 25 ms; what is taken beyond it is made up for at half its speed.
        assert_eq!(budget.spend(Duration::from_millis(20), start), None);
        assert_eq!(
            budget.spend(Duration::from_millis(100), start + Duration::from_millis(100)),
            Some(Duration::from_millis(150))
        );
        assert_eq!(budget.spend(Duration::ZERO, start + second), None);
        // However long it took nothing, no more than a burst is put by.
        assert!(budget.spend(Duration::from_millis(30), start + 100 * second).is_some());
        // It looks up now and then, however much it owes.
        assert_eq!(budget.spend(10 * second, start + 101 * second), Some(LONGEST_WAIT));
    }

    #[test]
    fn a_thread_that_sleeps_or_waits_for_a_processor_computes_nothing() {
        let poll = Poll::begin();
        std::thread::sleep(Duration::from_millis(50));
        assert!(poll.elapsed().0 < Duration::from_millis(20), "{:?}", poll.elapsed());
        let (poll, began) = (Poll::begin(), thread_time());
        while thread_time() - began < Duration::from_millis(20) {}
        assert!(poll.elapsed().0 >= Duration::from_millis(20), "{:?}", poll.elapsed());
    }
}
