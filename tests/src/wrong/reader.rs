//! Readers with a fault.

use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{
    ByteRange, ByteStream, Error, ErrorKind, FileInfo, Reader, Result, StorageDriverExt, StoragePath,
};

use super::{Fault, Wrong};

/// How much a reader that looks again takes at a time.
const STEP: u64 = 256 << 10;

/// A size of writes.
const WRITE: u64 = 3 << 20;

/// The block at whose end a range ends.
const BLOCK: u64 = 4 << 20;

impl Wrong {
    /// Reads what is at the path at each step, whatever file that is.
    fn in_steps(&self, path: &StoragePath, range: ByteRange) -> ByteStream {
        let end = range.length.map_or(u64::MAX, |length| range.offset.saturating_add(length));
        let (inner, path) = (self.inner.clone(), path.clone());
        let steps = stream::try_unfold(range.offset, move |at| {
            let (inner, path) = (inner.clone(), path.clone());
            async move {
                let step = inner.read_range(&path, ByteRange::new(at, STEP.min(end - at))).await?;
                let next = at + step.len() as u64;
                Ok((!step.is_empty()).then_some((step, next)))
            }
        });
        steps.boxed()
    }

    /// Reads a stream to its end, and returns it in steps.
    async fn in_memory(&self, bytes: ByteStream) -> Result<Vec<Bytes>> {
        let whole: Vec<Bytes> = bytes.try_collect().await?;
        Ok(whole.concat().chunks(STEP as usize).map(Bytes::copy_from_slice).collect())
    }

    pub(super) async fn read(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let empty = |size| {
            let info = FileInfo { size, is_dir: false, ..FileInfo::directory(path.clone()) };
            Reader::new(info, stream::empty().boxed())
        };
        let wider = ByteRange { length: range.length.map(|length| length.saturating_add(1)), ..range };
        if self.fault == Fault::ReaderTellsWhatWasThere {
            let info = self.inner.stat(path).await?;
            tokio::task::yield_now().await;
            let (_, bytes) = self.inner.reader(path, range).await?.into_parts();
            return Ok(Reader::new(info, bytes));
        }
        let taken = match self.fault {
            Fault::EightReadersAtATime => Some(self.state.take(8)?),
            _ => None,
        };
        let result = match self.fault {
            Fault::RangesBeginInTheWriteBefore if range.offset > 0 && range.offset.is_multiple_of(WRITE) => {
                self.inner.reader(path, ByteRange { offset: range.offset - 1, ..range }).await
            }
            Fault::RangesEndAtBlocks => {
                let end = (range.offset / BLOCK + 1) * BLOCK;
                let length = range.length.map(|length| length.min(end - range.offset));
                self.inner.reader(path, ByteRange { length, ..range }).await
            }
            Fault::RangeOneByteLong => self.inner.reader(path, wider).await,
            Fault::ReaderIgnoresTheOffset => self.inner.reader(path, ByteRange { offset: 0, ..range }).await,
            Fault::RangeLengthIn32Bits => {
                let length = range.length.map(|length| length & u64::from(u32::MAX));
                self.inner.reader(path, ByteRange { length, ..range }).await
            }
            _ => self.inner.reader(&self.mapped(path)?, range).await,
        };
        let result = match (self.fault, result) {
            (Fault::OffsetBeyondTheEndIsEmpty, Err(error))
                if matches!(error.kind(), ErrorKind::InvalidOffset { .. }) =>
            {
                Ok(empty(0))
            }
            (Fault::ReaderOfMissingIsEmpty, Err(error)) if error.is_path_not_found() => Ok(empty(0)),
            (Fault::ReaderOfADirectoryIsEmpty, Err(_)) if self.is_directory(path).await => Ok(empty(0)),
            (_, result) => result,
        };
        let (info, bytes) = self.spoil(result)?.into_parts();
        match self.fault {
            Fault::OffsetAtTheEndFails if range.offset == info.size && range.offset > 0 => {
                Err(Error::invalid_offset(path, range.offset))
            }
            Fault::LengthPastTheEndFails
                if range.length.is_some_and(|n| n.saturating_add(range.offset) > info.size) =>
            {
                Err(Error::invalid_offset(path, range.offset))
            }
            Fault::ReaderEndsEarly => {
                let keep = range.count_in(info.size).unwrap_or(0).saturating_sub(1) as usize;
                let mut content: Vec<u8> = bytes.map_ok(|chunk| chunk.to_vec()).try_concat().await?;
                content.truncate(keep);
                Ok(Reader::new(info, stream::once(async { Ok(content.into()) }).boxed()))
            }
            Fault::DroppedReadersLeak => {
                // Given back only by a stream that came to its end.
                let mut taken = Some(ManuallyDrop::new(self.state.take(60)?));
                let bytes = bytes.map(Some).chain(stream::once(async { None })).filter_map(move |chunk| {
                    if chunk.is_none() {
                        drop(taken.take().map(ManuallyDrop::into_inner));
                    }
                    std::future::ready(chunk)
                });
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::OneReaderAtATime => {
                let taken = self.state.take(1)?;
                tokio::task::yield_now().await;
                let bytes = bytes.inspect(move |_| {
                    let _ = &taken;
                });
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::ReaderTellsTheRangesSize => {
                let size = range.count_in(info.size).unwrap_or(0);
                Ok(Reader::new(FileInfo { size, ..info }, bytes))
            }
            Fault::ReaderTellsAnotherTime => {
                let modified = info.modified.map(|modified| modified + Duration::from_secs(1));
                Ok(Reader::new(FileInfo { modified, ..info }, bytes))
            }
            Fault::ReaderTellsAnotherVersion => {
                Ok(Reader::new(FileInfo { version: Some("another".to_owned()), ..info }, bytes))
            }
            Fault::EightReadersAtATime => {
                let bytes = bytes.inspect(move |_| {
                    let _ = &taken;
                });
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::ReadersEndWithTheDriver => {
                let state = self.state.clone();
                let bytes = bytes.map(move |chunk| state.expect_a_driver().and(chunk));
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::ReaderLooksAgainAfterACommit => {
                let (state, commits) = (self.state.clone(), self.state.commits.load(Ordering::Relaxed));
                let again = move || state.commits.load(Ordering::Relaxed) != commits;
                let old = self.in_memory(bytes).await?;
                let steps = old.into_iter().zip(0u64..);
                let (inner, path) = (self.inner.clone(), path.clone());
                let bytes = stream::iter(steps).then(move |(old, step)| {
                    let (inner, path, again) = (inner.clone(), path.clone(), again());
                    async move {
                        match again {
                            true => inner.read_range(&path, ByteRange::new(range.offset + step * STEP, STEP)).await,
                            false => Ok(old),
                        }
                    }
                });
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::ReaderLooksAgainAtEachStep => Ok(Reader::new(info, self.in_steps(path, range))),
            Fault::ReaderEndsWhenTheFileIsGone => {
                let (inner, path) = (self.inner.clone(), path.clone());
                let there = bytes.take_while(move |_| {
                    let (inner, path) = (inner.clone(), path.clone());
                    async move { inner.stat(&path).await.is_ok() }
                });
                Ok(Reader::new(info, there.boxed()))
            }
            _ => Ok(Reader::new(info, bytes)),
        }
    }
}
