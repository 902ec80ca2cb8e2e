//! An open file.

use std::fmt;
use std::future::Future;

use crate::source::{BoxFuture, Source};
use crate::{ByteRange, ByteStream, Error, FileInfo, Result};

/// An open file: what it is, and its bytes from the beginning of the range that was asked for.
///
/// The SDK sends the bytes to the host while it reads them, no faster; it stops when the host has gone, and reports
/// how it ended.
pub struct Reader {
    pub(crate) info: FileInfo,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Chunks(Box<dyn Source<Vec<u8>>>),
    Stream(ByteStream, BoxFuture<'static, Result<()>>),
}

impl Reader {
    /// A reader of a file whose whole content is in memory: of the `range` of it.
    ///
    /// # Errors
    ///
    /// [`Error::invalid_offset`] if the range begins beyond the end of the content.
    pub fn from_content(info: FileInfo, content: &[u8], range: ByteRange) -> Result<Self> {
        let range = range.within(content.len() as u64)?;
        // The bounds are those of a slice, so they are in reach of a usize.
        Ok(Self::from_bytes(info, content[range.start as usize..range.end as usize].to_vec()))
    }

    /// A reader whose bytes are in memory already: those of the range, not of the whole file.
    pub fn from_bytes(info: FileInfo, bytes: Vec<u8>) -> Self {
        let mut bytes = Some(bytes);
        Self::from_chunks(info, async move || Ok(bytes.take()))
    }

    /// A reader that asks for one chunk after the other, until there is none or an error.
    ///
    /// Chunks of 64 KiB to 256 KiB go fastest: each crosses into the host by itself. An error ends the file for the
    /// caller, with the error; so does an end before the range is complete.
    ///
    /// ```
    /// use wharf_sdk::{FileInfo, Reader};
    ///
    /// let mut chunks = vec![b"one ".to_vec(), b"two".to_vec()].into_iter();
    /// let reader = Reader::from_chunks(FileInfo::file("/a", 7), async move || Ok(chunks.next()));
    /// # let _ = reader;
    /// ```
    pub fn from_chunks<F>(info: FileInfo, chunks: F) -> Self
    where
        F: AsyncFnMut() -> Result<Option<Vec<u8>>> + 'static,
    {
        Reader { info, body: Body::Chunks(Box::new(chunks)) }
    }

    /// A reader that passes on a stream of the host's: the very same stream, so that its bytes never enter the
    /// component. `outcome` resolves after the end of the stream and says whether that was the end of the file.
    ///
    /// The host cuts the stream at the end of the range.
    pub fn from_stream(
        info: FileInfo,
        stream: impl Into<ByteStream>,
        outcome: impl Future<Output = Result<()>> + 'static,
    ) -> Self {
        Reader { info, body: Body::Stream(stream.into(), Box::pin(outcome)) }
    }

    /// Returns what the file is: its `size` is the whole file's.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Reads everything, at most `limit` bytes. A stream that goes on behind the end of the file, as that of a file in which other
    /// things follow it, is read up to there.
    ///
    /// # Errors
    ///
    /// [`Error::too_large`] if there is more, and what reading fails with.
    pub async fn collect(self, limit: u64) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let add = |all: &mut Vec<u8>, chunk: Vec<u8>| {
            if all.len() as u64 + chunk.len() as u64 > limit {
                return Err(Error::too_large(format!("the file is larger than {limit} bytes; read it as a stream")));
            }
            if all.is_empty() {
                *all = chunk
            } else {
                all.extend_from_slice(&chunk)
            }
            Ok(())
        };
        match self.body {
            Body::Chunks(mut chunks) => {
                while let Some(chunk) = chunks.next().await? {
                    add(&mut all, chunk)?;
                }
            }
            Body::Stream(mut stream, outcome) => {
                let mut left = self.info.size;
                while left > 0
                    && let Some(mut chunk) = stream.next().await
                {
                    chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    left -= chunk.len() as u64;
                    add(&mut all, chunk)?;
                }
                drop(stream);
                outcome.await?;
            }
        }
        Ok(all)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("info", &self.info).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;
    use crate::ErrorKind;
    use crate::testing::ready;

    fn in_chunks(chunks: &[&str]) -> Reader {
        let mut chunks = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect::<Vec<_>>().into_iter();
        Reader::from_chunks(FileInfo::file("/a", 0), async move || Ok(chunks.next()))
    }

    #[test]
    fn chunks_are_collected_in_order() {
        assert_eq!(ready(in_chunks(&["ab", "", "c"]).collect(3)), Ok(b"abc".to_vec()));
    }

    #[test]
    fn a_file_beyond_the_limit_is_too_large() {
        let error = ready(in_chunks(&["ab", "c"]).collect(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn bytes_in_memory_are_given_once() {
        assert_eq!(ready(Reader::from_bytes(FileInfo::file("/a", 2), b"ab".to_vec()).collect(2)), Ok(b"ab".to_vec()));
    }

    #[test]
    fn the_range_of_a_content_is_read() {
        let range = ByteRange { offset: 1, length: Some(2) };
        let reader = Reader::from_content(FileInfo::file("/a", 4), b"abcd", range).unwrap();
        assert_eq!(ready(reader.collect(9)), Ok(b"bc".to_vec()));
    }

    #[test]
    fn an_error_in_the_middle_is_the_outcome() {
        let mut step = 0;
        let reader = Reader::from_chunks(FileInfo::file("/a", 2), async move || {
            step += 1;
            if step == 1 { Ok(Some(b"a".to_vec())) } else { Err(Error::unavailable("gone")) }
        });
        assert_eq!(ready(reader.collect(9)), Err(Error::unavailable("gone")));
    }
}
