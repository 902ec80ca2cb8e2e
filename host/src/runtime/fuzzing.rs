//! What a guest says, made of any bytes and lifted: for the fuzz target `lifted` in tests/fuzz, and its corpus.

use std::time::{Duration, SystemTime};

use arbitrary::{Arbitrary, Result, Unstructured};

use super::bindings::exports::wharf::storage::driver as wit;
use super::bindings::wharf::storage::types::{ErrorKind, Timestamp};
use super::{Limits, convert};
use crate::contract::{Error, StoragePath, is_printable};

/// The years 1 to 9999, counted from 1970 back and forth.
const BEFORE_1970: Duration = Duration::from_secs(62_135_596_800);
const FROM_1970: Duration = Duration::from_secs(253_402_300_800);

/// In the order in which the contract's own `names` tells them.
const CAPABILITIES: [(&str, wit::Capabilities); 8] = [
    ("atomic-replace", wit::Capabilities::ATOMIC_REPLACE),
    ("durable", wit::Capabilities::DURABLE),
    ("resumable", wit::Capabilities::RESUMABLE),
    ("hidden-uploads", wit::Capabilities::HIDDEN_UPLOADS),
    ("consistent", wit::Capabilities::CONSISTENT),
    ("redirect", wit::Capabilities::REDIRECT),
    ("native-walk", wit::Capabilities::NATIVE_WALK),
    ("uploads", wit::Capabilities::UPLOADS),
];

/// Lifts what the bytes make, and panics where the result breaks a rule of the contract.
pub fn lift(data: &[u8]) {
    // Too few bytes are made up for with zeroes, so that any input is tested.
    let _ = lift_from(&mut Unstructured::new(data));
}

fn lift_from(data: &mut Unstructured<'_>) -> Result<()> {
    let flags = u8::arbitrary(data)?;
    let asked = asked(data)?;
    let info = info(data, &asked)?;
    let entry = entry(data)?;
    let offset = u64::arbitrary(data)?;
    let error = error(data)?;
    // Short, so that texts of a test's length reach it.
    let limits = Limits { text: bytesize::ByteSize::b(1024), ..Limits::default() };

    let promised = CAPABILITIES.into_iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
    let (names, promised): (Vec<&str>, Vec<wit::Capabilities>) = promised.map(|(_, promise)| promise).unzip();
    let promised = promised.into_iter().fold(wit::Capabilities::default(), |all, promise| all | promise);
    assert!(convert::capabilities(promised).names().eq(names), "a capability is lost, or made up");

    let described = info.path == asked.as_str();
    match convert::file_info(info, &asked, &limits) {
        Ok(info) => {
            assert!(described && info.path == asked, "{info:?} is not what was asked for");
            assert!(!info.is_dir || info.size == 0, "{info:?} is a directory with a size");
            check_moment(info.modified);
            let version = info.version.unwrap_or_default();
            assert!(version.len() as u64 <= limits.text.as_u64() && version.chars().all(is_printable), "{version:?}");
        }
        Err(error) => check_error(&error),
    }
    match convert::entry(entry, &limits) {
        Ok(entry) => {
            assert_eq!(StoragePath::parse(entry.path.as_str()).ok(), Some(entry.path));
            check_moment(entry.modified);
        }
        Err(error) => check_error(&error),
    }
    check_error(&convert::error(error, offset));
    Ok(())
}

fn check_moment(moment: Option<SystemTime>) {
    let Some(moment) = moment else { return };
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => assert!(after < FROM_1970, "{moment:?} is after the year 9999"),
        Err(before) => assert!(before.duration() <= BEFORE_1970, "{moment:?} is before the year 1"),
    }
}

fn check_error(error: &Error) {
    let message = error.message();
    assert!(message.len() <= 4 * 1024 + "...".len(), "a message of {} bytes", message.len());
    assert!(message.chars().all(is_printable), "{message:?}");
    // The kind's own text is shown too.
    assert!(error.to_string().chars().all(is_printable), "{error}");
    if let crate::contract::ErrorKind::Throttled { retry_after: Some(wait) } = error.kind() {
        assert!(*wait <= Duration::from_secs(3600), "{wait:?}");
    }
}

fn asked(data: &mut Unstructured<'_>) -> Result<StoragePath> {
    let names: [&str; 3] = ["/", "/a", "/docker/registry/v2"];
    let path = StoragePath::parse(*data.choose(&names)?);
    Ok(path.unwrap_or_else(|_| StoragePath::root()))
}

fn info(data: &mut Unstructured<'_>, asked: &StoragePath) -> Result<wit::FileInfo> {
    Ok(wit::FileInfo {
        // Mostly the right one, or nothing behind it would be tested.
        path: if data.ratio(7, 8)? { asked.to_string() } else { text(data)? },
        size: u64::arbitrary(data)?,
        is_dir: bool::arbitrary(data)?,
        modified: moment(data)?,
        version: if bool::arbitrary(data)? { Some(text(data)?) } else { None },
    })
}

fn entry(data: &mut Unstructured<'_>) -> Result<wit::Entry> {
    Ok(wit::Entry {
        path: text(data)?,
        is_dir: bool::arbitrary(data)?,
        size: Option::arbitrary(data)?,
        modified: moment(data)?,
    })
}

fn moment(data: &mut Unstructured<'_>) -> Result<Option<Timestamp>> {
    let moment: Option<(i64, u32)> = Option::arbitrary(data)?;
    Ok(moment.map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds }))
}

fn error(data: &mut Unstructured<'_>) -> Result<wit::Error> {
    let wait = Option::arbitrary(data)?;
    let kinds = [
        ErrorKind::PathNotFound,
        ErrorKind::InvalidPath,
        ErrorKind::InvalidOffset,
        ErrorKind::Unsupported,
        ErrorKind::InvalidParameters,
        ErrorKind::AccessDenied,
        ErrorKind::QuotaExceeded,
        ErrorKind::TooLarge,
        ErrorKind::Conflict,
        ErrorKind::Throttled(wait),
        ErrorKind::Unavailable,
        ErrorKind::OutcomeUnknown,
        ErrorKind::Corrupt,
        ErrorKind::Other,
    ];
    Ok(wit::Error { kind: *data.choose(&kinds)?, message: text(data)? })
}

/// A text, which may be far longer than the input.
fn text(data: &mut Unstructured<'_>) -> Result<String> {
    let times = if data.ratio(1, 8)? { data.int_in_range(0..=600)? } else { 1 };
    Ok(<&str>::arbitrary(data)?.repeat(times))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn the_corpus_keeps_the_rules() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/lifted");
        let mut files = 0;
        for file in std::fs::read_dir(corpus).unwrap() {
            super::lift(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{corpus} is empty");
    }
}
