//! The two directions of a stream between a component and the host, with back-pressure.
//!
//! Into the guest goes a [`ChunkProducer`], fed by a channel of [`Bytes`]; out of the guest come bytes through a
//! [`ChunkConsumer`] and listings through an [`EntryConsumer`], each into a channel of two steps. A full channel makes
//! the guest wait; a receiver that is gone tells the guest that its reader is gone. What the steps hold comes out of the
//! driver's [allowance](super::held): there may be a thousand streams that nobody reads.
//!
//! The end of a stream arrives before the result that says whether it was a good one, and a failed stream looks like an
//! ended one: so the end counts for nothing until the [`ResultConsumer`] beside it has spoken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::{Stream, ready};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, FutureConsumer, Lift, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
};

use super::bindings::exports::wharf::storage::driver as wit;
use super::ceiling::{LimitReached, limit_behind};
use super::convert;
use super::counters::Counters;
use super::held::{Allowance, Hold, copy_step};
use super::limits::STREAM_STEP;
use super::state::State;
use crate::contract;

/// The entries that move in one step, at most.
const ENTRIES_STEP: usize = 1024;

/// The entries that are copied out of a guest at once: their texts may be the same bytes in its memory, so that a guest
/// pays for one and the host for each.
const ENTRIES_AT_ONCE: usize = 16;

/// Brings the host's chunks to a guest, or, unwrapped, to another end of the host.
pub(super) struct ChunkProducer {
    chunks: mpsc::Receiver<Bytes>,
    /// What the guest did not take of the last chunk. Kept here and not in wasmtime's buffer, so that nothing is lost
    /// when a stream is unwrapped after its beginning was read.
    rest: Bytes,
}

impl ChunkProducer {
    pub(super) fn new(chunks: mpsc::Receiver<Bytes>) -> Self {
        ChunkProducer { chunks, rest: Bytes::new() }
    }

    /// Returns the next chunk for an end of the host's own; none at the end.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.rest)));
        }
        Pin::new(&mut self.chunks).poll_next(cx)
    }
}

impl StreamProducer<State> for ChunkProducer {
    type Item = u8;
    type Buffer = Option<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, State>,
        destination: Destination<'a, u8, Option<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match this.poll_chunk(cx) {
                Poll::Ready(Some(chunk)) => this.rest = chunk,
                Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(deliver(&mut this.rest, destination, store)))
    }

    fn try_into(me: Pin<Box<Self>>, to: std::any::TypeId) -> Result<Box<dyn std::any::Any>, Pin<Box<Self>>> {
        if to == std::any::TypeId::of::<Self>() {
            let me: Box<Self> = Pin::into_inner(me);
            Ok(me)
        } else {
            Err(me)
        }
    }
}

/// Gives a guest what it has room for of `rest`: the one copy that bytes which it reads itself cost.
pub(super) fn deliver<'a>(
    rest: &mut Bytes,
    destination: Destination<'a, u8, Option<u8>>,
    mut store: StoreContextMut<'a, State>,
) -> StreamResult {
    let state = store.data_mut();
    let (counters, stretch) = (Arc::clone(&state.counters), state.stretch.clone());
    let mut destination = destination.as_direct(store, STREAM_STEP.min(rest.len()));
    let room = destination.remaining();
    let count = room.len().min(rest.len());
    room[..count].copy_from_slice(&rest.split_to(count));
    destination.mark_written(count);
    counters.count_to_guest(count);
    if count > 0 {
        stretch.progress();
    }
    StreamResult::Completed
}

/// Takes a guest's bytes to the host: the one copy that a stream made in the guest costs.
pub(super) struct ChunkConsumer {
    chunks: mpsc::Sender<Bytes>,
    counters: Arc<Counters>,
    allowance: Arc<Allowance>,
}

impl ChunkConsumer {
    /// Pipes `stream` into a channel and returns its other end.
    pub(super) fn pipe(
        stream: StreamReader<u8>,
        store: StoreContextMut<'_, State>,
    ) -> wasmtime::Result<mpsc::Receiver<Bytes>> {
        let (chunks, receiver) = mpsc::channel(1);
        let (counters, allowance) = (Arc::clone(&store.data().counters), Arc::clone(&store.data().allowance));
        stream.pipe(store, ChunkConsumer { chunks, counters, allowance })?;
        Ok(receiver)
    }
}

impl StreamConsumer<State> for ChunkConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.chunks.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let stretch = store.data().stretch.clone();
        let mut source = source.as_direct(store);
        let available = source.remaining();
        let chunk = copy_step(&self.allowance, available, STREAM_STEP);
        if chunk.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        stretch.progress();
        source.mark_read(chunk.len());
        self.counters.count_from_guest(chunk.len());
        match self.chunks.start_send(chunk) {
            Ok(()) => Poll::Ready(Ok(StreamResult::Completed)),
            Err(_) => Poll::Ready(Ok(StreamResult::Dropped)),
        }
    }
}

/// Entries that a guest handed over in one step.
pub(super) struct Batch {
    pub(super) entries: Vec<wit::Entry>,
    /// What they take of the allowance; none: it was used up, and there is one entry.
    pub(super) hold: Option<Hold>,
}

/// Takes a guest's entries to the host, in batches.
pub(super) struct EntryConsumer {
    batches: mpsc::Sender<Batch>,
    /// How long one text may be, in bytes.
    text: usize,
}

impl EntryConsumer {
    /// Pipes `stream` into a channel and returns its other end.
    pub(super) fn pipe(
        stream: StreamReader<wit::Entry>,
        store: StoreContextMut<'_, State>,
        text: usize,
    ) -> wasmtime::Result<mpsc::Receiver<Batch>> {
        let (batches, receiver) = mpsc::channel(1);
        stream.pipe(store, EntryConsumer { batches, text })?;
        Ok(receiver)
    }
}

impl StreamConsumer<State> for EntryConsumer {
    type Item = wit::Entry;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, wit::Entry>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.batches.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let batch = read_batch(&mut store, &mut source, self.text)?;
        if batch.entries.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        store.data().stretch.progress();
        match self.batches.start_send(batch) {
            Ok(()) => Poll::Ready(Ok(StreamResult::Completed)),
            Err(_) => Poll::Ready(Ok(StreamResult::Dropped)),
        }
    }
}

/// Copies entries out of a guest: a step of bytes and some entries more, or one entry if the allowance is used up.
fn read_batch(
    store: &mut StoreContextMut<'_, State>,
    source: &mut Source<'_, wit::Entry>,
    text: usize,
) -> wasmtime::Result<Batch> {
    let entry = size_of::<wit::Entry>();
    let at_once = ENTRIES_AT_ONCE.saturating_mul(entry.saturating_add(text));
    let mut hold = store.data().allowance.take(STREAM_STEP.saturating_add(at_once));
    let most = if hold.is_some() { ENTRIES_STEP } else { 1 };
    let (mut entries, mut bytes) = (Vec::new(), 0);
    loop {
        let count = source.remaining(&mut *store).min(most - entries.len()).min(ENTRIES_AT_ONCE);
        if count == 0 || bytes >= STREAM_STEP {
            break;
        }
        let mut some = Vec::with_capacity(count);
        read_within(store, source, &mut some, count.saturating_mul(entry.saturating_add(text)))?;
        bytes += some.iter().map(|read: &wit::Entry| entry + read.path.len()).sum::<usize>();
        entries.append(&mut some);
    }
    if let Some(hold) = &mut hold {
        hold.shrink(bytes);
    }
    Ok(Batch { entries, hold })
}

/// Copies items out of a guest that may take so many bytes of the host's together.
fn read_within<T: Lift + 'static>(
    store: &mut StoreContextMut<'_, State>,
    source: &mut Source<'_, T>,
    items: &mut Vec<T>,
    bytes: usize,
) -> wasmtime::Result<()> {
    let transfer = store.hostcall_fuel();
    store.set_hostcall_fuel(bytes.min(transfer));
    let read = source.read(&mut *store, items);
    store.set_hostcall_fuel(transfer);
    read.map_err(|error| match limit_behind(&error) {
        Some("transfer") if bytes < transfer => LimitReached("text").into(),
        _ => error,
    })
}

/// Takes the result that follows a stream. Of an error, only as much is kept as anybody is shown: a guest may say much,
/// and nobody may ask for it.
pub(super) struct ResultConsumer {
    result: Option<oneshot::Sender<contract::Result<()>>>,
}

impl ResultConsumer {
    /// Returns a consumer, and where its result will be. An end without a result means that the store died.
    pub(super) fn new() -> (Self, oneshot::Receiver<contract::Result<()>>) {
        let (sender, receiver) = oneshot::channel();
        (ResultConsumer { result: Some(sender) }, receiver)
    }
}

impl FutureConsumer<State> for ResultConsumer {
    type Item = std::result::Result<(), wit::Error>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut item = None;
        source.read(&mut store, &mut item)?;
        if let (Some(item), Some(result)) = (item, self.result.take()) {
            // A receiver that is gone did not want to know.
            let _ = result.send(item.map_err(|error| convert::error(error, 0)));
        }
        Poll::Ready(Ok(()))
    }
}

/// A stream of chunks out of a [`ChunkProducer`] that came back unread: the bytes never enter the guest.
pub(super) struct PassedThrough {
    producer: ChunkProducer,
    counters: Arc<Counters>,
}

impl PassedThrough {
    pub(super) fn new(producer: ChunkProducer, counters: Arc<Counters>) -> Self {
        PassedThrough { producer, counters }
    }
}

impl Stream for PassedThrough {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let chunk = ready!(self.producer.poll_chunk(cx));
        if let Some(chunk) = &chunk {
            self.counters.count_passed_through(chunk.len());
        }
        Poll::Ready(chunk)
    }
}
