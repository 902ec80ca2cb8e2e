//! Why an operation on files did not succeed.

use std::fmt;

use wasip3::filesystem::types as wasi;

/// Why an operation on files did not succeed: those reasons that a driver tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Nothing has this name.
    NotFound,
    /// Something has this name already.
    AlreadyExists,
    /// A directory stands where a file is meant.
    IsDirectory,
    /// Something else stands where a directory is meant.
    NotDirectory,
    /// The directory is not empty.
    NotEmpty,
    /// Permission is missing: the host's configuration grants only reading, or the operating system refuses.
    Denied,
    /// The disk is full, or a quota is reached.
    NoSpace,
    /// The file would become larger than the file system takes.
    TooLarge,
    /// The name is longer than the file system takes.
    NameTooLong,
    /// Anything else; the error's text says what.
    Other,
}

/// An operation on files failed: what was done, on what, and why.
///
/// Into a driver's [`Error`](crate::Error) it turns by `?`: not-found, or not a directory, becomes
/// [path-not-found](crate::ErrorKind::PathNotFound), and so on. Where that is not what an operation means, match on
/// [`code`](Error::code) first.
#[derive(Clone, Debug)]
pub struct Error {
    code: ErrorCode,
    doing: String,
    cause: String,
}

impl Error {
    pub(super) fn new(verb: &str, path: &str, cause: &wasi::ErrorCode) -> Self {
        let code = match cause {
            wasi::ErrorCode::NoEntry => ErrorCode::NotFound,
            wasi::ErrorCode::Exist => ErrorCode::AlreadyExists,
            wasi::ErrorCode::IsDirectory => ErrorCode::IsDirectory,
            wasi::ErrorCode::NotDirectory => ErrorCode::NotDirectory,
            wasi::ErrorCode::NotEmpty => ErrorCode::NotEmpty,
            wasi::ErrorCode::Access | wasi::ErrorCode::NotPermitted | wasi::ErrorCode::ReadOnly => ErrorCode::Denied,
            wasi::ErrorCode::InsufficientSpace | wasi::ErrorCode::Quota => ErrorCode::NoSpace,
            wasi::ErrorCode::FileTooLarge => ErrorCode::TooLarge,
            wasi::ErrorCode::NameTooLong => ErrorCode::NameTooLong,
            _ => ErrorCode::Other,
        };
        let doing = if path.is_empty() { verb.to_owned() } else { format!("{verb} {path}") };
        Error { code, doing, cause: words(cause) }
    }

    /// Returns why, for programs.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns whether nothing has the name, or something that is no directory has the name of a directory above it.
    pub fn is_not_found(&self) -> bool {
        matches!(self.code, ErrorCode::NotFound | ErrorCode::NotDirectory)
    }
}

/// What the system's own words are for it.
fn words(cause: &wasi::ErrorCode) -> String {
    match cause {
        wasi::ErrorCode::NoEntry => "no such file or directory".to_owned(),
        wasi::ErrorCode::Exist => "it exists already".to_owned(),
        wasi::ErrorCode::IsDirectory => "it is a directory".to_owned(),
        wasi::ErrorCode::NotDirectory => "it is not a directory".to_owned(),
        wasi::ErrorCode::NotEmpty => "the directory is not empty".to_owned(),
        wasi::ErrorCode::Access | wasi::ErrorCode::NotPermitted => {
            "permission denied; check `write` in the grant, and the directory's owner and mode".to_owned()
        }
        wasi::ErrorCode::ReadOnly => "it is granted for reading only; set `write: true` in the grant".to_owned(),
        wasi::ErrorCode::InsufficientSpace => "no space left; free some".to_owned(),
        wasi::ErrorCode::Quota => "the disk quota is reached; free some space, or raise it".to_owned(),
        wasi::ErrorCode::FileTooLarge => "larger than the file system takes".to_owned(),
        wasi::ErrorCode::NameTooLong => "a name is longer than the file system takes".to_owned(),
        wasi::ErrorCode::IllegalByteSequence => "a name in it is not UTF-8; rename it".to_owned(),
        wasi::ErrorCode::Io => "the disk failed to read or write".to_owned(),
        wasi::ErrorCode::Other(Some(words)) => words.clone(),
        other => format!("{other:?}"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.cause)
    }
}

impl std::error::Error for Error {}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        use crate::ErrorKind;
        let kind = match error.code {
            ErrorCode::NotFound | ErrorCode::NotDirectory => return crate::Error::path_not_found(),
            ErrorCode::IsDirectory | ErrorCode::NameTooLong => ErrorKind::InvalidPath,
            ErrorCode::AlreadyExists | ErrorCode::NotEmpty => ErrorKind::Conflict,
            ErrorCode::Denied => ErrorKind::AccessDenied,
            ErrorCode::NoSpace => ErrorKind::QuotaExceeded,
            ErrorCode::TooLarge => ErrorKind::TooLarge,
            ErrorCode::Other => ErrorKind::Other,
        };
        crate::Error::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_on_what_and_why() {
        let error = Error::new("open", "a/b", &wasi::ErrorCode::NotEmpty);
        assert_eq!(error.to_string(), "cannot open a/b: the directory is not empty");
    }

    #[test]
    fn a_file_above_a_path_means_that_nothing_is_there() {
        let error = Error::new("open", "a/b", &wasi::ErrorCode::NotDirectory);
        assert!(error.is_not_found());
        assert!(crate::Error::from(error).is_path_not_found());
    }
}
