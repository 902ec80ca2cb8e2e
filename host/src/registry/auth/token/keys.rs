//! The keys that tokens are verified by, as the files had them when they were last read.
//!
//! A token server replaces its keys now and then, and its files with them. They are read again when an operator asks, and
//! when a token names a key that is unknown: the first with the new key is the one that tells. Whoever sends tokens of made-up
//! keys makes the registry read the files once in [`EVERY`], and no more often.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::super::OpenError;
use super::trust::Trust;

/// How long the files are taken to be as they were, whatever keys tokens name.
const EVERY: Duration = Duration::from_secs(10);

/// How long a request waits for the files. It is longer only where a disk or a network does not answer.
const WAIT: Duration = Duration::from_secs(5);

/// The files of keys, and what was last read from them.
pub(super) struct Keys {
    files: Files,
    current: RwLock<Current>,
    reading: Mutex<Reading>,
}

/// Where keys are: `rootcertbundle` and `jwks`.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    pub(super) bundle: Option<PathBuf>,
    pub(super) jwks: Option<PathBuf>,
}

struct Current {
    trust: Arc<Trust>,
    /// How many times they were read before.
    age: u64,
}

struct Reading {
    /// When the files were last read for a token's sake.
    began: Option<Instant>,
    /// A reading that began and whose end nobody has seen yet: the request that began it may be gone.
    task: Option<JoinHandle<Result<Trust, OpenError>>>,
}

impl Files {
    /// Reads them. Blocks.
    fn read(&self) -> Result<Trust, OpenError> {
        Trust::open(self.bundle.as_deref(), self.jwks.as_deref())
    }
}

impl Keys {
    /// Reads the files. Blocks.
    pub(super) fn open(files: Files) -> Result<Self, OpenError> {
        let trust = files.read()?;
        Ok(Self::new(files, trust))
    }

    pub(super) fn new(files: Files, trust: Trust) -> Self {
        let current = RwLock::new(Current { trust: Arc::new(trust), age: 0 });
        Keys { files, current, reading: Mutex::new(Reading { began: None, task: None }) }
    }

    /// Returns the keys, and their age for [`renew`](Self::renew).
    pub(super) fn current(&self) -> (Arc<Trust>, u64) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&current.trust), current.age)
    }

    fn replace(&self, trust: Trust) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.trust = Arc::new(trust);
        current.age += 1;
    }

    /// Reads the files again. Blocks. If they are wrong, the keys stay as they were.
    pub(super) fn reload(&self) -> Result<(), OpenError> {
        self.replace(self.files.read()?);
        Ok(())
    }

    /// Reads the files again for a token whose key is not among the keys of that age, unless they were read a short while ago.
    /// Returns whether there are others now. If the files are wrong, the keys stay as they were, and the log says so.
    ///
    /// # Cancel safety
    ///
    /// A reading that began goes on, and the next caller gets what it saw.
    pub(super) async fn renew(&self, age: u64) -> bool {
        let read = async {
            let mut reading = self.reading.lock().await;
            // Somebody else's token was first.
            if self.current().1 != age {
                return;
            }
            if reading.task.is_none() && reading.began.is_none_or(|began| began.elapsed() >= EVERY) {
                let files = self.files.clone();
                reading.began = Some(Instant::now());
                reading.task = Some(spawn_blocking(move || files.read()));
            }
            let Some(task) = &mut reading.task else { return };
            let read = task.await;
            reading.task = None;
            match read {
                Ok(Ok(trust)) => self.replace(trust),
                Ok(Err(error)) => tracing::error!(%error, "the keys of tokens stay as they were"),
                // The server is shutting down.
                Err(_) => {}
            }
        };
        if timeout(WAIT, read).await.is_err() {
            tracing::error!("the files of keys of tokens cannot be read: no answer for {WAIT:?}");
        }
        self.current().1 != age
    }
}
