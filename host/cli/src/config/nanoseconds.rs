//! Durations that Distribution reads into a `time.Duration` of Go's: with units, or as a number of nanoseconds.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use wharf::base::GoDuration;

use super::report::{Notice, Report, Weight};

/// A duration with units, or without.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nanoseconds {
    duration: Duration,
    /// Whether it is a number without a unit: hardly anybody means nanoseconds.
    is_bare: bool,
}

impl Nanoseconds {
    /// Returns the duration that stands at a key, and says what it is if its unit is missing.
    pub(super) fn at(self, key: &str, report: &mut Report) -> Duration {
        let Nanoseconds { duration, is_bare } = self;
        if is_bare {
            report.notices.push(Notice {
                key: key.to_owned(),
                sentence: format!(
                    "`{key}` has no unit, and is taken as {}, as in Distribution; write a unit, such as 10s",
                    Shown(duration)
                ),
                weight: Weight::Missing,
            });
        }
        duration
    }
}

impl<'de> Deserialize<'de> for Nanoseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_bare = text != "0" && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let text = if is_bare { format!("{text}ns") } else { text };
        let GoDuration(duration) = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Nanoseconds { duration, is_bare })
    }
}

/// A duration as a person reads it.
struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_nanos() {
            1 => f.write_str("1 nanosecond"),
            nanoseconds @ ..1_000_000 => write!(f, "{nanoseconds} nanoseconds"),
            nanoseconds => write!(f, "{nanoseconds} nanoseconds ({:?})", self.0),
        }
    }
}
