//! The root directory, and the directories below it: found, made and synced.
//!
//! Everything here blocks, and nothing leaves the root: paths are resolved by cap-std, beneath an open directory. The links that the
//! operator allows lead to other directories, beneath which the rest of a path is resolved in the same way (`links.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::links::{Links, leads_out};
use super::sync::DirectorySync;
use crate::contract::StoragePath;

/// The root directory, which need not exist.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    /// Held for writing while directories are made and synced, and for a moment by whoever finds one there: so nobody
    /// stores a file in a directory whose own entry might not survive a crash.
    making: RwLock<()>,
    sync: DirectorySync,
    links: Links,
}

impl Root {
    pub(super) fn new(path: PathBuf, sync: DirectorySync, links: Links) -> Self {
        Root { path, making: RwLock::new(()), sync, links }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what makes names survive a crash.
    pub(super) fn names(&self) -> &DirectorySync {
        &self.sync
    }

    /// Opens the root. Anew for every operation, which costs two microseconds: whoever replaces the directory meanwhile
    /// is heard.
    pub(super) fn open(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.path, ambient_authority())
    }

    /// Opens the directory that holds `path`.
    pub(super) fn parent(&self, path: &StoragePath) -> io::Result<Dir> {
        match parent(path) {
            "" => self.open(),
            parent => self.beneath(parent, |directory, rest| directory.open_dir(rest)),
        }
    }

    /// Does something at a path below the root, which is not the root: in a directory, at the rest of the path.
    pub(super) fn beneath<T>(&self, relative: &str, act: impl Fn(&Dir, &str) -> io::Result<T>) -> io::Result<T> {
        match act(&self.open()?, relative) {
            Err(error) if leads_out(&error) => match self.links.follow(&self.path, relative)? {
                Some((directory, rest)) => act(&directory, &rest),
                None => Err(error),
            },
            done => done,
        }
    }

    /// Opens the directory that holds `path`, and makes it with all above it where they are missing. What was made
    /// survives a crash when this returns.
    pub(super) fn make_parent(&self, path: &StoragePath) -> io::Result<Dir> {
        {
            let _made = self.making.read().unwrap_or_else(PoisonError::into_inner);
            match self.parent(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => return found,
            }
        }
        let _making = self.making.write().unwrap_or_else(PoisonError::into_inner);
        let mut directory = self.make()?;
        let parent = parent(path);
        let mut made = 0;
        for name in parent.split('/').filter(|name| !name.is_empty()) {
            match directory.create_dir(name) {
                Ok(()) => self.sync.sync(&directory)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            made += name.len() + usize::from(made > 0);
            directory = match directory.open_dir(name) {
                Err(error) if leads_out(&error) => {
                    self.beneath(&parent[..made], |directory, rest| directory.open_dir(rest))?
                }
                opened => opened?,
            };
        }
        Ok(directory)
    }

    /// Makes the root, with all above it.
    fn make(&self) -> io::Result<Dir> {
        let mut missing = Vec::new();
        let mut above: &Path = &self.path;
        while !above.as_os_str().is_empty() && !above.try_exists()? {
            missing.push(above);
            above = above.parent().unwrap_or(Path::new(""));
        }
        for directory in missing.into_iter().rev() {
            match std::fs::create_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let holder = directory.parent().filter(|holder| !holder.as_os_str().is_empty());
            self.sync.sync(&Dir::open_ambient_dir(holder.unwrap_or(Path::new(".")), ambient_authority())?)?;
        }
        self.open()
    }
}

/// Returns the directory of a path below the root: empty where it is the root.
fn parent(path: &StoragePath) -> &str {
    path.relative().rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Returns the last name of a path, which is not the root.
pub(super) fn name(path: &StoragePath) -> &str {
    // `base` refuses the root; without it, no file has the name of the directory itself.
    path.file_name().unwrap_or(".")
}
