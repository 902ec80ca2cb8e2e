//! Drivers that go on after their callers have gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use wharf::contract::{Error, ErrorKind, FileWriter, Result, StorageDriver, StoragePath, WriteMode};

use super::Fault;

/// After what time the driver does what nobody waits for any more.
const LATE: Duration = Duration::from_millis(20);

/// Does something a little later, whether or not its caller waits.
pub(super) async fn later<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let begun = tokio::spawn(async move {
        tokio::time::sleep(LATE).await;
        work.await
    });
    begun.await.map_err(|error| Error::new(ErrorKind::Other, "a late operation panicked").with_source(error))?
}

/// Returns whether the fault is in what a writer does late.
pub(super) fn concerns(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::DroppedWriterCommitsLate
            | Fault::DroppedCommitsLandLate
            | Fault::DroppedWriterPutsLate
            | Fault::DroppedWriterWritesLate
    )
}

/// A writer that does something when its caller has gone.
pub(super) struct LateWriter {
    /// None once it has ended.
    inner: Option<Box<dyn FileWriter>>,
    driver: Arc<dyn StorageDriver>,
    fault: Fault,
    path: StoragePath,
    mode: WriteMode,
    written: Vec<u8>,
}

impl LateWriter {
    pub(super) async fn open(
        driver: Arc<dyn StorageDriver>,
        fault: Fault,
        path: &StoragePath,
        mode: WriteMode,
    ) -> Result<Self> {
        let inner = Some(driver.writer(path, mode).await?);
        Ok(LateWriter { inner, driver, fault, path: path.clone(), mode, written: Vec::new() })
    }

    fn take(&mut self) -> Result<Box<dyn FileWriter>> {
        self.inner.take().ok_or_else(|| Error::new(ErrorKind::WriterEnded, "the writer has ended"))
    }
}

#[async_trait]
impl FileWriter for LateWriter {
    fn size(&self) -> u64 {
        self.inner.as_ref().map_or(0, |inner| inner.size())
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.written.extend_from_slice(&data);
        match &mut self.inner {
            Some(inner) => inner.write(data).await,
            None => Err(Error::new(ErrorKind::WriterEnded, "the writer has ended")),
        }
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.take()?.close().await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        let inner = self.take()?;
        match self.fault {
            Fault::DroppedCommitsLandLate => later(inner.commit()).await,
            _ => inner.commit().await,
        }
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        self.take()?.cancel().await
    }
}

impl Drop for LateWriter {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let (driver, path, written) = (Arc::clone(&self.driver), self.path.clone(), std::mem::take(&mut self.written));
        match (self.fault, self.mode) {
            (Fault::DroppedWriterCommitsLate, _) => drop(tokio::spawn(later(inner.commit()))),
            (Fault::DroppedWriterPutsLate, _) => {
                drop(tokio::spawn(later(async move { driver.put_content(&path, written.into()).await })));
            }
            (Fault::DroppedWriterWritesLate, WriteMode::Append) => {
                drop(inner);
                drop(tokio::spawn(later(async move {
                    let mut writer = driver.writer(&path, WriteMode::Append).await?;
                    writer.write(written.into()).await?;
                    writer.commit().await
                })));
            }
            _ => {}
        }
    }
}
