//! The lock of an upload that is continued.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::error::{Intent, error};
use crate::contract::{Error, ErrorKind, Result, StoragePath};

/// How long it is until a lock that is taken is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// Locks a file against other writers that continue it, in this process and others on this machine, until it is closed.
///
/// Only among Wharf's: others do not ask. The lock is the system's (`flock`), and goes with the process.
pub(super) fn lock(file: &File, path: &StoragePath, patience: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if began.elapsed() < patience => std::thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::new(ErrorKind::Conflict, "another writer continues this upload").with_path(path));
            }
            // A file system without locks works as it always did.
            Err(Errno::NOSYS | Errno::NOTSUP | Errno::INVAL | Errno::NOLCK) => return Ok(()),
            Err(errno) => return Err(error(path, Intent::Store, errno.into())),
        }
    }
}
