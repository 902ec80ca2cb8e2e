//! A file that is not finished: beside its target, under a name that no path can spell.

use std::fs::File;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};

use super::names;
use super::root::sync_directory;

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

    /// Gives the file its name, in place of what had it. It is there, whole, after a crash once this has returned.
    ///
    /// Fails with not-found if somebody deleted the directory with all that was in it.
    pub(super) fn publish(mut self, name: &str) -> io::Result<()> {
        self.file.sync_all()?;
        self.directory.rename(&self.name, &self.directory, name)?;
        self.is_published = true;
        sync_directory(&self.directory)
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
