//! The threads that wait for a driver's files: its own, and no more of them than it may have.
//!
//! tokio's blocking pool belongs to the host: the registry's password checks and the native drivers use it. What a
//! component makes the host wait for runs here instead, wasmtime's own implementation of WASI included, which takes
//! whatever runtime it is polled in. So a component whose disk does not answer, or that asks for more than its disk can
//! do, makes itself wait and nobody else.

use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::contract::{Error, ErrorKind, Result};

/// The blocking threads of one opened driver: started when there is work, ended when there is none for a while.
pub(super) struct Threads {
    /// Runs no task; it only has the pool. None while it is dropped.
    pool: Option<Runtime>,
    /// How many there may be.
    count: usize,
}

impl Threads {
    /// Prepares a pool of `count` threads at most; none is started.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] if the system refuses it.
    pub(super) fn new(count: NonZeroU32) -> Result<Self> {
        let count = usize::try_from(count.get()).unwrap_or(usize::MAX);
        let pool = Builder::new_current_thread()
            .max_blocking_threads(count)
            .thread_name("wharf-files")
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Other, "the threads for a component's files cannot be set up").with_source(error)
            })?;
        Ok(Threads { pool: Some(pool), count })
    }

    /// Runs what may block on one of the threads, once there is one for it.
    pub(super) fn spawn<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle().spawn_blocking(work)
    }

    /// Polls a future so that what it hands to blocking threads is handed to these. It must use nothing else of tokio's:
    /// no timer and no socket.
    pub(super) async fn within<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            let _entered = self.handle().enter();
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Runs a closure so that what it hands to blocking threads is handed to these.
    pub(super) fn inside<R>(&self, run: impl FnOnce() -> R) -> R {
        let _entered = self.handle().enter();
        run()
    }

    /// Waits until what was handed to these threads before is over: it holds all of them at once, which it can only when none
    /// of them has anything else to do.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it lets go of those that it holds.
    pub(super) async fn settled(&self) {
        let (gate, count) = (Arc::new(Gate::default()), self.count);
        let _opens = OpensGate(Arc::clone(&gate));
        let waiting = (0..count).map(|_| {
            let gate = Arc::clone(&gate);
            self.spawn(move || gate.wait_for(count))
        });
        let waiting: Vec<_> = waiting.collect();
        for held in waiting {
            // One that the pool did not run any more held nothing.
            let _ = held.await;
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        // It is taken out only by `drop`.
        self.pool.as_ref().map(Runtime::handle).unwrap_or_else(|| unreachable!("the threads were dropped"))
    }
}

/// Where threads wait for one another.
#[derive(Default)]
struct Gate {
    /// How many have come, and whether it is open.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    /// Blocks until so many have come, or it is opened.
    fn wait_for(&self, count: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        state.1 |= state.0 >= count;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Opens a gate when it is dropped.
struct OpensGate(Arc<Gate>);

impl Drop for OpensGate {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            // Waits for nothing: a thread that the system holds goes on until the system lets go of it.
            pool.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_blocks_takes_no_more_threads_than_there_may_be_and_none_of_the_hosts() {
        let threads = Arc::new(Threads::new(NonZeroU32::new(3).unwrap()).unwrap());
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = |way: usize| {
            let (threads, running, most) = (Arc::clone(&threads), Arc::clone(&running), Arc::clone(&most));
            let block = move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                running.fetch_sub(1, Ordering::SeqCst);
                std::thread::current().name().unwrap().to_owned()
            };
            async move {
                match way % 2 {
                    0 => threads.spawn(block).await.unwrap(),
                    // As wasmtime does.
                    _ => threads.within(async { tokio::task::spawn_blocking(block).await.unwrap() }).await,
                }
            }
        };
        let names = futures::future::join_all((0..12).map(work)).await;
        assert!(names.iter().all(|name| name == "wharf-files"), "{names:?}");
        assert_eq!(most.load(Ordering::SeqCst), 3);
        let host = tokio::task::spawn_blocking(|| std::thread::current().name().unwrap().to_owned()).await.unwrap();
        assert_ne!(host, "wharf-files");
    }

    #[tokio::test]
    async fn what_was_begun_is_over_when_the_threads_are_settled() {
        let threads = Threads::new(NonZeroU32::new(3).unwrap()).unwrap();
        threads.settled().await;
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..7 {
            let done = Arc::clone(&done);
            threads.spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        threads.settled().await;
        assert_eq!(done.load(Ordering::SeqCst), 7);
    }

    #[tokio::test]
    async fn a_wait_for_threads_that_is_given_up_lets_go_of_them() {
        let threads = Threads::new(NonZeroU32::new(2).unwrap()).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocked = threads.spawn(move || held.recv().is_ok());
        tokio::time::timeout(Duration::from_millis(50), threads.settled()).await.unwrap_err();
        // The other thread works as before.
        assert!(threads.spawn(|| true).await.unwrap());
        release.send(()).unwrap();
        assert!(blocked.await.unwrap());
        threads.settled().await;
    }

    #[tokio::test]
    async fn the_end_of_a_driver_waits_for_no_thread() {
        let threads = Threads::new(NonZeroU32::new(1).unwrap()).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocked = threads.spawn(move || held.recv().is_ok());
        let begun = std::time::Instant::now();
        drop(threads);
        assert!(begun.elapsed() < Duration::from_secs(5));
        release.send(()).unwrap();
        assert!(blocked.await.unwrap());
    }
}
