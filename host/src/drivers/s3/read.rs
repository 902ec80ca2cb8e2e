//! Reading objects, and what is at a path.

use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_types::DateTime;
use aws_smithy_types::byte_stream::ByteStream as Body;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use std::time::SystemTime;

use super::error::{Effect, cut};
use super::store::Store;
use crate::base::retry::Repeat;
use crate::contract::{ByteRange, ByteStream, Error, ErrorKind, FileInfo, MAX_CONTENT, Reader, Result, StoragePath};

/// More than any store's largest object: 1 PiB.
const LARGEST_OBJECT: u64 = 1 << 50;

impl Store {
    /// Reads a whole object into memory: one request while none is cut.
    pub(super) async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.retry.run(Repeat::Always, || self.read_whole(path)).await
    }

    async fn read_whole(&self, path: &StoragePath) -> Result<Bytes> {
        let reader = self.reader(path, ByteRange::ALL).await?;
        let size = reader.info().size;
        if size > MAX_CONTENT {
            let message = format!("the file has {size} bytes, and {MAX_CONTENT} is the most; use a reader");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut stream = reader.into_parts().1.fuse();
        let first = stream.next().await.transpose()?.unwrap_or_default();
        if first.len() as u64 == size {
            // A wrong checksum is told after the last byte.
            while let Some(rest) = stream.next().await {
                rest?;
            }
            return Ok(first);
        }
        let mut content = BytesMut::with_capacity(size as usize);
        content.extend_from_slice(&first);
        while let Some(chunk) = stream.next().await {
            content.extend_from_slice(&chunk?);
        }
        if content.len() as u64 != size {
            let message = format!("the answer had {} of {size} bytes", content.len());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(content.freeze())
    }

    /// Opens an object: one request, whatever the range.
    ///
    /// A range from the object's very end is no valid one to S3, which then does not tell whether it begins at the end
    /// or beyond. So the byte before the range is asked for too, and dropped.
    pub(super) async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let key = self.keys.key(path);
        let first = range.offset.saturating_sub(1);
        let header = match range.length {
            None if range.offset == 0 => None,
            None => Some(format!("bytes={first}-")),
            // At least one byte: there is no notation for none.
            Some(length) => match range.offset.saturating_add(length).saturating_sub(1).max(first) {
                // Not every store reads a number that no object's size has.
                last if last > LARGEST_OBJECT => Some(format!("bytes={first}-")),
                last => Some(format!("bytes={first}-{last}")),
            },
        };
        let is_whole = header.is_none();
        let mode = (is_whole && self.object.checksum.is_some()).then_some(ChecksumMode::Enabled);
        let request = || {
            let request = self.client.get_object().bucket(self.bucket()).key(&key);
            request.set_range(header.clone()).set_checksum_mode(mode.clone()).send()
        };
        let answer = match self.send(Effect::Reads, 0, request).await? {
            Ok(answer) => answer,
            // An empty object has no range at all; asked from 0, it is read as it is.
            Err(refusal) if refusal.is_beyond_end() && range.offset == 0 => return self.reader_of_empty(path).await,
            Err(refusal) if refusal.is_beyond_end() => return Err(Error::invalid_offset(path, range.offset)),
            Err(refusal) => return Err(refusal.into_error_at(path)),
        };
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let size = match answer.content_range() {
            Some(text) => total(text).ok_or_else(|| {
                Error::new(ErrorKind::Other, format!("the store answered with the range {text:?}, which has no total"))
            })?,
            // The whole object, although a part was asked for, or because it was.
            None => length.ok_or_else(|| Error::new(ErrorKind::Other, "the store does not tell the object's size"))?,
        };
        let has_range = answer.content_range().is_some();
        let info = info(path, size, answer.e_tag(), answer.last_modified());
        let Some(wanted) = range.count_in(size) else { return Err(Error::invalid_offset(path, range.offset)) };
        let skip = if has_range { range.offset - first } else { range.offset };
        Ok(Reader::new(info, body(answer.body, skip, wanted)))
    }

    async fn reader_of_empty(&self, path: &StoragePath) -> Result<Reader> {
        let info = self.stat_file(path).await?.ok_or_else(|| Error::path_not_found(path))?;
        if info.size > 0 {
            return Err(Error::new(ErrorKind::Unavailable, "the file was written while it was opened; open it again"));
        }
        Ok(Reader::new(info, stream::empty().boxed()))
    }

    /// Returns what is at a path: one request for a file, two for a directory or nothing.
    pub(super) async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        if path.is_root() {
            // Also the health probe: a missing bucket or a refused key is told here.
            self.has_keys_below(path).await?;
            return Ok(FileInfo::directory(path.clone()));
        }
        if let Some(info) = self.stat_file(path).await? {
            return Ok(info);
        }
        match self.has_keys_below(path).await? {
            true => Ok(FileInfo::directory(path.clone())),
            false => Err(Error::path_not_found(path)),
        }
    }

    /// Returns the object of a path; none if there is none: one request.
    pub(super) async fn stat_file(&self, path: &StoragePath) -> Result<Option<FileInfo>> {
        let key = self.keys.key(path);
        let request = || self.client.head_object().bucket(self.bucket()).key(&key).send();
        match self.send(Effect::Reads, 0, request).await? {
            Ok(answer) => {
                let size = answer.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
                Ok(Some(info(path, size, answer.e_tag(), answer.last_modified())))
            }
            Err(refusal) if refusal.is_not_found() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn info(path: &StoragePath, size: u64, etag: Option<&str>, modified: Option<&DateTime>) -> FileInfo {
    FileInfo {
        path: path.clone(),
        size,
        is_dir: false,
        modified: modified.and_then(time),
        version: etag.map(|etag| etag.trim_matches('"').to_owned()).filter(|etag| !etag.is_empty()),
    }
}

/// Returns the time that a listing tells of an object, as `stat` tells it: in whole seconds, which is all that HTTP's
/// `Last-Modified` says. Some stores list fractions.
pub(super) fn listed_time(time: &DateTime) -> Option<SystemTime> {
    self::time(&DateTime::from_secs(time.secs()))
}

/// Returns the SDK's time as the system's.
pub(super) fn time(time: &DateTime) -> Option<SystemTime> {
    SystemTime::try_from(*time).ok()
}

/// Returns the total of `bytes 0-4/10`.
fn total(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

/// Returns the bytes of an answer, without those before the range that was asked for, and none beyond it.
fn body(body: Body, skip: u64, wanted: u64) -> ByteStream {
    let state = Some((body, skip, wanted));
    stream::unfold(state, |state| async move {
        let (mut body, mut skip, mut wanted) = state?;
        loop {
            match body.next().await {
                Some(Ok(mut chunk)) => {
                    let before = skip.min(chunk.len() as u64);
                    skip -= before;
                    let _ = chunk.split_to(before as usize);
                    chunk.truncate(wanted.min(chunk.len() as u64) as usize);
                    wanted -= chunk.len() as u64;
                    if !chunk.is_empty() {
                        return Some((Ok(chunk), Some((body, skip, wanted))));
                    }
                }
                Some(Err(error)) => return Some((Err(cut(&error)), None)),
                None => return None,
            }
        }
    })
    .boxed()
}
