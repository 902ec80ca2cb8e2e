//! What a component returns to be read: the bytes of a file, and listings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use wasmtime::AsContextMut;
use wasmtime::component::{Access, FutureReader, StreamReader};

use super::bindings::exports::wharf::storage::driver as wit;
use super::counters::Counters;
use super::death::Effect;
use super::files::FileProducer;
use super::http::BodyProducer;
use super::state::State;
use super::streams::{Batch, ChunkConsumer, EntryConsumer, ResultConsumer};
use super::threads::Threads;
use super::worker::Busy;
use super::{Limits, convert};
use crate::base::{cached, file_stream};
use crate::contract::{ByteStream, EntryStream, Error, ErrorKind, Result};

type Outcome = std::result::Result<(), wit::Error>;

/// The bytes of a file, as the guest handed them over.
pub(super) enum Body {
    /// A file's stream, which came from the host.
    File(PassedFile),
    /// A response's stream, which came from the host.
    Http(PassedBody),
    /// Bytes that the guest makes.
    Guest(Items<Bytes>),
}

/// A file whose bytes pass the guest by.
pub(super) struct PassedFile {
    file: Arc<std::fs::File>,
    /// Where the bytes begin.
    offset: u64,
    end: End,
}

/// A response whose bytes pass the guest by.
pub(super) struct PassedBody {
    producer: BodyProducer,
    end: End,
}

/// What a guest sends, and how it ends.
pub(super) struct Items<T> {
    items: mpsc::Receiver<T>,
    end: End,
}

/// What a guest says of a stream after its end.
struct End {
    outcome: oneshot::Receiver<Result<()>>,
    /// Keeps the instance until it has spoken.
    worker: Busy,
}

/// Takes over a file's stream and the result that follows it.
pub(super) fn take_body(
    access: &mut Access<'_, State>,
    stream: StreamReader<u8>,
    result: FutureReader<Outcome>,
    worker: Busy,
) -> wasmtime::Result<Body> {
    let (consumer, outcome) = ResultConsumer::new();
    result.pipe(access.as_context_mut(), consumer)?;
    let end = End { outcome, worker };
    Ok(match stream.try_into::<FileProducer>(access.as_context_mut()) {
        Ok(producer) => {
            let (file, offset) = producer.into_file();
            Body::File(PassedFile { file, offset, end })
        }
        Err(stream) => match stream.try_into::<BodyProducer>(access.as_context_mut()) {
            Ok(producer) => Body::Http(PassedBody { producer, end }),
            Err(stream) => {
                let items = ChunkConsumer::pipe(stream, access.as_context_mut())?;
                Body::Guest(Items { items, end })
            }
        },
    })
}

/// Takes over a listing and the result that follows it.
pub(super) fn take_listing(
    access: &mut Access<'_, State>,
    stream: StreamReader<wit::Entry>,
    result: FutureReader<Outcome>,
    worker: Busy,
    limits: &Limits,
) -> wasmtime::Result<Items<Batch>> {
    let (consumer, outcome) = ResultConsumer::new();
    result.pipe(access.as_context_mut(), consumer)?;
    let items = EntryConsumer::pipe(stream, access.as_context_mut(), Limits::bytes(limits.text))?;
    Ok(Items { items, end: End { outcome, worker } })
}

impl Body {
    /// Returns the bytes as a stream of at most `length`. `base` sees to it that they are not fewer.
    pub(super) fn into_stream(
        self,
        length: u64,
        idle: Duration,
        counters: Arc<Counters>,
        threads: &Arc<Threads>,
    ) -> ByteStream {
        match self {
            Body::File(PassedFile { file, offset, end }) => {
                let bytes = match cached::read(&file, offset, length) {
                    Some(bytes) if bytes.is_empty() => stream::empty().boxed(),
                    Some(bytes) => stream::iter([Ok(Bytes::from(bytes))]).boxed(),
                    None => file_stream::read_file(file, offset, length, Some(threads.handle().clone())),
                };
                // The driver may be closed before its file is read.
                let threads = Arc::clone(threads);
                let bytes = bytes.inspect(move |chunk| {
                    let _ = &threads;
                    if let Ok(chunk) = chunk {
                        counters.count_passed_through(chunk.len());
                    }
                });
                bytes.chain(end.failure(idle)).boxed()
            }
            Body::Http(PassedBody { producer, end }) => {
                let body = Box::pin(producer.into_stream());
                stream::try_unfold((body, length), move |(mut body, left)| {
                    let counters = Arc::clone(&counters);
                    async move {
                        // What a server sends beyond the range is not waited for.
                        if left == 0 {
                            return Ok(None);
                        }
                        let frame = tokio::time::timeout(idle, body.next()).await.map_err(|_| slow_server(idle))?;
                        let Some(frame) = frame else { return Ok(None) };
                        let mut chunk = frame.map_err(|error| cut_short(&error))?;
                        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                        counters.count_passed_through(chunk.len());
                        let left = left - chunk.len() as u64;
                        Ok(Some((chunk, (body, left))))
                    }
                })
                .chain(end.failure(idle))
                .boxed()
            }
            Body::Guest(items) => items.into_stream(idle).boxed(),
        }
    }
}

/// The server behind a component sends nothing. Nobody's instance is to blame.
fn slow_server(idle: Duration) -> Error {
    let message = format!("the component's server sent nothing for {idle:?} (`limits: {{ stream_idle: .. }}`)");
    Error::new(ErrorKind::LimitExceeded { limit: "stream_idle" }, message)
}

fn cut_short(error: &wasmtime_wasi_http::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the response of the component's server was cut short: {error}"))
}

impl Items<Batch> {
    /// Returns the entries as a listing.
    pub(super) fn into_entries(self, limits: Limits) -> EntryStream {
        self.into_stream(limits.stream_idle)
            .flat_map(move |batch| {
                let (entries, hold): (Vec<Result<_>>, _) = match batch {
                    Ok(Batch { entries, hold }) => {
                        (entries.into_iter().map(|entry| convert::entry(entry, &limits)).collect(), hold)
                    }
                    Err(error) => (vec![Err(error)], None),
                };
                // Held until the last of them is taken.
                stream::iter(entries).inspect(move |_| {
                    let _ = &hold;
                })
            })
            .boxed()
    }
}

impl<T: Send + 'static> Items<T> {
    /// Returns what the guest sends. The end of it counts only once the guest has said that it was a good one.
    fn into_stream(self, idle: Duration) -> BoxStream<'static, Result<T>> {
        stream::unfold(Some(self), move |items| async move {
            let Items { mut items, end } = items?;
            match tokio::time::timeout(idle, items.next()).await {
                Ok(Some(item)) => Some((Ok(item), Some(Items { items, end }))),
                Ok(None) => Some((Err(end.within(idle).await.err()?), None)),
                Err(_) => Some((Err(end.idle(idle)), None)),
            }
        })
        .boxed()
    }
}

impl End {
    /// What follows bytes that passed the guest by: nothing, or the error that it tells. It let them go at once, and has
    /// mostly spoken long before they are through.
    fn failure(self, idle: Duration) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::once(async move { self.within(idle).await.err() }).filter_map(async |error| error.map(Err))
    }

    /// Waits for what the guest says.
    async fn within(mut self, idle: Duration) -> Result<()> {
        match tokio::time::timeout(idle, &mut self.outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(self.worker.died(Effect::Read).await),
            Err(_) => Err(self.idle(idle)),
        }
    }

    /// Ends the instance, since a guest that is stuck in a stream stays so until its instance goes.
    fn idle(&self, idle: Duration) -> Error {
        self.worker.kill(format!("a stream of it brought nothing for {idle:?}"));
        let message = format!("the component sent nothing for {idle:?} (`limits: {{ stream_idle: .. }}`)");
        Error::new(ErrorKind::LimitExceeded { limit: "stream_idle" }, message)
    }
}
