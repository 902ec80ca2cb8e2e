//! A writer that is closed when it is dropped, before anything else is done at its path.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::unfinished::{Change, Unfinished, Use};
use crate::contract::{Error, ErrorKind, FileWriter, Result, StoragePath};

type Inner = Box<dyn FileWriter>;

/// An upload whose writes and whose end run to their ends.
pub(super) struct OrderedWriter {
    unfinished: Arc<Unfinished>,
    path: Arc<[StoragePath]>,
    /// None while a write is in flight, and once the writer has ended.
    inner: Option<Inner>,
    /// The write in flight, with the driver's writer in it. It stays here when its caller drops it.
    writing: Option<BoxFuture<'static, (Inner, Result<()>)>>,
    size: u64,
}

impl OrderedWriter {
    pub(super) fn new(inner: Inner, unfinished: Arc<Unfinished>, path: StoragePath) -> Self {
        let size = inner.size();
        OrderedWriter { unfinished, path: [path].into(), inner: Some(inner), writing: None, size }
    }

    /// Waits for the write in flight.
    async fn written(&mut self) -> Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let (inner, result) = writing.await;
        self.writing = None;
        self.size = inner.size();
        self.inner = Some(inner);
        result
    }

    /// Ends the driver's writer, after every change of the path whose caller has gone.
    async fn end<T, F>(&mut self, end: impl FnOnce(Inner) -> F + Send) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        // What became of a write that was dropped, the end says by its size; `base` commits no such upload.
        let _ = self.written().await;
        for path in self.path.iter() {
            self.unfinished.settled(path, Use::Change).await;
        }
        let Some(inner) = self.inner.take() else { return Err(ended()) };
        Change::new(&self.unfinished, Arc::clone(&self.path), end(inner)).await
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::WriterEnded, "the writer has ended; open a new one")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for OrderedWriter {
    fn size(&self) -> u64 {
        self.inner.as_ref().map_or(self.size, |inner| inner.size())
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.written().await?;
        let mut inner = self.inner.take().ok_or_else(ended)?;
        let write = async move {
            let result = inner.write(data).await;
            (inner, result)
        };
        self.writing = Some(write.boxed());
        self.written().await
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.end(|inner| inner.close()).await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        self.end(|inner| inner.commit()).await
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        self.end(|inner| inner.cancel()).await
    }
}

impl Drop for OrderedWriter {
    fn drop(&mut self) {
        let (inner, writing) = (self.inner.take(), self.writing.take());
        if inner.is_none() && writing.is_none() {
            return;
        }
        let path = Arc::clone(&self.path);
        self.unfinished.finish(Arc::clone(&self.path), async move {
            let inner = match writing {
                Some(writing) => Some(writing.await.0),
                None => inner,
            };
            let Some(inner) = inner else { return };
            // Nobody is left to hear of it but the log.
            if let Err(error) = inner.close().await {
                let path = path.first().map_or("", |path| path.as_str());
                tracing::warn!(path, %error, "a dropped upload could not be closed");
            }
        });
    }
}
