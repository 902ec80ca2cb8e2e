//! What some wrong drivers remember from one operation to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kept::Kept;
use wharf::contract::{Error, ErrorKind, Result, StoragePath};

/// The memory of one instance.
#[derive(Default)]
pub(super) struct State {
    paths: Mutex<BTreeSet<StoragePath>>,
    in_use: AtomicUsize,
    counted: AtomicUsize,
    /// What its writers have written and not committed, in the order of their writes.
    pub(super) shared: Mutex<Vec<u8>>,
    /// How many commits there were.
    pub(super) commits: AtomicUsize,
    /// How often each path was put since it was deleted.
    pub(super) generations: Mutex<BTreeMap<StoragePath, u64>>,
    /// What was closed first at each path.
    pub(super) oldest: Mutex<BTreeMap<StoragePath, Vec<u8>>>,
    /// Whether the driver was dropped.
    pub(super) dropped: AtomicBool,
    pub(super) kept: Kept,
}

impl State {
    fn paths(&self) -> MutexGuard<'_, BTreeSet<StoragePath>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, path: &StoragePath) {
        self.paths().insert(path.clone());
    }

    pub(super) fn forget(&self, path: &StoragePath) {
        self.paths().remove(path);
    }

    pub(super) fn knows(&self, path: &StoragePath) -> bool {
        self.paths().contains(path)
    }

    pub(super) fn known_below(&self, directory: &StoragePath) -> Option<StoragePath> {
        self.paths().iter().find(|path| directory.contains(path)).cloned()
    }

    /// Returns the remembered paths in a directory, and forgets them.
    pub(super) fn take_known_below(&self, directory: &StoragePath) -> Vec<StoragePath> {
        self.paths().extract_if(.., |path| path.parent().as_ref() == Some(directory)).collect()
    }

    /// Returns the remembered paths in a directory.
    pub(super) fn known_in(&self, directory: &StoragePath) -> Vec<StoragePath> {
        self.paths().iter().filter(|path| path.parent().as_ref() == Some(directory)).cloned().collect()
    }

    /// Fails when the driver was dropped.
    pub(super) fn expect_a_driver(&self) -> Result<()> {
        match self.dropped.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Unavailable, "the driver was closed")),
            false => Ok(()),
        }
    }

    /// Returns how often it was asked before.
    pub(super) fn count(&self) -> usize {
        self.counted.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes one of so many; fails when all are taken.
    pub(super) fn take(self: &Arc<Self>, of: usize) -> Result<Taken> {
        if self.in_use.fetch_add(1, Ordering::Relaxed) >= of {
            self.in_use.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Unavailable, "all are in use"));
        }
        Ok(Taken(self.clone()))
    }
}

/// One of the things that a wrong driver has too few of; given back when it is dropped.
pub(super) struct Taken(Arc<State>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}
