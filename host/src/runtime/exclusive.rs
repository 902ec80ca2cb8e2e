//! That a driver of [`Instances::Exclusive`](super::Instances::Exclusive) is open once: in this process, and, where it has
//! directories to write to, on this machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::time::Instant;

use super::Grants;
use crate::contract::{Error, ErrorKind, Result};

/// How often one that is open elsewhere is asked for again.
const AGAIN: Duration = Duration::from_millis(20);

/// What is open in this process: components by their SHA-256, with their parameters.
#[derive(Debug, Default)]
pub(super) struct InUse(Mutex<BTreeSet<Key>>);

type Key = (String, String);

/// Held while the driver is open, until its last instance is gone.
#[derive(Debug)]
pub(super) struct Exclusive {
    #[expect(dead_code, reason = "the system takes the locks back when they are closed")]
    directories: Vec<File>,
    #[expect(dead_code, reason = "it takes its entry out when it is dropped")]
    entry: Held,
}

/// An entry of [`InUse`].
#[derive(Debug)]
struct Held {
    in_use: Arc<InUse>,
    key: Key,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_use.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Exclusive {
    /// Takes a component with its parameters, and each directory that it may write to (`flock`, which goes with the process).
    /// Waits up to `patience`: one that was closed a moment ago may still be ending.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if somebody has it open all the while; [`ErrorKind::InvalidParameters`] if a directory cannot
    /// be opened.
    pub(super) async fn take(
        in_use: &Arc<InUse>,
        sha256: &str,
        parameters: &str,
        grants: &Grants,
        patience: Duration,
    ) -> Result<Self> {
        let until = Instant::now() + patience;
        loop {
            match Self::attempt(in_use, (sha256.to_owned(), parameters.to_owned()), grants) {
                Err(error) if *error.kind() == ErrorKind::Unavailable && Instant::now() < until => {
                    tokio::time::sleep(AGAIN).await;
                }
                taken => return taken,
            }
        }
    }

    fn attempt(in_use: &Arc<InUse>, key: Key, grants: &Grants) -> Result<Self> {
        if !in_use.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            let message = "the component is of `exclusive` instances, and is open in this process already, with these \
                           parameters: use the driver that is open";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let entry = Held { in_use: Arc::clone(in_use), key };
        let mut directories = Vec::new();
        for grant in grants.directories.iter().filter(|grant| grant.write) {
            let shown = grant.host.display();
            let directory = File::open(&grant.host).map_err(|error| {
                let message = format!(
                    "the directory {shown}, granted by `{}`, cannot be opened: {error}; create it, or correct the \
                     configuration",
                    grant.as_configuration()
                );
                Error::new(ErrorKind::InvalidParameters, message).with_source(error)
            })?;
            match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let message = format!(
                        "the component is of `exclusive` instances, and a driver that is open, in this program or another, has \
                         the directory {shown}: close that one, or grant each a directory of its own"
                    );
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                Err(error) => tracing::warn!(
                    directory = %shown,
                    %error,
                    "the file system of a directory takes no locks: see to it yourself that no other program opens the driver \
                     of `exclusive` instances that may write to it"
                ),
            }
            directories.push(directory);
        }
        Ok(Exclusive { directories, entry })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::DirectoryGrant;
    use super::*;

    fn grants(host: &std::path::Path, write: bool) -> Grants {
        let directory = DirectoryGrant { host: host.to_owned(), guest: "/data".to_owned(), write };
        Grants { directories: vec![directory], ..Grants::default() }
    }

    #[tokio::test]
    async fn a_directory_is_written_by_one_driver_whatever_its_runtime_and_parameters() {
        let place = tempfile::tempdir().unwrap();
        let take = async |parameters: &str, write: bool| {
            // A runtime of its own, as another program has.
            Exclusive::take(&Arc::default(), "one", parameters, &grants(place.path(), write), Duration::ZERO).await
        };
        let first = take("{}", true).await.unwrap();
        let error = take("{\"a\":1}", true).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains(&place.path().display().to_string()), "{error}");
        // Who only reads it is not asked.
        take("{}", false).await.unwrap();
        drop(first);
        take("{}", true).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_directory_a_process_opens_a_component_once_with_the_same_parameters() {
        let in_use = Arc::default();
        let take = async |sha256: &str, parameters: &str| {
            Exclusive::take(&in_use, sha256, parameters, &Grants::default(), Duration::ZERO).await
        };
        let first = take("one", "{}").await.unwrap();
        assert!(take("one", "{}").await.unwrap_err().message().contains("open in this process"));
        take("one", "{\"a\":1}").await.unwrap();
        take("another", "{}").await.unwrap();
        drop(first);
        take("one", "{}").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_ending_is_waited_for() {
        let (in_use, none) = (Arc::default(), Grants::default());
        let take = || Exclusive::take(&in_use, "one", "{}", &none, Duration::from_secs(10));
        let first = take().await.unwrap();
        let ending = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(take(), ending);
        second.unwrap();
    }
}
