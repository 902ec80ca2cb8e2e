//! That a driver of [`Instances::Exclusive`](super::Instances::Exclusive) is open once: in this process, and, where it has
//! directories to write to, on this machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::time::Instant;

use super::{DirectoryGrant, Grants};
use crate::contract::{Error, ErrorKind, Result};

/// How often one that is open elsewhere is asked for again.
const AGAIN: Duration = Duration::from_millis(20);

/// What is open in this process: components by their SHA-256, with their parameters.
#[derive(Debug, Default)]
pub(super) struct InUse(Mutex<BTreeSet<Key>>);

type Key = (String, String);

/// Held while the driver is open, until its last instance is gone.
///
/// A directory lies in others, and of those another driver may have one: so each is locked for itself alone, and every directory
/// above it together with whoever has something else below it. A directory that this process may not read is passed over: nobody
/// could grant it to a driver of the same user. What is mounted in two places is seen at one of them only.
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
    /// Takes a component with its parameters, and each directory that it may write to (`flock`, which goes with the process),
    /// with what lies below. Waits up to `patience`: one that was closed a moment ago may still be ending.
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
        let mut is_told = false;
        loop {
            match Self::attempt(in_use, (sha256.to_owned(), parameters.to_owned()), grants) {
                Err(error) if *error.kind() == ErrorKind::Unavailable && Instant::now() < until => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::info!(
                            reason = error.message(),
                            "waiting up to {patience:?} for a driver that is open"
                        );
                    }
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
        // One that is granted twice, or lies in another of its own, is locked once.
        let mut granted: Vec<(PathBuf, &DirectoryGrant)> = Vec::new();
        for grant in grants.directories.iter().filter(|grant| grant.write) {
            granted.push((grant.host.canonicalize().map_err(|error| not_opened(grant, error))?, grant));
        }
        granted.sort_by_key(|(path, _)| path.components().count());
        let mut own: Vec<PathBuf> = Vec::new();
        for (path, grant) in granted {
            if own.iter().any(|above| path.starts_with(above)) {
                continue;
            }
            let directory = File::open(&path).map_err(|error| not_opened(grant, error))?;
            lock(&directory, &path, FlockOperation::NonBlockingLockExclusive)?;
            directories.push(directory);
            for above in path.ancestors().skip(1) {
                if let Ok(directory) = File::open(above) {
                    lock(&directory, &path, FlockOperation::NonBlockingLockShared)?;
                    directories.push(directory);
                }
            }
            own.push(path);
        }
        Ok(Exclusive { directories, entry })
    }
}

/// Locks a directory, for the sake of one that is granted.
fn lock(directory: &File, granted: &Path, how: FlockOperation) -> Result<()> {
    match rustix::fs::flock(directory, how) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => {
            let message = format!(
                "the component is of `exclusive` instances, and a driver that is open, in this program or another, has the \
                 directory {}, one below it or one that it lies in: close that one, or grant each a directory of its own",
                granted.display()
            );
            Err(Error::new(ErrorKind::Unavailable, message))
        }
        Err(error) => {
            tracing::warn!(
                directory = %granted.display(),
                %error,
                "the file system of a directory takes no locks: see to it yourself that no other program opens the driver of \
                 `exclusive` instances that may write to it"
            );
            Ok(())
        }
    }
}

fn not_opened(grant: &DirectoryGrant, error: std::io::Error) -> Error {
    let message = format!(
        "the directory {}, granted by `{}`, cannot be opened: {error}; create it, or correct the configuration",
        grant.host.display(),
        grant.as_configuration()
    );
    Error::new(ErrorKind::InvalidParameters, message).with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
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
    async fn a_directory_is_not_written_beside_one_that_it_lies_in() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir(place.path().join("c")).unwrap();
        std::os::unix::fs::symlink(&inner, place.path().join("link")).unwrap();
        let take = async |directory: &str| {
            let directory = place.path().join(directory);
            Exclusive::take(&Arc::default(), "one", "{}", &grants(&directory, true), Duration::ZERO).await
        };
        let inner = take("a/b").await.unwrap();
        for taken in ["", "a", "a/b", "link"] {
            assert_eq!(*take(taken).await.unwrap_err().kind(), ErrorKind::Unavailable, "{taken}");
        }
        let beside = take("c").await.unwrap();
        drop((inner, beside));
        let _outer = take("a").await.unwrap();
        assert_eq!(*take("a/b").await.unwrap_err().kind(), ErrorKind::Unavailable);
        take("c").await.unwrap();
    }

    #[tokio::test]
    async fn a_driver_may_write_to_two_directories_of_which_one_lies_in_the_other() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let mut both = grants(&inner, true);
        both.directories.extend(grants(place.path(), true).directories);
        both.directories.extend(grants(place.path(), true).directories);
        Exclusive::take(&Arc::default(), "one", "{}", &both, Duration::ZERO).await.unwrap();
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
