//! A driver in memory, with something that happens before each operation.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Operation, Position, Reader, RedirectRequest,
    Result, StorageDriver, StoragePath, WriteMode,
};
use crate::drivers::inmemory::InMemory;

/// What happens before an operation on a path; an error takes the operation's place.
type Before = dyn Fn(Operation, &StoragePath) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// A driver in memory that a test interferes with.
#[derive(Default)]
pub(in crate::registry) struct Interposed {
    pub(in crate::registry) inner: InMemory,
    before: Mutex<Option<std::sync::Arc<Before>>>,
}

impl Interposed {
    /// Has something happen before each operation from now on.
    pub(in crate::registry) fn before(
        &self,
        before: impl Fn(Operation, &StoragePath) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::sync::Arc::new(before));
    }

    /// Ends that.
    pub(in crate::registry) fn undisturbed(&self) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn happen(&self, operation: Operation, path: &StoragePath) -> Result<()> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match before {
            Some(before) => before(operation, path).await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Interposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interposed").field(&self.inner).finish()
    }
}

#[async_trait]
impl StorageDriver for Interposed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.happen(Operation::GetContent, path).await?;
        self.inner.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.happen(Operation::PutContent, path).await?;
        self.inner.put_content(path, content).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.happen(Operation::Reader, path).await?;
        self.inner.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        self.happen(Operation::Writer, path).await?;
        self.inner.writer(path, mode).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.happen(Operation::Stat, path).await?;
        self.inner.stat(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.happen(Operation::List, path).await?;
        self.inner.list(path, start_after).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.happen(Operation::Walk, path).await?;
        self.inner.walk(path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.happen(Operation::Move, destination).await?;
        self.inner.move_file(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.happen(Operation::Delete, path).await?;
        self.inner.delete(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.inner.delete_files(paths).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.inner.redirect_url(path, request).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.inner.uploads(path).await
    }
}
