//! What an operator sees of the drivers that are open: which serve, which are in quarantine, and why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;

/// How an opened component driver is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriverStatus {
    /// The driver's name, as in errors and logs.
    pub name: String,
    /// Whether it serves.
    pub state: DriverState,
    /// How many instances are alive.
    pub instances: usize,
    /// How many operations, readers, writers and listings are under way.
    pub under_way: usize,
    /// How many instances died within the last minute.
    pub deaths: usize,
    /// Why the last one did, since the driver was opened.
    pub last_death: Option<String>,
    /// How many instances crashed since the driver was opened: trapped, or were ended since they reached a limit.
    pub crashes: u64,
    /// How many instances took the place of one that had crashed.
    pub restarts: u64,
}

/// Whether an opened component driver serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum DriverState {
    /// It takes calls.
    Serving,
    /// Its instances are dead. The next call starts a new one.
    Recovering,
    /// Its instances died too often. Calls fail until the quarantine is over, or is
    /// [ended](super::Runtime::end_quarantine).
    Quarantined {
        /// In how many seconds it is over.
        seconds_left: u64,
    },
    /// Its only instance died, and with it what was stored. It stays so until it is opened again.
    Lost,
}

/// A driver that is open, as its runtime sees it.
pub(super) trait Opened: Send + Sync {
    /// Its name, as in errors and logs.
    fn name(&self) -> &str;

    /// How it is.
    fn status(&self) -> DriverStatus;

    /// Forgets its deaths. Returns whether they had led to a quarantine.
    fn forget_deaths(&self) -> bool;
}

/// The opened drivers of a runtime.
#[derive(Default)]
pub(super) struct OpenedDrivers(Mutex<Vec<Weak<dyn Opened>>>);

impl OpenedDrivers {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Opened>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, driver: Weak<dyn Opened>) {
        let mut drivers = self.lock();
        // Now and then: each time that it would grow otherwise.
        if drivers.len() == drivers.capacity() {
            drivers.retain(|driver| driver.strong_count() > 0);
        }
        drivers.push(driver);
    }

    /// Returns those that are still open, in the order in which they were opened.
    pub(super) fn open(&self) -> Vec<Arc<dyn Opened>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// Returns a duration in seconds, the begun one counted.
pub(super) fn seconds(left: Duration) -> u64 {
    left.as_secs() + 1
}
