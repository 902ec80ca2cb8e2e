//! A driver with one method changed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Position, Reader, RedirectRequest, Result,
    StorageDriver, StoragePath, WriteMode,
};

/// What a middleware changes: the address at which a client fetches a file.
#[async_trait]
pub trait Redirector: Send + Sync + fmt::Debug {
    /// Returns whether [`redirect_url`](Redirector::redirect_url) can return an address, over a driver that can
    /// (`below` is true) or cannot. Asked once.
    fn redirects(&self, below: bool) -> bool;

    /// Returns an address at which the client can fetch the file by itself; none where it must come through the host.
    /// `below` answers what the driver would.
    async fn redirect_url(
        &self,
        path: &StoragePath,
        request: &RedirectRequest,
        below: Below<'_>,
    ) -> Result<Option<String>>;
}

/// The driver below a [`Redirector`], asked about the same file and the same request.
pub struct Below<'a> {
    driver: &'a dyn StorageDriver,
    path: &'a StoragePath,
    request: &'a RedirectRequest,
}

impl Below<'_> {
    /// Returns the driver's own answer; none, without asking it, where it does not promise
    /// [`redirect`](Capabilities::redirect).
    ///
    /// # Errors
    ///
    /// The driver's.
    pub async fn redirect_url(&self) -> Result<Option<String>> {
        if !self.driver.capabilities().redirect {
            return Ok(None);
        }
        self.driver.redirect_url(self.path, self.request).await
    }
}

impl fmt::Debug for Below<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Below").field(&self.driver).finish()
    }
}

/// A driver whose addresses come from a [`Redirector`], and which is in all else the driver that it wraps.
#[derive(Debug)]
pub struct Redirecting {
    inner: Arc<dyn StorageDriver>,
    redirector: Box<dyn Redirector>,
    capabilities: Capabilities,
}

impl Redirecting {
    /// Wraps a driver.
    pub fn new(driver: Arc<dyn StorageDriver>, redirector: impl Redirector + 'static) -> Self {
        let capabilities = driver.capabilities();
        let redirect = redirector.redirects(capabilities.redirect);
        let capabilities = Capabilities { redirect, ..capabilities };
        Redirecting { inner: driver, redirector: Box::new(redirector), capabilities }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for Redirecting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.inner.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.inner.put_content(path, content).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.inner.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        self.inner.writer(path, mode).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.inner.stat(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.inner.list(path, start_after).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.inner.walk(path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.inner.move_file(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.inner.delete(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.inner.delete_files(paths).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        let below = Below { driver: &*self.inner, path, request };
        self.redirector.redirect_url(path, request, below).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.inner.uploads(path).await
    }
}
