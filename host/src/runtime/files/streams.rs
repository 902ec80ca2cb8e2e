//! Reading and writing files for components, in steps of our own size.
//!
//! wasmtime's own `read-via-stream` and `write-via-stream` move 8 KiB at a time, with one blocking task for each, and
//! cannot be unwrapped. These take their place: larger steps, and a stream whose two ends are both the host's is
//! recognised, so that its bytes never enter the guest.

use std::any::{Any, TypeId};
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::channel::oneshot;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{Destination, FutureReader, Resource, StreamProducer, StreamReader, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use super::super::held::{Allowance, Hold, SMALLEST_STEP, held};
use super::super::limits::STREAM_STEP;
use super::super::state::State;
use super::super::streams::{ChunkConsumer, ChunkProducer, PassedThrough, deliver};
use super::super::threads::Threads;
use super::{Outcome, error_code, open_stream};
use crate::base::{cached, file_stream};
use crate::contract::{ByteStream, Error, ErrorKind};

/// What a stream of a file holds while a guest reads it: a step for the guest, one that is read ahead, and one to be used
/// again.
const READING: usize = 3 * STREAM_STEP;

/// The bytes of a file from an offset to its end.
pub(super) fn read_via_stream(
    mut store: StoreContextMut<'_, State>,
    descriptor: &Resource<Descriptor>,
    offset: u64,
) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Outcome>)> {
    let (result, outcome) = oneshot::channel();
    let reader = match store.data().table.get(descriptor)? {
        Descriptor::File(file) => {
            let file = Arc::clone(&file.file);
            let state = store.data();
            let producer = FileProducer {
                file,
                offset,
                reading: None,
                result: Some(result),
                threads: Arc::clone(&state.threads),
                allowance: Arc::clone(&state.allowance),
                _open: open_stream(state)?,
            };
            StreamReader::new(&mut store, producer)?
        }
        Descriptor::Dir(_) => {
            // The receiver is below and cannot be gone.
            let _ = result.send(Err(ErrorCode::IsDirectory));
            StreamReader::new(&mut store, std::iter::empty())?
        }
    };
    Ok((reader, FutureReader::new(&mut store, outcome)?))
}

/// Where a stream is written to.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Offset(u64),
    End,
}

/// Writes a stream to a file.
pub(super) fn write_via_stream(
    mut store: StoreContextMut<'_, State>,
    descriptor: &Resource<Descriptor>,
    mut data: StreamReader<u8>,
    place: Place,
) -> wasmtime::Result<FutureReader<Outcome>> {
    let (result, outcome) = oneshot::channel();
    let file = match store.data().table.get(descriptor)? {
        Descriptor::File(file) if file.perms.write_not_permitted() => Err(ErrorCode::NotPermitted),
        Descriptor::File(file) => Ok(Arc::clone(&file.file)),
        Descriptor::Dir(_) => Err(ErrorCode::IsDirectory),
    };
    match file {
        Ok(file) => {
            let (open, threads) = (open_stream(store.data())?, Arc::clone(&store.data().threads));
            let chunks: BoxStream<'static, Bytes> = match data.try_into::<ChunkProducer>(&mut store) {
                Ok(producer) => PassedThrough::new(producer, Arc::clone(&store.data().counters)).boxed(),
                Err(data) => ChunkConsumer::pipe(data, store.as_context_mut())?.boxed(),
            };
            tokio::spawn(async move {
                // A guest that is gone does not want to know.
                let _ = result.send(write_chunks(file, place, chunks, &threads).await);
                drop(open);
            });
        }
        Err(error) => {
            data.close(&mut store)?;
            let _ = result.send(Err(error));
        }
    }
    FutureReader::new(&mut store, outcome)
}

/// Writes a stream to a file. Holds one chunk.
async fn write_chunks(
    file: Arc<std::fs::File>,
    mut place: Place,
    mut chunks: BoxStream<'static, Bytes>,
    threads: &Threads,
) -> Outcome {
    while let Some(chunk) = chunks.next().await {
        let length = chunk.len() as u64;
        let target = Arc::clone(&file);
        threads
            .spawn(move || match place {
                Place::Offset(offset) => target.write_all_at(&chunk, offset),
                Place::End => append(&target, &chunk),
            })
            .await
            .map_err(|_| ErrorCode::Io)?
            .map_err(error_code)?;
        if let Place::Offset(offset) = &mut place {
            *offset = offset.checked_add(length).ok_or(ErrorCode::Overflow)?;
        }
    }
    Ok(())
}

/// Writes to the end of a file, wherever it is by then.
#[cfg(target_os = "linux")]
fn append(file: &std::fs::File, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::io::{Errno, ReadWriteFlags, pwritev2};
    while !bytes.is_empty() {
        match pwritev2(file, &[io::IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::NOTSUP) => return append_at_size(file, bytes),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn append(file: &std::fs::File, bytes: &[u8]) -> io::Result<()> {
    append_at_size(file, bytes)
}

/// Writes to where the end is now: what somebody else appends meanwhile may be overwritten.
fn append_at_size(file: &std::fs::File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, file.metadata()?.len())
}

/// The bytes of a file from an offset to its end, for a guest, or, unwrapped, for the host itself.
pub(in super::super) struct FileProducer {
    file: Arc<std::fs::File>,
    offset: u64,
    reading: Option<Reading>,
    result: Option<oneshot::Sender<Outcome>>,
    threads: Arc<Threads>,
    allowance: Arc<Allowance>,
    /// Counts it as streamed.
    _open: OwnedSemaphorePermit,
}

/// A file that a guest has begun to read itself.
struct Reading {
    chunks: ByteStream,
    rest: Bytes,
}

impl FileProducer {
    /// Takes the file out, to be read by the host: from where, and the file.
    pub(in super::super) fn into_file(mut self) -> (Arc<std::fs::File>, u64) {
        self.end(Ok(()));
        (Arc::clone(&self.file), self.offset)
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(result) = self.result.take() {
            // A guest that is gone does not want to know.
            let _ = result.send(outcome);
        }
    }
}

impl Drop for FileProducer {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

/// Reads a file to its end, wherever that is when the reading begins. Holds no more than the allowance gives.
fn read_to_end(
    file: Arc<std::fs::File>,
    offset: u64,
    threads: &Arc<Threads>,
    allowance: &Arc<Allowance>,
) -> ByteStream {
    let Some(mut hold) = allowance.take(READING) else { return read_in_small_steps(file, offset, Arc::clone(threads)) };
    if let Some(bytes) = cached::read_to_end(&file, offset) {
        hold.shrink(bytes.len());
        let bytes = (!bytes.is_empty()).then(|| Ok(held(bytes, hold)));
        return stream::iter(bytes).boxed();
    }
    let threads = Arc::clone(threads);
    let begin = async move {
        let handle = threads.handle().clone();
        let begin = move || {
            let size = file.metadata()?.len();
            Ok(file_stream::begin_file(file, offset, size.saturating_sub(offset), Some(handle)))
        };
        let bytes = threads.spawn(begin).await.map_err(io::Error::from).flatten()?;
        Ok::<_, io::Error>(keeping(bytes, (hold, threads)))
    };
    stream::once(begin).map_err(unreadable).try_flatten().boxed()
}

/// Keeps something for as long as a stream.
fn keeping(bytes: ByteStream, kept: (Hold, Arc<Threads>)) -> ByteStream {
    bytes
        .inspect(move |_| {
            let _ = &kept;
        })
        .boxed()
}

/// Reads a file to its end, a little at a time and nothing ahead: for a driver that has many open.
fn read_in_small_steps(file: Arc<std::fs::File>, offset: u64, threads: Arc<Threads>) -> ByteStream {
    stream::try_unfold(offset, move |offset| {
        let (file, threads) = (Arc::clone(&file), Arc::clone(&threads));
        async move {
            let read = move || {
                let mut bytes = vec![0; SMALLEST_STEP];
                let count = loop {
                    match file.read_at(&mut bytes, offset) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        read => break read?,
                    }
                };
                bytes.truncate(count);
                Ok(bytes)
            };
            let bytes = threads.spawn(read).await.map_err(io::Error::from).flatten().map_err(unreadable)?;
            let next = offset.saturating_add(bytes.len() as u64);
            Ok((!bytes.is_empty()).then(|| (Bytes::from(bytes), next)))
        }
    })
    .boxed()
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Other, "the file cannot be read").with_source(error)
}

impl StreamProducer<State> for FileProducer {
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
        let (file, offset, threads, allowance) = (&this.file, this.offset, &this.threads, &this.allowance);
        let reading = this.reading.get_or_insert_with(|| Reading {
            chunks: read_to_end(Arc::clone(file), offset, threads, allowance),
            rest: Bytes::new(),
        });
        while reading.rest.is_empty() {
            match reading.chunks.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => reading.rest = chunk,
                Poll::Ready(None) => {
                    this.end(Ok(()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a component's read failed");
                    this.end(Err(ErrorCode::Io));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(deliver(&mut reading.rest, destination, store)))
    }

    fn try_into(me: Pin<Box<Self>>, to: TypeId) -> std::result::Result<Box<dyn Any>, Pin<Box<Self>>> {
        // Once the guest has read some of it, the rest must come the same way.
        if to == TypeId::of::<Self>() && me.reading.is_none() {
            let me: Box<Self> = Pin::into_inner(me);
            Ok(me)
        } else {
            Err(me)
        }
    }
}
