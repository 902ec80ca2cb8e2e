//! The large directory that several cases look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;
use wharf::contract::{StorageDriver, StoragePath};

use crate::Failure;

/// How many files it has: ten pages of the stores that list in pages.
pub(crate) const FILES: usize = 10_000;

/// How many directories the other one has: more than a page.
pub(crate) const DIRECTORIES: usize = 1_050;

/// How many files are stored at a time.
const CONCURRENCY: usize = 64;

/// What stands beside it: names of which its own is the beginning, before and after it.
pub(crate) const SIBLINGS: [&str; 3] = ["many-", "many.d/x", "many0"];

/// A directory of ten thousand files, and one of a thousand directories, made once a run by the first case that needs it: on a store at the other end of a
/// network nothing else in the suite takes as long.
pub(crate) struct LargeDirectory {
    /// What the run has for them and nothing else: the large directory is `files/many` in it, the other `directories`.
    parent: StoragePath,
    made: OnceCell<()>,
    begun: AtomicBool,
}

impl LargeDirectory {
    pub(crate) fn new(parent: StoragePath) -> Self {
        LargeDirectory { parent, made: OnceCell::new(), begun: AtomicBool::new(false) }
    }

    /// Returns the directory above them, in which nothing is before it was [begun](Self::begun).
    pub(crate) fn parent(&self) -> &StoragePath {
        &self.parent
    }

    /// Returns whether something was stored in it.
    pub(crate) fn begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns the directory above them, with both in it.
    pub(crate) async fn get(&self, driver: &Arc<dyn StorageDriver>) -> Result<&StoragePath, Failure> {
        self.made.get_or_try_init(|| self.make(driver)).await?;
        Ok(&self.parent)
    }

    async fn make(&self, driver: &Arc<dyn StorageDriver>) -> Result<(), Failure> {
        self.begun.store(true, Ordering::Relaxed);
        let siblings = SIBLINGS.iter().map(|name| format!("files/{name}"));
        let files = (0..FILES).map(|index| format!("files/many/{}", name(index)));
        let below = (0..DIRECTORIES).map(|index| format!("directories/{}/x", name(index)));
        let names: Vec<String> = siblings.chain(files).chain(below).collect();
        let (driver, parent) = (Arc::clone(driver), self.parent.clone());
        let puts = stream::iter(names).map(move |name| {
            let (driver, path) = (Arc::clone(&driver), parent.join(&name));
            async move { driver.put_content(&path?, Bytes::from_static(b"x")).await }.boxed()
        });
        let made: Result<Vec<()>, _> = puts.buffer_unordered(CONCURRENCY).try_collect().await;
        made.map(|_| ()).map_err(Failure::from)
    }
}

/// Returns the name of a file, the one before it being that of the index before.
pub(crate) fn name(index: usize) -> String {
    format!("{index:05}")
}
