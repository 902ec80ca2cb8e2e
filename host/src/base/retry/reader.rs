//! A download that goes on where it broke off.

use futures::StreamExt;
use futures::future::BoxFuture;

use super::Retrying;
use super::resume::{Items, Source, resumed};
use crate::contract::{ByteRange, Error, ErrorKind, FileInfo, Reader, Result, StoragePath};

/// Returns the reader, whose stream is resumed where it fails.
pub(super) fn resume(driver: &Retrying, path: &StoragePath, range: ByteRange, reader: Reader) -> Reader {
    let (info, stream) = reader.into_parts();
    // Not what was asked for: `base` says so, and there is nothing to resume.
    let Some(count) = range.count_in(info.size).filter(|_| !info.is_dir && info.path == *path) else {
        return Reader::new(info, stream);
    };
    let source =
        Download { driver: driver.clone(), path: path.clone(), version: info.version.clone(), range, count, done: 0 };
    let (retry, stall) = (driver.retry.clone(), driver.retry.policy().stall);
    Reader::new(info, resumed(stream, source, retry, stall))
}

struct Download {
    driver: Retrying,
    path: StoragePath,
    /// The version of the file that is being read.
    version: Option<String>,
    /// What was asked for at first.
    range: ByteRange,
    /// How many bytes that is.
    count: u64,
    /// How many of them the caller has.
    done: u64,
}

impl Download {
    /// Returns what is left. A range with a length keeps its end.
    fn rest(&self) -> ByteRange {
        let ByteRange { offset, length } = self.range;
        ByteRange { offset: offset + self.done, length: length.map(|length| length - self.done) }
    }
}

impl Source for Download {
    type Item = bytes::Bytes;

    fn note(&mut self, chunk: &bytes::Bytes) -> bool {
        // More than was asked for is cut off by `base`.
        self.done = self.count.min(self.done + chunk.len() as u64);
        !chunk.is_empty()
    }

    fn missing(&self) -> Option<Error> {
        let Download { count, done, .. } = self;
        let message = || format!("the stream ended after {done} of {count} bytes");
        (done < count).then(|| Error::new(ErrorKind::Unavailable, message()))
    }

    fn open_rest(&self) -> Result<BoxFuture<'static, Result<Items<bytes::Bytes>>>, &'static str> {
        let Some(version) = self.version.clone() else {
            return Err("the store gives files no version by which a change would be seen");
        };
        let (driver, path, range, done) = (self.driver.inner.clone(), self.path.clone(), self.rest(), self.done);
        Ok(Box::pin(async move {
            let changed = |how: &str| {
                let message =
                    format!("the file {how} while it was read, after {done} bytes; read it from its beginning");
                Error::new(ErrorKind::Conflict, message)
            };
            let reader = match driver.reader(&path, range).await {
                Ok(reader) => reader,
                Err(error) => {
                    return Err(match error.kind() {
                        ErrorKind::PathNotFound => changed("was deleted").with_source(error),
                        ErrorKind::InvalidOffset { .. } => changed("became shorter").with_source(error),
                        _ => error,
                    });
                }
            };
            let (info, stream): (FileInfo, _) = reader.into_parts();
            // Bytes of two versions put together would be a file that never was.
            if info.version.as_ref() != Some(&version) {
                return Err(changed("changed"));
            }
            Ok(stream.boxed())
        }))
    }
}
