//! What fails, and how: decided by numbers that look random and are the same in every run.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wharf::contract::StoragePath;

use crate::context::Random;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    /// Nothing happens, and the error says so.
    Throttled,
    Unavailable,
    /// Nothing happens, and the error does not say.
    Unknown,
    /// It happens, and the error does not say.
    Lost,
}

/// What becomes of the next step of a stream.
pub(super) enum Break {
    No,
    Unavailable,
    Throttled,
    Ends,
}

pub(super) struct Plan {
    seed: u64,
    percent: u64,
    everywhere: bool,
    /// How often each operation was called on each path.
    calls: Mutex<HashMap<(&'static str, StoragePath), u64>>,
    faults: Arc<AtomicU64>,
}

impl Plan {
    pub(super) fn new(seed: u64, percent: u64, everywhere: bool) -> Self {
        Plan { seed, percent, everywhere, calls: Mutex::default(), faults: Arc::default() }
    }

    pub(super) fn is_everywhere(&self) -> bool {
        self.everywhere
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Decides on the next call of an operation on a path.
    pub(super) fn fate(&self, operation: &'static str, path: &StoragePath) -> Fate {
        let mut random = self.random(operation, path);
        if random.next() % 100 >= self.percent {
            return Fate::Works;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        [Fate::Throttled, Fate::Unavailable, Fate::Unknown, Fate::Lost, Fate::Lost][random.below(5)]
    }

    /// Decides where the next stream of a path breaks.
    pub(super) fn breaks(&self, operation: &'static str, path: &StoragePath) -> Breaks {
        Breaks { random: self.random(operation, path), percent: self.percent, faults: self.faults.clone() }
    }

    fn random(&self, operation: &'static str, path: &StoragePath) -> Random {
        let count = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let count = calls.entry((operation, path.clone())).or_default();
            *count += 1;
            *count
        };
        let mut hasher = DefaultHasher::new();
        // Not the part of a case's directory that is another one in every run.
        let path = path.as_str();
        let unique = path.strip_prefix("/wharf-").and_then(|rest| rest.splitn(4, '-').nth(3));
        (self.seed, operation, unique.unwrap_or(path), count).hash(&mut hasher);
        Random::new(hasher.finish())
    }
}

/// Where a stream breaks.
pub(super) struct Breaks {
    random: Random,
    percent: u64,
    faults: Arc<AtomicU64>,
}

impl Breaks {
    pub(super) fn next(&mut self) -> Break {
        if self.random.next() % 100 >= self.percent {
            return Break::No;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        [Break::Unavailable, Break::Throttled, Break::Ends].into_iter().nth(self.random.below(3)).unwrap_or(Break::No)
    }
}
