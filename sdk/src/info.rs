//! What is known of files and directories, and places in the order of a listing.

use std::cmp::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment, counted from 1970-01-01T00:00:00Z. Before it, `seconds` is negative and `nanoseconds` still counts
/// forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Returns the present moment, by the host's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp {
                seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanoseconds: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Timestamp { seconds: -seconds, nanoseconds: 0 },
                    nanoseconds => Timestamp { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
                }
            }
        }
    }
}

/// What is known of a file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The absolute path.
    pub path: String,
    /// The length of the whole file in bytes, whatever range is read; 0 for a directory.
    pub size: u64,
    /// Whether this is a directory.
    pub is_dir: bool,
    /// When the content last changed. None where the store does not say.
    pub modified: Option<Timestamp>,
    /// A token that changes whenever the content does: an etag, a generation. Without it the host cannot resume a
    /// broken download.
    pub version: Option<String>,
}

impl FileInfo {
    /// Describes a file of `size` bytes, of which nothing else is known.
    pub fn file(path: impl Into<String>, size: u64) -> Self {
        FileInfo { path: path.into(), size, is_dir: false, modified: None, version: None }
    }

    /// Describes a directory.
    pub fn directory(path: impl Into<String>) -> Self {
        FileInfo { path: path.into(), size: 0, is_dir: true, modified: None, version: None }
    }

    /// Says when the content last changed.
    #[must_use]
    pub fn with_modified(mut self, modified: impl Into<Timestamp>) -> Self {
        self.modified = Some(modified.into());
        self
    }

    /// Adds the token that changes whenever the content does.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

/// What a listing tells of a file or a directory without asking the store again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The absolute path.
    pub path: String,
    /// Whether this is a directory.
    pub is_dir: bool,
    /// The file's length in bytes, where the listing tells it.
    pub size: Option<u64>,
    /// When the content last changed, where the listing tells it.
    pub modified: Option<Timestamp>,
}

impl Entry {
    /// An entry for a file of `size` bytes.
    pub fn file(path: impl Into<String>, size: u64) -> Self {
        Entry { path: path.into(), is_dir: false, size: Some(size), modified: None }
    }

    /// An entry for a directory.
    pub fn directory(path: impl Into<String>) -> Self {
        Entry { path: path.into(), is_dir: true, size: None, modified: None }
    }

    /// Says when the content last changed.
    #[must_use]
    pub fn with_modified(mut self, modified: impl Into<Timestamp>) -> Self {
        self.modified = Some(modified.into());
        self
    }

    /// Returns where the entry stands in a listing: sort by it.
    pub fn position(&self) -> Position {
        Position { path: self.path.clone(), is_dir: self.is_dir }
    }
}

/// A place in the order of a listing: the byte order of paths, a directory counting as its path with `/` added.
///
/// ```
/// use wharf_sdk::Position;
///
/// let mut names = ["/ab", "/a/", "/a.b", "/a", "/a-b"].map(|name| match name.strip_suffix('/') {
///     Some(directory) => Position { path: directory.to_owned(), is_dir: true },
///     None => Position { path: name.to_owned(), is_dir: false },
/// });
/// names.sort();
/// assert_eq!(names.map(|name| name.key()), ["/a", "/a-b", "/a.b", "/a/", "/ab"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The absolute path.
    pub path: String,
    /// Whether the place is a directory's.
    pub is_dir: bool,
}

impl Position {
    /// Returns the text whose byte order is the order of listings.
    pub fn key(&self) -> String {
        if self.is_dir { format!("{}/", self.path) } else { self.path.clone() }
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.path.bytes().chain(self.is_dir.then_some(b'/'))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where a walk begins: after the position `after`, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The position that has been seen.
    pub after: Position,
    /// For a directory: whether what lies below it is still to come (true) or is passed over too (false).
    pub below: bool,
}

/// Which bytes of a file to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub offset: u64,
    /// How many bytes at most; none: to the end of the file.
    pub length: Option<u64>,
}

impl ByteRange {
    /// Every byte of a file.
    pub const ALL: ByteRange = ByteRange { offset: 0, length: None };

    /// Returns which bytes of a file of `size` bytes these are.
    ///
    /// ```
    /// use wharf_sdk::ByteRange;
    ///
    /// assert_eq!(ByteRange { offset: 2, length: Some(9) }.within(5)?, 2..5);
    /// assert_eq!(ByteRange { offset: 5, length: None }.within(5)?, 5..5);
    /// assert!(ByteRange { offset: 6, length: None }.within(5).is_err());
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOffset`](crate::ErrorKind::InvalidOffset) if the range begins beyond the end of the file.
    pub fn within(self, size: u64) -> crate::Result<std::ops::Range<u64>> {
        if self.offset > size {
            return Err(crate::Error::invalid_offset());
        }
        let end = self.length.map_or(size, |length| self.offset.saturating_add(length).min(size));
        Ok(self.offset..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_before_1970_counts_forward_from_the_second_below_it() {
        let time = UNIX_EPOCH - Duration::from_millis(1_250);
        assert_eq!(Timestamp::from(time), Timestamp { seconds: -2, nanoseconds: 750_000_000 });
        let time = UNIX_EPOCH - Duration::from_secs(3);
        assert_eq!(Timestamp::from(time), Timestamp { seconds: -3, nanoseconds: 0 });
    }

    #[test]
    fn a_range_whose_end_is_beyond_all_numbers_ends_at_the_files_end() {
        assert_eq!(ByteRange { offset: 1, length: Some(u64::MAX) }.within(3), Ok(1..3));
    }

    #[test]
    fn a_file_and_a_directory_of_one_name_stand_at_different_places() {
        let file = Position { path: "/a".into(), is_dir: false };
        let directory = Position { path: "/a".into(), is_dir: true };
        let between = Position { path: "/a-b".into(), is_dir: false };
        assert!(file < between && between < directory);
    }
}
