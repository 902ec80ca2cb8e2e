//! The driver `filesystem`: files under a root directory, where Docker Distribution's driver of that name has them.
//!
//! ```text
//!  host: rootdirectory/docker/registry/v2/...     a file of the store at its path, one to one
//!                     /docker/~wharf-6b1f....tmp   what is not finished: `~` cannot occur in a path
//! ```
//!
//! # Whole and durable
//!
//! A put, and an upload that was begun anew, go to a temporary beside their target, which is synced and renamed over it;
//! then the directory is synced, and before that the parent of every directory that had to be made. So a path holds the
//! old or the new content at any moment, and what was acknowledged is there after a crash of the machine. A temporary
//! that a crash left is hidden, harmless, and goes with its directory. Where the file system cannot sync directories (`EINVAL` or
//! `ENOTSUP`, as some network file systems answer), this is logged once, the store works, and `durable` is not declared; any
//! other failure to sync fails the operation. Distribution's own leftovers (`NAME.UUID.tmp`) have
//! names that a path can spell, so they are listed, as Distribution lists them.
//!
//! # Uploads
//!
//! In Distribution's layout an unfinished upload lies at its path, where both continue it. A close publishes the upload
//! there as a commit does, with one difference: a commit replaces whatever is at the path, and a close that finds something
//! else there than the writer did when it was opened fails with a conflict, and its bytes are gone. A continued upload is
//! written in place. An upload whose sync fails is not kept: nobody can tell which of its bytes are on the disk.
//!
//! # Callers that go away
//!
//! An operation whose future is dropped changes no path after the drop has returned (`gate.rs`), whatever its blocking
//! thread still does. A writer that is dropped loses a new upload, whose temporary is removed; of a continued one, the
//! writes that were complete stay. The write that is in flight at that moment may still lengthen the file at its path:
//! another writer that continues the file and a move wait for it, a put and a commit put another file in its place, and a
//! reader may see it grow, as it may while any upload is in progress. All of this holds between processes too.
//!
//! # Within the root
//!
//! Paths are resolved beneath the root by cap-std: neither `..` nor a symbolic link leads out of it. Links within the
//! root are followed, as Distribution does. One that leads out is followed only into a directory that `followlinks` names: an
//! operator keeps blobs, or a repository, on another disk so, and a move between two disks is a copy. Any other is refused by
//! name when the driver is opened, if it is among the first entries of the root, and reads as access-denied. No client can make a
//! link. Named pipes, sockets and devices are not part of the store.
//!
//! Files have the mode 0666 and directories 0777, less the process's umask.

mod config;
mod error;
mod gate;
mod links;
mod listing;
mod lock;
mod names;
mod root;
mod seen;
mod store;
mod sync;
mod temporary;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;

use crate::base::permit::spawn_blocking;
use crate::base::{directory, file_stream};
use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode, walk_by_listing,
};
use gate::{Caller, Gate};
use links::Links;
use root::Root;
use sync::DirectorySync;
use writer::Writer;

pub use config::FilesystemConfig;
pub(crate) use seen::Seen;

/// The driver `filesystem`. Clones share it.
///
/// Plain: use it behind [`Base`](crate::base::Base), and behind a
/// [`ConcurrencyLimit`](crate::base::ConcurrencyLimit) of [`FilesystemConfig::max_threads`], as the factory does.
///
/// ```
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use wharf::base::Base;
/// use wharf::contract::{StorageDriver, StoragePath};
/// use wharf::drivers::filesystem::{Filesystem, FilesystemConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> wharf::contract::Result<()> {
/// let root = tempfile::tempdir().unwrap();
/// let config = FilesystemConfig { root_directory: root.path().to_owned(), ..FilesystemConfig::default() };
/// let driver = Base::new(Arc::new(Filesystem::open(config).await?));
/// driver.put_content(&StoragePath::parse("/a/b")?, Bytes::from_static(b"hello")).await?;
/// assert_eq!(std::fs::read(root.path().join("a/b")).unwrap(), b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Filesystem {
    root: Arc<Root>,
}

impl Filesystem {
    /// Opens the driver. The root directory need not exist: the first write makes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`] if something that is no directory is at the root's path, no path is given, or a symbolic
    /// link leads out of the root to where none may lead.
    pub async fn open(config: FilesystemConfig) -> Result<Self> {
        Self::open_with(config, DirectorySync::default()).await
    }

    async fn open_with(config: FilesystemConfig, sync: DirectorySync) -> Result<Self> {
        blocking(move || {
            let path = config.checked_root()?;
            let links = Links::new(&config.follow_links)?;
            links.check(&path)?;
            sync.probe(&path);
            Ok(Filesystem { root: Arc::new(Root::new(path, sync, links)) })
        })
        .await
    }

    /// Returns whether the root could be written to now: it is there or could be made, it may be written to, its file system
    /// is not mounted for reading only and has room. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AccessDenied`], [`ErrorKind::QuotaExceeded`] or [`ErrorKind::Unavailable`]: what is missing.
    pub async fn check_writable(&self) -> Result<()> {
        let root = Arc::clone(&self.root);
        blocking(move || directory::check_writable(root.path())).await
    }

    /// As [`check_writable`](Self::check_writable), of what a configuration names, for somebody who looks again and again: a
    /// root that was there and is gone is missing. Opens nothing: to open costs a sync and a walk through the root.
    pub(crate) async fn check_still_writable(config: FilesystemConfig, seen: &Arc<Seen>) -> Result<()> {
        let seen = Arc::clone(seen);
        blocking(move || seen.check(&config.checked_root()?)).await
    }

    /// Does something that blocks, off the executor's threads.
    async fn run<T: Send + 'static>(
        &self,
        path: &StoragePath,
        work: impl FnOnce(&Root, &StoragePath) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (root, path) = (Arc::clone(&self.root), path.clone());
        blocking(move || work(&root, &path)).await
    }

    /// Does something that blocks and changes what is stored, by steps through the gate: it changes nothing more once the
    /// future is dropped.
    async fn change<T: Send + 'static>(
        &self,
        path: &StoragePath,
        work: impl FnOnce(&Root, &StoragePath, &Gate) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let caller = Caller::default();
        let gate = caller.gate();
        self.run(path, move |root, path| work(root, path, &gate)).await
    }
}

/// Runs what blocks on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        // Only when the executor shuts down, or by a panic, which is a fault of this driver's.
        Err(error) => Err(Error::new(ErrorKind::OutcomeUnknown, "the operation was cut off").with_source(error)),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for Filesystem {
    fn name(&self) -> &str {
        "filesystem"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            atomic_replace: true,
            durable: self.root.names().is_supported(),
            resumable: true,
            consistent: true,
            // Distribution's layout shows an unfinished upload at its path, and so cannot tell it from a file.
            hidden_uploads: false,
            uploads: false,
            redirect: false,
            native_walk: false,
            read_only: false,
        }
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.run(path, store::get).await.map(Bytes::from)
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.change(path, move |root, path, gate| store::put(root, path, &content, gate)).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let open = move |root: &Root, path: &StoragePath| {
            let (file, info, count) = store::open(root, path, range)?;
            Ok(Reader::new(info, file_stream::begin_file(Arc::new(file), range.offset, count, None)))
        };
        self.run(path, open).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(Writer::open(Arc::clone(&self.root), path.clone(), mode).await?))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.run(path, store::stat).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        listing::list(Arc::clone(&self.root), path.clone(), start_after.cloned()).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let root = Arc::clone(&self.root);
        walk_by_listing(move |path, after| listing::list(Arc::clone(&root), path, after).boxed(), path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let destination = destination.clone();
        self.change(source, move |root, source, gate| store::move_file(root, source, &destination, gate)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.change(path, store::delete).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let paths = paths.to_vec();
        self.change(&StoragePath::root(), move |root, _, gate| store::delete_files(root, &paths, gate)).await
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest) -> Result<Option<String>> {
        Ok(None)
    }

    async fn uploads(&self, _: &StoragePath) -> Result<EntryStream> {
        Err(Error::unsupported("an unfinished upload lies at its path here, like a file; see `list`"))
    }
}
