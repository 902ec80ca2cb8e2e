//! Whether the registry can do its work, for load balancers, orchestrators and people.
//!
//! | address | asks the store | 200 means |
//! |---|---|---|
//! | `GET /livez` | no | the program answers; otherwise start it again |
//! | `GET /readyz` | no: the last background check counts | send requests here |
//! | `GET /debug/health` | no: Distribution's, so many failures in a row count | `{}`; the checks that fail with 503 |
//! | `POST /debug/health/write` | puts, gets and deletes a file of 36 bytes | the store can be written |
//! | `POST /debug/health/down`, `/up` | no | Distribution's switch: fails, or no longer fails, by hand |
//!
//! The background check reads the root: one request to the store, which costs next to nothing and is refused where
//! credentials or the network are. It writes nothing, so that a registry that is only read needs no right to write.

mod probe;
mod routes;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::contract::{StorageDriver, StoragePath};

/// How the store is checked in the background: Distribution's `health: storagedriver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Whether it is checked at all. Without, the registry counts as healthy.
    pub enabled: bool,
    /// The time between two checks; 10 s by default.
    pub interval: Duration,
    /// How long a check may take before it has failed; 10 s by default. Distribution waits for ever.
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
/// assert!(health.failing().is_empty());
/// health.begin_shutdown();
/// assert!(!health.is_ready());
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
        let state = Arc::new(CheckState {
            name: format!("storagedriver_{}", driver.name()),
            driver,
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

    /// Returns whether requests should be sent here: the last check succeeded, and nobody has begun to shut down.
    pub fn is_ready(&self) -> bool {
        self.not_ready().is_none()
    }

    /// Says that requests should no longer be sent here. What is under way goes on.
    pub fn begin_shutdown(&self) {
        self.0.state.shutting_down.store(true, Ordering::Relaxed);
    }

    fn not_ready(&self) -> Option<String> {
        let state = &self.0.state;
        if state.shutting_down.load(Ordering::Relaxed) {
            return Some("shutting down".to_owned());
        }
        if state.down_by_hand.load(Ordering::Relaxed) {
            return Some(BY_HAND.1.to_owned());
        }
        if !state.settings.enabled {
            return None;
        }
        match &state.last().outcome {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.clone()),
            None => Some("the store was not checked yet".to_owned()),
        }
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
        let root = StoragePath::root();
        match tokio::time::timeout(self.settings.timeout, self.driver.stat(&root)).await {
            Ok(Ok(_)) => Ok(()),
            // An empty store answers too.
            Ok(Err(error)) if error.is_path_not_found() => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("{}: no answer within {:?}", self.driver.name(), self.settings.timeout)),
        }
    }
}

impl fmt::Debug for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckState").field("name", &self.name).field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
