//! The trait that every storage driver implements.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;

use super::{
    ByteRange, Capabilities, Cursor, Entry, FileInfo, Position, RedirectRequest, Result, StoragePath, WriteMode,
};

/// The most that `get_content` returns and `put_content` takes: 16 MiB. Larger files go through readers and writers.
pub const MAX_CONTENT: u64 = 16 * 1024 * 1024;

/// The most paths that one `delete_files` takes.
pub const MAX_DELETE_FILES: usize = 1000;

/// The bytes of a file. After an error the stream is over.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A listing. After an error the stream is over.
pub type EntryStream = BoxStream<'static, Result<Entry>>;

/// A storage driver: a filesystem-like store of files at paths, opened and configured.
///
/// # Contract
///
/// This binds everyone who implements it. A driver stores *files* (byte strings) at [paths](StoragePath). Directories
/// are not created: one exists while a file lies below it. One left behind empty reads as not-found or as empty.
///
/// Nothing has a default body, so that a wrapper cannot forget an operation; conveniences are in
/// [`StorageDriverExt`](super::StorageDriverExt). [`Base`](crate::base::Base) wraps every driver that the
/// [factory](crate::factory::Factory) opens: it checks arguments before the driver sees them and adds the driver's
/// name, the operation and the path to errors, so that a driver need not.
///
/// Operations run concurrently. An operation that failed has changed nothing, unless its error is
/// [`OutcomeUnknown`](super::ErrorKind::OutcomeUnknown).
///
/// # Cancel safety
///
/// Dropping the future of `get_content`, `reader`, `stat`, `list`, `walk`, `redirect_url` or `uploads`, or a stream
/// that one returned, changes nothing. Dropping another leaves its outcome unknown, but never a mix: a file is old or
/// new. Whatever the driver still does for it, it does before a later operation on the same path answers, or not at all:
/// what was acknowledged stays. A driver that cannot stop what it has begun stands behind
/// [`OrderedChanges`](crate::base::OrderedChanges).
#[async_trait]
pub trait StorageDriver: Send + Sync + fmt::Debug {
    /// Returns the driver's name, as it stands in errors: for Distribution's drivers, theirs.
    fn name(&self) -> &str;

    /// Returns what this driver, so configured, promises. The same at every call.
    fn capabilities(&self) -> Capabilities;

    /// Returns the whole content of a file.
    ///
    /// # Errors
    ///
    /// - [`PathNotFound`](super::ErrorKind::PathNotFound) if nothing is stored at `path`, or it is a directory.
    /// - [`TooLarge`](super::ErrorKind::TooLarge) if the file is larger than [`MAX_CONTENT`].
    async fn get_content(&self, path: &StoragePath) -> Result<Bytes>;

    /// Stores `content` as the whole content of a file, in place of any that was there.
    ///
    /// Whole or not at all: a reader sees the old content, the new, or (without
    /// [`atomic_replace`](Capabilities::atomic_replace)) for a moment nothing; never a mix.
    ///
    /// # Errors
    ///
    /// - [`TooLarge`](super::ErrorKind::TooLarge) above [`MAX_CONTENT`].
    /// - [`InvalidPath`](super::ErrorKind::InvalidPath) where the store cannot hold a file at this path beside what is
    ///   there: a directory is at the path, or a file where a directory would have to be.
    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()>;

    /// Opens a file for reading.
    ///
    /// One request to the store while none fails.
    ///
    /// # Errors
    ///
    /// - [`PathNotFound`](super::ErrorKind::PathNotFound) if nothing is stored at `path`, or it is a directory.
    /// - [`InvalidOffset`](super::ErrorKind::InvalidOffset) if the range begins beyond the end of the file.
    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader>;

    /// Begins an upload, or continues the one that was closed at `path`.
    ///
    /// [`WriteMode::New`] begins anew, whatever was there. With [`WriteMode::Append`] and
    /// [`resumable`](Capabilities::resumable), continues a closed upload or a committed empty file; other committed
    /// content is continued, or refused as unsupported with nothing changed.
    ///
    /// # Errors
    ///
    /// With `Append`: [`PathNotFound`](super::ErrorKind::PathNotFound) where nothing is;
    /// [`Unsupported`](super::ErrorKind::Unsupported) without `resumable`.
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>>;

    /// Returns what is stored at a path.
    ///
    /// The root is a directory, even when the store is empty; asking for it costs one request to the store and
    /// returns the store's errors, so that it serves as the health probe.
    ///
    /// # Errors
    ///
    /// [`PathNotFound`](super::ErrorKind::PathNotFound) if nothing is stored at `path`.
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo>;

    /// Lists the direct children of a directory in the order of [`Position`], from after `start_after` if given.
    ///
    /// The whole of any number of the store's pages. Names outside the path grammar and the driver's own temporaries
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`PathNotFound`](super::ErrorKind::PathNotFound) if `path` is missing or a file; never for the root.
    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream>;

    /// Lists every file and directory below a directory in the order of [`Position`], from `start` if given.
    ///
    /// Drivers without [`native_walk`](Capabilities::native_walk) use [`walk_by_listing`](super::walk_by_listing).
    /// What comes or goes during the walk may or may not be seen; what stays is.
    ///
    /// # Errors
    ///
    /// As [`list`](StorageDriver::list).
    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream>;

    /// Moves a file, replacing the destination. Both names may be seen meanwhile; a failure leaves the source.
    ///
    /// # Errors
    ///
    /// [`PathNotFound`](super::ErrorKind::PathNotFound), naming the source, if it is missing or a directory; nothing
    /// has changed then.
    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()>;

    /// Deletes a file, or a directory with all that lies below it, unfinished uploads too. Never a sibling that shares
    /// its name as a prefix.
    ///
    /// # Errors
    ///
    /// [`PathNotFound`](super::ErrorKind::PathNotFound) if nothing is stored at `path`.
    async fn delete(&self, path: &StoragePath) -> Result<()>;

    /// Deletes at most [`MAX_DELETE_FILES`] files. Those that are missing are no error; repeating it is safe.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](super::ErrorKind::LimitExceeded) for more paths than that; nothing is deleted then.
    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()>;

    /// Returns an address at which the client can fetch the file by itself; none where it must come through the host.
    /// [`Base`](crate::base::Base) lets through what is `http` or `https`, has no user, and is of printable ASCII.
    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>>;

    /// Lists the unfinished uploads at and below a path that `list` and `walk` hide; `modified` is when each began. One
    /// that is continued may count as begun then.
    ///
    /// A driver with [`uploads`](Capabilities::uploads) ends them when a writer begins anew at their path, and keeps what is
    /// committed there when that writer is cancelled before it wrote: so
    /// [`abort_uploads`](super::StorageDriverExt::abort_uploads) aborts those that nobody will end.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](super::ErrorKind::Unsupported) without [`uploads`](Capabilities::uploads).
    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream>;
}

/// An upload in progress.
///
/// One of [`close`](FileWriter::close), [`commit`](FileWriter::commit) and [`cancel`](FileWriter::cancel) ends it and
/// consumes it, whether it succeeds or not.
///
/// | state | `write` | `commit` | `close` | `cancel` |
/// |---|---|---|---|---|
/// | open | continues | file readable, whole | kept, to be continued | no byte stays readable |
/// | after a failed `write` | writer-ended | writer-ended | as open | as open |
///
/// (`base` answers the two writer-ended cells; a commit of an upload with a hole would store a damaged file.)
///
/// # The life of a writer
///
/// ```text
///            write                       what is at the path afterwards
///            +---+
///            |   v     commit            the file, whole, in place of whatever was there
///  writer ---> open ---- close --------> what was there; or the upload, where the layout shows uploads and nothing else
///              |  |                      came to the path since the writer was opened (conflict)
///              |  +----- cancel -------> nothing of this upload
///              |
///              +-------- dropped ------> as after a close, of what had been stored by then: perhaps nothing
/// ```
///
/// *Dropped* is also a writer whose `write` failed or timed out and that is then let go, and the writer within a future of
/// `close`, `commit` or `cancel` that is dropped before it answers; that one may have ended as it was asked to.
///
/// **A commit wins.** Once a later operation on the path has been acknowledged, whether by the same driver, another one
/// on the same store or another process, nothing that a dropped writer still does changes the path. So a driver ends
/// what it does for a dropped writer before it answers the next operation on the path, as
/// [`OrderedChanges`](crate::base::OrderedChanges) does, or does nothing any more, as the driver `filesystem`. Where
/// neither is possible between processes, since a request that was sent to a store cannot be taken back, what was in flight
/// when the writer was dropped counts as another client's change at the same time.
#[async_trait]
pub trait FileWriter: Send {
    /// Returns how many bytes the upload has, those included that it had when it was continued and those that are
    /// still buffered.
    fn size(&self) -> u64;

    /// Takes bytes, in order. Waits while the store is slower than the caller.
    ///
    /// Success does not mean stored: only [`commit`](FileWriter::commit) and [`close`](FileWriter::close) say that.
    ///
    /// # Cancel safety
    ///
    /// None: after a dropped `write` only `close` and `cancel` are of use.
    async fn write(&mut self, data: Bytes) -> Result<()>;

    /// Keeps what was written, to be continued later, and returns the upload's size in bytes.
    ///
    /// When it fails, what had been stored is still there, and with [`resumable`](Capabilities::resumable) can be
    /// continued. But a close never replaces what somebody else stored at the path since the writer was opened: it then
    /// fails with [`Conflict`](super::ErrorKind::Conflict), and the upload is gone.
    async fn close(self: Box<Self>) -> Result<u64>;

    /// Makes the file readable at its path, whole, in place of what was there, and returns its size in bytes.
    ///
    /// When it fails, what had been stored is still there, and with [`resumable`](Capabilities::resumable) can be
    /// continued.
    async fn commit(self: Box<Self>) -> Result<u64>;

    /// Throws the upload away: none of its bytes can be read. What was committed there before survives only with
    /// [`hidden_uploads`](Capabilities::hidden_uploads), or if this is a new writer that wrote nothing.
    async fn cancel(self: Box<Self>) -> Result<()>;
}

/// An open file: what it is, and the stream of its bytes.
///
/// A stream that ends early, for whatever reason, ends with an error, never cleanly. Dropping it stops the transfer.
pub struct Reader {
    info: FileInfo,
    stream: ByteStream,
}

impl Reader {
    /// Puts together the file's description and its bytes.
    pub fn new(info: FileInfo, stream: ByteStream) -> Self {
        Reader { info, stream }
    }

    /// Returns what the file is: its `size` is the whole file's, whatever range was asked for.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Returns the description and the stream.
    pub fn into_parts(self) -> (FileInfo, ByteStream) {
        (self.info, self.stream)
    }
}

impl Stream for Reader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.stream.as_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("info", &self.info).finish_non_exhaustive()
    }
}
