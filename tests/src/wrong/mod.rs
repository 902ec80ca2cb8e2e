//! Drivers that break one promise each, by which the suite itself is tested.
//!
//! [`Wrong`] wraps a right driver and passes everything through, but for one [`Fault`]. The suite has teeth when the
//! case that [`Fault::breaks`] names fails on the wrong driver and passes on the right one.

mod changes;
mod content;
mod fault;
mod info;
mod kept;
mod late;
mod listing;
mod matrix;
mod reader;
mod reading;
mod redeclared;
mod state;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{
    ByteRange, Capabilities, Cursor, Entry, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};

use state::State;

pub use fault::Fault;
pub use matrix::{MakeDriver, Matrix, Row};
pub use reading::only_reads;

/// A right driver with one fault.
pub struct Wrong {
    inner: Arc<dyn StorageDriver>,
    fault: Fault,
    state: Arc<State>,
}

impl Wrong {
    /// Wraps a driver, which should be behind `base`.
    pub fn new(inner: Arc<dyn StorageDriver>, fault: Fault) -> Self {
        Wrong { inner, fault, state: Arc::default() }
    }

    async fn entries(&self, path: &StoragePath, after: Option<&Position>) -> Result<Vec<Entry>> {
        self.inner.list(path, after).await?.try_collect().await
    }

    async fn is_directory(&self, path: &StoragePath) -> bool {
        self.inner.stat(path).await.is_ok_and(|info| info.is_dir)
    }

    /// Spoils an operation's error.
    fn spoil<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match self.fault {
            Fault::ErrorsWithoutDriver => Error::new(error.kind().clone(), error.message()),
            Fault::WrongKind if error.is_path_not_found() => {
                let kept = Error::new(ErrorKind::Other, "no such key").with_driver(self.inner.name());
                match error.path() {
                    Some(path) => kept.with_path_text(path),
                    None => kept,
                }
            }
            _ => error,
        })
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        self.state.dropped.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrong").field("fault", &self.fault).field("inner", &self.inner).finish()
    }
}

#[async_trait]
impl StorageDriver for Wrong {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        match self.fault {
            Fault::RedirectsNowhere
            | Fault::RedirectsToOneAddress
            | Fault::RedirectsToAnotherScheme
            | Fault::RedirectsWithAPassword => capabilities.redirect = true,
            Fault::UploadsHidden => capabilities.uploads = true,
            Fault::UploadsUndeclared => capabilities.uploads = false,
            Fault::CapabilitiesChange => capabilities.native_walk = !self.state.count().is_multiple_of(2),
            Fault::AppendUndeclared => capabilities.resumable = false,
            _ => {}
        }
        capabilities
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.get(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.changes();
        self.put(path, content).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.read(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        self.changes();
        if late::concerns(self.fault) {
            return Ok(Box::new(late::LateWriter::open(self.inner.clone(), self.fault, path, mode).await?));
        }
        writer::open(self.inner.clone(), self.fault, self.state.clone(), path, mode).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.info_of(path).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.list_of(path, start_after).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.walk_of(path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.changes();
        self.move_to(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.changes();
        self.delete_path(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.changes();
        self.delete_all(paths).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        match self.fault {
            Fault::RedirectsUndeclared => Ok(Some("http://localhost/".to_owned())),
            Fault::RedirectsToOneAddress => Ok(Some("http://localhost/one".to_owned())),
            Fault::RedirectsToAnotherScheme => Ok(Some(format!("s3://bucket{path}"))),
            Fault::RedirectsWithAPassword => Ok(Some(format!("https://user:password@localhost{path}"))),
            Fault::RedirectsNowhere => Ok(None),
            _ => self.inner.redirect_url(path, request).await,
        }
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        if let Some(kept) = self.kept_uploads(path) {
            return Ok(listing::listing(kept));
        }
        let mut entries: Vec<Entry> = self.inner.uploads(path).await?.try_collect().await?;
        match self.fault {
            Fault::UploadsHidden => entries.clear(),
            Fault::UploadsEndAfterAHundred => entries.truncate(100),
            Fault::UploadsEndAfterAPage => entries.truncate(1000),
            Fault::UploadsOfChildrenOnly => {
                entries.retain(|entry| entry.path == *path || entry.path.parent().as_ref() == Some(path));
            }
            Fault::UploadsTellNow => entries.iter_mut().for_each(|entry| entry.modified = Some(SystemTime::now())),
            Fault::UploadsTellNoTime => entries.iter_mut().for_each(|entry| entry.modified = None),
            _ => {}
        }
        self.keep_uploads(path, &entries);
        Ok(listing::listing(entries))
    }
}
