//! A directory of the host.

use std::rc::Rc;

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{self as wasi, Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wit_bindgen::StreamResult;

use super::{Error, ErrorCode, File, FileType, Metadata, Open, Result};

/// How many entries of a directory are taken in one step, at most.
const STEP: usize = 256;

/// How often a listing begins anew because a file vanished while the host looked at it.
const ATTEMPTS: usize = 10;

/// Something in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name, without the directory's.
    pub name: String,
    /// What it is.
    pub file_type: FileType,
}

/// A directory of the host, and all that lies below it. Clones share the one handle.
#[derive(Clone, Debug)]
pub struct Dir {
    descriptor: Rc<Descriptor>,
}

impl Dir {
    /// Returns the directory that the host's configuration grants under `path`, or, where `path` lies below such a
    /// directory, that one, created if it is not there.
    ///
    /// # Errors
    ///
    /// [Invalid-parameters](crate::ErrorKind::InvalidParameters), with the grants that there are, if no grant covers
    /// `path`; and what creating it fails with.
    pub async fn granted(path: &str) -> crate::Result<Self> {
        let mut grants = preopens::get_directories();
        // Where one grant lies in another, the inner one counts.
        grants.sort_by_key(|(_, grant)| std::cmp::Reverse(grant.len()));
        let covering = grants.iter().position(|(_, grant)| below(path, grant).is_some());
        let Some(index) = covering else {
            let names: Vec<_> = grants.iter().map(|(_, grant)| grant.as_str()).collect();
            let granted = match &names[..] {
                [] => "none is".to_owned(),
                names => format!("only {} is", names.join(", ")),
            };
            return Err(crate::Error::invalid_parameters(format!(
                "the directory {path} is not granted; {granted}; grant it with \
                 `allow: {{ directories: [{{ host: .., guest: {path}, write: true }}] }}`, or --grant dir:HOST={path}:rw; \
                 without `write`, or with `:ro`, it may only be read"
            )));
        };
        let (descriptor, grant) = grants.swap_remove(index);
        let granted = Dir { descriptor: Rc::new(descriptor) };
        match below(path, &grant) {
            None | Some("") => Ok(granted),
            Some(rest) => {
                granted.create_dir_all(rest).await?;
                Ok(granted.open_dir(rest).await?)
            }
        }
    }

    /// Opens a directory below this one; `.` is this one.
    ///
    /// # Errors
    ///
    /// As the file system's.
    pub async fn open_dir(&self, path: &str) -> Result<Dir> {
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        let opened = match self.open_at(path, OpenFlags::DIRECTORY, flags).await {
            // Granted for reading only.
            Err(wasi::ErrorCode::ReadOnly | wasi::ErrorCode::NotPermitted) => {
                self.open_at(path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await
            }
            opened => opened,
        };
        Ok(Dir { descriptor: Rc::new(opened.map_err(|cause| Error::new("open", path, &cause))?) })
    }

    /// Opens a file. A symbolic link is followed.
    ///
    /// # Errors
    ///
    /// As the file system's. For reading, a directory may be opened like a file: its
    /// [`metadata`](File::metadata) tells.
    pub async fn open(&self, path: &str, how: Open) -> Result<File> {
        let (open, flags) = how.flags();
        let descriptor = self.open_at(path, open, flags).await.map_err(|cause| Error::new("open", path, &cause))?;
        Ok(File::new(descriptor, path))
    }

    /// Returns what is known of something. A symbolic link is followed.
    ///
    /// # Errors
    ///
    /// As the file system's.
    pub async fn metadata(&self, path: &str) -> Result<Metadata> {
        self.stat_at(PathFlags::SYMLINK_FOLLOW, path).await
    }

    /// Returns what is known of something; of a symbolic link, not of what it points to.
    ///
    /// # Errors
    ///
    /// As the file system's.
    pub async fn symlink_metadata(&self, path: &str) -> Result<Metadata> {
        self.stat_at(PathFlags::empty(), path).await
    }

    /// Returns what is in a directory, in no order. Holds all of it in memory.
    ///
    /// What comes or goes meanwhile may or may not be there.
    ///
    /// # Errors
    ///
    /// As the file system's; [`ErrorCode::Other`] if a name is not UTF-8, which WASI cannot tell.
    pub async fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        let directory = self
            .open_at(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .await
            .map_err(|cause| Error::new("list", path, &cause))?;
        let mut attempt = 1;
        loop {
            match read_directory(&directory).await {
                // The directory is open: it is an entry that vanished between its name and its type.
                Err(wasi::ErrorCode::NoEntry) if attempt < ATTEMPTS => attempt += 1,
                Err(cause) => return Err(Error::new("list", path, &cause)),
                Ok(entries) => return Ok(entries),
            }
        }
    }

    /// Creates a directory, in one that exists.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::AlreadyExists`] if something has the name.
    pub async fn create_dir(&self, path: &str) -> Result<()> {
        let created = self.descriptor.create_directory_at(path.to_owned()).await;
        created.map_err(|cause| Error::new("create the directory", path, &cause))
    }

    /// Creates a directory and those above it, as far as they are missing, and brings each to the disk.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NotDirectory`] if something else stands at one of their names; nothing is created then.
    pub async fn create_dir_all(&self, path: &str) -> Result<()> {
        // From the directory up to the first that exists, and down again.
        let mut missing = Vec::new();
        let mut at = path;
        loop {
            match self.create_dir(at).await {
                Ok(()) => break self.sync(parent(at)).await?,
                Err(error) if error.code() == ErrorCode::AlreadyExists => {
                    if missing.is_empty() {
                        if self.metadata(at).await?.file_type != FileType::Directory {
                            return Err(Error::new("create the directory", at, &wasi::ErrorCode::NotDirectory));
                        }
                        // Whoever created it may not have brought it to the disk yet.
                        self.sync(parent(at)).await?;
                    }
                    break;
                }
                Err(error) if error.code() == ErrorCode::NotFound && parent(at) != "." => {
                    missing.push(at);
                    at = parent(at);
                }
                Err(error) => return Err(error),
            }
        }
        for at in missing.into_iter().rev() {
            match self.create_dir(at).await {
                // Somebody else was faster, and may not have brought it to the disk yet.
                Err(error) if error.code() != ErrorCode::AlreadyExists => return Err(error),
                _ => self.sync(parent(at)).await?,
            }
        }
        Ok(())
    }

    /// Gives something another name, replacing a file that has it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::IsDirectory`] if a directory has the name and a file is renamed.
    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let renamed = self.descriptor.rename_at(from.to_owned(), &self.descriptor, to.to_owned()).await;
        renamed.map_err(|cause| Error::new("rename to", to, &cause))
    }

    /// Gives a file a second name, which nothing has yet.
    ///
    /// With [`remove_file`](Self::remove_file) of the first name this is a rename that replaces nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::AlreadyExists`] if something has the name.
    pub async fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        let flags = wasi::PathFlags::empty();
        let linked = self.descriptor.link_at(flags, from.to_owned(), &self.descriptor, to.to_owned()).await;
        linked.map_err(|cause| Error::new("link to", to, &cause))
    }

    /// Removes a file, or a symbolic link.
    ///
    /// # Errors
    ///
    /// As the file system's.
    pub async fn remove_file(&self, path: &str) -> Result<()> {
        let removed = self.descriptor.unlink_file_at(path.to_owned()).await;
        removed.map_err(|cause| Error::new("remove", path, &cause))
    }

    /// Removes a directory that is empty.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NotEmpty`] if it is not.
    pub async fn remove_dir(&self, path: &str) -> Result<()> {
        let removed = self.descriptor.remove_directory_at(path.to_owned()).await;
        removed.map_err(|cause| Error::new("remove the directory", path, &cause))
    }

    /// Brings a directory to the disk: which names are in it, not what they stand for. `.` is this directory.
    ///
    /// # Errors
    ///
    /// As the file system's.
    pub async fn sync(&self, path: &str) -> Result<()> {
        let synced = match path {
            "." => self.descriptor.sync().await,
            path => match self.open_at(path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await {
                Ok(directory) => directory.sync().await,
                Err(cause) => Err(cause),
            },
        };
        synced.map_err(|cause| Error::new("sync the directory", path, &cause))
    }

    async fn open_at(
        &self,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Descriptor, wasi::ErrorCode> {
        self.descriptor.open_at(PathFlags::SYMLINK_FOLLOW, path.to_owned(), open, flags).await
    }

    async fn stat_at(&self, flags: PathFlags, path: &str) -> Result<Metadata> {
        let stat = self.descriptor.stat_at(flags, path.to_owned()).await;
        Ok(stat.map_err(|cause| Error::new("look at", path, &cause))?.into())
    }
}

async fn read_directory(directory: &Descriptor) -> Result<Vec<DirEntry>, wasi::ErrorCode> {
    let (mut stream, ended) = directory.read_directory();
    let mut entries = Vec::new();
    loop {
        let (result, step) = stream.read(Vec::with_capacity(STEP)).await;
        let is_end = step.is_empty() && !matches!(result, StreamResult::Complete(_));
        entries.extend(step.into_iter().map(|entry| DirEntry { name: entry.name, file_type: entry.type_.into() }));
        if is_end {
            break;
        }
    }
    drop(stream);
    ended.await?;
    Ok(entries)
}

/// Returns the directory above a relative path; `.` for that of a single name.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

/// Returns where `path` lies in the directory `grant`, if it does.
fn below<'a>(path: &'a str, grant: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(grant.trim_end_matches('/'))?;
    match rest {
        "" => Some(""),
        rest => rest.strip_prefix('/').map(|rest| rest.trim_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_a_grant_only_at_a_slash() {
        assert_eq!(below("/data", "/data"), Some(""));
        assert_eq!(below("/data/", "/data"), Some(""));
        assert_eq!(below("/data/a/b", "/data"), Some("a/b"));
        assert_eq!(below("/data/a", "/"), Some("data/a"));
        assert_eq!(below("/database", "/data"), None);
    }

    #[test]
    fn the_parent_of_a_single_name_is_the_directory_itself() {
        assert_eq!(parent("a/b/c"), "a/b");
        assert_eq!(parent("a"), ".");
    }
}
