//! Copies within the store: by one request, or by ranges, many at a time.

use aws_sdk_s3::types::MetadataDirective;
use futures::stream::{self, StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::config::{MAX_PART, MIN_PART};
use super::error::Effect;
use super::multipart::{Multipart, Others};
use super::store::{Store, describe};
use crate::contract::{Error, FileInfo, Result, StoragePath};

/// What stands for itself in a `CopySource`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most ranges that one copy has, so that an upload that is continued has parts left.
const MAX_RANGES: u64 = 1000;

impl Store {
    /// Moves an object: three requests up to the threshold, else as many more as there are ranges.
    pub(super) async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let Some(info) = self.stat_file(source).await? else { return Err(Error::path_not_found(source)) };
        if info.size <= self.config.multipartcopythresholdsize {
            self.copy(&info, destination).await?;
        } else {
            let mut upload = self.begin(destination, Others::Abort).await?;
            let copied = async {
                self.copy_into(&mut upload, &info).await?;
                self.complete(&mut upload).await
            };
            if let Err(error) = copied.await {
                // Nobody continues a move: what it has stored would only cost.
                self.abort_quietly(&upload).await;
                return Err(error);
            }
        }
        self.delete_key(&self.keys.key(source)).await
    }

    async fn copy(&self, source: &FileInfo, destination: &StoragePath) -> Result<()> {
        let (key, from) = (self.keys.key(destination), self.copy_source(&source.path));
        let object = &self.object;
        let request = || {
            let copy = self.client.copy_object().bucket(self.bucket()).key(&key).copy_source(&from);
            let copy = describe!(copy, object).metadata_directive(MetadataDirective::Replace);
            copy.set_checksum_algorithm(object.checksum.clone()).send()
        };
        let answer = self.send(Effect::Writes, source.size, request).await?;
        answer.map(|_| ()).map_err(|refusal| refusal.into_error_at(&source.path))
    }

    /// Copies a whole object into an upload, as its next parts.
    pub(super) async fn copy_into(&self, upload: &mut Multipart, source: &FileInfo) -> Result<()> {
        let from = self.copy_source(&source.path);
        let number = upload.next_number()?;
        let ranges = ranges(source.size, self.config.multipartcopychunksize);
        let concurrency = usize::try_from(self.config.multipartcopymaxconcurrency).unwrap_or(usize::MAX);
        let known: &Multipart = upload;
        let copies = ranges.into_iter().zip(number..).map(|((first, size), number)| {
            let from = &from;
            async move {
                let version = source.version.as_deref();
                Ok::<_, Error>((size, self.copy_part(known, number, from, version, first, size).await?))
            }
        });
        let parts: Vec<_> = stream::iter(copies).buffered(concurrency).try_collect().await?;
        upload.adopt(parts);
        Ok(())
    }

    /// Returns an object as the header names it, which is an address: Distribution does not encode it.
    fn copy_source(&self, path: &StoragePath) -> String {
        format!("{}/{}", self.bucket(), utf8_percent_encode(&self.keys.key(path), PLAIN))
    }
}

/// Cuts a size into ranges (first byte, bytes) of at least `chunk` and of nearly equal size, so that the last is no short
/// one: it may get a successor.
fn ranges(size: u64, chunk: u64) -> Vec<(u64, u64)> {
    let chunk = chunk.max(size.div_ceil(MAX_RANGES)).clamp(MIN_PART, MAX_PART);
    let count = (size / chunk).max(size.div_ceil(MAX_PART)).max(1);
    let (each, more) = (size / count, size % count);
    (0..count).map(|index| (index * each + index.min(more), each + u64::from(index < more))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_whole_in_order_and_none_is_too_short_or_too_long() {
        const MIB: u64 = 1024 * 1024;
        let sizes = [MIN_PART, MIN_PART + 1, 2 * MIN_PART - 1, 33 * MIB, 64 * MIB, 5 * MAX_PART + 17, 1 << 42];
        for size in sizes {
            for chunk in [MIN_PART, 32 * MIB, MAX_PART] {
                let ranges = ranges(size, chunk);
                let mut next = 0;
                for (first, bytes) in &ranges {
                    assert_eq!(*first, next);
                    assert!((MIN_PART..=MAX_PART).contains(bytes), "{bytes} of {size}");
                    next += bytes;
                }
                assert_eq!(next, size);
                assert!(ranges.len() as u64 <= MAX_RANGES.max(size.div_ceil(MAX_PART)), "{size}: {}", ranges.len());
            }
        }
    }
}
