//! What a component returns to be read: the bytes of a file, and listings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::stream::{self, BoxStream, StreamExt};
use wasmtime::AsContextMut;
use wasmtime::component::{Access, FutureReader, Lift, StreamReader};

use super::bindings::exports::wharf::storage::driver as wit;
use super::convert;
use super::counters::Counters;
use super::files::FileProducer;
use super::state::State;
use super::streams::{ChunkConsumer, ItemConsumer, ResultConsumer};
use super::worker::{Busy, Effect};
use crate::base::file_stream;
use crate::contract::{ByteStream, EntryStream, Error, ErrorKind, Result};

type Outcome = std::result::Result<(), wit::Error>;

/// The bytes of a file, as the guest handed them over.
pub(super) enum Body {
    /// A stream that came from the host: its file, and where the bytes begin.
    File(Arc<std::fs::File>, u64),
    /// Bytes that the guest makes.
    Guest(Items<Bytes>),
}

/// What a guest sends, and how it ends.
pub(super) struct Items<T> {
    items: mpsc::Receiver<T>,
    outcome: oneshot::Receiver<Outcome>,
    /// Keeps the instance while it sends.
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
    Ok(match stream.try_into::<FileProducer>(access.as_context_mut()) {
        Ok(producer) => {
            let (file, offset) = producer.into_file();
            Body::File(file, offset)
        }
        Err(stream) => {
            let items = ChunkConsumer::pipe(stream, access.as_context_mut())?;
            Body::Guest(Items { items, outcome, worker })
        }
    })
}

/// Takes over a listing and the result that follows it.
pub(super) fn take_listing<T: Lift + Send + 'static>(
    access: &mut Access<'_, State>,
    stream: StreamReader<T>,
    result: FutureReader<Outcome>,
    worker: Busy,
) -> wasmtime::Result<Items<Vec<T>>> {
    let (consumer, outcome) = ResultConsumer::new();
    result.pipe(access.as_context_mut(), consumer)?;
    let items = ItemConsumer::pipe(stream, access.as_context_mut())?;
    Ok(Items { items, outcome, worker })
}

impl Body {
    /// Returns the bytes as a stream of at most `length`. `base` sees to it that they are not fewer.
    pub(super) fn into_stream(self, length: u64, idle: Duration, counters: Arc<Counters>) -> ByteStream {
        match self {
            Body::File(file, offset) => file_stream::read_file(file, offset, length)
                .inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        counters.count_passed_through(chunk.len());
                    }
                })
                .boxed(),
            Body::Guest(items) => items.into_stream(idle).boxed(),
        }
    }
}

impl Items<Vec<wit::Entry>> {
    /// Returns the entries as a listing.
    pub(super) fn into_entries(self, idle: Duration) -> EntryStream {
        self.into_stream(idle)
            .flat_map(|batch| {
                let entries: Vec<Result<_>> = match batch {
                    Ok(batch) => batch.into_iter().map(convert::entry).collect(),
                    Err(error) => vec![Err(error)],
                };
                stream::iter(entries)
            })
            .boxed()
    }
}

impl<T: Send + 'static> Items<T> {
    /// Returns what the guest sends. The end of it counts only once the guest has said that it was a good one.
    fn into_stream(self, idle: Duration) -> BoxStream<'static, Result<T>> {
        stream::unfold(Some(self), move |items| async move {
            let mut items = items?;
            match tokio::time::timeout(idle, items.next()).await {
                Ok(Ok(Some(item))) => Some((Ok(item), Some(items))),
                Ok(Ok(None)) => None,
                Ok(Err(error)) => Some((Err(error), None)),
                Err(_) => {
                    // A guest that is stuck in a stream stays so until its instance goes.
                    items.worker.kill(format!("a stream of it brought nothing for {idle:?}"));
                    let message = format!("the component sent nothing for {idle:?} (`limits: {{ stream_idle: .. }}`)");
                    Some((Err(Error::new(ErrorKind::LimitExceeded { limit: "stream_idle" }, message)), None))
                }
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<T>> {
        if let Some(item) = self.items.next().await {
            return Ok(Some(item));
        }
        match (&mut self.outcome).await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(convert::error(error, 0)),
            Err(_) => Err(self.worker.died(Effect::Read).await),
        }
    }
}
