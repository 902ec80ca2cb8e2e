//! Reading a file of the local filesystem as a stream.
//!
//! Used wherever the host reads a file for a caller: by the filesystem driver, and by the runtime for streams that a
//! component passed through. One step is read ahead while the caller works on the last, so a stream holds two steps.
//! Their memory is used again once the caller has let go of it, so that a long stream costs no page faults.
//!
//! With many streams open, most callers are slow, and what all of them hold adds up: steps become smaller then, and none is
//! read ahead. Reading ahead keeps the permit that it is begun under (see [`permit`](super::permit)) until it is done.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::stream::{self, StreamExt};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::permit::spawn_blocking;
use crate::contract::{ByteStream, Error, ErrorKind, Result};

/// The bytes of one step: little enough to stay in the processor's cache until the caller gets to it, and for many slow
/// callers.
const STEP: usize = 256 * 1024;

/// The bytes of one step for a caller that waits for the disk: handing steps to the blocking threads and back shows then.
const LARGE_STEP: usize = 1024 * 1024;

/// The most that is read when a file is opened: handing it to the blocking threads once more would cost more than to read
/// it.
pub(super) const SMALL: u64 = 64 * 1024;

/// With more streams than this open in the process none takes large steps: they wait for one another, and would hold
/// several MiB each for nothing.
const MANY: usize = 4;

/// What the steps of all open streams together should hold, in bytes: with more streams than that is in steps, a step is as
/// much smaller, and nothing is read ahead.
const TOGETHER: usize = 64 * 1024 * 1024;

/// The least that a step has, in bytes, however many streams are open.
const LEAST: usize = 32 * 1024;

/// How many streams are open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Returns `length` bytes of `file` from `offset` on, in steps of 256 KiB, or of 1 MiB for a caller that waits for them.
///
/// The file's own position is neither used nor moved, so that one file can be read by many. Must be polled within a
/// tokio runtime. What blocks runs on the blocking threads of `threads`, or of the runtime that it is polled in.
/// Dropping the stream abandons the step that is being read.
///
/// # Errors
///
/// The stream ends with [`ErrorKind::Unavailable`] if the file is shorter, never cleanly before `length` bytes.
pub(crate) fn read_file(file: Arc<File>, offset: u64, length: u64, threads: Option<Handle>) -> ByteStream {
    if length == 0 {
        return stream::empty().boxed();
    }
    OPEN.fetch_add(1, Ordering::Relaxed);
    let stream =
        FileStream { file, offset, length, threads, delivered: 0, waited: false, step: None, spare: Arc::default() };
    stream.boxed()
}

/// Does the same where it may block, and reads what is small at once.
pub(crate) fn begin_file(file: Arc<File>, offset: u64, length: u64, threads: Option<Handle>) -> ByteStream {
    let count = match usize::try_from(length) {
        Ok(count) if (1..=SMALL).contains(&length) => count,
        _ => return read_file(file, offset, length, threads),
    };
    let read = match read_step(&file, Vec::with_capacity(count), offset, count) {
        Ok(bytes) if bytes.len() < count => Err(cut(bytes.len() as u64, length)),
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(error) => Err(unreadable(error)),
    };
    stream::iter([read]).boxed()
}

struct FileStream {
    file: Arc<File>,
    offset: u64,
    length: u64,
    /// Whose blocking threads read; none: those of the caller's runtime.
    threads: Option<Handle>,
    /// How many bytes the caller has got.
    delivered: u64,
    /// Whether the caller had to wait for the step that is being read: then the next is a large one. One that is slower
    /// than the disk costs little memory.
    waited: bool,
    /// The step that is being read, and how many bytes it has: the one that begins where the delivered bytes end.
    step: Option<(usize, JoinHandle<io::Result<Vec<u8>>>)>,
    spare: Arc<Spare>,
}

impl FileStream {
    /// Begins to read the step that begins at `done` bytes; none if that is the end.
    fn begin_step(&self, done: u64) -> Option<(usize, JoinHandle<io::Result<Vec<u8>>>)> {
        let size = step_size(OPEN.load(Ordering::Relaxed), self.waited);
        let count = usize::try_from(self.length - done).unwrap_or(size).min(size);
        if count == 0 {
            return None;
        }
        let (file, spare) = (Arc::clone(&self.file), Arc::clone(&self.spare));
        // Cannot overflow where there is something to read: no file reaches so far.
        let offset = self.offset.saturating_add(done);
        let read = move || read_step(&file, spare.take(count), offset, count);
        // Either way under the permit that this is polled under.
        let _entered = self.threads.as_ref().map(Handle::enter);
        Some((count, spawn_blocking(read)))
    }

    /// Ends the stream with an error.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes>>> {
        self.length = self.delivered;
        Poll::Ready(Some(Err(error)))
    }
}

/// Returns how many bytes the next step of one of so many streams has.
fn step_size(open: usize, waited: bool) -> usize {
    if waited && open <= MANY {
        return LARGE_STEP;
    }
    // Whole pages.
    (TOGETHER / open.max(1)).clamp(LEAST, STEP) & !0xfff
}

/// Returns whether steps are read ahead, and their memory kept, while so many streams are open.
fn are_few(open: usize) -> bool {
    open <= TOGETHER / STEP
}

impl Drop for FileStream {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream for FileStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        if this.step.is_none() {
            this.step = this.begin_step(this.delivered);
        }
        let Some((count, step)) = &mut this.step else { return Poll::Ready(None) };
        let Poll::Ready(outcome) = Pin::new(step).poll(cx) else {
            this.waited = true;
            return Poll::Pending;
        };
        let count = *count;
        this.step = None;
        let bytes = match outcome.map_err(io::Error::from).flatten() {
            Ok(bytes) => bytes,
            Err(error) => return this.fail(unreadable(error)),
        };
        if bytes.len() < count {
            let error = cut(this.delivered + bytes.len() as u64, this.length);
            return this.fail(error);
        }
        this.delivered += bytes.len() as u64;
        if are_few(OPEN.load(Ordering::Relaxed)) {
            this.step = this.begin_step(this.delivered);
        }
        this.waited = false;
        let step = Step { bytes, spare: Arc::clone(&this.spare) };
        Poll::Ready(Some(Ok(Bytes::from_owner(step))))
    }
}

/// Reads `count` bytes, or those that there are, into memory that nobody has to clear before.
///
/// # Errors
///
/// The system's. A file that ends early is no error here: fewer bytes are returned.
fn read_step(file: &File, mut bytes: Vec<u8>, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    while bytes.len() < count {
        let at = offset.saturating_add(bytes.len() as u64);
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The memory may have room for more than was asked for.
    bytes.truncate(count);
    Ok(bytes)
}

fn cut(after: u64, length: u64) -> Error {
    let message = format!("the file ended after {after} of {length} bytes: somebody cut it while it was read");
    Error::new(ErrorKind::Unavailable, message)
}

fn unreadable(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::AccessDenied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the file cannot be read on: {error}")).with_source(error)
}

/// The memory of a step that the caller has let go of, to be used again. With one in the caller's hands and one being
/// read there is never use for more.
#[derive(Default)]
struct Spare(Mutex<Option<Vec<u8>>>);

impl Spare {
    /// Returns memory for a step of `count` bytes.
    fn take(&self, count: usize) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        spare.filter(|spare| spare.capacity() >= count).unwrap_or_else(|| Vec::with_capacity(count))
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() >= STEP && are_few(OPEN.load(Ordering::Relaxed)) {
            bytes.clear();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        }
    }
}

/// The memory behind a chunk, which goes back to its stream when the caller has let go of it.
struct Step {
    bytes: Vec<u8>,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Step {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.spare.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write as _;

    use futures::TryStreamExt;

    use super::*;

    fn file(size: usize) -> (Arc<File>, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (Arc::new(file), bytes)
    }

    async fn read(file: &Arc<File>, offset: u64, length: u64) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = read_file(Arc::clone(file), offset, length, None).try_collect().await?;
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= LARGE_STEP));
        let begun: Vec<Bytes> = begin_file(Arc::clone(file), offset, length, None).try_collect().await?;
        assert!(begun.concat() == chunks.concat(), "read at once, it is something else");
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_range_comes_whole_wherever_it_lies() {
        let (file, bytes) = file(3 * STEP + 7);
        for (offset, length) in [(0, bytes.len()), (5, 0), (5, 1), (0, STEP), (1, STEP + 1), (3 * STEP + 6, 1)] {
            let got = read(&file, offset as u64, length as u64).await.unwrap();
            assert!(got == bytes[offset..offset + length], "{length} bytes from {offset}");
        }
        assert_eq!(read(&file, u64::MAX, 0).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_file_that_ends_early_ends_the_stream_with_an_error() {
        let (file, bytes) = file(2 * STEP);
        for (offset, length) in [(0, 2 * STEP + 1), (2 * STEP, 1), (STEP - 1, 2 * STEP)] {
            let (offset_of, length) = (offset as u64, length as u64);
            let begun = begin_file(Arc::clone(&file), offset_of, length, None);
            for mut stream in [read_file(Arc::clone(&file), offset_of, length, None), begun] {
                let mut got = Vec::new();
                let error = loop {
                    match stream.next().await.expect("the stream ended cleanly") {
                        Ok(chunk) => got.extend_from_slice(&chunk),
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.kind(), &ErrorKind::Unavailable);
                assert!(bytes[offset..].starts_with(&got));
                assert!(stream.next().await.is_none());
            }
        }
        assert_eq!(read(&file, u64::MAX, 1).await.unwrap_err().kind(), &ErrorKind::Unavailable);
    }

    #[test]
    fn the_steps_of_many_streams_hold_bounded_memory_together() {
        assert_eq!((step_size(1, true), step_size(1, false), step_size(64, true)), (LARGE_STEP, STEP, STEP));
        for open in [1, 2, 100, 256, 257, 1000, 2048] {
            // The caller's, and one that is read ahead.
            let steps = if are_few(open) { 2 } else { 1 };
            assert!(open * steps * step_size(open, false) <= 2 * TOGETHER, "{open} streams");
        }
        assert_eq!(step_size(100_000, false), LEAST);
    }

    #[tokio::test]
    async fn chunks_that_are_kept_keep_their_bytes() {
        let (file, bytes) = file(8 * STEP);
        let (mut kept, mut at) = (Vec::new(), 0);
        let mut stream = read_file(file, 0, bytes.len() as u64, None);
        // Every other is let go of at once, so that its memory is used again.
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.unwrap();
            let from = at;
            at += chunk.len();
            if (from / STEP).is_multiple_of(2) {
                kept.push((from, chunk));
            }
        }
        assert_eq!(at, bytes.len());
        for (from, chunk) in kept {
            assert!(chunk == bytes[from..from + chunk.len()], "the chunk from {from} on");
        }
    }

    #[tokio::test]
    async fn a_stream_ahead_of_a_slow_caller_holds_two_steps() {
        let (file, bytes) = file(16 * STEP);
        let spare = Arc::<Spare>::default();
        OPEN.fetch_add(1, Ordering::Relaxed);
        let mut stream = FileStream {
            file,
            offset: 0,
            length: bytes.len() as u64,
            threads: None,
            delivered: 0,
            waited: false,
            step: None,
            spare: spare.clone(),
        };
        let chunk = stream.next().await.unwrap().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        // The caller's, and the one that was read ahead: nothing more was begun.
        assert_eq!(stream.delivered, chunk.len() as u64);
        assert!(stream.step.as_ref().is_some_and(|(_, step)| step.is_finished()));
        assert!(spare.0.lock().unwrap().is_none());
    }
}
