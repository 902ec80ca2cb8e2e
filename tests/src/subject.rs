//! What is tested: how to open a driver.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use wharf::contract::{Result, StorageDriver};

use crate::Provided;

/// A driver under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Returns the name in reports and in the committed figures, for instance `inmemory behind the limit`.
    fn name(&self) -> &str;

    /// Opens the driver. Called again for another instance, which must see the same store.
    ///
    /// # Errors
    ///
    /// What the driver says when it cannot be opened; every case then fails with it.
    async fn open(&self) -> Result<Arc<dyn StorageDriver>>;

    /// Opens the driver on a store of its own with nothing in it; none where that cannot be had, and the cases that
    /// need an empty store are ignored.
    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        None
    }

    /// Opens the driver again, on the store that it had. What [`open`](Self::open) returned before was dropped; a subject that keeps
    /// one driver for all openings closes it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    async fn reopen(&self) -> Result<Arc<dyn StorageDriver>> {
        self.open().await
    }

    /// Returns what is in the store of a driver that only reads; none where the driver stores what the cases need.
    fn provided(&self) -> Option<&Provided> {
        None
    }

    /// Called when the driver has crashed: what is opened from then on must be a new instance, and must not be refused since others
    /// crashed before it. One that holds its store in its
    /// memory is a new and empty store then.
    async fn crashed(&self) {}

    /// Returns whether a crash loses all that was stored, and so does closing the driver.
    fn loses_all(&self) -> bool {
        false
    }

    /// Returns whether the driver is wrapped in `base`. The cases that `base` answers are ignored where it is not.
    fn behind_base(&self) -> bool {
        true
    }
}

/// One opening of a driver that stands for all: of one that stores in its memory, where a second would see another store, and of
/// one that may be open once.
#[derive(Debug, Default)]
pub struct OneOpening(Mutex<Option<Arc<dyn StorageDriver>>>);

impl OneOpening {
    /// Returns the driver that is open; where none is, that which `open` opens.
    ///
    /// # Errors
    ///
    /// Those of `open`.
    pub async fn get(
        &self,
        open: impl Future<Output = Result<Arc<dyn StorageDriver>>>,
    ) -> Result<Arc<dyn StorageDriver>> {
        let mut opened = self.0.lock().await;
        match &*opened {
            Some(driver) => Ok(Arc::clone(driver)),
            None => Ok(Arc::clone(opened.insert(open.await?))),
        }
    }

    /// Lets go of the driver, which is closed when nobody else has it. The next [`get`](Self::get) opens it.
    pub async fn close(&self) {
        *self.0.lock().await = None;
    }
}
