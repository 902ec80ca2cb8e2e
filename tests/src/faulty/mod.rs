//! A right driver that fails now and then, in ways that pass: what `wharf::base::retry` has to make good.

mod plan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use wharf::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};

use plan::{Break, Breaks, Fate, Plan};

/// A driver that fails a share of all calls and of all steps of streams, before they take effect or after it.
///
/// What fails depends on the seed, the operation, the path and how often that was called: the same in every run. Only
/// what has taken effect well is told as [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) afterwards, and a move or a delete
/// of what is not there only as throttled: nobody above could tell those from ones that were done.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn StorageDriver>,
    plan: Arc<Plan>,
}

impl Faulty {
    /// Wraps a driver, of which so many percent of all calls fail: those that can be made good without the caller.
    pub fn new(inner: Arc<dyn StorageDriver>, seed: u64, percent: u64) -> Self {
        Faulty { inner, plan: Arc::new(Plan::new(seed, percent, false)) }
    }

    /// As [`new`](Faulty::new), and also those that the caller has to look at: write, close and cancel, and appends of
    /// which the answer is lost.
    pub fn everywhere(inner: Arc<dyn StorageDriver>, seed: u64, percent: u64) -> Self {
        Faulty { inner, plan: Arc::new(Plan::new(seed, percent, true)) }
    }

    /// Returns how many faults there were.
    pub fn faults(&self) -> u64 {
        self.plan.faults()
    }

    /// Something that changes nothing: failing after it is as failing before it.
    async fn read<T>(
        &self,
        operation: &'static str,
        path: &StoragePath,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.plan.fate(operation, path) {
            Fate::Works => work.await,
            Fate::Throttled => Err(throttled()),
            _ => Err(unavailable()),
        }
    }

    /// Something that changes what is stored.
    async fn change<T>(
        &self,
        operation: &'static str,
        path: &StoragePath,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        settle(self.plan.fate(operation, path), work).await
    }

    async fn is_there(&self, path: &StoragePath) -> bool {
        self.inner.stat(path).await.is_ok()
    }

    /// As [`change`](Self::change), of something that should be at a path.
    async fn change_there(
        &self,
        operation: &'static str,
        path: &StoragePath,
        work: impl Future<Output = Result<()>> + Send,
    ) -> Result<()> {
        let fate = match self.plan.fate(operation, path) {
            Fate::Works => Fate::Works,
            fate if self.is_there(path).await => fate,
            _ => Fate::Throttled,
        };
        settle(fate, work).await
    }
}

async fn settle<T>(fate: Fate, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    match fate {
        Fate::Works => work.await,
        Fate::Throttled => Err(throttled()),
        Fate::Unavailable => Err(unavailable()),
        Fate::Unknown => Err(lost()),
        Fate::Lost => {
            work.await?;
            Err(lost())
        }
    }
}

fn throttled() -> Error {
    Error::new(ErrorKind::Throttled { retry_after: None }, "faulty")
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "faulty")
}

fn lost() -> Error {
    Error::new(ErrorKind::OutcomeUnknown, "faulty")
}

/// Returns the items up to where the stream breaks.
fn breaking<T: Send + 'static>(
    items: BoxStream<'static, Result<T>>,
    breaks: Breaks,
    may_end_early: bool,
) -> BoxStream<'static, Result<T>> {
    stream::unfold(Some((items, breaks)), move |state| async move {
        let (mut items, mut breaks) = state?;
        match breaks.next() {
            Break::No => items.next().await.map(|item| (item, Some((items, breaks)))),
            Break::Ends if may_end_early => None,
            Break::Ends | Break::Unavailable => Some((Err(unavailable()), None)),
            Break::Throttled => Some((Err(throttled()), None)),
        }
    })
    .boxed()
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl StorageDriver for Faulty {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.read("get", path, self.inner.get_content(path)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.change("put", path, self.inner.put_content(path, content)).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let (info, stream) = self.read("reader", path, self.inner.reader(path, range)).await?.into_parts();
        // Several pieces, however short the file is, so that there is a middle to fail in.
        let pieces = stream.flat_map(|chunk| {
            let pieces: Vec<_> = match chunk {
                Ok(chunk) => {
                    let size = chunk.len().div_ceil(3).clamp(1, 64 * 1024);
                    let starts = (0..chunk.len()).step_by(size);
                    starts.map(|at| Ok(chunk.slice(at..chunk.len().min(at + size)))).collect()
                }
                Err(error) => vec![Err(error)],
            };
            stream::iter(pieces)
        });
        Ok(Reader::new(info, breaking(pieces.boxed(), self.plan.breaks("read", path), true)))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let open = self.inner.writer(path, mode);
        let inner = match mode {
            WriteMode::New => self.change("new", path, open).await?,
            WriteMode::Append if self.plan.is_everywhere() => self.change("append", path, open).await?,
            WriteMode::Append => self.read("append", path, open).await?,
        };
        Ok(Box::new(Writer { inner, path: path.clone(), plan: self.plan.clone() }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.read("stat", path, self.inner.stat(path)).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let entries = self.read("list", path, self.inner.list(path, start_after)).await?;
        Ok(breaking(entries, self.plan.breaks("entries", path), false))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let entries = self.read("walk", path, self.inner.walk(path, start)).await?;
        Ok(breaking(entries, self.plan.breaks("tree", path), false))
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.change_there("move", source, self.inner.move_file(source, destination)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.change_there("delete", path, self.inner.delete(path)).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let Some(first) = paths.first() else { return Ok(()) };
        self.change("delete-files", first, self.inner.delete_files(paths)).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.read("redirect", path, self.inner.redirect_url(path, request)).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        // Not broken half-way: they cannot be resumed.
        self.read("uploads", path, self.inner.uploads(path)).await
    }
}

struct Writer {
    inner: Box<dyn FileWriter>,
    path: StoragePath,
    plan: Arc<Plan>,
}

impl Writer {
    /// What becomes of something that the caller has to look at.
    fn fate(&self, operation: &'static str) -> Fate {
        if self.plan.is_everywhere() { self.plan.fate(operation, &self.path) } else { Fate::Works }
    }
}

#[async_trait]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        let fate = self.fate("write");
        settle(fate, self.inner.write(data)).await
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        settle(self.fate("close"), self.inner.close()).await
    }

    async fn commit(self: Box<Self>) -> Result<u64> {
        settle(self.plan.fate("commit", &self.path), self.inner.commit()).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        settle(self.fate("cancel"), self.inner.cancel()).await
    }
}
