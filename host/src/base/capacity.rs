//! What is bounded, how much of it is used, and since when there is none left.
//!
//! Every bound on what callers can make this process hold is registered here while it lives: the permits and the open
//! streams of a [`ConcurrencyLimit`](super::ConcurrencyLimit), the readers and writers of a component, the downloads and
//! uploads of a registry. Metrics list them with [`capacities`]; readiness asks [`exhausted`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// One bound, and what is used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Whose it is: the name of a driver, or `registry`.
    pub owner: String,
    /// What is bounded, such as `operations`, `open-streams` or `downloads`.
    pub limit: &'static str,
    /// How many there may be at a time.
    pub most: usize,
    /// How many there are.
    pub used: usize,
    /// How many callers wait for one.
    pub waiting: usize,
    /// How often one was refused, or waited for in vain, since the bound was made.
    pub refused: u64,
    /// For how long there has been none left, and none came free; for operations, how long the first caller in the queue has
    /// waited. None: there is one.
    pub exhausted_for: Option<Duration>,
}

/// Something bounded.
pub(crate) trait Bounded: Send + Sync {
    fn capacity(&self) -> Capacity;
}

/// All of them that live. A process has few, and they are asked seldom.
static BOUNDS: Mutex<Vec<Weak<dyn Bounded>>> = Mutex::new(Vec::new());

fn bounds() -> MutexGuard<'static, Vec<Weak<dyn Bounded>>> {
    BOUNDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lists a bound for as long as it lives.
pub(crate) fn register<T: Bounded + 'static>(bound: &Arc<T>) {
    let mut bounds = bounds();
    bounds.retain(|bound| bound.strong_count() > 0);
    let bound: Weak<T> = Arc::downgrade(bound);
    bounds.push(bound);
}

/// Returns every bound of this process, in the order in which they were made. Does not wait for anything.
pub fn capacities() -> Vec<Capacity> {
    let bounds: Vec<_> = bounds().iter().filter_map(Weak::upgrade).collect();
    bounds.iter().map(|bound| bound.capacity()).collect()
}

/// Returns a sentence about the first bound of which nothing has been left for at least `after`; none if there is none.
/// Cheap: no operation of a driver is begun.
pub fn exhausted(after: Duration) -> Option<String> {
    let mut all = capacities().into_iter();
    all.find(|bound| bound.exhausted_for.is_some_and(|since| since >= after)).map(|bound| bound.sentence())
}

impl Capacity {
    /// Says what has run out.
    fn sentence(&self) -> String {
        let Capacity { owner, limit, most, used, waiting, .. } = self;
        let seconds = self.exhausted_for.unwrap_or_default().as_secs();
        format!(
            "capacity has run out: {used} of {most} {limit} of {owner} are in use and {waiting} requests wait, for {seconds} s"
        )
    }
}

/// A number of things that may be open at a time. Who comes when there are as many is refused.
pub(crate) struct Bound {
    owner: String,
    limit: &'static str,
    most: usize,
    state: Mutex<Use>,
}

#[derive(Default)]
struct Use {
    used: usize,
    refused: u64,
    /// Since when it is full, and nothing moves.
    full_since: Option<Instant>,
}

/// One of them. Dropping it makes room.
pub(crate) struct Taken(Arc<Bound>);

impl Bound {
    /// Bounds something to `most` at a time.
    pub(crate) fn new(owner: &str, limit: &'static str, most: usize) -> Arc<Self> {
        let bound = Arc::new(Bound { owner: owner.to_owned(), limit, most, state: Mutex::default() });
        register(&bound);
        bound
    }

    /// Takes one; none if all are taken.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Taken> {
        let mut state = self.lock();
        if state.used >= self.most {
            state.refused += 1;
            return None;
        }
        state.used += 1;
        if state.used == self.most {
            state.full_since = Some(Instant::now());
        }
        Some(Taken(Arc::clone(self)))
    }

    /// How many there may be.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn lock(&self) -> MutexGuard<'_, Use> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.used -= 1;
        state.full_since = None;
    }
}

impl Bounded for Bound {
    fn capacity(&self) -> Capacity {
        let Use { used, refused, full_since } = *self.lock();
        Capacity {
            owner: self.owner.clone(),
            limit: self.limit,
            most: self.most,
            used,
            waiting: 0,
            refused,
            exhausted_for: full_since.map(|since| since.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use super::*;

    fn of(owner: &str) -> Option<Capacity> {
        capacities().into_iter().find(|capacity| capacity.owner == owner)
    }

    #[test]
    fn what_is_full_refuses_and_says_since_when() {
        let bound = Bound::new("a-full-one", "things", 2);
        let (first, second) = (bound.take().unwrap(), bound.take().unwrap());
        assert!(bound.take().is_none());
        let told = of("a-full-one").unwrap();
        assert_eq!((told.used, told.most, told.refused, told.limit), (2, 2, 1, "things"));
        assert!(exhausted(Duration::ZERO).is_some() && exhausted(Duration::from_secs(3600)).is_none());
        let why = told.sentence();
        assert!(why.contains("2 of 2 things of a-full-one"), "{why}");
        drop(first);
        assert_eq!(of("a-full-one").unwrap().exhausted_for, None);
        assert!(bound.take().is_some());
        drop((second, bound));
        assert_eq!(of("a-full-one"), None, "a bound outlives what it bounds");
    }
}
