//! Permits for steps of I/O: who has one, who waits for one, and how a step that goes on in the background keeps it.
//!
//! A step may go on after the poll that began it: a blocking thread reads ahead, or writes what was handed over, and goes
//! on even if its caller is dropped. Such work takes a share of the permit that it was begun under
//! ([`spawn_blocking`]), so that the permit is free only when nobody works under it any more. Work of that kind ends by
//! itself: it waits for the disk, and never for a client.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
#[cfg(any(feature = "filesystem", feature = "wasm"))]
use tokio::task::JoinHandle;

use super::capacity::{self, Bounded, Capacity};
use crate::contract::{Error, ErrorKind, Result};

/// One permit, free again when its last share is dropped.
pub(super) struct Permit {
    _held: OwnedSemaphorePermit,
}

thread_local! {
    /// The permit under which this thread polls.
    static CURRENT: RefCell<Option<Arc<Permit>>> = const { RefCell::new(None) };
}

/// Does something under a permit, of which work that it begins in the background takes a share.
pub(super) fn under<T>(permit: &Arc<Permit>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<Permit>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(Arc::clone(permit))));
    work()
}

/// Runs what blocks on a thread for that, and keeps the permit that it is begun under until it is done.
#[cfg(any(feature = "filesystem", feature = "wasm"))]
pub(crate) fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let permit = CURRENT.with_borrow(Clone::clone);
    tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    })
}

/// The permits of one driver. Clones share them.
#[derive(Clone)]
pub(super) struct Permits(Arc<Shared>);

struct Shared {
    owner: String,
    free: Arc<Semaphore>,
    most: usize,
    queue: Mutex<Queue>,
    refused: AtomicU64,
}

/// Who waits, and since when; in the order of asking.
#[derive(Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Instant>,
}

/// A place in the queue.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
    was_served: bool,
}

impl Permits {
    /// So many for a driver of that name.
    pub(super) fn new(owner: &str, most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            owner: owner.to_owned(),
            free: Arc::new(Semaphore::new(most)),
            most,
            queue: Mutex::default(),
            refused: AtomicU64::new(0),
        });
        capacity::register(&shared);
        Permits(shared)
    }

    pub(super) fn most(&self) -> usize {
        self.0.most
    }

    /// Returns a permit if one is free and nobody waits for it.
    pub(super) fn at_once(&self) -> Option<Arc<Permit>> {
        let held = Arc::clone(&self.0.free).try_acquire_owned().ok()?;
        Some(Arc::new(Permit { _held: held }))
    }

    /// Waits for a permit: first come, first served.
    pub(super) async fn wait(&self) -> Result<Arc<Permit>> {
        if let Some(permit) = self.at_once() {
            return Ok(permit);
        }
        let mut place = self.0.queue_up();
        // Nothing closes the semaphore.
        let closed = |error| Error::new(ErrorKind::Other, "the concurrency limit was closed").with_source(error);
        let held = Arc::clone(&self.0.free).acquire_owned().await.map_err(closed)?;
        place.was_served = true;
        Ok(Arc::new(Permit { _held: held }))
    }

    /// Does something under a permit, once there is one.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let permit = self.wait().await?;
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| under(&permit, || work.as_mut().poll(cx))).await
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue_up(&self) -> Place<'_> {
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.insert(number, Instant::now());
        Place { shared: self, number, was_served: false }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.queue().waiting.remove(&self.number);
        if !self.was_served {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Bounded for Shared {
    fn capacity(&self) -> Capacity {
        let queue = self.queue();
        Capacity {
            owner: self.owner.clone(),
            limit: "operations",
            most: self.most,
            used: self.most.saturating_sub(self.free.available_permits()),
            waiting: queue.waiting.len(),
            refused: self.refused.load(Ordering::Relaxed),
            exhausted_for: queue.waiting.first_key_value().map(|(_, since)| since.elapsed()),
        }
    }
}
