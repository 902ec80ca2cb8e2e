//! Uploads: opened again, never written again, and committed again after a look.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::Retrying;
use super::commit::Upload;
use super::policy::Repeat;
use crate::contract::{FileWriter, Result, StoragePath, WriteMode};

/// Opens a writer.
pub(super) async fn open(driver: &Retrying, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
    let repeat = match mode {
        WriteMode::New => Repeat::Always,
        // A writer that nobody knows of may have the upload open, and two must not continue it.
        WriteMode::Append => Repeat::UnlessUnknown,
    };
    let opened = SystemTime::now();
    let inner = driver.retry.run(repeat, || driver.inner.writer(path, mode)).await?;
    let upload = Upload { driver: driver.clone(), path: path.clone(), opened };
    Ok(Box::new(Writer { inner, upload, is_broken: false }))
}

struct Writer {
    inner: Box<dyn FileWriter>,
    upload: Upload,
    /// Set while a write is under way, and after one failed: the size is not what there should be then.
    is_broken: bool,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        // Not repeated: how much of it was taken is known to the driver alone, and one that stores parts repeats them.
        self.is_broken = true;
        self.inner.write(data).await?;
        self.is_broken = false;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        // What was stored is there, whatever the answer; whoever continues the upload sees how much that is.
        self.inner.close().await
    }

    async fn commit(self: Box<Self>) -> Result<u64> {
        let Writer { inner, upload, is_broken } = *self;
        if is_broken { inner.commit().await } else { upload.commit(inner).await }
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.inner.cancel().await
    }
}
