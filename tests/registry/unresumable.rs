//! A driver that cannot continue uploads.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wharf::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};

/// A right driver without the capability `resumable`: a closed upload is lost.
#[derive(Debug)]
pub(crate) struct Unresumable {
    inner: Arc<dyn StorageDriver>,
}

impl Unresumable {
    pub(crate) fn new(inner: Arc<dyn StorageDriver>) -> Self {
        Unresumable { inner }
    }
}

#[async_trait]
impl StorageDriver for Unresumable {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { resumable: false, ..self.inner.capabilities() }
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
        match mode {
            WriteMode::New => self.inner.writer(path, mode).await,
            WriteMode::Append => Err(Error::new(ErrorKind::Unsupported, "this driver cannot continue uploads")),
        }
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
        self.inner.redirect_url(path, request).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.inner.uploads(path).await
    }
}
