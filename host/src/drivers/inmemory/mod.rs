//! The driver that keeps its files in memory: the reference implementation.
//!
//! Read it to learn what a driver is: it makes every promise that memory can keep, in the plainest way, and leaves to
//! [`Base`](crate::base::Base) what `base` does for every driver. `content.rs` knows what bytes are, `tree.rs` what is
//! stored where; this file joins them to the contract.

mod content;
mod tree;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, MAX_CONTENT, Position,
    Reader, RedirectRequest, Result, StorageDriver, StoragePath, WriteMode, walk_by_listing,
};
use content::Content;
use tree::{Token, Tree};

/// How many entries of a listing are looked up at a time: a large directory neither holds the lock for long nor is
/// copied as a whole.
const PAGE: usize = 1000;

/// A driver that keeps its files in memory. Distribution's `inmemory`.
///
/// Clones share one store, which is gone with the last of them. Nothing limits its size.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use wharf::contract::{Result, StorageDriver, StoragePath};
/// use wharf::drivers::inmemory::InMemory;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let driver = InMemory::new();
/// let path = StoragePath::parse("/a/b")?;
/// driver.put_content(&path, Bytes::from("content")).await?;
/// assert_eq!(driver.clone().get_content(&path).await?, "content");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct InMemory {
    /// The one lock. It is never held while anything waits: each operation takes it, looks or changes, and lets go.
    tree: Arc<RwLock<Tree>>,
}

impl InMemory {
    /// Creates a driver on a store of its own, with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic under the lock could only come from a failed allocation, and every change to the tree is made by steps
    // that each leave it whole: what is behind a poisoned lock is as good as ever.
    fn look(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a listing that looks one page up whenever it has come to the end of the last.
    fn listing(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        // The first page is looked up now, because it is the call that fails if the directory is missing.
        let first = self.look().children(path, start_after, PAGE).ok_or_else(|| Error::path_not_found(path))?;
        let state = (self.clone(), path.clone(), Some(first));
        let pages = stream::unfold(state, |(driver, path, page)| async move {
            let page = page?;
            // A page that is not full was the last. A directory that vanishes meanwhile has no more entries.
            let next = match page.last() {
                Some(last) if page.len() == PAGE => driver.look().children(&path, Some(&last.position()), PAGE),
                _ => None,
            };
            Some((stream::iter(page.into_iter().map(Ok)), (driver, path, next)))
        });
        Ok(pages.flatten().boxed())
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counts, not contents: what is stored may be large, and is nobody's business in a log.
        let (files, uploads) = self.look().counts();
        f.debug_struct("InMemory").field("files", &files).field("uploads", &uploads).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for InMemory {
    fn name(&self) -> &str {
        "inmemory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Every change is one step under the lock.
            atomic_replace: true,
            consistent: true,
            // Uploads are kept apart from the files until they are committed, and so can be told.
            hidden_uploads: true,
            resumable: true,
            uploads: true,
            // The content is gone with the process.
            durable: false,
            redirect: false,
            // A walk lists each directory: a lookup of its own would gain nothing here.
            native_walk: false,
            read_only: false,
        }
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let (info, content) = self.look().file(path).ok_or_else(|| Error::path_not_found(path))?;
        if info.size > MAX_CONTENT {
            let message = format!("the file has {} bytes, and {MAX_CONTENT} is the most; use a reader", info.size);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        // After the lock was let go: joining chunks copies.
        Ok(content.to_bytes())
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.change().put(path, Content::from(content))
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        // The reader shares the content that is there now. A later put replaces it in the tree, not in the reader.
        let (info, content) = self.look().file(path).ok_or_else(|| Error::path_not_found(path))?;
        let count = range.count_in(info.size).ok_or_else(|| Error::invalid_offset(path, range.offset))?;
        let chunks = content::read(content, range.offset..range.offset + count);
        Ok(Reader::new(info, stream::iter(chunks.map(Ok)).boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let (token, size) = self.change().begin(path, mode)?;
        Ok(Box::new(Writer { driver: self.clone(), token: Some(token), size }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.look().stat(path).ok_or_else(|| Error::path_not_found(path))
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.listing(path, start_after)
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let driver = self.clone();
        let list = move |path: StoragePath, after: Option<Position>| {
            let driver = driver.clone();
            Box::pin(async move { driver.listing(&path, after.as_ref()) }) as _
        };
        walk_by_listing(list, path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.change().move_file(source, destination)
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        if self.change().delete(path) { Ok(()) } else { Err(Error::path_not_found(path)) }
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let mut tree = self.change();
        for path in paths {
            tree.delete_file(path);
        }
        Ok(())
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest) -> Result<Option<String>> {
        Ok(None)
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        Ok(stream::iter(self.look().uploads(path).into_iter().map(Ok)).boxed())
    }
}

/// An upload in progress. Its bytes are in the tree, where `delete` and `uploads` find them; this knows which they are.
struct Writer {
    driver: InMemory,
    /// None once the writer has ended.
    token: Option<Token>,
    size: u64,
}

impl Writer {
    /// Ends the writer, so that dropping it afterwards does not close an upload that somebody else continues by then.
    fn end(&mut self) -> Result<Token> {
        self.token.take().ok_or_else(|| Error::new(ErrorKind::WriterEnded, "the writer has ended; open a new one"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.size
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        if let Some(token) = self.token {
            self.size = self.driver.change().write(token, data)?;
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        let token = self.end()?;
        self.driver.change().close(token)
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        let token = self.end()?;
        self.driver.change().commit(token)
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        let token = self.end()?;
        self.driver.change().cancel(token);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            // It fails only where the upload was deleted, and then there is nothing to keep.
            let _ = self.driver.change().close(token);
        }
    }
}
