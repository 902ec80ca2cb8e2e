//! What every driver has in front of it, so that no driver need do it.
//!
//! [`Base`] checks, names and measures; [`Retrying`](retry::Retrying) retries; [`ConcurrencyLimit`] bounds;
//! [`OrderedChanges`] keeps changes in order whose callers have gone. Each is a driver that wraps a driver, and they are
//! stacked in this order: the last two innermost, so that what `base` refuses costs no permit, none is held while an attempt
//! waits for its turn, and what goes on without its caller is one attempt; retries inside `base`, so that an operation is
//! checked, measured and named once, with all its attempts.
//!
//! What [`Base`] does with an operation, in this order (one file each):
//!
//! 1. `measure.rs`: opens a span, and at the end tells time, bytes and outcome. A stream's span lasts as long as it.
//! 2. `checks.rs`: refuses arguments that no driver may see, and answers what needs no driver.
//! 3. The driver is called.
//! 4. `reader.rs`, `listing.rs`, `writer.rs`, `checks.rs`: hold the driver to what it promised. A stream that ends
//!    before its file's size, an entry out of order or outside the directory, another path than was asked for: each is
//!    an error that says so, never a wrong result. `address.rs`: the same for an address that clients are sent to.
//! 5. `stamp.rs`: puts driver, operation and path on errors that lack them, those in streams included.
//!
//! [`Parameters`] are what drivers and middlewares are configured with; [`GoDuration`] is how times stand in them.

pub(crate) mod address;
#[cfg(feature = "wasm")]
pub(crate) mod cached;
pub mod capacity;
mod checks;
#[cfg(any(feature = "filesystem", feature = "wasm"))]
pub(crate) mod directory;
mod duration;
#[cfg(any(feature = "filesystem", feature = "wasm"))]
pub(crate) mod file_stream;
#[cfg(feature = "s3")]
pub(crate) mod http;
mod limit;
mod listing;
mod measure;
mod nearest;
mod ordered;
mod parameters;
pub(crate) mod permit;
mod reader;
pub mod retry;
mod secret;
#[cfg(any(feature = "registry", feature = "wasm"))]
pub(crate) mod seldom;
mod stamp;
#[cfg(test)]
mod tests;
mod typed;
mod writer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Operation, Position, Reader, RedirectRequest,
    Result, StorageDriver, StoragePath, WriteMode,
};
use measure::Measure;
use stamp::Stamp;

pub use duration::GoDuration;
pub use limit::ConcurrencyLimit;
pub use nearest::nearest;
pub use ordered::OrderedChanges;
pub use parameters::{ParameterFault, Parameters};
pub use secret::Secret;

/// A driver with everything in front of it that drivers have in common.
///
/// See the [module](self) for what it does. It is cheap: without a `tracing` subscriber for the target `wharf::driver`
/// at level debug, an operation costs some tens of nanoseconds more than on the driver itself, and no byte is copied.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::base::Base;
/// use wharf::contract::{StorageDriver, StoragePath};
/// use wharf::drivers::inmemory::InMemory;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> wharf::contract::Result<()> {
/// let driver = Base::new(Arc::new(InMemory::new()));
/// let error = driver.stat(&StoragePath::parse("/a")?).await.unwrap_err();
/// assert_eq!(error.to_string(), "inmemory: Path not found: /a");
/// # Ok(())
/// # }
/// ```
pub struct Base {
    inner: Arc<dyn StorageDriver>,
    // Asked for once: the trait says that they do not change, and a stamp needs a name that outlives the call.
    name: Arc<str>,
    capabilities: Capabilities,
}

impl Base {
    /// Wraps a driver.
    pub fn new(driver: Arc<dyn StorageDriver>) -> Self {
        Base { name: driver.name().into(), capabilities: driver.capabilities(), inner: driver }
    }

    fn stamp<'a>(&'a self, operation: Operation, path: &'a StoragePath) -> Stamp<'a> {
        Stamp { driver: &self.name, operation, path }
    }

    /// Measures an operation that is over when it returns, and stamps its error.
    async fn run<T>(
        &self,
        operation: Operation,
        path: &StoragePath,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let stamp = self.stamp(operation, path);
        let mut measure = Measure::begin(&stamp);
        let result = measure.around(work).await.map_err(|error| stamp.on(error));
        measure.end_with(&result);
        result
    }

    /// Measures an operation whose stream goes on after it has returned: only a failure ends the measurement.
    async fn open<T>(
        &self,
        operation: Operation,
        path: &StoragePath,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<(T, Measure)> {
        let stamp = self.stamp(operation, path);
        let mut measure = Measure::begin(&stamp);
        match measure.around(work).await {
            Ok(opened) => Ok((opened, measure)),
            Err(error) => {
                let error = stamp.on(error);
                measure.fail(&error);
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Base").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for Base {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let work = async {
            checks::not_root(path)?;
            let content = self.inner.get_content(path).await?;
            checks::content_size(content.len())?;
            Ok(content)
        };
        self.run(Operation::GetContent, path, work).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let work = async {
            checks::not_root(path)?;
            checks::change(&self.capabilities)?;
            checks::content_size(content.len())?;
            self.inner.put_content(path, content).await
        };
        self.run(Operation::PutContent, path, work).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let work = async {
            checks::not_root(path)?;
            let reader = self.inner.reader(path, range).await?;
            let count = reader::count(path, range, reader.info())?;
            Ok((reader, count))
        };
        let ((reader, count), measure) = self.open(Operation::Reader, path, work).await?;
        let stamp = self.stamp(Operation::Read, path).to_owned();
        Ok(reader::hold(reader, count, stamp, measure))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let work = async {
            checks::not_root(path)?;
            checks::change(&self.capabilities)?;
            checks::append(mode, &self.capabilities)?;
            self.inner.writer(path, mode).await
        };
        let (writer, measure) = self.open(Operation::Writer, path, work).await?;
        let stamp = self.stamp(Operation::Writer, path).to_owned();
        Ok(Box::new(writer::Held::new(writer, stamp, measure)))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let work = async { checks::info(path, self.inner.stat(path).await?) };
        self.run(Operation::Stat, path, work).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let (entries, measure) = self.open(Operation::List, path, self.inner.list(path, start_after)).await?;
        let stamp = self.stamp(Operation::List, path).to_owned();
        Ok(listing::hold(entries, listing::Rule::Children(start_after.cloned()), stamp, measure))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let (entries, measure) = self.open(Operation::Walk, path, self.inner.walk(path, start)).await?;
        let stamp = self.stamp(Operation::Walk, path).to_owned();
        Ok(listing::hold(entries, listing::Rule::Tree(start.cloned()), stamp, measure))
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let work = async {
            checks::not_root(source)?;
            checks::not_root(destination)?;
            checks::change(&self.capabilities)?;
            if source == destination {
                return checks::moved_onto_itself(self.inner.stat(source).await?);
            }
            self.inner.move_file(source, destination).await
        };
        self.run(Operation::Move, source, work).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let work = async {
            checks::not_root(path)?;
            checks::change(&self.capabilities)?;
            self.inner.delete(path).await
        };
        self.run(Operation::Delete, path, work).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        // Nothing to do is nothing to ask for, and the first path stands for all in what is told.
        let Some(first) = paths.first() else { return Ok(()) };
        let work = async {
            checks::change(&self.capabilities)?;
            checks::file_count(paths.len())?;
            paths.iter().try_for_each(checks::not_root)?;
            self.inner.delete_files(paths).await
        };
        self.run(Operation::DeleteFiles, first, work).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        let work = async {
            checks::not_root(path)?;
            if !self.capabilities.redirect {
                return Ok(None);
            }
            self.inner.redirect_url(path, request).await?.map(checks::address).transpose()
        };
        self.run(Operation::RedirectUrl, path, work).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        let work = async {
            checks::uploads(&self.capabilities)?;
            self.inner.uploads(path).await
        };
        let (entries, measure) = self.open(Operation::Uploads, path, work).await?;
        let stamp = self.stamp(Operation::Uploads, path).to_owned();
        Ok(listing::hold(entries, listing::Rule::Uploads, stamp, measure))
    }
}
