//! The native driver for Amazon S3 and the stores that speak its protocol.
//!
//! Parameters, keys and uploads are those of Docker Distribution's driver `s3` (`registry/storage/driver/s3-aws`), so that
//! either continues what the other began. Its faults are not copied: more than 1,000 uploads and parts are paged, a sibling
//! that shares a name's beginning is neither stat's nor delete's business, and copies above 5 GiB go by ranges.
//!
//! # What operations cost
//!
//! Requests to the store while none fails; a test counts them (`tests/s3/budget.rs`).
//!
//! | operation | requests |
//! |---|---|
//! | `get_content`, `reader`, whatever the range; `put_content` | 1 |
//! | `stat` of a file, or of the root | 1 |
//! | `stat` of a directory, or of nothing | 2 |
//! | `list` of n children, `walk` of n objects | ceil(n / 1000), but at least 1; 1 more to start in an empty rest |
//! | `writer`, anew | 1, and 1 for each older upload of the path |
//! | `writer`, to continue | 2, and 1 more for each 1,000 parts |
//! | `write` | 1 for each `chunksize` bytes, and 2 to begin; 4 more, and the copy, after a last part below 5 MiB |
//! | `close` | 1 if bytes are left, and 2 to begin |
//! | `commit` | 1 if bytes are left, and 1; of less than `chunksize` bytes in all: 1 |
//! | `cancel` | 1; continued: 2 |
//! | `move_file` | 3; above `multipartcopythresholdsize` 5, and 1 for each range |
//! | `delete` of n objects and m uploads | 2 for each 1,000 objects, 1 for each 1,000 uploads but at least 1, and m |
//! | `delete_files` | 1 |
//! | `redirect_url` | 0 |
//!
//! # Memory
//!
//! An open writer holds at most `chunksize` bytes, an open reader what the connection has delivered.
//!
//! # Quirks of S3-like stores
//!
//! `forcepathstyle` for stores without names for buckets; `listorder` for those that list directory by directory (SeaweedFS
//! says so when the driver is opened); `multidelete: false` for those that cannot delete many objects at once;
//! `checksum: crc32c` for those that know checksums of objects.

mod config;
mod connector;
mod copy;
mod credentials;
mod delete;
mod error;
mod identity;
mod keys;
mod list;
mod multipart;
mod order;
mod read;
mod redirect;
mod store;
mod uploads;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;

use crate::base::retry::RetryPolicy;
use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Identity, Position, Reader, RedirectRequest,
    Result, StorageDriver, StoragePath, WriteMode, walk_by_listing,
};
use store::Store;
use writer::Writer;

pub use config::{Checksum, ListOrder, S3Config};

/// Stores files as objects of a bucket.
///
/// Cheap to clone: clones share connections, credentials and the budget of retries.
#[derive(Clone, Debug)]
pub struct S3 {
    store: Arc<Store>,
}

impl S3 {
    /// Opens a bucket.
    ///
    /// Gets credentials, and logs whose and from where. Of a store of one's own, asks one request how it lists, unless
    /// `listorder` says it.
    ///
    /// # Errors
    ///
    /// - [`InvalidParameters`](crate::contract::ErrorKind::InvalidParameters) if they cannot be used.
    /// - [`AccessDenied`](crate::contract::ErrorKind::AccessDenied) if there are no credentials.
    /// - Those of the store, where it is asked.
    pub async fn open(config: S3Config) -> Result<Self> {
        Self::open_with(config, RetryPolicy::default()).await
    }

    /// The same, with another policy of retries. Each request is tried again by itself.
    ///
    /// # Errors
    ///
    /// Those of [`open`](S3::open).
    pub async fn open_with(config: S3Config, retries: RetryPolicy) -> Result<Self> {
        let mut store = Store::new(config.checked()?, retries)?;
        let identity = store.identity().await?;
        tracing::info!(
            target: "wharf::s3",
            bucket = store.bucket(),
            credential = identity.credential,
            source = identity.source,
            "S3 is used with these credentials"
        );
        store.is_tree_order = store.lists_as_a_tree().await?;
        Ok(S3 { store: Arc::new(store) })
    }

    /// Returns who signs the requests, and asks the store by what name it knows it: two requests at most. A store that
    /// does not say gives no principal, which is no error.
    ///
    /// # Errors
    ///
    /// [`AccessDenied`](crate::contract::ErrorKind::AccessDenied) if there are no credentials, or the store refuses them.
    pub async fn identity(&self) -> Result<Identity> {
        let mut identity = self.store.identity().await?;
        identity.principal = self.store.principal().await?;
        Ok(identity)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for S3 {
    fn name(&self) -> &str {
        // Distribution's, under whichever of the two names it is opened.
        "s3aws"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            atomic_replace: true,
            durable: true,
            resumable: true,
            // To continue an upload with a short last part, its beginning is completed at the file's own key.
            hidden_uploads: false,
            consistent: true,
            redirect: true,
            native_walk: !self.store.is_tree_order,
            uploads: true,
            read_only: false,
        }
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.store.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.store.put(path, content).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.store.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(Writer::open(self.store.clone(), path, mode).await?))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.store.stat(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.store.clone().list(path, start_after.cloned()).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        if self.store.is_tree_order {
            let store = self.store.clone();
            let list = move |path: StoragePath, after: Option<Position>| {
                let store = store.clone();
                async move { store.list(&path, after).await }.boxed()
            };
            return walk_by_listing(list, path, start).await;
        }
        self.store.clone().walk(path, start.cloned()).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.store.move_file(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.store.delete(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let keys: Vec<String> = paths.iter().map(|path| self.store.keys.key(path)).collect();
        self.store.delete_keys(&keys).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.store.redirect_url(path, request).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.store.clone().uploads(path).await
    }
}
