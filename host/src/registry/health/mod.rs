//! Whether the registry can do its work, for load balancers, orchestrators and people.
//!
//! | address | asks the store | 200 means |
//! |---|---|---|
//! | `GET /livez` | no | the program answers; otherwise start it again |
//! | `GET /readyz` | reads the root, once a second at most | send requests here; with 503, a line for each check that fails |
//! | `GET /debug/health` | no: Distribution's, so many failures in a row count | `{}`; the checks that fail with 503 |
//! | `POST /debug/health/write` | puts, gets and deletes a file of 36 bytes | the store can be written |
//! | `POST /debug/health/down`, `/up` | no | Distribution's switch: fails, or no longer fails, by hand |
//!
//! The driver is checked by reading the root: one request to the store, which costs next to nothing and is refused where
//! credentials or the network are, where a component's instances crash, and where the only one was lost. It writes nothing,
//! so that a registry that is only read needs no right to write. Readiness looks at the driver whether the background check
//! is on or not, and at what else [was added](Health::add_check): whether the store takes writes, whether capacity is left.

mod probe;
mod readiness;
mod routes;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::contract::{StorageDriver, StoragePath};
use readiness::{Check, Checks, PATIENCE};

pub use readiness::Missing;

/// How the store is checked in the background: Distribution's `health: storagedriver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Whether it is checked in the background. Without, the registry counts as healthy; whether it is ready is found out
    /// all the same.
    pub enabled: bool,
    /// The time between two checks; 10 s by default.
    pub interval: Duration,
    /// How long a check may take before it has failed, in the background and for readiness; 10 s by default. Distribution
    /// waits for ever.
    pub timeout: Duration,
    /// After how many failures in a row `/debug/health` says so; 3 by default. 0 is as 1.
    pub threshold: u32,
    /// How long a write probe may take, all three steps together; 30 s by default.
    pub write_timeout: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        HealthSettings {
            enabled: true,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            threshold: 3,
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// The health of one registry. Cheap to clone. The background check ends when the last clone is dropped.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::drivers::inmemory::InMemory;
/// use wharf::registry::health::{Health, HealthSettings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let health = Health::start(Arc::new(InMemory::new()), HealthSettings::default());
/// assert!(health.failing().is_empty() && health.is_ready().await);
/// health.add_check("moon", || async { Err("it is not full".to_owned()) });
/// assert_eq!(health.missing().await[0].to_string(), "moon: it is not full");
/// health.begin_shutdown();
/// assert!(!health.is_ready().await);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Health(Arc<Checked>);

/// What is known, and the task that finds it out.
#[derive(Debug)]
struct Checked {
    state: Arc<CheckState>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Checked {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct CheckState {
    driver: Arc<dyn StorageDriver>,
    settings: HealthSettings,
    /// The key of the check in `/debug/health`.
    name: String,
    /// Reads the root. The first of `checks`.
    driver_check: Arc<Check>,
    checks: Checks,
    last: Mutex<Last>,
    /// Whether the background check has failed often enough. Apart, because every request asks.
    failing: AtomicBool,
    shutting_down: AtomicBool,
    down_by_hand: AtomicBool,
    write_probe: Arc<Semaphore>,
}

/// What the checks so far have told.
#[derive(Debug, Default)]
struct Last {
    /// None while no check has ended.
    outcome: Option<Result<(), String>>,
    failures_in_row: u32,
}

/// The key of the switch in `/debug/health`, and what stands there: Distribution's.
const BY_HAND: (&str, &str) = ("manual_http_status", "manual check");

impl Health {
    /// Begins to check a driver, the first time at once. Give it the driver as the registry uses it.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn start(driver: Arc<dyn StorageDriver>, settings: HealthSettings) -> Self {
        let driver_check = {
            let driver = Arc::clone(&driver);
            Check::new("driver", settings.timeout, move || read_root(Arc::clone(&driver)).boxed())
        };
        let checks = Checks::default();
        checks.add(Arc::clone(&driver_check));
        let state = Arc::new(CheckState {
            name: format!("storagedriver_{}", driver.name()),
            driver,
            driver_check,
            checks,
            last: Mutex::default(),
            failing: AtomicBool::new(false),
            shutting_down: AtomicBool::new(false),
            down_by_hand: AtomicBool::new(false),
            write_probe: Arc::new(Semaphore::new(1)),
            settings,
        });
        let task = state.settings.enabled.then(|| tokio::spawn(state.clone().check_for_ever()));
        Health(Arc::new(Checked { state, task }))
    }

    /// Returns the checks that fail, and why: nothing while all is well, or while no check has ended.
    pub fn failing(&self) -> Vec<(String, String)> {
        self.0.state.failing()
    }

    /// Adds something that must hold for requests to be sent here, under a name for operators.
    ///
    /// `ask` is called when somebody asks, and at most once a second. It may wait; it is not called again before it has
    /// answered, and has failed when it takes longer than [`HealthSettings::timeout`].
    pub fn add_check<F, R>(&self, name: &'static str, ask: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let limit = self.0.state.settings.timeout;
        self.0.state.checks.add(Check::new(name, limit, move || ask().boxed()));
    }

    /// Returns whether requests should be sent here: nothing is [missing](Health::missing).
    pub async fn is_ready(&self) -> bool {
        self.missing().await.is_empty()
    }

    /// Returns why no requests should be sent here; nothing where they should. Answers within a second.
    pub async fn missing(&self) -> Vec<Missing> {
        self.missing_within(PATIENCE).await
    }

    /// Returns the same, and waits longer for checks that take their time: for a start.
    pub async fn missing_within(&self, patience: Duration) -> Vec<Missing> {
        let state = &self.0.state;
        if state.shutting_down.load(Ordering::Relaxed) {
            // Whatever else there is does not matter any more, and is not asked.
            return vec![Missing { check: "shutdown", why: "the registry is shutting down".to_owned() }];
        }
        let mut missing = state.checks.missing(patience).await;
        if state.down_by_hand.load(Ordering::Relaxed) {
            missing.push(Missing { check: BY_HAND.0, why: BY_HAND.1.to_owned() });
        }
        missing
    }

    /// Says that requests should no longer be sent here. What is under way goes on.
    pub fn begin_shutdown(&self) {
        self.0.state.shutting_down.store(true, Ordering::Relaxed);
    }
}

impl CheckState {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a check fails.
    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.down_by_hand.load(Ordering::Relaxed)
    }

    fn failing(&self) -> Vec<(String, String)> {
        let mut failing = Vec::new();
        if self.failing.load(Ordering::Relaxed)
            && let Some(Err(error)) = &self.last().outcome
        {
            failing.push((self.name.clone(), error.clone()));
        }
        if self.down_by_hand.load(Ordering::Relaxed) {
            failing.push((BY_HAND.0.to_owned(), BY_HAND.1.to_owned()));
        }
        failing
    }

    async fn check_for_ever(self: Arc<Self>) {
        loop {
            let outcome = self.check().await;
            if let Err(error) = &outcome {
                tracing::error!(target: "wharf::health", check = %self.name, %error, "the store does not answer");
            }
            self.note(outcome);
            tokio::time::sleep(self.settings.interval).await;
        }
    }

    fn note(&self, outcome: Result<(), String>) {
        let mut last = self.last();
        last.failures_in_row = if outcome.is_ok() { 0 } else { last.failures_in_row.saturating_add(1) };
        last.outcome = Some(outcome);
        self.failing.store(last.failures_in_row >= self.settings.threshold.max(1), Ordering::Relaxed);
    }

    async fn check(&self) -> Result<(), String> {
        let limit = self.settings.timeout;
        match tokio::time::timeout(limit, self.driver_check.outcome(Duration::MAX)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{}: no answer within {limit:?}", self.driver.name())),
        }
    }
}

/// Asks a driver for its root.
async fn read_root(driver: Arc<dyn StorageDriver>) -> Result<(), String> {
    match driver.stat(&StoragePath::root()).await {
        // An empty store answers too.
        Err(error) if !error.is_path_not_found() => Err(error.to_string()),
        _ => Ok(()),
    }
}

impl fmt::Debug for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckState").field("name", &self.name).field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
