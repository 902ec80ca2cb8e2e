//! Why an operation did not succeed.

use std::fmt;
use std::time::Duration;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not succeed, and so what the caller can do about it. The host acts on it: choose with care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No file is at the path, where a file is meant; no directory, where a directory is meant.
    PathNotFound,
    /// The path cannot be stored beside what is there: a file at a directory's path, or below a file.
    InvalidPath,
    /// The offset lies beyond the end of the file.
    InvalidOffset,
    /// This driver does not do this operation. The host does not retry.
    Unsupported,
    /// [`open`](crate::StorageDriver::open) cannot work with these parameters; the message names the parameter.
    InvalidParameters,
    /// The store refused the credentials or the permission.
    AccessDenied,
    /// The store is full, or a quota is reached.
    QuotaExceeded,
    /// Larger than the driver or the store takes.
    TooLarge,
    /// Somebody else changed or ended what this operation works on.
    Conflict,
    /// The store asks for fewer requests. Nothing happened; the host waits and retries.
    Throttled {
        /// How long the store asks to wait, where it says.
        retry_after: Option<Duration>,
    },
    /// The store could not be reached or failed. Nothing happened; the host retries.
    Unavailable,
    /// The request was sent and its answer was lost: it may or may not have happened. The host looks, then retries.
    OutcomeUnknown,
    /// Stored bytes are not what was written.
    Corrupt,
    /// Anything else.
    Other,
}

/// An error: its kind for programs, its message for people.
///
/// The message says what the store said and what to do about it. It holds no secret; it need not hold the driver's
/// name, the operation or the path, since the host adds them.
///
/// ```
/// use wharf_sdk::{Error, ErrorKind};
///
/// let error = Error::access_denied("the store answered 403; check `token`");
/// assert_eq!(error.kind(), ErrorKind::AccessDenied);
/// assert_eq!(error.to_string(), "the store answered 403; check `token`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// Creates an error of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into() }
    }

    /// Nothing is at the path, or not what was meant.
    pub fn path_not_found() -> Self {
        Self::new(ErrorKind::PathNotFound, "")
    }

    /// The path cannot be stored beside what is there.
    pub fn invalid_path(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidPath, reason)
    }

    /// The offset lies beyond the end of the file.
    pub fn invalid_offset() -> Self {
        Self::new(ErrorKind::InvalidOffset, "")
    }

    /// This driver does not do this.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, reason)
    }

    /// The driver cannot work with these parameters; `reason` names the parameter.
    pub fn invalid_parameters(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameters, reason)
    }

    /// The store refused the credentials or the permission.
    pub fn access_denied(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::AccessDenied, reason)
    }

    /// Larger than the driver or the store takes.
    pub fn too_large(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, reason)
    }

    /// Somebody else changed or ended what this operation works on.
    pub fn conflict(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, reason)
    }

    /// The store could not be reached or failed, and nothing happened.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, reason)
    }

    /// It may or may not have happened.
    pub fn outcome_unknown(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::OutcomeUnknown, reason)
    }

    /// Anything else.
    pub fn other(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Other, reason)
    }

    /// Returns why it failed, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message for people. May be empty.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns whether the kind is [`ErrorKind::PathNotFound`].
    pub fn is_path_not_found(&self) -> bool {
        self.kind == ErrorKind::PathNotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { write!(f, "{:?}", self.kind) } else { f.write_str(&self.message) }
    }
}

impl std::error::Error for Error {}
