//! Writers with a fault.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wharf::contract::{FileWriter, Result, StorageDriver, StoragePath, WriteMode};

use super::Fault;

pub(super) async fn open(
    driver: Arc<dyn StorageDriver>,
    fault: Fault,
    path: &StoragePath,
    mode: WriteMode,
) -> Result<Box<dyn FileWriter>> {
    let mode = match fault {
        Fault::AppendStartsAnew => {
            if mode == WriteMode::Append {
                driver.writer(path, mode).await?.close().await?;
            }
            WriteMode::New
        }
        Fault::AppendToMissingBegins if mode == WriteMode::Append => match driver.writer(path, mode).await {
            Ok(writer) => {
                writer.close().await?;
                mode
            }
            Err(_) => WriteMode::New,
        },
        Fault::NewContinues => match driver.writer(path, WriteMode::Append).await {
            Ok(writer) => {
                writer.close().await?;
                WriteMode::Append
            }
            Err(_) => mode,
        },
        _ => mode,
    };
    let inner = driver.writer(path, mode).await?;
    Ok(Box::new(WrongWriter { inner, driver, fault, path: path.clone(), written: Vec::new() }))
}

struct WrongWriter {
    inner: Box<dyn FileWriter>,
    driver: Arc<dyn StorageDriver>,
    fault: Fault,
    path: StoragePath,
    written: Vec<u8>,
}

#[async_trait]
impl FileWriter for WrongWriter {
    fn size(&self) -> u64 {
        match self.fault {
            Fault::SizeForgetsWhatWasThere => self.written.len() as u64,
            _ => self.inner.size(),
        }
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.written.extend_from_slice(&data);
        match self.fault {
            Fault::CommitLosesTheTail | Fault::CloseLosesTheTail => Ok(()),
            Fault::UploadsVisible => {
                self.driver.put_content(&self.path, self.written.clone().into()).await?;
                self.inner.write(data).await
            }
            Fault::ReordersChunks => {
                let mut data = data.to_vec();
                data.reverse();
                self.inner.write(data.into()).await
            }
            _ => self.inner.write(data).await,
        }
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        match self.fault {
            Fault::CommitLosesTheTail => self.inner.write(self.written.into()).await?,
            Fault::CloseLosesTheTail => {
                self.written.pop();
                self.inner.write(self.written.into()).await?;
            }
            Fault::CloseThrowsAway => {
                let size = self.inner.size();
                self.inner.cancel().await?;
                return Ok(size);
            }
            Fault::CloseCommits => return self.inner.commit().await,
            _ => {}
        }
        self.inner.close().await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        match self.fault {
            Fault::CommitLosesTheTail => {
                self.written.pop();
                self.inner.write(self.written.into()).await?;
            }
            Fault::CloseLosesTheTail => self.inner.write(self.written.into()).await?,
            Fault::CommitOnlyCloses => return self.inner.close().await,
            Fault::CommitTellsAnotherSize => return Ok(self.inner.commit().await? + 1),
            Fault::CommitOfNothingIsForgotten if self.inner.size() == 0 => {
                self.inner.cancel().await?;
                return Ok(0);
            }
            Fault::WritersMix => {
                let size = self.inner.commit().await?;
                let mut content = self.written;
                if content.len() > 40_000 {
                    content[..1000].fill(0);
                }
                self.driver.put_content(&self.path, content.into()).await?;
                return Ok(size);
            }
            _ => {}
        }
        self.inner.commit().await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        match self.fault {
            Fault::CancelLeavesBytes => self.inner.commit().await.map(|_| ()),
            Fault::CancelDeletesTheOld => {
                self.inner.cancel().await?;
                self.driver.delete_files(&[self.path]).await
            }
            Fault::CancelOnlyCloses => self.inner.close().await.map(|_| ()),
            _ => self.inner.cancel().await,
        }
    }
}
