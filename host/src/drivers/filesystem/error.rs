//! What an error of the operating system means to a caller.

use std::io;

use rustix::io::Errno;

use super::sync::Unsynced;
use crate::contract::{Error, ErrorKind, StoragePath};

/// What was being done when an error came: the same error says other things of a file that is read and one that is
/// written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Something that should be there is looked for.
    Find,
    /// Something is made.
    Store,
}

/// Turns an error of the operating system about `path` into the contract's.
pub(super) fn error(path: &StoragePath, intent: Intent, error: io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Unsynced>()) {
        let message = format!("it was done, and may not survive a crash of the machine: {error}");
        return Error::new(ErrorKind::OutcomeUnknown, message).with_path(path).with_source(error);
    }
    let Some(errno) = Errno::from_io_error(&error) else {
        // cap-std's own: a symbolic link leads out of the root directory.
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::AccessDenied,
            _ => ErrorKind::Other,
        };
        return Error::new(kind, error.to_string()).with_path(path).with_source(error);
    };
    let finding = intent == Intent::Find;
    let (kind, advice) = match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::NAMETOOLONG if finding => {
            return Error::path_not_found(path);
        }
        Errno::NOENT => (ErrorKind::Conflict, "; somebody deleted it meanwhile"),
        Errno::NOTDIR => {
            (ErrorKind::InvalidPath, "a file is where a directory would have to be; delete it, or use another path")
        }
        Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY => {
            (ErrorKind::InvalidPath, "a directory is there; delete it, or use another path")
        }
        Errno::NAMETOOLONG => (ErrorKind::InvalidPath, "the filesystem does not take names of this length"),
        Errno::LOOP => (ErrorKind::InvalidPath, "symbolic links lead in a circle"),
        Errno::NOSPC | Errno::DQUOT => (ErrorKind::QuotaExceeded, "; free room"),
        Errno::FBIG => (ErrorKind::TooLarge, "; the filesystem does not take files of this size"),
        Errno::ACCESS | Errno::PERM => (ErrorKind::AccessDenied, "; check the owner and the mode of the directory"),
        Errno::ROFS => (ErrorKind::AccessDenied, "; the filesystem is mounted for reading only"),
        Errno::MFILE | Errno::NFILE => (ErrorKind::Unavailable, "; raise the limit of open files (ulimit -n)"),
        Errno::NOMEM | Errno::BUSY | Errno::STALE | Errno::AGAIN | Errno::TIMEDOUT | Errno::INTR => {
            (ErrorKind::Unavailable, "")
        }
        _ => (ErrorKind::Other, ""),
    };
    // Advice with a semicolon goes after what the system says; without, it says it better.
    let message = match advice.starts_with(';') || advice.is_empty() {
        true => format!("{error}{advice}"),
        false => advice.to_owned(),
    };
    Error::new(kind, message).with_path(path).with_source(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_says_other_things_of_reading_and_of_writing() {
        let path = StoragePath::parse("/a").unwrap();
        for (errno, find, store) in [
            (Errno::NOENT, "path-not-found", "conflict"),
            (Errno::NOTDIR, "path-not-found", "invalid-path"),
            (Errno::ISDIR, "path-not-found", "invalid-path"),
            (Errno::NAMETOOLONG, "path-not-found", "invalid-path"),
            (Errno::NOSPC, "quota-exceeded", "quota-exceeded"),
            (Errno::ACCESS, "access-denied", "access-denied"),
            (Errno::MFILE, "unavailable", "unavailable"),
            (Errno::IO, "other", "other"),
        ] {
            assert_eq!(error(&path, Intent::Find, errno.into()).kind().name(), find, "{errno}");
            assert_eq!(error(&path, Intent::Store, errno.into()).kind().name(), store, "{errno}");
        }
    }

    #[test]
    fn what_was_done_and_could_not_be_synced_has_an_unknown_outcome() {
        let path = StoragePath::parse("/a").unwrap();
        let unsynced = std::io::Error::other(Unsynced(Errno::IO.into()));
        let error = error(&path, Intent::Store, unsynced);
        assert_eq!(error.kind(), &ErrorKind::OutcomeUnknown);
        assert!(error.message().contains("may not survive a crash"), "{error}");
    }
}
