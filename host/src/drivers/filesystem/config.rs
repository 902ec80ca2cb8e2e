//! The driver's parameters, as Distribution names them.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::contract::{Error, ErrorKind, Result};

const DEFAULT_MAX_THREADS: usize = 100;
/// Distribution raises anything below this to it.
const MIN_MAX_THREADS: usize = 25;

/// The parameters of the `filesystem` driver. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesystemConfig {
    /// The directory that holds everything; created by the first write. Default `/var/lib/registry`.
    #[serde(rename = "rootdirectory")]
    pub root_directory: PathBuf,
    /// The most operations at a time, as it was written. Read it through [`max_threads`](Self::max_threads).
    #[serde(rename = "maxthreads", deserialize_with = "threads")]
    pub max_threads: usize,
    /// Directories outside of the root into which symbolic links in it may lead, as where `docker/registry/v2/blobs` is a link to
    /// another disk. Default none: a link that leads out is refused.
    #[serde(rename = "followlinks")]
    pub follow_links: Vec<PathBuf>,
}

impl Default for FilesystemConfig {
    fn default() -> Self {
        FilesystemConfig {
            root_directory: "/var/lib/registry".into(),
            max_threads: DEFAULT_MAX_THREADS,
            follow_links: Vec::new(),
        }
    }
}

impl FilesystemConfig {
    /// Returns the root directory, which need not be there. Blocks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`] if none is named, or something that is no directory is there.
    pub(super) fn checked_root(&self) -> Result<PathBuf> {
        let path = &self.root_directory;
        if path.as_os_str().is_empty() {
            let message = "`rootdirectory` is empty; name the directory that is to hold everything";
            return Err(Error::new(ErrorKind::InvalidParameters, message));
        }
        if path.metadata().is_ok_and(|found| !found.is_dir()) {
            let message = format!("`rootdirectory`: {} is there, and is no directory", path.display());
            return Err(Error::new(ErrorKind::InvalidParameters, message));
        }
        Ok(path.clone())
    }

    /// Returns the limit for [`ConcurrencyLimit`](crate::base): never below 25, as in Distribution, and logged when it
    /// was raised to that.
    pub fn max_threads(&self) -> NonZeroUsize {
        if self.max_threads < MIN_MAX_THREADS {
            tracing::warn!(
                maxthreads = self.max_threads,
                used = MIN_MAX_THREADS,
                "maxthreads is raised to its minimum"
            );
        }
        NonZeroUsize::MIN.saturating_add(self.max_threads.max(MIN_MAX_THREADS) - 1)
    }
}

/// An integer, or its text in base 10 or, after `0x`, 16. A negative one counts as too small, not as an error.
fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = match &value {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    };
    let number = number.ok_or_else(|| D::Error::custom("maxthreads config error: it is not an integer"))?;
    Ok(usize::try_from(number).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn limit(json: &str) -> Result<usize, serde_json::Error> {
        serde_json::from_str::<FilesystemConfig>(json).map(|config| config.max_threads().get())
    }

    #[test]
    fn max_threads_takes_integers_and_their_text_and_is_never_below_25() {
        for (json, expected) in [
            ("{}", 100),
            (r#"{"maxthreads": 40}"#, 40),
            (r#"{"maxthreads": "0x40"}"#, 64),
            (r#"{"maxthreads": 3}"#, 25),
            (r#"{"maxthreads": -1}"#, 25),
        ] {
            assert_eq!(limit(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn a_max_threads_that_is_no_integer_is_refused_in_distributions_words() {
        for json in [r#"{"maxthreads": "many"}"#, r#"{"maxthreads": 1.5}"#, r#"{"maxthreads": true}"#] {
            assert!(limit(json).unwrap_err().to_string().starts_with("maxthreads config error: "), "{json}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        assert!(limit(r#"{"rootdir": "/a"}"#).unwrap_err().to_string().contains("rootdir"));
    }
}
