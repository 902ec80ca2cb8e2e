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

/// What is open in this process without a directory to write to: components by their SHA-256, with their parameters.
#[derive(Debug, Default)]
pub(super) struct InUse(Mutex<BTreeSet<Key>>);

type Key = (String, String);

/// Held while the driver is open, until its last instance is gone.
///
/// A directory lies in others, and of those another driver may have one: so each is locked for itself alone, and every directory
/// above it together with whoever has something else below it. A directory above that this process may not read is passed over:
/// nobody could grant it to a driver of the same user. What is mounted in two places is seen at one of them only.
#[derive(Debug)]
pub(super) struct Exclusive {
    #[expect(dead_code, reason = "the system takes the locks back when they are closed")]
    directories: Vec<File>,
    #[expect(dead_code, reason = "it takes its entry out when it is dropped")]
    entry: Option<Held>,
}

/// An entry of [`InUse`].
#[derive(Debug)]
struct Held {
    in_use: Arc<InUse>,
    key: Key,
}

impl Held {
    fn take(in_use: Arc<InUse>, key: Key) -> Result<Self> {
        if !in_use.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            let message = "the component is of `exclusive` instances, and is open in this process already, with these \
                           parameters: use the driver that is open";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(Held { in_use, key })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_use.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Exclusive {
    /// Takes each directory that a component may write to (`flock`, which goes with the process), with what lies below; where it
    /// has none, the component with its parameters. Waits up to `patience`: one that was closed a moment ago may still be ending.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if somebody has it open all the while; [`ErrorKind::InvalidParameters`] if a directory cannot
    /// be opened; [`ErrorKind::Other`] if it cannot be locked. One whose file system takes no locks is warned of.
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
            let (in_use, key) = (Arc::clone(in_use), (sha256.to_owned(), parameters.to_owned()));
            let grants: Vec<_> = grants.directories.iter().filter(|grant| grant.write).cloned().collect();
            // A disk may not answer.
            let attempt = tokio::task::spawn_blocking(move || Self::attempt(in_use, key, &grants)).await;
            match attempt.unwrap_or_else(|error| Err(Error::new(ErrorKind::Other, "the locks").with_source(error))) {
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

    fn attempt(in_use: Arc<InUse>, key: Key, grants: &[DirectoryGrant]) -> Result<Self> {
        if grants.is_empty() {
            return Ok(Exclusive { directories: Vec::new(), entry: Some(Held::take(in_use, key)?) });
        }
        let (mut directories, mut unlocked) = (Vec::new(), None);
        let mut granted: Vec<(PathBuf, &DirectoryGrant)> = Vec::new();
        for grant in grants {
            granted.push((grant.host.canonicalize().map_err(|error| not_opened(grant, error))?, grant));
        }
        granted.sort_by_key(|(path, _)| path.components().count());
        let mut own: Vec<PathBuf> = Vec::new();
        for (path, grant) in granted {
            // One that is granted twice, or lies in another of its own, is locked once.
            if own.iter().any(|above| path.starts_with(above)) {
                continue;
            }
            for (distance, at) in path.ancestors().enumerate() {
                let directory = match File::open(at) {
                    Err(error) if distance > 0 && error.kind() == std::io::ErrorKind::PermissionDenied => continue,
                    opened => opened.map_err(|error| not_opened(grant, error))?,
                };
                let how = if distance == 0 {
                    FlockOperation::NonBlockingLockExclusive
                } else {
                    FlockOperation::NonBlockingLockShared
                };
                if !lock(&directory, &path, how)? {
                    unlocked.get_or_insert_with(|| at.to_owned());
                }
                directories.push(directory);
            }
            own.push(path);
        }
        if let Some(directory) = unlocked {
            tracing::warn!(
                directory = %directory.display(),
                "the file system of a directory takes no locks: see to it yourself that no other program opens the driver of \
                 `exclusive` instances that may write to it or to one below it"
            );
        }
        Ok(Exclusive { directories, entry: None })
    }
}

/// Locks a directory, for the sake of one that is granted. False: its file system takes no locks.
fn lock(directory: &File, granted: &Path, how: FlockOperation) -> Result<bool> {
    match rustix::fs::flock(directory, how) {
        Ok(()) => Ok(true),
        // The last is NFS's word for a directory, which it can only lock as a file that is written.
        Err(Errno::NOSYS | Errno::NOTSUP | Errno::INVAL | Errno::NOLCK | Errno::BADF) => Ok(false),
        Err(Errno::WOULDBLOCK) => {
            let message = format!(
                "the component is of `exclusive` instances, and a driver that is open, in this program or another, has the \
                 directory {}, one below it or one that it lies in: close that one, or grant each a directory of its own",
                granted.display()
            );
            Err(Error::new(ErrorKind::Unavailable, message))
        }
        Err(error) => {
            let message = format!(
                "the directory {}, or one that it lies in, cannot be locked for a driver of `exclusive` instances: {error}",
                granted.display()
            );
            Err(Error::new(ErrorKind::Other, message).with_source(std::io::Error::from(error)))
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
    async fn a_component_may_be_open_twice_with_the_same_parameters_on_two_directories() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let in_use = Arc::default();
        let take =
            async |place: &Path| Exclusive::take(&in_use, "one", "{}", &grants(place, true), Duration::ZERO).await;
        let _first = take(first.path()).await.unwrap();
        take(second.path()).await.unwrap();
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
