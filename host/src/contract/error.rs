//! One error type for every driver: a kind for programs, a sentence for people.

use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{StoragePath, printable};

/// The result of an operation on a driver.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation did not succeed, and so what the caller can do about it.
///
/// The kinds up to [`Other`](ErrorKind::Other) are the WIT's; those after it are the host's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No file is at the path, where a file is meant; no directory, where a directory is meant.
    PathNotFound,
    /// The path breaks the grammar, or cannot be stored beside what is there. Use another path.
    InvalidPath,
    /// The offset lies beyond the end of the file. Ask `stat` for the size.
    InvalidOffset {
        /// The offset that was asked for, in bytes.
        offset: u64,
    },
    /// This driver does not do this operation. Do not retry.
    Unsupported,
    /// `open` cannot work with these parameters; the message names the parameter. Correct the configuration.
    InvalidParameters,
    /// The store refused the credentials or the permission. Correct them.
    AccessDenied,
    /// The store is full, or a quota is reached. Free room.
    QuotaExceeded,
    /// Larger than the driver, the store or the host takes. Use a writer, or a smaller file.
    TooLarge,
    /// Somebody else changed or ended what this operation works on. Look, then decide.
    Conflict,
    /// The store asks for fewer requests. Nothing happened; wait, then retry.
    Throttled {
        /// How long the store asks to wait, where it says.
        retry_after: Option<Duration>,
    },
    /// The store could not be reached or failed. Nothing happened; a retry may succeed.
    Unavailable,
    /// The request was sent and its answer was lost: it may or may not have happened. Look before you retry.
    OutcomeUnknown,
    /// Stored bytes are not what was written. Restore them from elsewhere.
    Corrupt,
    /// Anything else. Do not parse the message.
    Other,

    /// No driver of that name is registered. Use one of the names in the message.
    InvalidStorageDriver,
    /// A limit of the host's configuration was reached; nothing is known of the store. Raise the limit, or ask for less.
    LimitExceeded {
        /// The limit's name in the configuration.
        limit: &'static str,
    },
    /// The writer was ended, or an earlier write on it failed. Open a new one.
    WriterEnded,
    /// The driver died too often and is kept closed for a while. The message says until when.
    Quarantined,
}

impl ErrorKind {
    /// Returns the kind's name: the WIT's where it has one.
    pub fn name(&self) -> &'static str {
        match self {
            ErrorKind::PathNotFound => "path-not-found",
            ErrorKind::InvalidPath => "invalid-path",
            ErrorKind::InvalidOffset { .. } => "invalid-offset",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::InvalidParameters => "invalid-parameters",
            ErrorKind::AccessDenied => "access-denied",
            ErrorKind::QuotaExceeded => "quota-exceeded",
            ErrorKind::TooLarge => "too-large",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Throttled { .. } => "throttled",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::OutcomeUnknown => "outcome-unknown",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Other => "other",
            ErrorKind::InvalidStorageDriver => "invalid-storage-driver",
            ErrorKind::LimitExceeded { .. } => "limit-exceeded",
            ErrorKind::WriterEnded => "writer-ended",
            ErrorKind::Quarantined => "quarantined",
        }
    }
}

/// One of the operations of a driver, for errors, traces and measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the method of its name in StorageDriver or FileWriter")]
pub enum Operation {
    Open,
    GetContent,
    PutContent,
    Reader,
    Read,
    Writer,
    Write,
    Close,
    Commit,
    Cancel,
    Stat,
    List,
    Walk,
    Move,
    Delete,
    DeleteFiles,
    RedirectUrl,
    Uploads,
}

impl Operation {
    /// Returns the operation's name, as in the WIT.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Open => "open",
            Operation::GetContent => "get-content",
            Operation::PutContent => "put-content",
            Operation::Reader => "reader",
            Operation::Read => "read",
            Operation::Writer => "writer",
            Operation::Write => "write",
            Operation::Close => "close",
            Operation::Commit => "commit",
            Operation::Cancel => "cancel",
            Operation::Stat => "stat",
            Operation::List => "list",
            Operation::Walk => "walk",
            Operation::Move => "move",
            Operation::Delete => "delete",
            Operation::DeleteFiles => "delete-files",
            Operation::RedirectUrl => "redirect-url",
            Operation::Uploads => "uploads",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What failed, on what, why, and what to do next.
///
/// Match on [`kind`](Error::kind), never on the text. One pointer wide, so that results stay small. A driver sets the
/// kind and the message; `base` adds the driver's name, the operation and the path.
///
/// It prints as Docker Distribution's errors do, in one [printable](super::printable()) line whatever its message was made from, and without
/// its source, which [`source`](std::error::Error::source) returns. As JSON it has Distribution's keys `driver` and `detail`, and `kind`,
/// `operation`, `path` and, where there are any, `limit` and `attempts` beside them.
///
/// # Example
///
/// ```
/// use wharf::contract::{Error, ErrorKind, Operation, StoragePath};
///
/// let path = StoragePath::parse("/a")?;
/// let error = Error::path_not_found(&path).with_driver("s3aws").with_operation(Operation::Stat);
/// assert_eq!(error.kind(), &ErrorKind::PathNotFound);
/// assert_eq!(error.to_string(), "s3aws: Path not found: /a");
///
/// let error = Error::new(ErrorKind::Unavailable, "connection reset").with_driver("s3aws")
///     .with_operation(Operation::Stat).with_path(&path);
/// assert_eq!(error.to_string(), "s3aws: stat /a: unavailable: connection reset");
///
/// let error = Error::new(ErrorKind::AccessDenied, "no such key").with_driver("s3aws").with_operation(Operation::Open);
/// assert_eq!(error.to_string(), "s3aws: open: access-denied: no such key");
/// # Ok::<(), Error>(())
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    driver: Option<String>,
    operation: Option<Operation>,
    path: Option<String>,
    limit: Option<&'static str>,
    attempts: Option<u32>,
    is_death: bool,
    source: Option<Source>,
}

impl Error {
    /// Creates an error with a message for people: no secrets, no path, no driver's name.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = shown(message.into());
        let inner = Inner {
            kind,
            message,
            driver: None,
            operation: None,
            path: None,
            limit: None,
            attempts: None,
            is_death: false,
            source: None,
        };
        Error(Box::new(inner))
    }

    /// Nothing is at `path`, or not what was meant.
    pub fn path_not_found(path: &StoragePath) -> Self {
        Self::new(ErrorKind::PathNotFound, "").with_path(path)
    }

    /// `path` cannot be stored, for the reason given.
    pub fn invalid_path(path: &StoragePath, reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidPath, reason).with_path(path)
    }

    /// `offset` lies beyond the end of the file at `path`.
    pub fn invalid_offset(path: &StoragePath, offset: u64) -> Self {
        Self::new(ErrorKind::InvalidOffset { offset }, "").with_path(path)
    }

    /// The driver does not do this.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, reason)
    }

    /// Adds the driver's name, in place of any that was there.
    #[must_use]
    pub fn with_driver(mut self, driver: impl Into<String>) -> Self {
        self.0.driver = Some(shown(driver.into()));
        self
    }

    /// Adds the operation, in place of any that was there.
    #[must_use]
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Adds the path, in place of any that was there.
    #[must_use]
    pub fn with_path(mut self, path: &StoragePath) -> Self {
        self.0.path = Some(path.as_str().to_owned());
        self
    }

    /// Adds the text that was given as a path, which may break the grammar.
    #[must_use]
    pub fn with_path_text(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(shown(path.into()));
        self
    }

    /// Adds the name of the limit that was reached, for an error of another kind than
    /// [`LimitExceeded`](ErrorKind::LimitExceeded).
    #[must_use]
    pub fn with_limit(mut self, limit: &'static str) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// Adds how often it was tried, the first time included.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = Some(attempts);
        self
    }

    /// Adds to the message, after a semicolon: what was seen or done after it had failed.
    #[must_use]
    pub fn with_note(mut self, note: impl fmt::Display) -> Self {
        if !self.0.message.is_empty() {
            self.0.message.push_str("; ");
        }
        self.0.message.push_str(&shown(note.to_string()));
        self
    }

    /// Says that the driver died of it, or was found dead: see [`is_death`](Error::is_death).
    #[must_use]
    pub fn with_death(mut self) -> Self {
        self.0.is_death = true;
        self
    }

    /// Adds the error beneath this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns why it failed, for programs.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns whether the kind is [`ErrorKind::PathNotFound`].
    pub fn is_path_not_found(&self) -> bool {
        self.0.kind == ErrorKind::PathNotFound
    }

    /// Returns the name of the limit of the host's configuration that was reached, if that is why it failed. An
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) can have one too.
    pub fn limit(&self) -> Option<&'static str> {
        match self.0.kind {
            ErrorKind::LimitExceeded { limit } => Some(limit),
            _ => self.0.limit,
        }
    }

    /// Returns how often it was tried, the first time included, where somebody who tries again counted. Whoever sees a
    /// number here need not try again at once.
    pub fn attempts(&self) -> Option<u32> {
        self.0.attempts
    }

    /// Returns whether an instance of the driver died, and not only an operation of it failed. The operation may be what
    /// kills, and a driver whose instances die often is closed to everybody: whoever tries again does so once.
    pub fn is_death(&self) -> bool {
        self.0.is_death
    }

    /// Returns the message for people, without driver, operation and path. May be empty.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the name of the driver that failed, where known.
    pub fn driver(&self) -> Option<&str> {
        self.0.driver.as_deref()
    }

    /// Returns the operation that failed, where known.
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// Returns the path that the operation was about, where there is one, as it may be shown. Not a [`StoragePath`]: it may
    /// break the grammar.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }
}

/// Stores, servers and components put words of their own into messages, and clients theirs into paths.
fn shown(text: String) -> String {
    printable(text).into_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, driver, operation, path, .. } = &*self.0;
        if let Some(driver) = driver {
            write!(f, "{driver}: ")?;
        }
        let path = path.as_deref().unwrap_or("");
        let mut detail = message.as_str();
        match kind {
            ErrorKind::PathNotFound => write!(f, "Path not found: {path}")?,
            ErrorKind::InvalidPath => write!(f, "invalid path: {path}")?,
            ErrorKind::InvalidOffset { offset } => write!(f, "invalid offset: {offset} for path: {path}")?,
            ErrorKind::Unsupported => f.write_str("unsupported method")?,
            ErrorKind::InvalidStorageDriver => {
                f.write_str(detail)?;
                detail = "";
            }
            kind => {
                match (operation, path) {
                    (Some(operation), "") => write!(f, "{operation}: ")?,
                    (Some(operation), path) => write!(f, "{operation} {path}: ")?,
                    (None, "") => {}
                    (None, path) => write!(f, "{path}: ")?,
                }
                f.write_str(kind.name())?;
                if let ErrorKind::LimitExceeded { limit } = kind {
                    write!(f, " ({limit})")?;
                }
            }
        }
        if !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        match self.attempts() {
            Some(attempts) if attempts > 1 => write!(f, " (tried {attempts} times)"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, driver, operation, path, limit, attempts, is_death, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("driver", driver)
            .field("operation", operation)
            .field("path", path)
            .field("limit", limit)
            .field("attempts", attempts)
            .field("is_death", is_death)
            .field("source", source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("driver", &self.driver())?;
        map.serialize_entry("detail", &self.to_string())?;
        map.serialize_entry("kind", self.kind().name())?;
        map.serialize_entry("operation", &self.operation().map(Operation::name))?;
        map.serialize_entry("path", &self.path())?;
        if let Some(limit) = self.limit() {
            map.serialize_entry("limit", limit)?;
        }
        if let Some(attempts) = self.attempts() {
            map.serialize_entry("attempts", &attempts)?;
        }
        if let ErrorKind::Throttled { retry_after: Some(wait) } = self.kind() {
            map.serialize_entry("retry_after_ms", &wait.as_millis())?;
        }
        map.end()
    }
}
