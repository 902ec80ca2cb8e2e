//! The section `health:`: when the store counts as out of order.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::document::Document;
use super::nanoseconds::Nanoseconds;
use super::report::Report;

/// How the store is asked whether it is there: `health: storagedriver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageHealth {
    /// How long it is from one time to the next; not zero. 10 s by default.
    pub(crate) interval: Duration,
    /// How many times in a row it must have failed. By default once is enough, as in Distribution.
    pub(crate) threshold: NonZeroU32,
}

/// The shortest time from one question to the next.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    storagedriver: StorageDriver,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StorageDriver {
    enabled: bool,
    interval: Nanoseconds,
    threshold: u32,
}

impl StorageHealth {
    /// Returns none if the store is not asked.
    pub(super) fn from_document(document: &Document, report: &mut Report) -> Option<Self> {
        let StorageDriver { enabled, interval, threshold } = document.parse::<Section>("health", report).storagedriver;
        enabled.then(|| {
            let interval = interval.at("health.storagedriver.interval", report);
            // Zero is Distribution's way to say the default. Whoever forgot a unit does not mean to ask a million times a second.
            let interval = if interval.is_zero() { Duration::from_secs(10) } else { interval.max(SHORTEST) };
            StorageHealth { interval, threshold: NonZeroU32::new(threshold).unwrap_or(NonZeroU32::MIN) }
        })
    }
}
