//! The section `storage:`: which driver, and what the registry does with its store.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use wharf::base::{GoDuration, nearest};

use super::document::Document;
use super::report::Report;
use super::{Config, schema};

/// What the registry does with its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The driver's name; its parameters are in [`Config::storage`].
    pub(crate) driver: String,
    /// Whether clients may delete: `delete: enabled`. Off by default.
    pub(crate) delete: bool,
    /// Whether clients are sent to the store: not `redirect: disable`. On by default.
    pub(crate) redirect: bool,
    /// Whether nothing may be changed: `maintenance: readonly: enabled`.
    pub(crate) read_only: bool,
    /// When uploads that nobody finishes are removed: `maintenance: uploadpurging`; none if that is switched off.
    pub(crate) purging: Option<UploadPurging>,
}

/// When uploads that nobody finishes are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadPurging {
    /// How old they are. A week by default.
    pub(crate) age: Duration,
    /// How long it is from one time to the next; not zero. A day by default.
    pub(crate) interval: Duration,
    /// Whether they are only named in the log.
    pub(crate) dry_run: bool,
}

impl Default for UploadPurging {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        UploadPurging { age: 168 * HOUR, interval: 24 * HOUR, dry_run: false }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    delete: Delete,
    redirect: Redirect,
    maintenance: Maintenance,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delete {
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Redirect {
    disable: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Maintenance {
    uploadpurging: Purging,
    readonly: ReadOnly,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadOnly {
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Purging {
    enabled: Option<bool>,
    age: Option<GoDuration>,
    #[serde(deserialize_with = "interval")]
    interval: Option<GoDuration>,
    dryrun: bool,
}

/// A timer of no length never lets anything else happen.
fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<GoDuration>, D::Error> {
    let interval = GoDuration::deserialize(deserializer)?;
    if interval.0.is_zero() {
        return Err(serde::de::Error::custom("is zero; write how long to wait, such as 24h"));
    }
    Ok(Some(interval))
}

impl Storage {
    pub(super) fn from_document(document: &Document, config: &Config, report: &mut Report) -> Self {
        let driver = match &config.named().collect::<Vec<_>>()[..] {
            [driver] => (*driver).to_owned(),
            [] => {
                // The section itself was refused, if it is there and is none.
                if document.section("storage").is_none_or(Value::is_object) {
                    let what = "no storage configuration provided: it names no driver; write one there, such as \
                                `filesystem: { rootdirectory: /var/lib/registry }`";
                    report.refuse(document, "storage", what);
                }
                String::new()
            }
            several => {
                let what = format!(
                    "must provide exactly one storage type. Provided: [{}]; remove all but one, or name the one with \
                     REGISTRY_STORAGE, which replaces the section",
                    several.join(" ")
                );
                report.refuse(document, "storage", &what);
                for name in several {
                    if let Some(near) = nearest(name, schema::reserved()) {
                        let what = format!("is no key that Wharf knows there; did you mean `{near}`?");
                        report.refuse(document, &format!("storage.{name}"), &what);
                    }
                }
                String::new()
            }
        };
        let Section { delete, redirect, maintenance } = match document.section("storage") {
            Some(Value::Object(_)) => document.parse("storage", report),
            _ => Section::default(),
        };
        let Purging { enabled, age, interval, dryrun } = maintenance.uploadpurging;
        let default = UploadPurging::default();
        let purging = enabled.unwrap_or(true).then(|| UploadPurging {
            age: age.map_or(default.age, |age| age.0),
            interval: interval.map_or(default.interval, |interval| interval.0),
            dry_run: dryrun,
        });
        Storage {
            driver,
            delete: delete.enabled,
            redirect: !redirect.disable,
            read_only: maintenance.readonly.enabled,
            purging,
        }
    }
}
