//! A bound on how much a driver does at a time.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};

/// A driver of which at most so many operations run at a time. Distribution's regulator, without its leaks.
///
/// Each operation waits its turn, first come first served, and then holds one permit. A reader, a writer and a listing
/// hold theirs until they end or are dropped, because it is then that they use the store. A walk holds one permit,
/// however deep it goes. `name` and `capabilities` need none. Waiting has no limit of its own: drop the future to give
/// up.
///
/// # Deadlocks
///
/// Whoever holds a reader, a writer or a listing and waits for another operation of the same driver needs two permits.
/// With a limit of 1 that waits for ever, and with `n` it does once `n` callers do so at the same moment. Copy within
/// one driver only where the limit exceeds the number of copies at a time.
///
/// # Example
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
///
/// use wharf::base::{Base, ConcurrencyLimit};
/// use wharf::drivers::inmemory::InMemory;
///
/// let limit = NonZeroUsize::new(25).unwrap();
/// // Inside `base`, so that what `base` refuses costs no permit.
/// let driver = Base::new(Arc::new(ConcurrencyLimit::new(Arc::new(InMemory::new()), limit)));
/// ```
pub struct ConcurrencyLimit {
    inner: Arc<dyn StorageDriver>,
    permits: Arc<Semaphore>,
    limit: usize,
}

impl ConcurrencyLimit {
    /// Wraps a driver, of which at most `limit` operations run at a time.
    pub fn new(driver: Arc<dyn StorageDriver>, limit: NonZeroUsize) -> Self {
        let limit = limit.get().min(Semaphore::MAX_PERMITS);
        ConcurrencyLimit { inner: driver, permits: Arc::new(Semaphore::new(limit)), limit }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        // Nothing closes the semaphore.
        let closed = |error| Error::new(ErrorKind::Other, "the concurrency limit was closed").with_source(error);
        self.permits.clone().acquire_owned().await.map_err(closed)
    }
}

impl fmt::Debug for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit").field("limit", &self.limit).field("driver", &self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for ConcurrencyLimit {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let _permit = self.permit().await?;
        self.inner.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let _permit = self.permit().await?;
        self.inner.put_content(path, content).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let permit = self.permit().await?;
        let (info, stream) = self.inner.reader(path, range).await?.into_parts();
        Ok(Reader::new(info, hold(stream, permit)))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let permit = self.permit().await?;
        let inner = self.inner.writer(path, mode).await?;
        Ok(Box::new(Writer { inner, permit }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let _permit = self.permit().await?;
        self.inner.stat(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let permit = self.permit().await?;
        Ok(hold(self.inner.list(path, start_after).await?, permit))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        // The driver's own walk lists below this limit, not through it: otherwise each level would need a permit.
        let permit = self.permit().await?;
        Ok(hold(self.inner.walk(path, start).await?, permit))
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let _permit = self.permit().await?;
        self.inner.move_file(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let _permit = self.permit().await?;
        self.inner.delete(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let _permit = self.permit().await?;
        self.inner.delete_files(paths).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        let _permit = self.permit().await?;
        self.inner.redirect_url(path, request).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        let permit = self.permit().await?;
        Ok(hold(self.inner.uploads(path).await?, permit))
    }
}

/// Returns a stream that keeps a permit until it ends or is dropped.
fn hold<T: 'static>(
    stream: BoxStream<'static, Result<T>>,
    permit: OwnedSemaphorePermit,
) -> BoxStream<'static, Result<T>> {
    Held { open: Some((stream, permit)) }.boxed()
}

struct Held<T> {
    /// None once the stream is over. The stream first: what it holds in the driver goes before the permit does.
    open: Option<(BoxStream<'static, Result<T>>, OwnedSemaphorePermit)>,
}

impl<T> Stream for Held<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let Some((stream, _)) = &mut self.open else { return Poll::Ready(None) };
        let step = stream.as_mut().poll_next(cx);
        if matches!(step, Poll::Ready(None | Some(Err(_)))) {
            self.open = None;
        }
        step
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.open.as_ref().map_or((0, Some(0)), |(stream, _)| stream.size_hint())
    }
}

/// A writer with the permit that it was opened with.
struct Writer {
    inner: Box<dyn FileWriter>,
    permit: OwnedSemaphorePermit,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.inner.write(data).await
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        let Writer { inner, permit: _permit } = *self;
        inner.close().await
    }

    async fn commit(self: Box<Self>) -> Result<u64> {
        let Writer { inner, permit: _permit } = *self;
        inner.commit().await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Writer { inner, permit: _permit } = *self;
        inner.cancel().await
    }
}
