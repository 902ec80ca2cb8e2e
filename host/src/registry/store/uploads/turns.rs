//! One request at a time for each upload, within this process.
//!
//! Between processes it is the store that tells: the size is compared when an upload is continued and before it is committed,
//! and the filesystem driver locks the file.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::Held;
use crate::registry::RepositoryName;

/// How long a request waits for the one before it on the same upload: longer than a client that vanished is waited for.
const PATIENCE: Duration = Duration::from_secs(75);

/// How long an upload that lives in this process alone is kept without a request.
const KEPT: Duration = Duration::from_secs(60 * 60);

type Key = (RepositoryName, Uuid);

/// The uploads that a request works on, or that are held.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Key, Arc<Slot>>>);

#[derive(Debug)]
struct Slot {
    held: Arc<tokio::sync::Mutex<Option<Held>>>,
    /// How many bytes the upload has, as far as this process saw.
    size: AtomicU64,
    used: Mutex<Instant>,
}

/// A place in the queue for an upload.
pub(super) struct Queued {
    turns: Arc<Turns>,
    key: Key,
    slot: Arc<Slot>,
}

/// A request's turn. The next one comes when it is dropped.
pub(super) struct Turn {
    held: Option<OwnedMutexGuard<Option<Held>>>,
    queued: Queued,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues for an upload.
    pub(super) fn take(self: &Arc<Self>, name: &RepositoryName, id: Uuid) -> Queued {
        let key = (name.clone(), id);
        let mut slots = self.lock();
        // What nobody came back for. Only where uploads are held does one outlive its request.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.idle() < KEPT);
        let slot = slots.entry(key.clone()).or_insert_with(|| Arc::new(Slot::new()));
        Queued { turns: Arc::clone(self), key, slot: Arc::clone(slot) }
    }

    /// Returns how many bytes an upload has that a request works on.
    pub(super) fn known_size(&self, name: &RepositoryName, id: Uuid) -> u64 {
        self.lock().get(&(name.clone(), id)).map_or(0, |slot| slot.size.load(Ordering::Relaxed))
    }
}

impl Slot {
    fn new() -> Self {
        Slot { held: Arc::default(), size: AtomicU64::new(0), used: Mutex::new(Instant::now()) }
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Queued {
    /// Returns the turn if nobody else has it.
    pub(super) fn at_once(self) -> Option<Turn> {
        let held = Arc::clone(&self.slot.held).try_lock_owned().ok()?;
        Some(Turn { held: Some(held), queued: self })
    }

    /// Waits for the turn; none if it takes too long.
    pub(super) async fn wait(self) -> Option<Turn> {
        let waited = tokio::time::timeout(PATIENCE, Arc::clone(&self.slot.held).lock_owned()).await;
        let held = waited.ok()?;
        Some(Turn { held: Some(held), queued: self })
    }
}

impl Turn {
    /// Returns what is held of the upload between requests.
    pub(super) fn held(&mut self) -> &mut Option<Held> {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("taken away only when the turn is dropped"),
        }
    }

    /// Says how many bytes the upload has.
    pub(super) fn set_size(&self, size: u64) {
        self.queued.slot.size.store(size, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let keeps = self.held.take().is_some_and(|held| held.is_some());
        *self.queued.slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if keeps {
            self.queued.kept();
        }
    }
}

impl Queued {
    fn kept(&mut self) {
        // Another slot than the map's, so that dropping this place does not take it out.
        self.slot = Arc::new(Slot::new());
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut slots = self.turns.lock();
        let is_ours = slots.get(&self.key).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot));
        // The map's and ours: nobody else waits.
        if is_ours && Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.key);
        }
    }
}
