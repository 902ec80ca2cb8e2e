//! Changes whose callers have gone, and the operations that wait for them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use crate::contract::StoragePath;

/// How many changes may go on without their callers before new ones wait: each holds its content, 16 MiB at most.
const MAX_UNFINISHED: usize = 64;

/// The changes of one driver that go on although their callers have gone.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// How many there are, so that the many operations which meet none take no lock.
    count: AtomicUsize,
    changes: Mutex<Vec<Arc<[StoragePath]>>>,
    ended: Notify,
}

/// What an operation is about to do with its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// To read what is at it.
    Read,
    /// To read what is at it and below it.
    ReadBelow,
    /// To change it.
    Change,
}

impl Unfinished {
    /// Waits until no change goes on at or above the path, nor below it unless only the path itself is read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn settled(&self, path: &StoragePath, purpose: Use) {
        // Whoever dropped a change counted it before the drop returned.
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Before the look: a change that ends between the two is not missed.
            ended.as_mut().enable();
            if self.is_free(path, purpose) {
                return;
            }
            ended.await;
        }
    }

    fn is_free(&self, path: &StoragePath, purpose: Use) -> bool {
        let changes = self.lock();
        if purpose == Use::Change && changes.len() >= MAX_UNFINISHED {
            return false;
        }
        let meets = |changed: &StoragePath| {
            changed == path || changed.contains(path) || (purpose != Use::Read && path.contains(changed))
        };
        !changes.iter().any(|paths| paths.iter().any(meets))
    }

    /// Counts a change that goes on without its caller, until the guard is dropped.
    pub(super) fn count(self: &Arc<Self>, paths: Arc<[StoragePath]>) -> Counted {
        let mut changes = self.lock();
        changes.push(Arc::clone(&paths));
        self.count.store(changes.len(), Ordering::Release);
        drop(changes);
        Counted { unfinished: Arc::clone(self), paths }
    }

    /// Lets a change go on to its end without its caller.
    ///
    /// Outside of an executor nothing can go on: the change is dropped.
    pub(super) fn finish(self: &Arc<Self>, paths: Arc<[StoragePath]>, work: impl Future<Output = ()> + Send + 'static) {
        match tokio::runtime::Handle::try_current() {
            Ok(executor) => {
                let counted = self.count(paths);
                executor.spawn(async move {
                    work.await;
                    drop(counted);
                });
            }
            Err(_) => tracing::warn!(
                path = %paths.first().map_or("", |path| path.as_str()),
                "a change was dropped outside of the executor; whether it happens is unknown"
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<[StoragePath]>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change that goes on without its caller.
pub(super) struct Counted {
    unfinished: Arc<Unfinished>,
    paths: Arc<[StoragePath]>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut changes = self.unfinished.lock();
        if let Some(index) = changes.iter().position(|paths| Arc::ptr_eq(paths, &self.paths)) {
            changes.swap_remove(index);
        }
        self.unfinished.count.store(changes.len(), Ordering::Release);
        drop(changes);
        self.unfinished.ended.notify_waiters();
    }
}

/// A change that runs to its end once it has begun, whatever its caller does.
pub(super) struct Change<T: Send + 'static> {
    /// None once it is done.
    work: Option<BoxFuture<'static, T>>,
    has_begun: bool,
    unfinished: Arc<Unfinished>,
    paths: Arc<[StoragePath]>,
}

impl<T: Send + 'static> Change<T> {
    pub(super) fn new(
        unfinished: &Arc<Unfinished>,
        paths: impl Into<Arc<[StoragePath]>>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Change { work: Some(work.boxed()), has_begun: false, unfinished: Arc::clone(unfinished), paths: paths.into() }
    }
}

impl<T: Send + 'static> Future for Change<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.has_begun = true;
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(done)
    }
}

impl<T: Send + 'static> Drop for Change<T> {
    fn drop(&mut self) {
        // What has not begun does not happen.
        if let Some(work) = self.work.take()
            && self.has_begun
        {
            self.unfinished.finish(Arc::clone(&self.paths), async move { drop(work.await) });
        }
    }
}
