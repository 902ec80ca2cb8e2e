//! Between the WIT's types and the contract's, in both directions. The only file that knows both.

use std::time::{Duration, SystemTime};

use super::Limits;
use super::bindings::exports::wharf::storage::driver as wit;
use crate::contract::{
    Capabilities, Cursor, Entry, Error, ErrorKind, FileInfo, Position, RedirectRequest, Result, StoragePath,
    is_printable, printable,
};

/// The longest error message that is taken from a component, in bytes.
const MESSAGE: usize = 4 * 1024;

/// The longest wait that a component can ask for by `throttled`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// An error that a component returned.
pub(super) fn error(error: wit::Error, offset: u64) -> Error {
    use super::bindings::wharf::storage::types::ErrorKind as Wit;
    let kind = match error.kind {
        Wit::PathNotFound => ErrorKind::PathNotFound,
        Wit::InvalidPath => ErrorKind::InvalidPath,
        Wit::InvalidOffset => ErrorKind::InvalidOffset { offset },
        Wit::Unsupported => ErrorKind::Unsupported,
        Wit::InvalidParameters => ErrorKind::InvalidParameters,
        Wit::AccessDenied => ErrorKind::AccessDenied,
        Wit::QuotaExceeded => ErrorKind::QuotaExceeded,
        Wit::TooLarge => ErrorKind::TooLarge,
        Wit::Conflict => ErrorKind::Conflict,
        Wit::Throttled(wait) => ErrorKind::Throttled {
            // A component must not be able to tell clients to come back in a million years.
            retry_after: wait.map(|wait| Duration::from_millis(wait).min(MAX_RETRY_AFTER)),
        },
        Wit::Unavailable => ErrorKind::Unavailable,
        Wit::OutcomeUnknown => ErrorKind::OutcomeUnknown,
        Wit::Corrupt => ErrorKind::Corrupt,
        Wit::Other => ErrorKind::Other,
    };
    Error::new(kind, excerpt(error.message))
}

/// The words of a component, or about one, as they may be shown: they end up on terminals and in logs, where a component
/// must not be able to drive the terminal, forge a line, hide what it says, or drown the others.
pub(super) fn excerpt(message: String) -> String {
    let message = if message.len() > MESSAGE {
        // A copy: cut in place, it would go on holding the memory of the whole.
        format!("{}...", &message[..message.floor_char_boundary(MESSAGE)])
    } else {
        message
    };
    printable(message).into_owned()
}

/// What a driver promises.
pub(super) fn capabilities(capabilities: wit::Capabilities) -> Capabilities {
    use wit::Capabilities as Wit;
    Capabilities {
        atomic_replace: capabilities.contains(Wit::ATOMIC_REPLACE),
        durable: capabilities.contains(Wit::DURABLE),
        resumable: capabilities.contains(Wit::RESUMABLE),
        hidden_uploads: capabilities.contains(Wit::HIDDEN_UPLOADS),
        consistent: capabilities.contains(Wit::CONSISTENT),
        redirect: capabilities.contains(Wit::REDIRECT),
        native_walk: capabilities.contains(Wit::NATIVE_WALK),
        uploads: capabilities.contains(Wit::UPLOADS),
        read_only: capabilities.contains(Wit::READ_ONLY),
    }
}

/// What is known of a file. The path is the one that was asked for, which the component must have answered with.
pub(super) fn file_info(info: wit::FileInfo, asked: &StoragePath, limits: &Limits) -> Result<FileInfo> {
    if info.path != asked.as_str() {
        return Err(fault(format!("it described {:?} when asked for {asked}", shorten(&info.path))));
    }
    Ok(FileInfo {
        path: asked.clone(),
        size: if info.is_dir { 0 } else { info.size },
        is_dir: info.is_dir,
        modified: modified(info.modified)?,
        version: info.version.map(|version| text(version, "version", limits)).transpose()?,
    })
}

/// A text that may go to clients of the host, in a header: a version as an etag.
pub(super) fn text(text: String, what: &str, limits: &Limits) -> Result<String> {
    within(&text, what, limits)?;
    if !text.chars().all(is_printable) {
        return Err(fault(format!(
            "the {what} {:?} holds control characters, or others that are not shown",
            shorten(&text)
        )));
    }
    Ok(text)
}

/// Refuses what is longer than a text may be.
pub(super) fn within(text: &str, what: &str, limits: &Limits) -> Result<()> {
    if text.len() as u64 <= limits.text.as_u64() {
        return Ok(());
    }
    let message = format!("the component returned a {what} of {} bytes (`limits: {{ text: .. }}`)", text.len());
    Err(Error::new(ErrorKind::LimitExceeded { limit: "text" }, message))
}

/// An entry of a listing.
pub(super) fn entry(entry: wit::Entry, limits: &Limits) -> Result<Entry> {
    within(&entry.path, "path", limits)?;
    let path = StoragePath::parse(entry.path).map_err(|error| {
        fault(format!("it listed {:?}, which is not a path", shorten(error.path().unwrap_or_default())))
    })?;
    Ok(Entry { path, is_dir: entry.is_dir, size: entry.size, modified: modified(entry.modified)? })
}

/// A rule that the component broke.
pub(super) fn fault(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, format!("the component broke the contract: {what}; report this to its author"))
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}

/// The years 1 to 9999: what HTTP dates and most that print a moment can hold.
const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

fn modified(moment: Option<super::bindings::wharf::storage::types::Timestamp>) -> Result<Option<SystemTime>> {
    let Some(moment) = moment else { return Ok(None) };
    let seconds = Duration::from_secs(moment.seconds.unsigned_abs());
    let whole = if moment.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole
        .filter(|_| MOMENTS.contains(&moment.seconds) && moment.nanoseconds < 1_000_000_000)
        .and_then(|whole| whole.checked_add(Duration::from_nanos(moment.nanoseconds.into())))
        .map(Some)
        .ok_or_else(|| fault(format!("{} s and {} ns is no moment", moment.seconds, moment.nanoseconds)))
}

pub(super) fn position(position: &Position) -> wit::Position {
    wit::Position { path: position.path.to_string(), is_dir: position.is_dir }
}

pub(super) fn cursor(cursor: &Cursor) -> wit::Cursor {
    wit::Cursor { after: position(&cursor.after), below: cursor.below }
}

pub(super) fn redirect_request(request: &RedirectRequest) -> wit::RedirectRequest {
    wit::RedirectRequest { method: request.method.clone(), client_address: request.client_address.clone() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::bindings::wharf::storage::types::Timestamp;
    use super::*;

    #[test]
    fn a_moment_that_does_not_exist_is_the_components_fault() {
        for (seconds, nanoseconds) in [(i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0), (0, 1_000_000_000)] {
            let error = modified(Some(Timestamp { seconds, nanoseconds })).unwrap_err();
            assert!(error.message().contains("is no moment"), "{error}");
        }
    }

    #[test]
    fn a_moment_before_1970_keeps_its_nanoseconds() {
        let moment = modified(Some(Timestamp { seconds: -1, nanoseconds: 250_000_000 })).unwrap().unwrap();
        assert_eq!(SystemTime::UNIX_EPOCH.duration_since(moment).unwrap(), Duration::from_millis(750));
    }

    #[test]
    fn a_wait_that_a_component_asks_for_is_at_most_an_hour() {
        use super::super::bindings::wharf::storage::types::ErrorKind as Wit;
        for (asked, waits) in [(250, Duration::from_millis(250)), (u64::MAX, Duration::from_secs(3600))] {
            let converted = error(wit::Error { kind: Wit::Throttled(Some(asked)), message: String::new() }, 0);
            assert_eq!(converted.kind(), &ErrorKind::Throttled { retry_after: Some(waits) });
        }
    }

    #[test]
    fn an_overlong_message_is_cut_at_a_character() {
        let kind = super::super::bindings::wharf::storage::types::ErrorKind::Other;
        let converted = error(wit::Error { kind, message: "é".repeat(MESSAGE) }, 0);
        assert!(converted.message().len() <= MESSAGE + 3);
    }
}
