//! A file that is not finished: beside its target, under a name that no path can spell.

use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions};
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::gate::Gate;
use super::names;
use super::sync::DirectorySync;

/// A file that is not finished. Dropped before it was published, it is removed.
pub(super) struct Temporary {
    directory: Dir,
    name: String,
    file: Arc<File>,
    is_published: bool,
}

impl Temporary {
    /// Creates an empty one.
    pub(super) fn create(directory: Dir) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        loop {
            let name = names::temporary();
            match directory.open_with(&name, &options) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let file = Arc::new(file?.into_std());
                    return Ok(Temporary { directory, name, file, is_published: false });
                }
            }
        }
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns the directory that it is in.
    pub(super) fn directory(&self) -> &Dir {
        &self.directory
    }

    /// Gives the file its name, in place of what had it. It is there, whole, after a crash once this has returned.
    ///
    /// Fails with not-found if somebody deleted the directory with all that was in it, and with interrupted if the caller
    /// has gone.
    pub(super) fn publish(self, names: &DirectorySync, name: &str, gate: &Gate) -> io::Result<()> {
        self.publish_by(names, gate, |temporary| {
            temporary.directory.rename(&temporary.name, &temporary.directory, name)
        })
    }

    /// The same, if what has the name is what [`Seen::at`] saw there, and nothing that came since.
    ///
    /// Fails with already-exists if something else is there. Between processes this is exact where nothing was there, by
    /// the system's own check; of a file that was there, another process may replace it between the look and the rename.
    pub(super) fn publish_over(self, names: &DirectorySync, seen: &Seen, name: &str, gate: &Gate) -> io::Result<()> {
        self.publish_by(names, gate, |temporary| {
            let Temporary { directory, name: from, .. } = temporary;
            if *seen == Seen(None) {
                match rustix::fs::renameat_with(directory, from, directory, name, RenameFlags::NOREPLACE) {
                    // A file system that cannot check, and a system that does not know how.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                    renamed => return Ok(renamed?),
                }
            }
            if Seen::at(directory, name) != *seen {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            directory.rename(from, directory, name)
        })
    }

    fn publish_by(
        mut self,
        names: &DirectorySync,
        gate: &Gate,
        rename: impl FnOnce(&Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.file.sync_all()?;
        gate.pass(|| rename(&self))?;
        self.is_published = true;
        names.sync(&self.directory)
    }
}

/// What was at a name when somebody looked: which file, and when it was changed last; or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(Option<Identity>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
    size: u64,
    changed: (i64, i64),
}

impl Seen {
    /// Looks at a name of a directory.
    pub(super) fn at(directory: &Dir, name: &str) -> Self {
        Seen(directory.symlink_metadata(name).ok().map(|found: Metadata| Identity {
            device: found.dev(),
            number: found.ino(),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        }))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_published
            && let Err(error) = self.directory.remove_file(&self.name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, name = self.name, "an unfinished file could not be removed");
        }
    }
}
