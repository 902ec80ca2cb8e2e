//! Conveniences that every driver has, built on its operations.

use std::ops::AsyncFnMut;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};

use super::{ByteRange, Cursor, Entry, FileInfo, FileWriter, Result, StorageDriver, StoragePath, WalkStep, WriteMode};

/// After this many passed-over entries the walk is begun again behind the skipped directory: one page of the stores that
/// list in pages. So skipping a large directory costs one request more, not one for every page, and skipping many small
/// ones does not list what lies around them again for each.
const RESTART_AFTER: usize = 1000;

/// Conveniences on top of [`StorageDriver`].
#[async_trait]
pub trait StorageDriverExt: StorageDriver {
    /// Returns whether anything, a file or a directory, is at `path`.
    async fn exists(&self, path: &StoragePath) -> Result<bool> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_path_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns part of a file in memory. For parts known to be small: there is no limit.
    async fn read_range(&self, path: &StoragePath, range: ByteRange) -> Result<Bytes> {
        let mut stream = self.reader(path, range).await?;
        // Mostly one chunk, which is not copied then. It is read on to the end all the same: an error may come there.
        let mut only = Bytes::new();
        let mut content = BytesMut::new();
        while let Some(chunk) = stream.try_next().await? {
            if only.is_empty() && content.is_empty() {
                only = chunk;
                continue;
            }
            content.extend_from_slice(&std::mem::take(&mut only));
            content.extend_from_slice(&chunk);
        }
        Ok(if content.is_empty() { only } else { content.freeze() })
    }

    /// Stores a stream as a file, of any size, and returns its size in bytes.
    ///
    /// When the stream or the driver fails, the upload is cancelled: no byte of it stays readable.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the upload counts as closed.
    async fn put_stream<S>(&self, path: &StoragePath, mut content: S) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes>> + Send + Unpin,
    {
        let mut writer = self.writer(path, WriteMode::New).await?;
        match write_all(&mut *writer, &mut content).await {
            Ok(()) => writer.commit().await,
            Err(error) => {
                if let Err(cancel) = writer.cancel().await {
                    tracing::warn!(path = %path, error = %cancel, "could not cancel a failed upload");
                }
                Err(error)
            }
        }
    }

    /// Returns the entries of a directory, all in memory.
    async fn list_all(&self, path: &StoragePath) -> Result<Vec<Entry>> {
        self.list(path, None).await?.try_collect().await
    }

    /// Aborts the unfinished uploads of a path, if all of them were begun at `begun_before` or earlier, and returns how many
    /// there were; 0 and nothing aborted if a later one is among them, or one of which the time is not known. What is
    /// committed at the path stays.
    ///
    /// # Errors
    ///
    /// Those of [`uploads`](StorageDriver::uploads), [`writer`](StorageDriver::writer) and
    /// [`cancel`](super::FileWriter::cancel).
    async fn abort_uploads(&self, path: &StoragePath, begun_before: SystemTime) -> Result<usize> {
        let uploads: Vec<Entry> = self.uploads(path).await?.try_collect().await?;
        let here: Vec<&Entry> = uploads.iter().filter(|upload| upload.path == *path).collect();
        if !here.iter().all(|upload| upload.modified.is_some_and(|begun| begun <= begun_before)) {
            return Ok(0);
        }
        if !here.is_empty() {
            // A writer that begins anew ends whatever was begun there before, and this one leaves nothing itself.
            self.writer(path, WriteMode::New).await?.cancel().await?;
        }
        Ok(here.len())
    }

    /// Walks a tree in order and asks `visit` after each entry how to go on.
    ///
    /// Holds one [`walk`](StorageDriver::walk) at a time. What lies below a skipped directory is read and dropped, but
    /// of a large one only the beginning. Returns whether the walk came to its end: false after
    /// [`WalkStep::Stop`]. To go on later, keep [`Cursor::after`] or [`Cursor::past`] of the last entry.
    ///
    /// # Errors
    ///
    /// Those of [`walk`](StorageDriver::walk), and what `visit` returns.
    ///
    /// # Example
    ///
    /// ```
    /// use bytes::Bytes;
    /// use wharf::contract::{Result, StorageDriver, StorageDriverExt, StoragePath, WalkStep};
    /// use wharf::drivers::inmemory::InMemory;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let driver = InMemory::new();
    /// for path in ["/a/skip/1", "/a/x", "/b"] {
    ///     driver.put_content(&StoragePath::parse(path)?, Bytes::from("content")).await?;
    /// }
    /// let mut seen = Vec::new();
    /// driver
    ///     .walk_with(&StoragePath::root(), None, async |entry| {
    ///         seen.push(entry.path.to_string());
    ///         let skip = entry.path.file_name() == Some("skip");
    ///         Ok(if skip { WalkStep::SkipDirectory } else { WalkStep::Continue })
    ///     })
    ///     .await?;
    /// assert_eq!(seen, ["/a", "/a/skip", "/a/x", "/b"]);
    /// # Ok(())
    /// # }
    /// ```
    // Not an `async fn`: `async_trait` would ask that the closure's futures be `Send`, which a caller cannot spell.
    fn walk_with(
        &self,
        path: &StoragePath,
        start: Option<&Cursor>,
        visit: impl AsyncFnMut(&Entry) -> Result<WalkStep>,
    ) -> impl Future<Output = Result<bool>> {
        walk_visiting(self, path, start, visit)
    }
}

impl<D: StorageDriver + ?Sized> StorageDriverExt for D {}

/// Writes a whole stream.
pub async fn write_all<S>(writer: &mut dyn FileWriter, content: &mut S) -> Result<()>
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin + ?Sized,
{
    while let Some(chunk) = content.next().await {
        writer.write(chunk?).await?;
    }
    Ok(())
}

// One `walk`, and not a listing for each level: several streams of one driver held at a time could wait for each other
// behind a limit on how many there may be.
async fn walk_visiting<D: StorageDriver + ?Sized>(
    driver: &D,
    path: &StoragePath,
    start: Option<&Cursor>,
    mut visit: impl AsyncFnMut(&Entry) -> Result<WalkStep>,
) -> Result<bool> {
    let mut entries = driver.walk(path, start).await?;
    let mut skipping: Option<Entry> = None;
    let mut passed_over = 0;
    while let Some(entry) = entries.try_next().await? {
        if let Some(skipped) = skipping.as_ref().filter(|skipped| skipped.path.contains(&entry.path)) {
            passed_over += 1;
            if passed_over == RESTART_AFTER {
                // First the old one, for the same reason.
                drop(entries);
                entries = driver.walk(path, Some(&Cursor::past(skipped))).await?;
                passed_over = 0;
            }
            continue;
        }
        match visit(&entry).await? {
            WalkStep::Continue => {}
            WalkStep::SkipDirectory if entry.is_dir => {
                passed_over = 0;
                skipping = Some(entry);
            }
            WalkStep::SkipDirectory => {}
            WalkStep::Stop => return Ok(false),
        }
    }
    Ok(true)
}

/// Asserts at compile time that the trait stays object-safe.
const _: fn(&dyn StorageDriver) -> Option<FileInfo> = |_| None;
