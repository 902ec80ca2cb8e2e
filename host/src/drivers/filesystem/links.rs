//! Symbolic links that the operator made: directories of the store on other disks.
//!
//! No client can make a link: the driver writes files and directories. A link within the root is followed; one that leads out is
//! followed only into a directory that the parameters name, and otherwise refused when the driver is opened, by name.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::contract::{Error, ErrorKind, Result};

/// How many entries of the root are looked at when the driver is opened, from the top: the directories that somebody would
/// move to another disk are among the first.
const MOST_LOOKED_AT: usize = 10_000;

/// The directories outside the root into which links may lead.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Without links in them.
    allowed: Vec<PathBuf>,
}

impl Links {
    /// Takes the directories that the parameters name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`] if one is no directory.
    pub(super) fn new(directories: &[PathBuf]) -> Result<Self> {
        let resolve = |directory: &PathBuf| {
            let resolved = directory.canonicalize().and_then(|found| match found.is_dir() {
                true => Ok(found),
                false => Err(io::ErrorKind::NotADirectory.into()),
            });
            resolved.map_err(|error| {
                let message =
                    format!("`followlinks`: {}: {error}; name a directory that is there", directory.display());
                Error::new(ErrorKind::InvalidParameters, message)
            })
        };
        Ok(Links { allowed: directories.iter().map(resolve).collect::<Result<_>>()? })
    }

    /// Refuses a root in which a link leads out of it to where none may lead: what lies behind it would be missing.
    pub(super) fn check(&self, root: &Path) -> Result<()> {
        let Ok(resolved) = root.canonicalize() else { return Ok(()) };
        let mut directories = VecDeque::from([root.to_owned()]);
        let mut looked_at = 0;
        while let Some(directory) = directories.pop_front() {
            // What cannot be read is for the operation to say that needs it.
            let Ok(entries) = directory.read_dir() else { continue };
            for entry in entries.flatten() {
                looked_at += 1;
                if looked_at > MOST_LOOKED_AT {
                    return Ok(());
                }
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    directories.push_back(entry.path());
                }
                let Some(target) = kind.is_symlink().then(|| entry.path().canonicalize().ok()).flatten() else {
                    continue;
                };
                if !target.starts_with(&resolved) && !self.allows(&target) {
                    let message = format!(
                        "`rootdirectory`: {} is a symbolic link to {}, outside of it; if that is meant, add {} to `followlinks`",
                        entry.path().display(),
                        target.display(),
                        target.display()
                    );
                    return Err(Error::new(ErrorKind::InvalidParameters, message));
                }
            }
        }
        Ok(())
    }

    /// Finds the first link on a path below `base` that leads to where links may lead. Returns the directory there, and the
    /// rest of the path.
    pub(super) fn follow(&self, base: &Path, relative: &str) -> io::Result<Option<(Dir, String)>> {
        if self.allowed.is_empty() {
            return Ok(None);
        }
        let mut there = base.to_owned();
        let mut names = relative.split('/');
        while let Some(name) = names.next() {
            there.push(name);
            if !there.symlink_metadata()?.is_symlink() {
                continue;
            }
            let target = there.canonicalize()?;
            if self.allows(&target) && target.is_dir() {
                let rest: Vec<&str> = names.collect();
                let rest = if rest.is_empty() { ".".to_owned() } else { rest.join("/") };
                return Ok(Some((Dir::open_ambient_dir(&target, ambient_authority())?, rest)));
            }
        }
        Ok(None)
    }

    fn allows(&self, target: &Path) -> bool {
        self.allowed.iter().any(|allowed| target.starts_with(allowed))
    }
}

/// Returns whether a path was not resolved because a link on it leads out: cap-std's own error, which no system gave.
pub(super) fn leads_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}
