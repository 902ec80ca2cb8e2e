//! The instances of one opened driver: which one takes a call, and what happens when one dies.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use wasmtime::component::Accessor;

use super::component::Instances;
use super::limits::DEATH_WINDOW;
use super::state::State;
use super::worker::{Busy, Effect, Failure, Guest, Spec, Worker};
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
    deaths: Mutex<VecDeque<Instant>>,
    /// Held while instances are replaced, so that one caller does it and the others wait.
    replacing: tokio::sync::Mutex<()>,
}

impl Pool {
    /// Opens the driver: once for `instances.one`, in every worker for `many`.
    pub(super) async fn open(spec: Arc<Spec>, instances: Instances) -> Result<Self> {
        let count = match instances {
            Instances::One => 1,
            Instances::Many => spec.limits.workers.get(),
        };
        let mut workers = Vec::with_capacity(count);
        for _ in 0..count {
            workers.push(Worker::start(&spec).await?);
        }
        let capabilities = workers[0].capabilities();
        Ok(Pool {
            spec,
            instances,
            capabilities,
            workers: RwLock::new(workers),
            deaths: Mutex::default(),
            replacing: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Runs a call in the least loaded instance. One that died before the call began is passed over for another.
    pub(super) async fn call<T, F>(&self, operation: Operation, effect: Effect, call: F) -> Result<T>
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
        Err(Error::new(ErrorKind::Unavailable, "the component's instances die faster than they are replaced"))
    }

    /// Returns the least loaded instance that is alive, after replacing those that are not.
    async fn pick(&self) -> Result<Arc<Worker>> {
        let (best, all_alive) = self.least_loaded();
        match best {
            Some(worker) if all_alive => Ok(worker),
            best => self.replace(best).await,
        }
    }

    fn least_loaded(&self) -> (Option<Arc<Worker>>, bool) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        let alive = workers.iter().filter(|worker| worker.is_alive());
        let all_alive = alive.clone().count() == workers.len();
        (alive.min_by_key(|worker| worker.load()).cloned(), all_alive)
    }

    /// Replaces the dead. While another caller does so, one that is alive serves.
    async fn replace(&self, alive: Option<Arc<Worker>>) -> Result<Arc<Worker>> {
        let replacing = match (self.replacing.try_lock(), alive) {
            (Ok(replacing), _) => replacing,
            (Err(_), Some(worker)) => return Ok(worker),
            (Err(_), None) => self.replacing.lock().await,
        };
        let dead: Vec<(usize, Arc<Worker>)> = {
            let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
            workers.iter().cloned().enumerate().filter(|(_, worker)| !worker.is_alive()).collect()
        };
        for (slot, worker) in dead {
            let reason = worker.cause_of_death().await;
            if self.instances == Instances::One {
                let message = format!(
                    "the component's only instance died and what it stored is lost: {reason}; open the driver again"
                );
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            tokio::time::sleep(self.wait_after_death(&reason)?).await;
            let fresh = Worker::start(&self.spec).await?;
            self.workers.write().unwrap_or_else(PoisonError::into_inner)[slot] = fresh;
            tracing::info!(driver = &*self.spec.name, "replaced an instance of a component");
        }
        drop(replacing);
        let (best, _) = self.least_loaded();
        best.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the component's instances die as soon as they are open"))
    }

    /// Counts a death and returns how long to wait before the replacement.
    fn wait_after_death(&self, reason: &str) -> Result<Duration> {
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while deaths.front().is_some_and(|death| now.duration_since(*death) >= DEATH_WINDOW) {
            deaths.pop_front();
        }
        let limit = self.spec.limits.deaths.get() as usize;
        if let Some(last) = deaths.back().filter(|_| deaths.len() >= limit) {
            let left = DEATH_WINDOW.saturating_sub(now.duration_since(*last)).as_secs() + 1;
            let message = format!(
                "the component's instances died {limit} times within a minute (`limits: {{ deaths: {limit} }}`), the \
                 last time because {reason}; it is tried again in at most {left} s"
            );
            return Err(Error::new(ErrorKind::Quarantined, message));
        }
        deaths.push_back(now);
        let doublings = u32::try_from(deaths.len()).unwrap_or(u32::MAX).saturating_sub(2).min(16);
        Ok(if deaths.len() < 2 { Duration::ZERO } else { (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT) })
    }
}
