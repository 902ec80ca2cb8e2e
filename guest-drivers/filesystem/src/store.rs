//! The directory, and what changes it: files published, moved and deleted, each step brought to the disk in order.

use wharf_sdk::files::{self, Dir, ErrorCode, File, FileType, Metadata, Open};
use wharf_sdk::{Error, Result};

use crate::names;

/// How often a step begins anew because somebody else removed what it had just found.
const ATTEMPTS: usize = 10;

/// The root directory.
#[derive(Clone)]
pub(crate) struct Store {
    dir: Dir,
}

/// A file that is not finished: its name is outside the path grammar until it is published.
pub(crate) struct Temporary {
    file: File,
    name: String,
}

impl Temporary {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Store {
    pub(crate) fn new(dir: Dir) -> Self {
        Store { dir }
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Returns what a file or a directory is.
    pub(crate) async fn metadata(&self, path: &str) -> Result<Metadata> {
        let metadata = self.dir.metadata(names::relative(path)).await?;
        match metadata.file_type {
            FileType::File | FileType::Directory => Ok(metadata),
            // A device or a pipe is nothing that a caller stored.
            FileType::SymbolicLink | FileType::Other => Err(Error::path_not_found()),
        }
    }

    /// Opens a file that exists.
    pub(crate) async fn open(&self, path: &str, how: Open) -> Result<(Metadata, File)> {
        let file = match self.dir.open(names::relative(path), how).await {
            Err(error) if error.code() == ErrorCode::IsDirectory => return Err(Error::path_not_found()),
            Err(error) => {
                // The host opens no device and no pipe, and such a thing is nothing that a caller stored.
                self.metadata(path).await?;
                return Err(error.into());
            }
            Ok(file) => file,
        };
        let metadata = file.metadata().await?;
        match metadata.file_type {
            FileType::File => Ok((metadata, file)),
            _ => Err(Error::path_not_found()),
        }
    }

    /// Fails if a directory is at a path where a file is to be; one that is empty is none, and is removed.
    pub(crate) async fn check_place(&self, path: &str) -> Result<()> {
        match self.dir.metadata(names::relative(path)).await {
            Ok(metadata) if metadata.file_type == FileType::Directory => self.remove_empty(path).await,
            _ => Ok(()),
        }
    }

    /// Creates an empty temporary beside `path`, and the directories above it.
    pub(crate) async fn create_temporary(&self, path: &str) -> Result<Temporary> {
        let mut attempt = 1;
        loop {
            let name = names::temporary(path);
            let error = match self.dir.open(&name, Open::CreateNew).await {
                Ok(file) => return Ok(Temporary { file, name }),
                Err(error) => error,
            };
            attempt += 1;
            match error.code() {
                _ if attempt > ATTEMPTS => return Err(error.into()),
                ErrorCode::NotFound => self.create_parents(path).await?,
                ErrorCode::AlreadyExists => {}
                ErrorCode::NotDirectory => return Err(below_a_file()),
                _ => return Err(error.into()),
            }
        }
    }

    /// Makes a temporary, whose bytes are on the disk, the file at `path`, and brings that to the disk.
    ///
    /// One that cannot be is removed.
    pub(crate) async fn publish(&self, temporary: Temporary, path: &str) -> Result<()> {
        let target = names::relative(path);
        let renamed = match self.dir.rename(&temporary.name, target).await {
            Err(error) if error.code() == ErrorCode::IsDirectory => match self.remove_empty(path).await {
                Ok(()) => self.dir.rename(&temporary.name, target).await.map_err(Error::from),
                Err(error) => Err(error),
            },
            // Somebody deleted the directory with the temporary in it.
            Err(error) if error.is_not_found() => return Err(Error::conflict("the upload was deleted")),
            renamed => renamed.map_err(Error::from),
        };
        match renamed {
            Ok(()) => self.sync_directory(names::parent(path)).await,
            Err(error) => Err(self.discard(temporary, error).await),
        }
    }

    /// Looks at what has the name of a file, as [`publish_over`](Self::publish_over) wants to know it.
    pub(crate) async fn look(&self, path: &str) -> Option<Metadata> {
        self.dir.symlink_metadata(names::relative(path)).await.ok()
    }

    /// The same, if nothing came to `path` since [`look`](Self::look) saw it: else a conflict.
    ///
    /// Exact where nothing was there. A file that was there can be replaced by somebody else between the look and the
    /// rename.
    pub(crate) async fn publish_over(&self, seen: Option<Metadata>, temporary: Temporary, path: &str) -> Result<()> {
        let target = names::relative(path);
        // A file system without hard links fails in one way or another; the look below decides then.
        if seen.is_none() && self.dir.hard_link(&temporary.name, target).await.is_ok() {
            self.remove(temporary).await?;
            return self.sync_directory(names::parent(path)).await;
        }
        if self.look(path).await == seen {
            return self.publish(temporary, path).await;
        }
        let message = "somebody else stored a file at the path while this upload was open";
        Err(self.discard(temporary, Error::conflict(message)).await)
    }

    /// Removes a temporary because of an error, which it returns.
    pub(crate) async fn discard(&self, temporary: Temporary, error: Error) -> Error {
        match self.remove(temporary).await {
            Ok(()) => error,
            Err(remains) => Error::new(error.kind(), format!("{error}; and what was begun remains: {remains}")),
        }
    }

    /// Removes a temporary.
    pub(crate) async fn remove(&self, temporary: Temporary) -> Result<()> {
        match self.dir.remove_file(&temporary.name).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Moves a file and brings that to the disk.
    pub(crate) async fn move_file(&self, source: &str, destination: &str) -> Result<()> {
        if self.metadata(source).await?.file_type == FileType::Directory {
            return Err(Error::path_not_found());
        }
        if source == destination {
            return Ok(());
        }
        let (from, to) = (names::relative(source), names::relative(destination));
        let mut attempt = 1;
        loop {
            let error = match self.dir.rename(from, to).await {
                Ok(()) => break,
                Err(error) => error,
            };
            attempt += 1;
            match error.code() {
                _ if attempt > ATTEMPTS => return Err(error.into()),
                ErrorCode::IsDirectory => self.remove_empty(destination).await?,
                ErrorCode::NotDirectory => return Err(below_a_file()),
                ErrorCode::NotFound => {
                    // The source, or the destination's directory.
                    self.metadata(source).await?;
                    self.create_parents(destination).await?;
                }
                _ => return Err(error.into()),
            }
        }
        // The new name first: a crash between the two leaves both, never none.
        let (from, to) = (names::parent(source), names::parent(destination));
        self.sync_directory(to).await?;
        if from == to { Ok(()) } else { self.sync_directory(from).await }
    }

    /// Deletes a file, or a directory with all in it.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let target = names::relative(path);
        // A symbolic link is removed, not what it points to.
        match self.dir.symlink_metadata(target).await?.file_type {
            FileType::Directory => self.delete_directory(target).await?,
            _ => self.dir.remove_file(target).await?,
        }
        match self.dir.sync(names::parent(path)).await {
            // Somebody deleted the directory above it too.
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn delete_directory(&self, target: &str) -> Result<()> {
        // Depth first, without recursion: the directories that are open, from `target` down.
        let mut open = vec![(target.to_owned(), 1)];
        while let Some((directory, attempt)) = open.pop() {
            match self.dir.remove_dir(&directory).await {
                Ok(()) => continue,
                Err(error) if error.code() == ErrorCode::NotEmpty && attempt <= ATTEMPTS => {}
                Err(error) if error.code() == ErrorCode::NotEmpty => {
                    return Err(Error::conflict("somebody stores new files in the directory; delete it again"));
                }
                // Somebody else was faster, or has put a file there since.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            }
            let entries = match self.dir.list(&directory).await {
                Err(error) if error.is_not_found() => continue,
                entries => entries?,
            };
            open.push((directory.clone(), attempt + 1));
            for entry in entries {
                let child = format!("{directory}/{}", entry.name);
                match entry.file_type {
                    FileType::Directory => open.push((child, 1)),
                    _ => match self.dir.remove_file(&child).await {
                        Err(error) if !error.is_not_found() => return Err(error.into()),
                        _ => {}
                    },
                }
            }
        }
        Ok(())
    }

    /// Removes an empty directory that stands where a file is to be; fails if it is not empty.
    async fn remove_empty(&self, path: &str) -> Result<()> {
        match self.dir.remove_dir(names::relative(path)).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) if error.code() == ErrorCode::NotEmpty => {
                Err(Error::invalid_path("a directory is there; delete it, or use another path"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn create_parents(&self, path: &str) -> Result<()> {
        match self.dir.create_dir_all(names::parent(path)).await {
            Err(error) if error.code() == ErrorCode::NotDirectory => Err(below_a_file()),
            // Somebody deleted them again: the caller's next attempt finds out.
            Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
            created => Ok(created?),
        }
    }

    async fn sync_directory(&self, directory: &str) -> Result<()> {
        self.dir.sync(directory).await.map_err(|error| unknown(&error))
    }
}

/// What had been done is done, and whether it survives a crash nobody knows.
fn unknown(error: &files::Error) -> Error {
    Error::outcome_unknown(error.to_string())
}

fn below_a_file() -> Error {
    Error::invalid_path("a file stands where a directory would have to be; delete it, or use another path")
}
