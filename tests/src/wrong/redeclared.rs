//! A right driver that declares other capabilities, for the cases that the usual right driver does not run.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wharf::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, FileInfo, FileWriter, Position, Reader, RedirectRequest,
    Result, StorageDriver, StoragePath, WriteMode,
};

/// A driver without `resumable` and `uploads`, and with `redirect`. It keeps what it declares.
#[derive(Debug)]
pub(super) struct Redeclared(pub(super) Arc<dyn StorageDriver>);

#[async_trait]
impl StorageDriver for Redeclared {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { resumable: false, uploads: false, redirect: true, ..self.0.capabilities() }
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.0.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.0.put_content(path, content).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.0.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        match mode {
            WriteMode::New => self.0.writer(path, mode).await,
            WriteMode::Append => Err(Error::unsupported("uploads are not continued")),
        }
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.0.stat(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.0.list(path, start_after).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.0.walk(path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.0.move_file(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.0.delete(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.0.delete_files(paths).await
    }

    async fn redirect_url(&self, path: &StoragePath, _: &RedirectRequest) -> Result<Option<String>> {
        Ok(Some(format!("http://store.example{path}")))
    }

    async fn uploads(&self, _: &StoragePath) -> Result<EntryStream> {
        Err(Error::unsupported("uploads are not told"))
    }
}
