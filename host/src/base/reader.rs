//! Holds a driver to the size that it told of a file.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::checks::fault;
use super::measure::Measure;
use super::stamp::OwnedStamp;
use crate::contract::{ByteRange, ByteStream, Error, ErrorKind, FileInfo, Reader, Result, StoragePath};

/// Returns how many bytes a reader owes, by what it told of the file.
pub(super) fn count(path: &StoragePath, range: ByteRange, info: &FileInfo) -> Result<u64> {
    if info.path != *path {
        return Err(fault(format!("it was asked to read {path} and opened {}", info.path)));
    }
    if info.is_dir {
        return Err(Error::path_not_found(path));
    }
    range.count_in(info.size).ok_or_else(|| Error::invalid_offset(path, range.offset))
}

/// Returns the reader with a stream of exactly `count` bytes, or an error.
pub(super) fn hold(reader: Reader, count: u64, stamp: OwnedStamp, mut measure: Measure) -> Reader {
    let (info, stream) = reader.into_parts();
    measure.add_bytes(0);
    Reader::new(info, Held { stream: Some(stream), count, remaining: count, stamp, measure }.boxed())
}

struct Held {
    /// None once it is over: whatever it holds in the driver is free then, even if the reader is kept.
    stream: Option<ByteStream>,
    count: u64,
    remaining: u64,
    stamp: OwnedStamp,
    measure: Measure,
}

impl Held {
    /// Ends well.
    fn complete(&mut self) -> Poll<Option<Result<Bytes>>> {
        self.stream = None;
        self.measure.succeed();
        Poll::Ready(None)
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes>>> {
        self.stream = None;
        let error = self.stamp.on(error);
        self.measure.fail(&error);
        Poll::Ready(Some(Err(error)))
    }

    fn ended_early(&self) -> Error {
        let message = format!(
            "the stream ended after {} of {} bytes; read again from there",
            self.count - self.remaining,
            self.count
        );
        Error::new(ErrorKind::Unavailable, message)
    }
}

impl Stream for Held {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        match this.measure.step(|| stream.as_mut().poll_next(cx)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) if this.remaining == 0 => this.complete(),
            Poll::Ready(None) => {
                let error = this.ended_early();
                this.fail(error)
            }
            // An error after the last byte counts: a driver learns a wrong checksum only then.
            Poll::Ready(Some(Err(error))) => this.fail(error),
            Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {
                // Passed over, but not in a loop here: a driver that sends nothing else would keep the thread.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            // More than was asked for: the file may have grown, or the driver leaves the end of a range to `base`.
            Poll::Ready(Some(Ok(_))) if this.remaining == 0 => this.complete(),
            Poll::Ready(Some(Ok(mut chunk))) => {
                let wanted = usize::try_from(this.remaining).unwrap_or(usize::MAX);
                chunk.truncate(wanted);
                this.remaining -= chunk.len() as u64;
                this.measure.add_bytes(chunk.len() as u64);
                Poll::Ready(Some(Ok(chunk)))
            }
        }
    }
}
