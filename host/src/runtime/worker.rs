//! One instance of a component: a task that owns its store, and the calls into it.
//!
//! A worker lives as long as somebody holds it: the opened driver, a reader, a writer or a listing. It takes jobs from a
//! bounded queue and serves them concurrently. It dies by a trap, by a call that breaks the component model's rules, or
//! because the host [kills](Worker::kill) it; whatever was running in it then ends with an error that names the cause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use wasmtime::Store;
use wasmtime::component::{Accessor, ResourceAny};

use super::bindings::{StorageDriverComponent, StorageDriverComponentPre};
use super::ceiling::Stretch;
use super::cpu_time::Budget;
use super::death::{Cause, Effect, Kill, Opener, Watch};
use super::engine::Runtime;
use super::exclusive::Exclusive;
use super::guests::{self, Conduct};
use super::http::HttpClient;
use super::log::LogBudget;
use super::state::{Sandbox, Share, State};
use super::{Grants, Limits, convert};
use crate::contract::{Capabilities, Error, ErrorKind, Operation, Result, printable};

/// What every instance of a driver is made from.
pub(super) struct Spec {
    pub(super) name: Arc<str>,
    pub(super) runtime: Runtime,
    pub(super) component: StorageDriverComponentPre<State>,
    pub(super) parameters: String,
    pub(super) grants: Grants,
    pub(super) limits: Limits,
    pub(super) log: Arc<LogBudget>,
    pub(super) http: Option<Arc<HttpClient>>,
    pub(super) share: Share,
    /// How many places of the pool each instance takes.
    pub(super) places: u32,
    /// What all instances may compute together.
    pub(super) budget: Arc<Budget>,
    /// How the component's instances behaved lately.
    pub(super) conduct: Arc<Conduct>,
    /// Held by a driver that may be open once.
    pub(super) exclusive: Option<Exclusive>,
}

/// An instance, with the driver that was opened in it.
pub(super) struct Guest {
    pub(super) bindings: StorageDriverComponent,
    pub(super) driver: ResourceAny,
}

/// A call into the guest. Its error is the death of the instance.
pub(super) type Job =
    Box<dyn for<'a> FnOnce(&'a Accessor<State>, &'a Guest) -> BoxFuture<'a, wasmtime::Result<()>> + Send>;

/// Why a call had no answer.
pub(super) enum Failure {
    /// The instance died before the call began: another one can take it.
    NotBegun,
    /// The caller's error.
    Error(Error),
}

/// A handle to a running instance.
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    capabilities: Capabilities,
    load: AtomicUsize,
    kill: Arc<Kill>,
    death: watch::Receiver<Option<Cause>>,
    /// Closed when nothing of it is left, its files' work included.
    gone: watch::Receiver<()>,
    /// Whether its death was counted against the driver.
    buried: AtomicBool,
}

impl Worker {
    /// Starts an instance and opens the driver in it.
    ///
    /// # Errors
    ///
    /// The driver's own from `open`; [`ErrorKind::LimitExceeded`] if it takes longer than `limits.open`;
    /// [`ErrorKind::Unavailable`] if the instance dies.
    pub(super) async fn start(spec: &Arc<Spec>) -> Result<Arc<Worker>> {
        let kill = Kill::new(&spec.name);
        let room = (spec.share.instance(spec.places)?, spec.runtime.instance(spec.places)?);
        let sandbox = Sandbox {
            engine: &spec.runtime.engine,
            grants: &spec.grants,
            limits: &spec.limits,
            counters: &spec.runtime.counters,
            log: &spec.log,
            http: spec.http.clone(),
            share: &spec.share,
        };
        let stretch = Stretch::default();
        let store = sandbox.store(kill.flag(), stretch.clone())?;
        let (jobs, queue) = mpsc::channel(spec.limits.queue.get());
        let (opened, opening) = oneshot::channel();
        let (died, death) = watch::channel(None);
        let serves = Arc::new(AtomicBool::new(false));
        let begun = Opened { answer: opened, serves: Arc::clone(&serves) };
        let running = run(store, Arc::clone(spec), queue, begun, Arc::clone(&kill), died, stretch.clone());
        let (is_gone, gone) = watch::channel(());
        let of = Arc::clone(spec);
        let placed = guests::Guest {
            running: Box::pin(async move {
                running.await;
                drop(room);
                if of.exclusive.is_some() {
                    // Neither its successor nor another program comes before what it had begun on its files is over.
                    of.share.threads.settled().await;
                }
                drop(is_gone);
            }),
            budget: Arc::clone(&spec.budget),
            conduct: Arc::clone(&spec.conduct),
            stretch,
            threads: Arc::clone(&spec.runtime.guests),
            serves: Arc::clone(&serves),
            ends: kill.flag(),
        };
        placed.spawn();

        let mut starting = Worker {
            jobs,
            capabilities: Capabilities::default(),
            load: AtomicUsize::new(0),
            kill,
            death,
            gone,
            buried: AtomicBool::new(false),
        };
        let mut opener = Opener::new(&starting.kill);
        let answered = tokio::time::timeout(spec.limits.open, opening).await;
        opener.disarm();
        starting.capabilities = match answered {
            Ok(Ok(answer)) => answer?,
            Ok(Err(_)) => {
                let Cause { reason, limit } = starting.cause_of_death().await;
                let kind = limit.map_or(ErrorKind::Unavailable, |limit| ErrorKind::LimitExceeded { limit });
                return Err(Error::new(kind, format!("the component could not be opened: {reason}")));
            }
            Err(_) => {
                let limit = spec.limits.open;
                starting.kill(Cause::limit("open", format!("it did not open within {limit:?}")));
                let message = format!("the component did not open within {limit:?}; raise `limits: {{ open: .. }}`");
                return Err(Error::new(ErrorKind::LimitExceeded { limit: "open" }, message));
            }
        };
        Ok(Arc::new(starting))
    }

    /// Returns what the opened driver promises.
    pub(super) fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Returns whether the instance takes calls.
    pub(super) fn is_alive(&self) -> bool {
        !self.jobs.is_closed() && self.death.borrow().is_none() && !self.kill.is_ending()
    }

    /// Returns whether its death is still to be counted against the driver: true once.
    pub(super) fn bury(&self) -> bool {
        !self.buried.swap(true, Ordering::Relaxed)
    }

    /// Returns whether it is dead, and its death not counted yet.
    pub(super) fn is_uncounted(&self) -> bool {
        !self.is_alive() && !self.buried.load(Ordering::Relaxed)
    }

    /// Returns how many operations, readers, writers and listings are under way.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Counts one more thing under way, until the guard is dropped. It also keeps the instance.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.load.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Ends the instance, and everything that runs in it.
    pub(super) fn kill(&self, cause: impl Into<Cause>) {
        self.kill.end(cause.into());
    }

    /// Waits until the instance has ended and returns why. To be called when something in it was dropped.
    pub(super) async fn cause_of_death(&self) -> Cause {
        let mut death = self.death.clone();
        let seen = death.wait_for(Option::is_some).await.ok().and_then(|cause| cause.clone());
        seen.unwrap_or_else(|| "its task ended".to_owned().into())
    }

    /// Waits until nothing of the instance is left: for a driver that may be open once, until what it had begun on its files
    /// is over, too.
    pub(super) async fn gone(&self) {
        let mut gone = self.gone.clone();
        while gone.changed().await.is_ok() {}
    }

    /// Returns the error for something that was under way when the instance died.
    pub(super) async fn died(&self, effect: Effect) -> Error {
        self.cause_of_death().await.error(effect)
    }

    /// Runs a call in the guest and returns its answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not end the call: the guest goes on, within the same limit, and its answer is dropped.
    pub(super) async fn call<T, F>(
        &self,
        operation: Operation,
        effect: Effect,
        limit: Duration,
        call: F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a Guest) -> BoxFuture<'a, wasmtime::Result<T>> + Send + 'static,
    {
        let begun = Arc::new(AtomicBool::new(false));
        let (answer, waiting) = oneshot::channel();
        let (is_over, mut watch) = Watch::begin(&self.kill, operation.name(), limit);
        let begins = Arc::clone(&begun);
        let job: Job = Box::new(move |accessor, guest| {
            begins.store(true, Ordering::Relaxed);
            let answered = call(accessor, guest);
            Box::pin(async move {
                let _is_over = is_over;
                let answered = answered.await?;
                accessor.with(|mut access| access.data_mut().stretch.progress());
                // A caller that is gone does not want to know.
                let _ = answer.send(answered);
                Ok(())
            })
        });
        let answered = async {
            self.jobs.send(job).await.map_err(|_| ())?;
            waiting.await.map_err(|_| ())
        };
        let answered = tokio::time::timeout_at(watch.deadline(), answered).await;
        watch.disarm();
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(())) if begun.load(Ordering::Relaxed) => Err(Failure::Error(self.died(effect).await)),
            Ok(Err(())) => Err(Failure::NotBegun),
            Err(_) => {
                // An instance that others wait for too is ended as well: it is full of what does not answer.
                self.kill(format!("it did not answer `{operation}` within {limit:?}"));
                let message = format!("the component did not answer within {limit:?} (`limits: {{ operation: .. }}`)");
                Err(Failure::Error(match effect {
                    Effect::Change if begun.load(Ordering::Relaxed) => {
                        Error::new(ErrorKind::OutcomeUnknown, message).with_limit("operation")
                    }
                    _ => Error::new(ErrorKind::LimitExceeded { limit: "operation" }, message),
                }))
            }
        }
    }

    /// Hands in a call that brings its answer by itself. Waits while the queue is full.
    ///
    /// # Errors
    ///
    /// If the instance is dead.
    pub(super) async fn submit(&self, call: Job) -> std::result::Result<(), ()> {
        self.jobs.send(call).await.map_err(|_| ())
    }

    /// Runs a call that nobody waits for, within a limit.
    pub(super) async fn finish(&self, operation: Operation, limit: Duration, call: Job) {
        let (is_over, watch) = Watch::begin(&self.kill, operation.name(), limit);
        let job: Job = Box::new(move |accessor, guest| {
            let running = call(accessor, guest);
            Box::pin(async move {
                let _is_over = is_over;
                running.await
            })
        });
        // A dead instance has nothing to finish.
        let _ = self.submit(job).await;
        drop(watch);
    }
}

/// Keeps an instance, and counts as one thing under way in it.
pub(super) struct Busy(Arc<Worker>);

impl std::ops::Deref for Busy {
    type Target = Arc<Worker>;
    fn deref(&self) -> &Arc<Worker> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where an instance says that it is open.
struct Opened {
    answer: oneshot::Sender<Result<Capabilities>>,
    /// From then on it may run beside its callers.
    serves: Arc<AtomicBool>,
}

/// The task: owns the store until it dies or nobody holds the worker.
async fn run(
    store: Store<State>,
    spec: Arc<Spec>,
    queue: mpsc::Receiver<Job>,
    opened: Opened,
    kill: Arc<Kill>,
    died: watch::Sender<Option<Cause>>,
    stretch: Stretch,
) {
    let last_words = Arc::clone(&store.data().last_words);
    let ended = {
        let serving = stretch.around(serve(store, &spec, queue, opened));
        tokio::select! {
            biased;
            () = kill.ending() => Ok(()),
            ended = serving => ended,
        }
    };
    let cause = match (kill.cause(), ended) {
        (Some(cause), _) => cause.clone(),
        (None, Ok(())) => "it was closed".to_owned().into(),
        (None, Err(error)) => {
            let cause = Cause::trap(&error, &last_words);
            tracing::warn!(driver = &*spec.name, reason = &*cause.reason, "an instance of a component died");
            // It quotes the names of the component's functions.
            tracing::debug!(driver = &*spec.name, error = &*printable(format!("{error:?}")), "its stack");
            cause
        }
    };
    // Nobody left to tell is fine.
    let _ = died.send(Some(cause));
}

async fn serve(
    mut store: Store<State>,
    spec: &Spec,
    mut queue: mpsc::Receiver<Job>,
    opened: Opened,
) -> wasmtime::Result<()> {
    let bindings = spec.component.instantiate_async(&mut store).await?;
    store
        .run_concurrent(async |accessor| {
            let driver = bindings.wharf_storage_driver();
            let driver = match driver.storage_driver().call_open(accessor, spec.parameters.clone()).await? {
                Ok(driver) => driver,
                Err(error) => {
                    let _ = opened.answer.send(Err(convert::error(error, 0)));
                    return Ok(());
                }
            };
            let capabilities =
                bindings.wharf_storage_driver().storage_driver().call_capabilities(accessor, driver).await?;
            opened.serves.store(true, Ordering::Relaxed);
            if opened.answer.send(Ok(convert::capabilities(capabilities))).is_err() {
                return Ok(());
            }
            let guest = Guest { bindings, driver };
            let mut running = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(ended) = running.next(), if !running.is_empty() => ended?,
                    job = queue.recv() => match job {
                        Some(job) => running.push(job(accessor, &guest)),
                        None => return Ok(()),
                    },
                }
            }
        })
        .await?
}
