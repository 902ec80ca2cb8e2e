//! A bound on how much a driver does at a time, and one on how much of it is open.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::capacity::{Bound, Taken};
use super::permit::{Permit, Permits, under};
use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};

/// How many readers, writers and listings may be open at a time if nothing says otherwise. What one holds of a driver is
/// an open file and little more.
const OPEN_STREAMS: NonZeroUsize = NonZeroUsize::new(16_384).expect("16,384 is not 0");

/// How many entries of a listing that are there anyway are taken in one step.
const BATCH: usize = 512;

/// A driver of which at most so many operations run at a time. Distribution's regulator, without its leaks.
///
/// # What takes a permit
///
/// A step of I/O: an operation until it answers; of a reader or a listing, getting the next item; of a writer, each
/// `write`, and its `close`, `commit` or `cancel`. `name` and `capabilities` need none. A reader, writer or listing that
/// nobody asks for anything holds none, so that a slow client costs the others nothing; and a step that was begun is
/// ended whether or not its caller comes back for it. What a step does in the background, such as reading ahead, keeps
/// the permit of that step until it is done; it waits for the store, and never for the caller.
///
/// Steps wait their turn, first come first served. Waiting has no limit of its own: drop the future to give up.
///
/// A writer that is dropped ends in the background without a permit, since a dropped writer cannot wait: there are at
/// most as many as were open.
///
/// # What is open
///
/// Readers, writers and listings that are open are bounded apart, by
/// [`with_open_streams`](ConcurrencyLimit::with_open_streams): one that is too many fails at once with
/// [`ErrorKind::LimitExceeded`]. This bound does not know for whom a stream is opened. A registry shares a smaller number
/// out among its clients, so that the rest stays free for what it does itself.
///
/// # Deadlocks
///
/// None by permits: nobody holds one while he waits for another. With a limit of 1 a file can be copied within the
/// driver, by any number of callers.
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
///
/// Streams must be polled within a Tokio runtime.
pub struct ConcurrencyLimit {
    inner: Arc<dyn StorageDriver>,
    permits: Permits,
    open: Arc<Bound>,
}

impl ConcurrencyLimit {
    /// Wraps a driver, of which at most `limit` operations run at a time. 16,384 streams of it may be open.
    pub fn new(driver: Arc<dyn StorageDriver>, limit: NonZeroUsize) -> Self {
        let permits = Permits::new(driver.name(), limit.get());
        let open = Bound::new(driver.name(), "open-streams", OPEN_STREAMS.get());
        ConcurrencyLimit { inner: driver, permits, open }
    }

    /// Bounds how many readers, writers and listings may be open at a time.
    #[must_use]
    pub fn with_open_streams(mut self, most: NonZeroUsize) -> Self {
        self.open = Bound::new(self.inner.name(), "open-streams", most.get());
        self
    }

    fn open(&self) -> Result<Taken> {
        self.open.take().ok_or_else(|| {
            let message = format!("{} readers, writers and listings are open already; end some", self.open.most());
            Error::new(ErrorKind::LimitExceeded { limit: "open-streams" }, message)
        })
    }

    async fn entries(&self, listing: impl Future<Output = Result<EntryStream>> + Send) -> Result<EntryStream> {
        let open = self.open()?;
        Ok(Limited::new(self.permits.run(listing).await?, &self.permits, open, BATCH).boxed())
    }
}

impl fmt::Debug for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit").field("limit", &self.permits.most()).field("driver", &self.inner).finish()
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
        self.permits.run(self.inner.get_content(path)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.permits.run(self.inner.put_content(path, content)).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let open = self.open()?;
        let (info, stream) = self.permits.run(self.inner.reader(path, range)).await?.into_parts();
        Ok(Reader::new(info, Limited::new(stream, &self.permits, open, 1).boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let open = self.open()?;
        let inner = self.permits.run(self.inner.writer(path, mode)).await?;
        Ok(Box::new(LimitedWriter { inner, permits: self.permits.clone(), open }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.permits.run(self.inner.stat(path)).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.entries(self.inner.list(path, start_after)).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        // The driver's own walk lists below this limit, not through it: each step of it needs one permit.
        self.entries(self.inner.walk(path, start)).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.permits.run(self.inner.move_file(source, destination)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.permits.run(self.inner.delete(path)).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.permits.run(self.inner.delete_files(paths)).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.permits.run(self.inner.redirect_url(path, request)).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.entries(self.inner.uploads(path)).await
    }
}

type Items<T> = BoxStream<'static, Result<T>>;

/// What a step came to: the stream, unless it is over, and what it brought.
type Stepped<T> = (Option<Items<T>>, VecDeque<Result<T>>);

/// A stream that takes a permit for each step.
struct Limited<T> {
    state: State<T>,
    /// What the last step brought.
    ready: VecDeque<Result<T>>,
    /// How many items one step takes at most of those that are there.
    batch: usize,
    permits: Permits,
    /// Counts it as open until it is over.
    open: Option<Taken>,
}

enum State<T> {
    /// Nobody works on it, but for what the driver does under a share of its permit.
    Idle(Items<T>),
    /// A step is in flight, or waits for its permit, in a task of its own: it is ended even if the caller does not come
    /// back, since it would otherwise keep its permit, or its place at the head of the queue, from others.
    Stepping(Step<T>),
    Over,
}

impl<T: Send + 'static> Limited<T> {
    fn new(stream: Items<T>, permits: &Permits, open: Taken, batch: usize) -> Self {
        let permits = permits.clone();
        Limited { state: State::Idle(stream), ready: VecDeque::new(), batch, permits, open: Some(open) }
    }

    fn idle(&mut self, stream: Option<Items<T>>) {
        match stream {
            Some(stream) => self.state = State::Idle(stream),
            // Whatever it holds in the driver is free, even if the caller keeps it.
            None => (self.state, self.open) = (State::Over, None),
        }
    }

    /// Begins a step that goes on by itself.
    fn begin(&self, stream: Items<T>, permit: Option<Arc<Permit>>) -> Result<Step<T>> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Other, "a stream is read outside of a Tokio runtime").with_source(error)
        })?;
        let step = step(stream, self.permits.clone(), permit, self.batch).in_current_span();
        Ok(Step(runtime.spawn(step)))
    }
}

impl<T: Send + Unpin + 'static> Stream for Limited<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.ready.pop_front() {
                return Poll::Ready(Some(item));
            }
            match std::mem::replace(&mut this.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Stepping(mut step) => match step.poll(cx) {
                    Poll::Pending => {
                        this.state = State::Stepping(step);
                        return Poll::Pending;
                    }
                    Poll::Ready((stream, items)) => {
                        this.ready = items;
                        this.idle(stream);
                    }
                },
                State::Idle(mut stream) => {
                    let permit = this.permits.at_once();
                    if let Some(permit) = &permit {
                        let polled = under(permit, || fill(&mut stream, &mut this.ready, this.batch, cx));
                        if let Poll::Ready(goes_on) = polled {
                            this.idle(goes_on.then_some(stream));
                            continue;
                        }
                        // The step's work goes on in the background under a share of the permit, and ends by itself.
                        if Arc::strong_count(permit) > 1 {
                            this.state = State::Idle(stream);
                            return Poll::Pending;
                        }
                    }
                    match this.begin(stream, permit) {
                        Ok(step) => this.state = State::Stepping(step),
                        Err(error) => {
                            this.open = None;
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let ready = self.ready.len();
        match &self.state {
            State::Idle(stream) => {
                let (least, most) = stream.size_hint();
                (least.saturating_add(ready), most.and_then(|most| most.checked_add(ready)))
            }
            State::Stepping(_) => (ready, None),
            State::Over => (ready, Some(ready)),
        }
    }
}

/// A step in a task of its own. Dropping it gives it up.
struct Step<T>(JoinHandle<Stepped<T>>);

impl<T> Step<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stepped<T>> {
        Pin::new(&mut self.0).poll(cx).map(|ended| match ended {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => {
                let error = Error::new(ErrorKind::Unavailable, "the program ends").with_source(error);
                (None, [Err(error)].into())
            }
        })
    }
}

impl<T> Drop for Step<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gets the next items of a stream under a permit, for which it waits if it has none yet.
async fn step<T>(mut stream: Items<T>, permits: Permits, permit: Option<Arc<Permit>>, batch: usize) -> Stepped<T> {
    let permit = match permit {
        Some(permit) => permit,
        None => match permits.wait().await {
            Ok(permit) => permit,
            Err(error) => return (None, [Err(error)].into()),
        },
    };
    let mut items = VecDeque::new();
    let polled = std::future::poll_fn(|cx| under(&permit, || fill(&mut stream, &mut items, batch, cx)));
    let goes_on = polled.await;
    (goes_on.then_some(stream), items)
}

/// Waits for an item, and takes with it those that are there already. Returns whether more may come.
fn fill<T>(stream: &mut Items<T>, items: &mut VecDeque<Result<T>>, batch: usize, cx: &mut Context<'_>) -> Poll<bool> {
    while items.len() < batch {
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(item)) => {
                let failed = item.is_err();
                items.push_back(item);
                if failed {
                    return Poll::Ready(false);
                }
            }
            Poll::Ready(None) => return Poll::Ready(false),
            Poll::Pending if items.is_empty() => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready(true)
}

/// A writer that takes a permit for each step.
struct LimitedWriter {
    inner: Box<dyn FileWriter>,
    permits: Permits,
    open: Taken,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for LimitedWriter {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.permits.run(self.inner.write(data)).await
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        let LimitedWriter { inner, permits, open: _open } = *self;
        permits.run(inner.close()).await
    }

    async fn commit(self: Box<Self>) -> Result<u64> {
        let LimitedWriter { inner, permits, open: _open } = *self;
        permits.run(inner.commit()).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let LimitedWriter { inner, permits, open: _open } = *self;
        permits.run(inner.cancel()).await
    }
}

#[cfg(test)]
mod tests;
