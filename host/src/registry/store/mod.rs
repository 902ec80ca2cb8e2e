//! The registry's content in a store: links, blobs, manifests, tags, referrers, uploads.
//!
//! A *blob* lies once in the store, under its digest, and is immutable. A *link* says that a blob or a manifest can be read in
//! a repository. Each is one small file, so that whatever is stored or deleted becomes visible at once and as a whole, to
//! every process on the store: nothing is cached here, and no lock is held between processes. What takes two steps, such as a
//! look and a delete, is kept together within a process by `locks`.

mod blobs;
mod catalog;
mod locks;
mod manifests;
mod purge;
mod referrers;
mod tags;
#[cfg(test)]
mod tests;
pub(super) mod uploads;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};

use super::Digest;
use crate::base::seldom::Seldom;
use crate::contract::{ErrorKind, Result, StorageDriver, StoragePath};

use locks::Locks;

pub(super) use blobs::{Blob, verify};
pub(super) use manifests::{Pushed, Stored};
pub use purge::Purged;
pub(super) use referrers::WantedReferrers;
pub(super) use tags::Page;
pub(super) use uploads::Uploads;

/// How many requests to the store one request of a client has under way at a time, where it needs many.
const PARALLEL: usize = 16;

/// A registry's content.
#[derive(Clone, Debug)]
pub(super) struct Store {
    driver: Arc<dyn StorageDriver>,
    /// Keeps the steps of a push and of a deletion of the same tag or manifest apart.
    locks: Arc<Locks>,
    /// When it was last logged that the driver gave no address.
    no_address: Arc<Seldom>,
}

impl Store {
    pub(super) fn new(driver: Arc<dyn StorageDriver>) -> Self {
        Store { driver, locks: Arc::default(), no_address: Arc::default() }
    }

    pub(super) fn driver(&self) -> &Arc<dyn StorageDriver> {
        &self.driver
    }

    /// Returns what a link names; none if there is none, or what is there is none: a registry that does not sync its files
    /// leaves empty ones after a crash (distribution#4489).
    async fn link(&self, path: &StoragePath) -> Result<Option<Digest>> {
        let content = match self.driver.get_content(path).await {
            Ok(content) => content,
            Err(error) if error.is_path_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let digest = std::str::from_utf8(&content).ok().and_then(|text| text.trim().parse().ok());
        if digest.is_none() {
            tracing::warn!(%path, size = content.len(), "a link holds no digest, and counts as missing");
        }
        Ok(digest)
    }

    /// Stores a link.
    async fn put_link(&self, path: &StoragePath, digest: &Digest) -> Result<()> {
        self.driver.put_content(path, Bytes::copy_from_slice(digest.as_str().as_bytes())).await
    }

    /// Deletes a file, or a directory with all in it; returns whether it was there.
    async fn delete(&self, path: &StoragePath) -> Result<bool> {
        match self.driver.delete(path).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_path_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the size of a file; none if there is none.
    async fn size(&self, path: &StoragePath) -> Result<Option<u64>> {
        match self.driver.stat(path).await {
            Ok(info) if info.is_dir => Ok(None),
            Ok(info) => Ok(Some(info.size)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Runs futures, [`PARALLEL`] at a time, and returns what those that have something return, in their order.
async fn run_all<'a, T>(futures: impl IntoIterator<Item = BoxFuture<'a, Result<Option<T>>>>) -> Result<Vec<T>> {
    let results = stream::iter(futures).buffered(PARALLEL);
    results.try_filter_map(|found| async move { Ok(found) }).try_collect().await
}

fn is_missing(error: &crate::contract::Error) -> bool {
    *error.kind() == ErrorKind::PathNotFound
}
