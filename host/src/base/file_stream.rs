//! A file's bytes as a stream: for the native filesystem driver, and for components that let a file's bytes pass them by.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::contract::{ByteStream, Error, ErrorKind, Result};

/// How many bytes are read in one step, at most.
const STEP: usize = 256 * 1024;

/// Reads `length` bytes of a file from `offset` on. A file that ends before is an error, never a clean end.
///
/// The next step is read while the caller works on the last one, so at most two steps are in memory. Reads by position:
/// several streams may share a file.
pub(crate) fn read_file(file: Arc<File>, offset: u64, length: u64) -> ByteStream {
    let begin = Reading { file, offset, remaining: length, ahead: None };
    stream::try_unfold(begin, |mut reading| async move {
        if reading.remaining == 0 {
            return Ok(None);
        }
        let chunk = reading.next().await?;
        Ok(Some((chunk, reading)))
    })
    .boxed()
}

struct Reading {
    file: Arc<File>,
    /// Where the next byte for the caller is.
    offset: u64,
    /// How many bytes the caller is still owed.
    remaining: u64,
    /// The step that is being read.
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    async fn next(&mut self) -> Result<Bytes> {
        let step = match self.ahead.take() {
            Some(step) => step,
            None => read_step(&self.file, self.offset, self.remaining),
        };
        let chunk = step.await.map_err(io::Error::from).flatten().map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("the file cannot be read from byte {} on", self.offset))
                .with_source(error)
        })?;
        if chunk.is_empty() {
            let message = format!(
                "the file ended at byte {}, {} bytes early: somebody shortened it meanwhile",
                self.offset, self.remaining
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.offset += chunk.len() as u64;
        self.remaining -= chunk.len() as u64;
        if self.remaining > 0 {
            self.ahead = Some(read_step(&self.file, self.offset, self.remaining));
        }
        Ok(chunk)
    }
}

/// Begins to read at most one step.
fn read_step(file: &Arc<File>, offset: u64, remaining: u64) -> JoinHandle<io::Result<Bytes>> {
    let count = usize::try_from(remaining).map_or(STEP, |remaining| remaining.min(STEP));
    let file = Arc::clone(file);
    spawn_blocking(move || {
        // Into memory that nobody cleared before: clearing it costs as much as reading from the page cache does.
        let mut chunk = Vec::with_capacity(count);
        while chunk.len() < count {
            let at = offset + chunk.len() as u64;
            match rustix::io::pread(&*file, rustix::buffer::spare_capacity(&mut chunk), at) {
                Ok(0) => break,
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The allocator may have given more than was asked for, and so the read more than is owed.
        chunk.truncate(count);
        Ok(Bytes::from(chunk))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write;

    use futures::TryStreamExt;

    use super::*;

    fn file(size: usize) -> (Arc<File>, Vec<u8>) {
        let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        (Arc::new(file), content)
    }

    async fn read(file: Arc<File>, offset: u64, length: u64) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = read_file(file, offset, length).try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn any_range_of_a_file_comes_whole() {
        let (file, content) = file(3 * STEP + 17);
        for (offset, length) in [(0, content.len()), (1, STEP), (STEP - 1, STEP + 2), (content.len() - 1, 1), (5, 0)] {
            let got = read(Arc::clone(&file), offset as u64, length as u64).await.unwrap();
            assert!(got == content[offset..offset + length], "{length} bytes from {offset}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_was_asked_for_ends_with_an_error() {
        let (file, _) = file(1000);
        let error = read(file, 900, 200).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable);
        assert!(error.message().contains("at byte 1000, 100 bytes early"), "{error}");
    }

    #[tokio::test]
    async fn two_streams_of_one_file_do_not_disturb_each_other() {
        let (file, content) = file(4 * STEP);
        let streams = futures::stream::iter([0, 1, 2, 3].map(|index| {
            let file = Arc::clone(&file);
            async move { (index, read(file, index * 1000, STEP as u64).await.unwrap()) }
        }));
        let all: Vec<_> = streams.buffer_unordered(4).collect().await;
        for (index, got) in all {
            let from = index as usize * 1000;
            assert!(got == content[from..from + STEP], "stream {index}");
        }
    }
}
