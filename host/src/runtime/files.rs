//! Reading and writing files for components, in steps of our own size.
//!
//! wasmtime's own `read-via-stream` and `write-via-stream` move 8 KiB at a time, with one blocking task for each, and
//! cannot be unwrapped. These take their place: larger steps, and a stream whose two ends are both the host's is
//! recognised, so that its bytes never enter the guest.

use std::any::{Any, TypeId};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::channel::oneshot;
use futures::stream::{self, BoxStream, StreamExt};
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use wasmtime::component::{
    Accessor, Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, File, OpenMode, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptorWithStore, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::FilesystemError;

use super::ceiling::LimitReached;
use super::state::State;
use super::streams::{ChunkConsumer, ChunkProducer, PassedThrough, deliver};
use crate::base::{cached, file_stream};
use crate::contract::ByteStream;

/// The interface whose functions are replaced.
const TYPES: &str = "wasi:filesystem/types@0.3.0";

type Outcome = std::result::Result<(), ErrorCode>;

/// Replaces the functions in a linker that has wasmtime's own.
pub(super) fn shadow(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    #[cfg(target_os = "linux")]
    {
        types.func_wrap_concurrent("[method]descriptor.open-at", open_at)?;
        types.func_wrap_concurrent("[method]descriptor.stat", stat)?;
    }
    types.func_wrap("[method]descriptor.read-via-stream", read_via_stream)?;
    types.func_wrap("[method]descriptor.write-via-stream", write_via_stream)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What a function that may wait returns.
#[cfg(target_os = "linux")]
type Waits<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<(Result<T, ErrorCode>,)>> + Send + 'a>>;

/// Opens a file to be read, where that can be done without waiting. Everything else goes wasmtime's own way, and so does what
/// fails, so that it says why.
#[cfg(target_os = "linux")]
fn open_at(
    accessor: &Accessor<State>,
    (descriptor, path_flags, path, open_flags, flags): (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    ),
) -> Waits<'_, Resource<Descriptor>> {
    Box::pin(async move {
        if open_flags == OpenFlags::empty() && flags == DescriptorFlags::READ {
            let opened = accessor.with(|mut access| -> wasmtime::Result<Option<Resource<Descriptor>>> {
                let table = &mut access.get().table;
                let Descriptor::Dir(directory) = table.get(&descriptor)? else { return Ok(None) };
                let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
                let Some(file) = cached::open(&directory.dir, &path, follow) else { return Ok(None) };
                let file = File::new(file, directory.perms, OpenMode::READ, false);
                Ok(Some(table.push(Descriptor::File(file))?))
            })?;
            if let Some(opened) = opened {
                return Ok((Ok(opened),));
            }
        }
        let accessor = accessor.with_getter::<WasiFilesystem>(State::filesystem);
        let opened = WasiFilesystem::open_at(&accessor, descriptor, path_flags, path, open_flags, flags).await;
        Ok((match opened {
            Ok(opened) => Ok(opened),
            Err(error) => Err(error.downcast()?),
        },))
    })
}

/// Tells what an open file is, where it can be told without waiting. wasmtime's own asks a blocking thread each time.
#[cfg(target_os = "linux")]
fn stat(accessor: &Accessor<State>, (descriptor,): (Resource<Descriptor>,)) -> Waits<'_, DescriptorStat> {
    Box::pin(async move {
        let file = accessor.with(|mut access| -> wasmtime::Result<Arc<std::fs::File>> {
            Ok(match access.get().table.get(&descriptor)? {
                Descriptor::File(file) => Arc::clone(&file.file),
                Descriptor::Dir(directory) => Arc::clone(&directory.dir),
            })
        })?;
        let found = match cached::stat(&file) {
            Some(found) => Ok(found),
            None => spawn_blocking(move || rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS))
                .await
                .map_err(std::io::Error::from)
                .and_then(|found| Ok(found?)),
        };
        Ok((found.map(|found| description(&found)).map_err(error_code),))
    })
}

/// Says in the words of WASI what the system says.
#[cfg(target_os = "linux")]
fn description(found: &Statx) -> DescriptorStat {
    let time = |at: StatxTimestamp| Some(Instant { seconds: at.tv_sec, nanoseconds: at.tv_nsec });
    DescriptorStat {
        type_: match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => DescriptorType::RegularFile,
            FileType::Directory => DescriptorType::Directory,
            FileType::Symlink => DescriptorType::SymbolicLink,
            FileType::BlockDevice => DescriptorType::BlockDevice,
            FileType::CharacterDevice => DescriptorType::CharacterDevice,
            FileType::Fifo => DescriptorType::Fifo,
            FileType::Socket => DescriptorType::Socket,
            FileType::Unknown => DescriptorType::Other(None),
        },
        link_count: found.stx_nlink.into(),
        size: found.stx_size,
        data_access_timestamp: time(found.stx_atime),
        data_modification_timestamp: time(found.stx_mtime),
        status_change_timestamp: time(found.stx_ctime),
    }
}

fn read_via_stream(
    mut store: StoreContextMut<'_, State>,
    (descriptor, offset): (Resource<Descriptor>, u64),
) -> wasmtime::Result<((StreamReader<u8>, FutureReader<Outcome>),)> {
    let (result, outcome) = oneshot::channel();
    let reader = match store.data().table.get(&descriptor)? {
        Descriptor::File(file) => {
            let room = Arc::clone(&store.data().streamed_files);
            let open = room.try_acquire_owned().map_err(|_| LimitReached("files"))?;
            let file = Arc::clone(&file.file);
            let producer = FileProducer { file, offset, reading: None, result: Some(result), _open: open };
            StreamReader::new(&mut store, producer)?
        }
        Descriptor::Dir(_) => {
            // The receiver is below and cannot be gone.
            let _ = result.send(Err(ErrorCode::IsDirectory));
            StreamReader::new(&mut store, std::iter::empty())?
        }
    };
    Ok(((reader, FutureReader::new(&mut store, outcome)?),))
}

fn write_via_stream(
    mut store: StoreContextMut<'_, State>,
    (descriptor, mut data, offset): (Resource<Descriptor>, StreamReader<u8>, u64),
) -> wasmtime::Result<(FutureReader<Outcome>,)> {
    let (result, outcome) = oneshot::channel();
    let file = match store.data().table.get(&descriptor)? {
        Descriptor::File(file) if file.perms.write_not_permitted() => Err(ErrorCode::NotPermitted),
        Descriptor::File(file) => Ok(Arc::clone(&file.file)),
        Descriptor::Dir(_) => Err(ErrorCode::IsDirectory),
    };
    match file {
        Ok(file) => {
            let chunks: BoxStream<'static, Bytes> = match data.try_into::<ChunkProducer>(&mut store) {
                Ok(producer) => PassedThrough::new(producer, Arc::clone(&store.data().counters)).boxed(),
                Err(data) => ChunkConsumer::pipe(data, store.as_context_mut())?.boxed(),
            };
            tokio::spawn(async move {
                // A guest that is gone does not want to know.
                let _ = result.send(write_chunks(file, offset, chunks).await);
            });
        }
        Err(error) => {
            data.close(&mut store)?;
            let _ = result.send(Err(error));
        }
    }
    Ok((FutureReader::new(&mut store, outcome)?,))
}

/// Writes a stream to a file. Holds one chunk.
async fn write_chunks(file: Arc<std::fs::File>, mut offset: u64, mut chunks: BoxStream<'static, Bytes>) -> Outcome {
    while let Some(chunk) = chunks.next().await {
        let length = chunk.len() as u64;
        let target = Arc::clone(&file);
        spawn_blocking(move || target.write_all_at(&chunk, offset))
            .await
            .map_err(|_| ErrorCode::Io)?
            .map_err(error_code)?;
        offset += length;
    }
    Ok(())
}

fn error_code(error: std::io::Error) -> ErrorCode {
    FilesystemError::from(error).downcast().unwrap_or(ErrorCode::Io)
}

/// The bytes of a file from an offset to its end, for a guest, or, unwrapped, for the host itself.
pub(super) struct FileProducer {
    file: Arc<std::fs::File>,
    offset: u64,
    reading: Option<Reading>,
    result: Option<oneshot::Sender<Outcome>>,
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
    pub(super) fn into_file(mut self) -> (Arc<std::fs::File>, u64) {
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

/// Reads a file to its end, wherever that is when the reading begins.
fn read_to_end(file: Arc<std::fs::File>, offset: u64) -> ByteStream {
    if let Some(bytes) = cached::read_to_end(&file, offset) {
        let bytes = (!bytes.is_empty()).then(|| Ok(Bytes::from(bytes)));
        return stream::iter(bytes).boxed();
    }
    let begin = async move {
        let begin = move || {
            let size = file.metadata()?.len();
            Ok(file_stream::begin_file(file, offset, size.saturating_sub(offset)))
        };
        spawn_blocking(begin).await.map_err(std::io::Error::from).flatten()
    };
    stream::once(begin)
        .map_err(|error| {
            crate::contract::Error::new(crate::contract::ErrorKind::Other, "the file cannot be read").with_source(error)
        })
        .try_flatten()
        .boxed()
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
        let (file, offset) = (&this.file, this.offset);
        let reading = this
            .reading
            .get_or_insert_with(|| Reading { chunks: read_to_end(Arc::clone(file), offset), rest: Bytes::new() });
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
