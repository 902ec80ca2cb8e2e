//! The instances of one opened driver: which one takes a call, and what happens when one dies.
//!
//! A pool lives as long as the driver that was opened. Its instances may live longer: a reader or a writer keeps its own.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use wasmtime::component::Accessor;

use super::component::Instances;
use super::death::{Cause, Effect};
use super::limits::DEATH_WINDOW;
use super::state::State;
use super::status::{DriverState, DriverStatus, Opened, seconds};
use super::worker::{Busy, Failure, Guest, Spec, Worker};
use crate::base::capacity::{Bound, Taken};
use crate::contract::{Capabilities, Error, ErrorKind, Operation, Result};

/// The wait before a dead instance is replaced: none for the first death within a minute, then this, doubled with
/// every further one, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often a call that had not begun is handed to another instance.
const ATTEMPTS: usize = 3;

pub(super) struct Pool {
    spec: Arc<Spec>,
    instances: Instances,
    capabilities: Capabilities,
    workers: RwLock<Vec<Arc<Worker>>>,
    deaths: Mutex<Deaths>,
    /// Held while instances are replaced or added, so that one caller does it and the others wait.
    replacing: tokio::sync::Mutex<()>,
    /// How many instances it may have.
    most: usize,
    /// Whether one is being added, or could not be added a moment ago.
    growing: AtomicBool,
    readers: Arc<Bound>,
    writers: Arc<Bound>,
}

/// The deaths of the last minute.
#[derive(Default)]
struct Deaths {
    times: VecDeque<Instant>,
    /// Why the last one died, however long ago.
    last: Option<Arc<str>>,
    /// How many there were, however long ago.
    crashes: u64,
    /// How many of the dead were replaced.
    restarts: u64,
}

impl Pool {
    /// Opens the driver, in one instance. One of `instances.many` gets others once it is busy.
    pub(super) async fn open(spec: Arc<Spec>, instances: Instances) -> Result<Arc<Self>> {
        let most = match instances {
            Instances::One | Instances::Exclusive => 1,
            Instances::Many => spec.limits.workers.get(),
        };
        let first = Worker::start(&spec).await?;
        let pool = Arc::new(Pool {
            instances,
            capabilities: first.capabilities(),
            workers: RwLock::new(vec![first]),
            deaths: Mutex::default(),
            replacing: tokio::sync::Mutex::default(),
            most,
            growing: AtomicBool::new(false),
            readers: bound(&spec.name, "readers", spec.limits.readers),
            writers: bound(&spec.name, "writers", spec.limits.writers),
            spec,
        });
        let opened: Weak<Pool> = Arc::downgrade(&pool);
        pool.spec.runtime.opened.add(opened);
        Ok(pool)
    }

    /// Counts one more stream or listing as open.
    pub(super) fn open_reader(&self) -> Result<Taken> {
        take(&self.readers, "readers")
    }

    /// Counts one more upload as open.
    pub(super) fn open_writer(&self) -> Result<Taken> {
        take(&self.writers, "writers")
    }

    pub(super) fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Runs a call in the least loaded instance. One that died before the call began is passed over for another.
    pub(super) async fn call<T, F>(self: &Arc<Self>, operation: Operation, effect: Effect, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Accessor<State>, &'a Guest, Busy) -> BoxFuture<'a, wasmtime::Result<T>>
            + Send
            + Sync
            + 'static,
    {
        let call = Arc::new(call);
        for _ in 0..ATTEMPTS {
            let worker = self.pick().await?.busy();
            let keep = worker.busy();
            let call = Arc::clone(&call);
            let answered = worker
                .call(operation, effect, self.spec.limits.operation, move |accessor, guest| call(accessor, guest, keep))
                .await;
            match answered {
                Ok(answer) => return Ok(answer),
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::NotBegun) => {}
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "the component's instances die faster than they are replaced")
            .with_death())
    }

    /// Returns the least loaded instance that is alive. The dead are replaced meanwhile, and waited for only where
    /// nobody else is alive.
    async fn pick(self: &Arc<Self>) -> Result<Arc<Worker>> {
        let (best, all_alive) = self.least_loaded();
        match best {
            Some(worker) if all_alive => {
                if worker.load() > 0 && self.count() < self.most {
                    self.grow();
                }
                Ok(worker)
            }
            Some(worker) => {
                self.quarantine()?;
                let pool = Arc::clone(self);
                tokio::spawn(async move {
                    // Somebody who replaces already does it for everybody.
                    let Ok(_replacing) = pool.replacing.try_lock() else { return };
                    if let Err(error) = pool.replace().await {
                        tracing::warn!(driver = &*pool.spec.name, %error, "an instance could not be replaced");
                    }
                });
                Ok(worker)
            }
            None => {
                self.quarantine()?;
                let _replacing = self.replacing.lock().await;
                self.replace().await?;
                self.least_loaded().0.ok_or_else(|| {
                    Error::new(ErrorKind::Unavailable, "the component's instances die as soon as they are open")
                        .with_death()
                })
            }
        }
    }

    fn count(&self) -> usize {
        self.workers.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds an instance, in the background: there is one that serves.
    fn grow(self: &Arc<Self>) {
        // Somebody who adds one already does it for everybody; and it must not be tried at every call.
        if self.growing.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let started = {
                let _replacing = pool.replacing.lock().await;
                start_alike(&pool.spec, pool.capabilities).await
            };
            match started {
                Ok(fresh) => {
                    pool.workers.write().unwrap_or_else(PoisonError::into_inner).push(fresh);
                    pool.growing.store(false, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::warn!(driver = &*pool.spec.name, %error, "an instance could not be added");
                    // Meanwhile the dead are replaced as ever, and a driver that is closed ends.
                    let pool = {
                        let weak = Arc::downgrade(&pool);
                        drop(pool);
                        weak
                    };
                    tokio::time::sleep(LONGEST_WAIT).await;
                    if let Some(pool) = pool.upgrade() {
                        pool.growing.store(false, Ordering::Relaxed);
                    }
                }
            }
        });
    }

    fn least_loaded(&self) -> (Option<Arc<Worker>>, bool) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        let alive = workers.iter().filter(|worker| worker.is_alive());
        let all_alive = alive.clone().count() == workers.len();
        (alive.min_by_key(|worker| worker.load()).cloned(), all_alive)
    }

    /// Replaces the dead, one after the other. To be called by whoever holds `replacing`.
    async fn replace(&self) -> Result<()> {
        let dead: Vec<(usize, Arc<Worker>)> = {
            let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
            workers.iter().cloned().enumerate().filter(|(_, worker)| !worker.is_alive()).collect()
        };
        for (slot, worker) in dead {
            let Cause { reason, .. } = worker.cause_of_death().await;
            if self.instances == Instances::One {
                // Counted once, for whoever asks how the driver is.
                if worker.bury() {
                    self.count_death(Arc::clone(&reason));
                }
                let message = format!(
                    "the component's only instance died and what it stored is lost: {reason}; open the driver again"
                );
                return Err(Error::new(ErrorKind::Unavailable, message).with_death());
            }
            // Counted once: a dead instance keeps its slot until its successor is there, and may be found in it again.
            let wait = if worker.bury() { self.count_death(reason) } else { Duration::ZERO };
            self.quarantine()?;
            tokio::time::sleep(wait).await;
            if self.instances == Instances::Exclusive {
                self.is_gone(&worker).await?;
            }
            let fresh = match start_alike(&self.spec, self.capabilities).await {
                Ok(fresh) => fresh,
                Err(error) => {
                    // One that does not even open is one more death, so that nobody tries it at every call.
                    self.count_death(error.to_string().into());
                    return Err(error.with_death());
                }
            };
            self.workers.write().unwrap_or_else(PoisonError::into_inner)[slot] = fresh;
            self.deaths().restarts += 1;
            tracing::info!(driver = &*self.spec.name, "replaced an instance of a component");
        }
        Ok(())
    }

    /// Waits until nothing is left of an instance beside which no other may be.
    async fn is_gone(&self, worker: &Worker) -> Result<()> {
        let limit = self.spec.limits.operation;
        tokio::time::timeout(limit, worker.gone()).await.map_err(|_| {
            let message = format!(
                "what the component's dead instance had begun on its files is not over after {limit:?}, and the next one is not                  opened beside it; see whether the disk answers"
            );
            Error::new(ErrorKind::Unavailable, message).with_death()
        })
    }

    fn deaths(&self) -> MutexGuard<'_, Deaths> {
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while deaths.times.front().is_some_and(|death| now.duration_since(*death) >= DEATH_WINDOW) {
            deaths.times.pop_front();
        }
        deaths
    }

    /// Counts a death and returns how long to wait before the replacement.
    fn count_death(&self, reason: Arc<str>) -> Duration {
        let mut deaths = self.deaths();
        deaths.times.push_back(Instant::now());
        deaths.last = Some(reason);
        deaths.crashes += 1;
        match u32::try_from(deaths.times.len()).unwrap_or(u32::MAX) {
            0 | 1 => Duration::ZERO,
            count => (FIRST_WAIT * 2u32.pow((count - 2).min(16))).min(LONGEST_WAIT),
        }
    }

    /// Fails while too many deaths lie within the last minute.
    fn quarantine(&self) -> Result<()> {
        let deaths = self.deaths();
        let Some(left) = self.quarantine_left(&deaths) else { return Ok(()) };
        let limit = self.spec.limits.deaths;
        let message = format!(
            "the component's instances died {limit} times within a minute (`limits: {{ deaths: {limit} }}`), the last \
             time because {}; it is tried again in {} s",
            deaths.last.as_deref().unwrap_or_default(),
            seconds(left),
        );
        Err(Error::new(ErrorKind::Quarantined, message))
    }

    /// Returns how much longer the quarantine lasts; none if there is none.
    fn quarantine_left(&self, deaths: &Deaths) -> Option<Duration> {
        // One of `instances.one` is not tried again at all.
        if self.instances == Instances::One {
            return None;
        }
        let limit = self.spec.limits.deaths.get() as usize;
        let oldest = deaths.times.len().checked_sub(limit).and_then(|index| deaths.times.get(index))?;
        Some(DEATH_WINDOW.saturating_sub(oldest.elapsed()))
    }
}

impl Opened for Pool {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn forget_deaths(&self) -> bool {
        let mut deaths = self.deaths();
        let quarantined = self.quarantine_left(&deaths).is_some();
        deaths.times.clear();
        quarantined
    }

    fn status(&self) -> DriverStatus {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let instances = workers.iter().filter(|worker| worker.is_alive()).count();
        // Who died since somebody last called is noticed by the next call.
        let uncounted = workers.iter().filter(|worker| worker.is_uncounted()).count() as u64;
        let deaths = self.deaths();
        let state = match (instances, self.quarantine_left(&deaths)) {
            (1.., _) => DriverState::Serving,
            (0, _) if self.instances == Instances::One => DriverState::Lost,
            (0, Some(left)) => DriverState::Quarantined { seconds_left: seconds(left) },
            (0, None) => DriverState::Recovering,
        };
        DriverStatus {
            name: self.spec.name.to_string(),
            state,
            instances,
            under_way: workers.iter().map(|worker| worker.load()).sum(),
            deaths: deaths.times.len(),
            last_death: deaths.last.as_deref().map(str::to_owned),
            crashes: deaths.crashes + uncounted,
            restarts: deaths.restarts,
        }
    }
}

/// Bounds what may be open of the driver at a time.
fn bound(driver: &str, limit: &'static str, count: NonZeroU32) -> Arc<Bound> {
    Bound::new(driver, limit, usize::try_from(count.get()).unwrap_or(usize::MAX))
}

fn take(bound: &Arc<Bound>, limit: &'static str) -> Result<Taken> {
    bound.take().ok_or_else(|| {
        let count = bound.most();
        let message = format!("{count} {limit} of the driver are open already (`limits: {{ {limit}: {count} }}`)");
        Error::new(ErrorKind::LimitExceeded { limit }, message)
    })
}

/// Starts an instance that promises what the first one did.
async fn start_alike(spec: &Arc<Spec>, capabilities: Capabilities) -> Result<Arc<Worker>> {
    let worker = Worker::start(spec).await?;
    if worker.capabilities() != capabilities {
        worker.kill("it declares other capabilities than the driver's first instance".to_owned());
        return Err(super::convert::fault("`capabilities` does not answer the same in every instance"));
    }
    Ok(worker)
}
