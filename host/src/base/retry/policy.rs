//! How often and after what waits something is tried again, and the budget that all of a driver's operations share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::contract::{Error, ErrorKind};

/// How often something is tried, and how long it waits in between.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often one thing is tried at most, the first time included. 1: never again.
    pub attempts: u32,
    /// The wait before the second attempt, at most: a wait is drawn evenly from between half of it and all of it, so that callers who
    /// failed together do not come back together. It doubles with each further attempt.
    pub first_wait: Duration,
    /// The longest wait, where the store names none.
    pub longest_wait: Duration,
    /// How long one attempt may take until its answer begins. A stream's bytes are not counted.
    pub attempt_timeout: Duration,
    /// How long a reader may wait for a byte before its stream counts as cut. The time in which nobody asks for one is
    /// not counted.
    pub stall: Duration,
    /// No attempt begins after this long since the first. For a stream: since it failed, having given something.
    pub total: Duration,
    /// How many retries the driver's operations may use up together beyond those that successes earn, ten successes for one: when a store
    /// is down, it is not asked several times as often as before.
    pub budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 6,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            total: Duration::from_secs(120),
            budget: 500,
        }
    }
}

impl RetryPolicy {
    /// Tries everything once, with no limit of time.
    pub fn never() -> Self {
        RetryPolicy { attempts: 1, attempt_timeout: Duration::MAX, stall: Duration::MAX, ..RetryPolicy::default() }
    }
}

/// Which failures allow another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Each that may pass: done twice, it does the same. Reads, and writes of the same bytes to the same place.
    Always,
    /// Only those after which nothing has happened: an [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) is returned, for
    /// somebody to look.
    UnlessUnknown,
}

/// A policy at work: cheap to clone, and all clones share the budget.
#[derive(Clone, Debug)]
pub struct Retry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: RetryPolicy,
    /// In tenths of a retry.
    budget: AtomicU64,
    /// The state of the generator that draws the waits.
    random: AtomicU64,
}

/// What one retry costs of the budget; a success earns 1.
const COST: u64 = 10;

impl Retry {
    /// Begins with a full budget.
    pub fn new(policy: RetryPolicy) -> Self {
        let seed = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
        let budget = AtomicU64::new(u64::from(policy.budget) * COST);
        Retry(Arc::new(Shared { policy, budget, random: AtomicU64::new(seed) }))
    }

    /// Returns the policy.
    pub fn policy(&self) -> &RetryPolicy {
        &self.0.policy
    }

    /// Returns how long to wait before the next attempt; none if there is to be none. Takes it out of the budget.
    pub(crate) fn wait_after(&self, error: &Error, repeat: Repeat, tried: u32, began: Instant) -> Option<Duration> {
        let policy = &self.0.policy;
        let may_be_repeated = match error.kind() {
            ErrorKind::Throttled { .. } | ErrorKind::Unavailable => true,
            ErrorKind::OutcomeUnknown => repeat == Repeat::Always,
            _ => false,
        };
        // Whoever counted attempts has used up its own; and what went beyond a limit goes beyond it again.
        let is_final = error.attempts().is_some() || error.limit().is_some();
        if !may_be_repeated || is_final || tried >= policy.attempts {
            return None;
        }
        let wait = match error.kind() {
            ErrorKind::Throttled { retry_after: Some(asked) } => (*asked).max(self.draw(tried)),
            _ => self.draw(tried),
        };
        if began.elapsed() + wait > policy.total {
            return None;
        }
        let spend = |left: u64| left.checked_sub(COST);
        self.0.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok().then_some(wait)
    }

    /// Counts a success towards the budget.
    pub(crate) fn earn(&self) {
        let full = u64::from(self.0.policy.budget) * COST;
        // Mostly it is full, and then nothing is written that other threads would have to fetch.
        if self.0.budget.load(Ordering::Relaxed) < full {
            let _ = self.0.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some((left + 1).min(full)));
        }
    }

    /// Draws the wait after the attempt of that number.
    fn draw(&self, tried: u32) -> Duration {
        let policy = &self.0.policy;
        let longest = policy.first_wait.saturating_mul(1 << (tried - 1).min(20)).min(policy.longest_wait);
        // splitmix64; it need not be hard to guess.
        let mut z = self.0.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        longest.mul_f64(0.5 + 0.5 * ((z >> 11) as f64 / (1u64 << 53) as f64))
    }
}

impl Default for Retry {
    fn default() -> Self {
        Retry::new(RetryPolicy::default())
    }
}

/// Returns whether the failure may pass by itself.
pub(super) fn is_transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Throttled { .. } | ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::contract::Result;

    fn fails(kind: ErrorKind) -> impl Future<Output = Result<()>> {
        std::future::ready(Err(Error::new(kind, "no")))
    }

    async fn tries(policy: RetryPolicy, repeat: Repeat, kind: ErrorKind) -> (u32, Error) {
        let mut count = 0;
        let error = Retry::new(policy)
            .run(repeat, || {
                count += 1;
                fails(kind.clone())
            })
            .await
            .unwrap_err();
        (count, error)
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_as_often_as_the_policy_says_and_the_error_tells() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Throttled { retry_after: None }, ErrorKind::OutcomeUnknown] {
            let (count, error) = tries(RetryPolicy::default(), Repeat::Always, kind).await;
            assert_eq!((count, error.attempts()), (6, Some(6)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_pass_is_tried_once() {
        for kind in [ErrorKind::PathNotFound, ErrorKind::AccessDenied, ErrorKind::Conflict, ErrorKind::Other] {
            let (count, error) = tries(RetryPolicy::default(), Repeat::Always, kind).await;
            assert_eq!((count, error.attempts()), (1, None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_not_repeated_where_somebody_has_to_look() {
        let (count, _) = tries(RetryPolicy::default(), Repeat::UnlessUnknown, ErrorKind::OutcomeUnknown).await;
        assert_eq!(count, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_asks_to_wait_is_left_alone_as_long() {
        let began = Instant::now();
        let wait = Duration::from_secs(7);
        let policy = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        tries(policy, Repeat::Always, ErrorKind::Throttled { retry_after: Some(wait) }).await;
        assert!(began.elapsed() >= wait);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_total_is_not_begun() {
        let wait = Duration::from_secs(1000);
        let began = Instant::now();
        let kind = ErrorKind::Throttled { retry_after: Some(wait) };
        let (count, _) = tries(RetryPolicy::default(), Repeat::Always, kind).await;
        assert_eq!((count, began.elapsed()), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_never_answers_is_given_up() {
        let retry = Retry::new(RetryPolicy { attempts: 2, ..RetryPolicy::default() });
        let error = retry.run(Repeat::Always, std::future::pending::<Result<()>>).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (&ErrorKind::Unavailable, Some(2)));
        let error = retry.run(Repeat::UnlessUnknown, std::future::pending::<Result<()>>).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::OutcomeUnknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_is_asked_once_per_call_when_the_budget_is_gone_and_again_after_successes() {
        let retry = Retry::new(RetryPolicy { budget: 5, ..RetryPolicy::default() });
        let count = async |retry: &Retry| {
            let mut count = 0;
            let attempt = || {
                count += 1;
                fails(ErrorKind::Unavailable)
            };
            retry.run(Repeat::Always, attempt).await.unwrap_err();
            count
        };
        assert_eq!(count(&retry).await, 6);
        assert_eq!(count(&retry).await, 1);
        for _ in 0..10 {
            retry.run(Repeat::Always, || std::future::ready(Ok(()))).await.unwrap();
        }
        assert_eq!(count(&retry).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_tried_often_below_is_not_tried_again_above() {
        let mut count = 0;
        let attempt = || {
            count += 1;
            std::future::ready(Err::<(), _>(Error::new(ErrorKind::Unavailable, "no").with_attempts(6)))
        };
        let error = Retry::default().run(Repeat::Always, attempt).await.unwrap_err();
        assert_eq!((count, error.attempts()), (1, Some(6)));
    }
}
