//! What an operator sees of the drivers that are open: which serve, which are in quarantine, and why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;

use super::engine::Runtime;
use super::pool::Pool;

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
    /// [ended](Runtime::end_quarantine).
    Quarantined {
        /// In how many seconds it is over.
        seconds_left: u64,
    },
    /// Its only instance died, and with it what was stored. It stays so until it is opened again.
    Lost,
}

/// The opened drivers of a runtime.
#[derive(Default)]
pub(super) struct Pools(Mutex<Vec<Weak<Pool>>>);

impl Pools {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Pool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, pool: &Arc<Pool>) {
        let mut pools = self.lock();
        // Now and then: each time that it would grow otherwise.
        if pools.len() == pools.capacity() {
            pools.retain(|pool| pool.strong_count() > 0);
        }
        pools.push(Arc::downgrade(pool));
    }

    fn open(&self) -> Vec<Arc<Pool>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Runtime {
    /// Returns how each component driver is that is open now, in the order in which they were opened.
    ///
    /// # Example
    ///
    /// ```
    /// use wharf::runtime::{Runtime, RuntimeConfig};
    ///
    /// let runtime = Runtime::new(RuntimeConfig::default())?;
    /// assert_eq!(runtime.drivers(), []);
    /// # Ok::<(), wharf::contract::Error>(())
    /// ```
    pub fn drivers(&self) -> Vec<DriverStatus> {
        self.pools.open().iter().map(|pool| pool.status()).collect()
    }

    /// Forgets the deaths of the drivers of that name, so that those in quarantine are tried again at the next call.
    /// Returns how many were in quarantine.
    ///
    /// For an operator who has removed the cause. A quarantine ends by itself as well, a minute after it began.
    pub fn end_quarantine(&self, name: &str) -> usize {
        self.pools.open().iter().filter(|pool| *pool.spec().name == *name && pool.forget_deaths()).count()
    }
}

/// Returns a duration in seconds, the begun one counted.
pub(super) fn seconds(left: Duration) -> u64 {
    left.as_secs() + 1
}
