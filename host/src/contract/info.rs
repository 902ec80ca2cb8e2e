//! What is known of stored files, and the order in which they are listed.

use std::cmp::Ordering;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::StoragePath;

/// What is known of a file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The absolute path.
    pub path: StoragePath,
    /// The length of the whole file in bytes; 0 for a directory.
    pub size: u64,
    /// Whether this is a directory.
    pub is_dir: bool,
    /// When the content last changed. A move may keep the source's. None where the store does not say.
    pub modified: Option<SystemTime>,
    /// A token that changes whenever the content does (an etag, a generation). None: a broken download cannot be
    /// resumed.
    pub version: Option<String>,
}

impl FileInfo {
    /// Describes a directory.
    pub fn directory(path: StoragePath) -> Self {
        FileInfo { path, size: 0, is_dir: true, modified: None, version: None }
    }
}

/// What a listing tells of a file or a directory without asking the store again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The absolute path.
    pub path: StoragePath,
    /// Whether this is a directory.
    pub is_dir: bool,
    /// The length in bytes, where the listing tells it.
    pub size: Option<u64>,
    /// When the content last changed, where the listing tells it.
    pub modified: Option<SystemTime>,
}

impl Entry {
    /// Describes a directory.
    pub fn directory(path: StoragePath) -> Self {
        Entry { path, is_dir: true, size: None, modified: None }
    }

    /// Returns where the entry stands in the order of listings.
    pub fn position(&self) -> Position {
        Position { path: self.path.clone(), is_dir: self.is_dir }
    }
}

/// A place in the order of listings: byte order of paths, a directory counting as its path with `/` added.
///
/// Every driver lists and walks in this order, so that pages can be continued and two stores compared side by side.
/// A store may hold a file and a directory of one name; they stand at different places.
///
/// ```
/// use wharf::contract::{Position, StoragePath};
///
/// let file = |path: &str| Position::file(StoragePath::parse(path).unwrap());
/// let directory = |path: &str| Position::directory(StoragePath::parse(path).unwrap());
/// let order = [file("/a"), file("/a-b"), file("/a.b"), directory("/a"), file("/a/x"), file("/ab")];
/// assert!(order.is_sorted());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The absolute path, which need not exist.
    pub path: StoragePath,
    /// Whether a directory is meant.
    pub is_dir: bool,
}

impl Position {
    /// Returns the place of a file.
    pub fn file(path: StoragePath) -> Self {
        Position { path, is_dir: false }
    }

    /// Returns the place of a directory, which is before all that lies below it.
    pub fn directory(path: StoragePath) -> Self {
        Position { path, is_dir: true }
    }

    fn key(&self) -> impl Iterator<Item = u8> + '_ {
        let slash = self.is_dir && !self.path.is_root();
        self.path.as_str().bytes().chain(slash.then_some(b'/'))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key()).then(self.is_dir.cmp(&other.is_dir))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where a walk begins: after a position, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The walk's first entry comes after this position.
    pub after: Position,
    /// For a directory: whether what lies under it is still to come (true) or is passed over too (false). For a file
    /// it says nothing.
    pub below: bool,
}

impl Cursor {
    /// Continues after `entry`, with what lies below it.
    pub fn after(entry: &Entry) -> Self {
        Cursor { after: entry.position(), below: true }
    }

    /// Continues after `entry` and all that lies below it.
    pub fn past(entry: &Entry) -> Self {
        Cursor { after: entry.position(), below: false }
    }

    /// Returns whether an entry at `position` is still to come.
    pub fn admits(&self, position: &Position) -> bool {
        let skipped = self.after.is_dir && !self.below && self.after.path.contains(&position.path);
        *position > self.after && !skipped
    }
}

/// The part of a file that a reader returns.
///
/// `length` may reach past the end of the file: the reader then ends with the file. An `offset` beyond the end is
/// [`InvalidOffset`](super::ErrorKind::InvalidOffset); equal to the size it gives an empty reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub offset: u64,
    /// How many bytes; none: to the end.
    pub length: Option<u64>,
}

impl ByteRange {
    /// The whole file.
    pub const ALL: ByteRange = ByteRange { offset: 0, length: None };

    /// Returns the range from `offset` to the end.
    pub fn from(offset: u64) -> Self {
        ByteRange { offset, length: None }
    }

    /// Returns the range of `length` bytes from `offset`.
    pub fn new(offset: u64, length: u64) -> Self {
        ByteRange { offset, length: Some(length) }
    }

    /// Returns how many bytes of a file of `size` bytes the range holds; none if it begins beyond the end.
    ///
    /// ```
    /// use wharf::contract::ByteRange;
    ///
    /// assert_eq!(ByteRange::from(4).count_in(10), Some(6));
    /// assert_eq!(ByteRange::new(4, 100).count_in(10), Some(6));
    /// assert_eq!(ByteRange::from(10).count_in(10), Some(0));
    /// assert_eq!(ByteRange::from(11).count_in(10), None);
    /// ```
    pub fn count_in(&self, size: u64) -> Option<u64> {
        let rest = size.checked_sub(self.offset)?;
        Some(self.length.map_or(rest, |length| length.min(rest)))
    }
}

/// Whether a writer begins a file anew or continues an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// Begin anew, whatever is at the path.
    New,
    /// Continue the upload that was closed at the path. Needs
    /// [`Capabilities::resumable`](super::Capabilities::resumable).
    Append,
}

/// The request that a client of the host made, for which a driver may name an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectRequest {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The client's network address, where known.
    pub client_address: Option<String>,
}
