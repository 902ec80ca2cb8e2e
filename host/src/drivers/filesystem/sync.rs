//! Making the names in directories survive a crash, where the file system can.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Syncs directories. Some network and FUSE file systems refuse that for any directory: what they promise of names is all that
/// there is then.
#[derive(Debug)]
pub(super) struct DirectorySync {
    fsync: fn(&Dir) -> rustix::io::Result<()>,
    /// Whether the file system said that it does not sync directories.
    is_refused: AtomicBool,
}

impl Default for DirectorySync {
    fn default() -> Self {
        Self::by(fsync)
    }
}

impl DirectorySync {
    /// Syncs by this in place of the system's own.
    pub(super) fn by(fsync: fn(&Dir) -> rustix::io::Result<()>) -> Self {
        DirectorySync { fsync, is_refused: AtomicBool::new(false) }
    }

    /// Returns whether the file system has not refused to sync a directory.
    pub(super) fn is_supported(&self) -> bool {
        !self.is_refused.load(Ordering::Relaxed)
    }

    /// Finds out whether directories can be synced where the root is, or will be. Whatever else fails, the first write says.
    pub(super) fn probe(&self, root: &Path) {
        let there = root.ancestors().find(|above| above.is_dir());
        if let Some(directory) = there.and_then(|above| Dir::open_ambient_dir(above, ambient_authority()).ok()) {
            let _ = self.sync(&directory);
        }
    }

    /// Makes the entries of a directory survive a crash: names that were made, replaced or removed. A file system that has no
    /// such operation is logged once.
    ///
    /// Fails with [`Unsynced`] inside: what was to be synced has been done by then.
    pub(super) fn sync(&self, directory: &Dir) -> io::Result<()> {
        match (self.fsync)(directory) {
            Err(Errno::INVAL | Errno::NOTSUP) => {
                if !self.is_refused.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the file system of `rootdirectory` does not sync directories: a file that was stored may lack its name \
                         after a crash of the machine, and the driver does not declare `durable`"
                    );
                }
                Ok(())
            }
            synced => synced.map_err(|errno| io::Error::other(Unsynced(errno.into()))),
        }
    }
}

fn fsync(directory: &Dir) -> rustix::io::Result<()> {
    // cap-std's own handle may be one that cannot be synced (O_PATH).
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, ".", flags, Mode::empty()).and_then(rustix::fs::fsync)
}

/// A change was made, and cannot be made to survive a crash.
#[derive(Debug, thiserror::Error)]
#[error("the directory cannot be synced: {0}")]
pub(super) struct Unsynced(pub(super) io::Error);
