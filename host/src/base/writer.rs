//! Keeps an upload that has a hole from being committed, and an upload's sizes honest.

use async_trait::async_trait;
use bytes::Bytes;

use super::checks::fault;
use super::measure::Measure;
use super::stamp::OwnedStamp;
use crate::contract::{Error, ErrorKind, FileWriter, Operation, Result};

/// A writer, held to the contract.
pub(super) struct Held {
    inner: Box<dyn FileWriter>,
    /// How many bytes the upload should have.
    size: u64,
    /// Set while a write is under way and after one failed. A write that was dropped half-way leaves it set: how much
    /// of it arrived is not known, so what follows might leave a hole.
    is_broken: bool,
    stamp: OwnedStamp,
    /// From the opening to the end of the writer.
    measure: Measure,
}

impl Held {
    pub(super) fn new(inner: Box<dyn FileWriter>, stamp: OwnedStamp, mut measure: Measure) -> Self {
        measure.add_bytes(0);
        Held { size: inner.size(), inner, is_broken: false, stamp, measure }
    }

    fn broken(&self) -> Error {
        let message = "an earlier write failed or was dropped, so bytes may be missing; close or cancel this writer";
        Error::new(ErrorKind::WriterEnded, message)
    }

    /// Ends the writer by `work`, within a measurement of its own: most of an upload's time may go into its end.
    async fn finish<T, F>(
        self: Box<Self>,
        operation: Operation,
        work: impl FnOnce(Box<dyn FileWriter>, Check) -> F + Send,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let Held { inner, size, is_broken, stamp, measure: mut whole } = *self;
        let stamp = stamp.of(operation);
        let mut measure = Measure::begin(&stamp);
        let result = measure.around(work(inner, Check { size, is_broken })).await.map_err(|error| stamp.on(error));
        measure.end_with(&result);
        whole.end_with(&result);
        result
    }
}

/// What the end of a writer has to be held against.
struct Check {
    size: u64,
    is_broken: bool,
}

impl Check {
    /// Holds the size that the driver tells against what was written.
    fn size(&self, told: u64) -> Result<u64> {
        if !self.is_broken && told != self.size {
            let message = format!("the upload should have {} bytes, and it says {told}", self.size);
            return Err(fault(message));
        }
        Ok(told)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Held {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        if self.is_broken {
            return Err(self.stamp.of(Operation::Write).on(self.broken()));
        }
        // No bytes: nothing for the driver to do, and some stores take no empty part.
        if data.is_empty() {
            return Ok(());
        }
        let bytes = data.len() as u64;
        self.is_broken = true;
        match self.measure.around(self.inner.write(data)).await {
            Ok(()) => {
                self.is_broken = false;
                self.size += bytes;
                self.measure.add_bytes(bytes);
                Ok(())
            }
            Err(error) => Err(self.stamp.of(Operation::Write).on(error)),
        }
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        self.finish(Operation::Close, async |inner, check| check.size(inner.close().await?)).await
    }

    async fn commit(self: Box<Self>) -> Result<u64> {
        if self.is_broken {
            // Closed, and not only dropped: what had been stored stays, as after any failed commit.
            let error = self.broken();
            let close = async |inner: Box<dyn FileWriter>, _| {
                if let Err(error) = inner.close().await {
                    tracing::debug!(%error, "an upload that cannot be committed could not be closed either");
                }
                Err(error)
            };
            return self.finish(Operation::Commit, close).await;
        }
        self.finish(Operation::Commit, async |inner, check| check.size(inner.commit().await?)).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.finish(Operation::Cancel, async |inner, _| inner.cancel().await).await
    }
}
