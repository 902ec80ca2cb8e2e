//! Between the contract's types, as wit-bindgen generates them, and the SDK's own: the only place that knows both.

use crate::bindings::exports::wharf::storage::driver as wit;
use crate::bindings::wharf::storage::types;
use crate::{
    ByteRange, Capabilities, Cursor, Entry, Error, ErrorKind, FileInfo, Instances, Position, RedirectRequest,
    Timestamp, WriteMode,
};

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::PathNotFound => types::ErrorKind::PathNotFound,
            ErrorKind::InvalidPath => types::ErrorKind::InvalidPath,
            ErrorKind::InvalidOffset => types::ErrorKind::InvalidOffset,
            ErrorKind::Unsupported => types::ErrorKind::Unsupported,
            ErrorKind::InvalidParameters => types::ErrorKind::InvalidParameters,
            ErrorKind::AccessDenied => types::ErrorKind::AccessDenied,
            ErrorKind::QuotaExceeded => types::ErrorKind::QuotaExceeded,
            ErrorKind::TooLarge => types::ErrorKind::TooLarge,
            ErrorKind::Conflict => types::ErrorKind::Conflict,
            ErrorKind::Throttled { retry_after } => {
                types::ErrorKind::Throttled(retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
            }
            ErrorKind::Unavailable => types::ErrorKind::Unavailable,
            ErrorKind::OutcomeUnknown => types::ErrorKind::OutcomeUnknown,
            ErrorKind::Corrupt => types::ErrorKind::Corrupt,
            ErrorKind::Other => types::ErrorKind::Other,
        };
        types::Error { kind, message: error.message().to_owned() }
    }
}

impl From<Timestamp> for types::Timestamp {
    fn from(time: Timestamp) -> Self {
        types::Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds }
    }
}

impl From<FileInfo> for types::FileInfo {
    fn from(info: FileInfo) -> Self {
        types::FileInfo {
            path: info.path,
            size: info.size,
            is_dir: info.is_dir,
            modified: info.modified.map(Into::into),
            version: info.version,
        }
    }
}

impl From<Entry> for types::Entry {
    fn from(entry: Entry) -> Self {
        types::Entry {
            path: entry.path,
            is_dir: entry.is_dir,
            size: entry.size,
            modified: entry.modified.map(Into::into),
        }
    }
}

impl From<types::Position> for Position {
    fn from(position: types::Position) -> Self {
        Position { path: position.path, is_dir: position.is_dir }
    }
}

impl From<types::Cursor> for Cursor {
    fn from(cursor: types::Cursor) -> Self {
        Cursor { after: cursor.after.into(), below: cursor.below }
    }
}

impl From<Capabilities> for wit::Capabilities {
    fn from(capabilities: Capabilities) -> Self {
        // Taken apart without `..`, so that a capability that is added cannot be forgotten here.
        let Capabilities {
            atomic_replace,
            durable,
            resumable,
            hidden_uploads,
            consistent,
            redirect,
            native_walk,
            uploads,
            read_only,
        } = capabilities;
        let mut flags = wit::Capabilities::empty();
        flags.set(wit::Capabilities::ATOMIC_REPLACE, atomic_replace);
        flags.set(wit::Capabilities::DURABLE, durable);
        flags.set(wit::Capabilities::RESUMABLE, resumable);
        flags.set(wit::Capabilities::HIDDEN_UPLOADS, hidden_uploads);
        flags.set(wit::Capabilities::CONSISTENT, consistent);
        flags.set(wit::Capabilities::REDIRECT, redirect);
        flags.set(wit::Capabilities::NATIVE_WALK, native_walk);
        flags.set(wit::Capabilities::UPLOADS, uploads);
        flags.set(wit::Capabilities::READ_ONLY, read_only);
        flags
    }
}

impl From<Instances> for wit::Instances {
    fn from(instances: Instances) -> Self {
        match instances {
            Instances::One => wit::Instances::One,
            Instances::Many => wit::Instances::Many,
            Instances::Exclusive => wit::Instances::Exclusive,
        }
    }
}

impl From<wit::RedirectRequest> for RedirectRequest {
    fn from(request: wit::RedirectRequest) -> Self {
        RedirectRequest { method: request.method, client_address: request.client_address }
    }
}

/// The range that `reader` was asked for.
pub(crate) fn range(offset: u64, length: Option<u64>) -> ByteRange {
    ByteRange { offset, length }
}

/// The mode that `writer` was asked for.
pub(crate) fn mode(append: bool) -> WriteMode {
    if append { WriteMode::Append } else { WriteMode::New }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_wait_is_told_in_milliseconds() {
        let error = Error::new(ErrorKind::Throttled { retry_after: Some(Duration::from_millis(1500)) }, "slow down");
        let error = types::Error::from(error);
        assert!(matches!(error.kind, types::ErrorKind::Throttled(Some(1500))));
        assert_eq!(error.message, "slow down");
    }

    #[test]
    fn every_capability_sets_one_flag_of_its_own() {
        let with = |set: fn(&mut Capabilities)| {
            let mut capabilities = Capabilities::default();
            set(&mut capabilities);
            wit::Capabilities::from(capabilities)
        };
        let expected = [
            (with(|c| c.atomic_replace = true), wit::Capabilities::ATOMIC_REPLACE),
            (with(|c| c.durable = true), wit::Capabilities::DURABLE),
            (with(|c| c.resumable = true), wit::Capabilities::RESUMABLE),
            (with(|c| c.hidden_uploads = true), wit::Capabilities::HIDDEN_UPLOADS),
            (with(|c| c.consistent = true), wit::Capabilities::CONSISTENT),
            (with(|c| c.redirect = true), wit::Capabilities::REDIRECT),
            (with(|c| c.native_walk = true), wit::Capabilities::NATIVE_WALK),
            (with(|c| c.uploads = true), wit::Capabilities::UPLOADS),
            (with(|c| c.read_only = true), wit::Capabilities::READ_ONLY),
        ];
        for (flags, flag) in expected {
            assert_eq!(flags.bits(), flag.bits());
        }
    }
}
