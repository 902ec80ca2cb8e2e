//! Why an access controller could not be set up.

use std::error::Error;
use std::fmt;
use std::path::Path;

type Source = Box<dyn Error + Send + Sync>;

/// Why an access controller could not be set up: its file is missing or wrong, or its settings contradict each other.
///
/// The text names the file or the setting, and says what to do. No secret is in it.
#[derive(Debug)]
pub struct OpenError {
    message: String,
    source: Option<Source>,
}

impl OpenError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        OpenError { message: message.into(), source: None }
    }

    /// A file that could not be read, by the setting that names it.
    pub(super) fn unreadable(setting: &str, path: &Path, source: impl Into<Source>) -> Self {
        let message = format!("the file {} of `{setting}` cannot be read", path.display());
        OpenError { message, source: Some(source.into()) }
    }

    /// A file that was read, and is not what it should be.
    pub(super) fn wrong(setting: &str, path: &Path, why: impl fmt::Display) -> Self {
        OpenError::new(format!("the file {} of `{setting}` is wrong: {why}", path.display()))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
