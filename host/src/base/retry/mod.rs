//! Trying again: when, how often, and how long at most.
//!
//! [`Retry`] tries anything again; [`Retrying`] is a driver that does so around another one, and knows of each operation
//! what has to be done to repeat it safely (one file each):
//!
//! | file | what |
//! |---|---|
//! | `policy.rs`, `attempts.rs`, `run.rs` | how often, after what wait, and what the error says in the end |
//! | `resume.rs` | a stream that goes on where it broke off: `reader.rs` for bytes, `listing.rs` for entries |
//! | `moving.rs` | a move is looked at before it is repeated, a delete may find nothing |
//! | `writer.rs`, `commit.rs` | an upload is opened again, never written again, and committed again after a look |
//!
//! A driver that sends many requests for one operation repeats each of them by [`Retry::run`], since it alone knows which
//! part is still to be done. What it returns then says how often it was [tried](crate::contract::Error::attempts), and
//! nobody above tries it again.

mod attempts;
mod commit;
mod listing;
mod moving;
mod policy;
mod reader;
mod resume;
mod run;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Position, Reader, RedirectRequest, Result,
    StorageDriver, StoragePath, WriteMode,
};
use listing::Kind;

pub use policy::{Repeat, Retry, RetryPolicy};

/// A driver that tries again what may pass: [`Throttled`](crate::contract::ErrorKind::Throttled),
/// [`Unavailable`](crate::contract::ErrorKind::Unavailable) and, where that is safe,
/// [`OutcomeUnknown`](crate::contract::ErrorKind::OutcomeUnknown).
///
/// | operation | after a failure |
/// |---|---|
/// | `get_content`, `stat`, `redirect_url`, opening a reader or a listing | again |
/// | `put_content`, `delete_files` | again: done twice, they do the same |
/// | `delete` | again; nothing found then counts as done |
/// | `move_file` | again; after an unknown outcome once both names were looked at |
/// | a reader's stream, cut or silent for [`RetryPolicy::stall`] | goes on from the last byte, if the file has a version and it is the same |
/// | the stream of `list` or `walk` | goes on from the last entry |
/// | the stream of `uploads` | again, unless an entry was given |
/// | opening a writer | again; to append, unless the outcome is unknown |
/// | `write`, `close`, `cancel` | never |
/// | `commit` | looked up; again if the upload is still there, success if the file is |
///
/// # Errors
///
/// Those of the driver. One that was tried again says how [often](crate::contract::Error::attempts), and in its message
/// what was seen by looking. If an attempt had an unknown outcome, the error that ends it all is that one, even if a later
/// attempt failed in another way that may pass. A file that changed while it was read is
/// [`Conflict`](crate::contract::ErrorKind::Conflict).
///
/// Never tried again: what a limit of the host refused, what was tried often below, and what killed an instance of the
/// driver twice.
///
/// # Time
///
/// [`RetryPolicy::attempt_timeout`] holds for what is one request to most stores: `get_content`, `put_content`, `stat`,
/// `redirect_url` and all openings. Waiting for a permit of a [`ConcurrencyLimit`](super::ConcurrencyLimit) inside counts.
/// What takes the longer the more is stored has no limit here: `delete`, `delete_files`, `move_file`, `write`, `close`,
/// `commit`, and what a listing does between two entries.
///
/// # Cancel safety
///
/// That of the driver's operations. Dropping a future or a stream ends the trying too.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::base::Base;
/// use wharf::base::retry::{Retry, RetryPolicy, Retrying};
/// use wharf::drivers::inmemory::InMemory;
///
/// let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
/// // Inside `base`, so that an operation is measured once, with all its attempts.
/// let driver = Base::new(Arc::new(Retrying::new(Arc::new(InMemory::new()), Retry::new(policy))));
/// ```
#[derive(Clone)]
pub struct Retrying {
    inner: Arc<dyn StorageDriver>,
    retry: Retry,
}

impl Retrying {
    /// Wraps a driver.
    pub fn new(driver: Arc<dyn StorageDriver>, retry: Retry) -> Self {
        Retrying { inner: driver, retry }
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retrying").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for Retrying {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.retry.run(Repeat::Always, || self.inner.get_content(path)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        // An attempt that is given up may still happen: its outcome is unknown, although it may be repeated.
        let attempt = || self.retry.attempt(Repeat::UnlessUnknown, self.inner.put_content(path, content.clone()));
        self.retry.run_untimed(Repeat::Always, attempt).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let reader = self.retry.run(Repeat::Always, || self.inner.reader(path, range)).await?;
        Ok(reader::resume(self, path, range, reader))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        writer::open(self, path, mode).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.retry.run(Repeat::Always, || self.inner.stat(path)).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let entries = self.retry.run(Repeat::Always, || self.inner.list(path, start_after)).await?;
        Ok(listing::resume(self, path, Kind::List(start_after.cloned()), entries))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let entries = self.retry.run(Repeat::Always, || self.inner.walk(path, start)).await?;
        Ok(listing::resume(self, path, Kind::Walk(start.cloned()), entries))
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.move_with_looks(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.delete_again(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.retry.run_untimed(Repeat::Always, || self.inner.delete_files(paths)).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.retry.run(Repeat::Always, || self.inner.redirect_url(path, request)).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        let entries = self.retry.run(Repeat::Always, || self.inner.uploads(path)).await?;
        Ok(listing::resume(self, path, Kind::Uploads, entries))
    }
}
