//! Locks by path, within this process: for what takes several steps at the store, which has no conditional writes.
//!
//! Between processes nothing is locked: there the steps lie as close together as the store lets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contract::StoragePath;

/// The locks that requests hold or wait for. There are no more of them than such requests: one goes with its last holder.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<HashMap<StoragePath, Changes>>);

/// How many changes were made under a lock since its first holder came.
type Changes = Arc<tokio::sync::Mutex<u64>>;

/// The lock of one path. It counts changes as long as anybody has it.
#[derive(Debug)]
pub(super) struct Lock {
    locks: Arc<Locks>,
    path: StoragePath,
    changes: Changes,
}

impl Locks {
    /// Returns the lock of a path, which is not held yet.
    pub(super) fn of(self: &Arc<Self>, path: StoragePath) -> Lock {
        let changes = Arc::clone(self.lock().entry(path.clone()).or_default());
        Lock { locks: Arc::clone(self), path, changes }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StoragePath, Changes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lock {
    /// Waits until nobody else holds the lock, and holds it. Whoever changes something that others must notice counts it.
    pub(super) async fn hold(&self) -> tokio::sync::MutexGuard<'_, u64> {
        self.changes.lock().await
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut locks = self.locks.lock();
        // The map's and this one: nobody else has it.
        if Arc::strong_count(&self.changes) == 2 {
            locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_lock_counts_changes_while_anybody_has_it_and_is_gone_with_the_last() {
        let (locks, path) = (Arc::new(Locks::default()), StoragePath::parse("/a").unwrap());
        let deleting = locks.of(path.clone());
        assert_eq!(*deleting.hold().await, 0);
        for _ in 0..2 {
            *locks.of(path.clone()).hold().await += 1;
        }
        assert_eq!(*deleting.hold().await, 2);
        assert_eq!(locks.lock().len(), 1);
        drop(deleting);
        assert!(locks.lock().is_empty());
    }

    #[tokio::test]
    async fn nobody_holds_a_lock_beside_another_and_other_paths_are_free() {
        let (locks, path) = (Arc::new(Locks::default()), StoragePath::parse("/a").unwrap());
        let (one, two) = (locks.of(path.clone()), locks.of(path));
        let held = one.hold().await;
        assert!(two.changes.try_lock().is_err());
        assert!(locks.of(StoragePath::parse("/b").unwrap()).changes.try_lock().is_ok());
        drop(held);
        assert!(two.changes.try_lock().is_ok());
    }
}
