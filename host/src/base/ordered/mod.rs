//! Keeps what a driver still does for callers that have gone from undoing what comes later.
//!
//! `unfinished.rs` knows the changes whose callers have gone; `writer.rs` is the writer.

#[cfg(test)]
mod tests;
mod unfinished;
mod writer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Position, Reader, RedirectRequest, Result,
    StorageDriver, StoragePath, WriteMode,
};
use unfinished::{Change, Unfinished, Use};
use writer::OrderedWriter;

/// A driver whose changes take effect in the order in which its callers saw them, though callers drop their futures.
///
/// A put that is sent cannot be taken back: when its caller drops it, for a timeout or because a client disconnected, the
/// store may carry it out later, over what the next caller stored. The same is true of a move, a delete, and the end of a
/// writer, and a dropped writer still has to be closed. Here each of these runs to its end once it has begun, whatever its
/// caller does, and every later operation on the same path, above it or below it waits for that end. So what was
/// acknowledged stays.
///
/// For drivers that cannot stop what they have begun: the factory puts it around components and around drivers of remote
/// stores. It keeps the order of one opened driver. Between two of them, in one process or in two, the store decides; see
/// [`FileWriter`].
///
/// # Limits
///
/// A wait lasts as long as the driver takes for what it has begun: give its requests timeouts. While 64 changes go on
/// without their callers, further changes wait. Needs a tokio executor: outside of one, a change that is dropped is lost.
///
/// # Cancel safety
///
/// An operation that has not begun when its future is dropped changes nothing.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::base::{Base, OrderedChanges};
/// use wharf::drivers::inmemory::InMemory;
///
/// // Innermost, around the driver itself.
/// let driver = Base::new(Arc::new(OrderedChanges::new(Arc::new(InMemory::new()))));
/// ```
pub struct OrderedChanges {
    inner: Arc<dyn StorageDriver>,
    unfinished: Arc<Unfinished>,
}

impl OrderedChanges {
    /// Wraps a driver.
    pub fn new(driver: Arc<dyn StorageDriver>) -> Self {
        OrderedChanges { inner: driver, unfinished: Arc::default() }
    }

    /// Runs a change of some paths to its end, after those whose callers have gone.
    async fn change<T, F>(
        &self,
        paths: impl Into<Arc<[StoragePath]>>,
        work: impl FnOnce(Arc<dyn StorageDriver>, Arc<[StoragePath]>) -> F + Send,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let paths: Arc<[StoragePath]> = paths.into();
        for path in paths.iter() {
            self.unfinished.settled(path, Use::Change).await;
        }
        Change::new(&self.unfinished, Arc::clone(&paths), work(Arc::clone(&self.inner), paths)).await
    }
}

impl fmt::Debug for OrderedChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OrderedChanges").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for OrderedChanges {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.unfinished.settled(path, Use::Read).await;
        self.inner.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.change([path.clone()], |driver, paths| async move { driver.put_content(&paths[0], content).await }).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.unfinished.settled(path, Use::Read).await;
        self.inner.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let (unfinished, path) = (Arc::clone(&self.unfinished), path.clone());
        // The writer is made within the change, so that one whose caller has gone is closed before the change ends.
        let open = |driver: Arc<dyn StorageDriver>, paths: Arc<[StoragePath]>| async move {
            let inner = driver.writer(&paths[0], mode).await?;
            Ok(Box::new(OrderedWriter::new(inner, unfinished, paths[0].clone())) as Box<dyn FileWriter>)
        };
        self.change([path], open).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.unfinished.settled(path, Use::Read).await;
        self.inner.stat(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.unfinished.settled(path, Use::ReadBelow).await;
        self.inner.list(path, start_after).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.unfinished.settled(path, Use::ReadBelow).await;
        self.inner.walk(path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let paths = [source.clone(), destination.clone()];
        self.change(paths, |driver, paths| async move { driver.move_file(&paths[0], &paths[1]).await }).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.change([path.clone()], |driver, paths| async move { driver.delete(&paths[0]).await }).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.change(paths.to_vec(), |driver, paths| async move { driver.delete_files(&paths).await }).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.unfinished.settled(path, Use::Read).await;
        self.inner.redirect_url(path, request).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.unfinished.settled(path, Use::ReadBelow).await;
        self.inner.uploads(path).await
    }
}
