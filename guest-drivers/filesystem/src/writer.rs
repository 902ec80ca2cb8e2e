//! Uploads: a new one into a temporary, a continued one in place.

use wharf_sdk::files::{File, Metadata};
use wharf_sdk::{ByteStream, Error, FileWriter, Result};

use crate::names;
use crate::store::{Store, Temporary};

/// An upload in progress.
pub(crate) struct Writer {
    store: Store,
    path: String,
    target: Target,
    size: u64,
}

/// How an upload ends that is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Commit,
}

enum Target {
    /// A new upload: it gets its name when it is closed or committed; with what had that name when it was opened.
    Temporary(Temporary, Option<Metadata>),
    /// A continued one, at its path.
    InPlace(File),
}

impl Writer {
    pub(crate) fn new(store: Store, path: &str, temporary: Temporary, seen: Option<Metadata>) -> Self {
        Writer { store, path: path.to_owned(), target: Target::Temporary(temporary, seen), size: 0 }
    }

    pub(crate) fn in_place(store: Store, path: &str, file: File, size: u64) -> Self {
        Writer { store, path: path.to_owned(), target: Target::InPlace(file), size }
    }

    fn file(&self) -> &File {
        match &self.target {
            Target::Temporary(temporary, _) => temporary.file(),
            Target::InPlace(file) => file,
        }
    }

    /// Fails if another writer continues the same upload: it has another size than this one has given it. What the other
    /// has stored is not written over.
    fn check_alone(&self, size: u64) -> Result<()> {
        if size == self.size {
            return Ok(());
        }
        let message = format!("another writer continued it too: it has {size} bytes, not {}", self.size);
        Err(Error::conflict(message))
    }

    /// The same, of the file as it is now. A new upload has a file of its own.
    async fn check_still_alone(&self) -> Result<()> {
        match &self.target {
            Target::Temporary(..) => Ok(()),
            Target::InPlace(file) => self.check_alone(file.metadata().await?.size),
        }
    }

    /// Brings the bytes to the disk, and then their name. Distribution's layout knows no difference between an upload
    /// that was closed and a file that was committed; but only a commit replaces what came while the upload was open.
    async fn finish(self, end: End) -> Result<u64> {
        let synced = self.file().sync().await;
        match self.target {
            Target::Temporary(temporary, seen) => match synced {
                Ok(()) if end == End::Commit => self.store.publish(temporary, &self.path).await?,
                Ok(()) => self.store.publish_over(seen, temporary, &self.path).await?,
                // Nobody knows what the disk has of it: it must not take the place of what was committed.
                Err(error) => return Err(self.store.discard(temporary, error.into()).await),
            },
            Target::InPlace(_) => {
                synced?;
                let ours = self.file().metadata().await?;
                let there = match self.store.metadata(&self.path).await {
                    Err(error) if error.is_path_not_found() => return Err(Error::conflict("the upload was deleted")),
                    there => there?,
                };
                // A look at a path does not tell all that a look at an open file does.
                if (there.size, there.modified) != (ours.size, ours.modified) {
                    return Err(Error::conflict("somebody else stored a file at the path while this upload was open"));
                }
                self.check_alone(ours.size)?;
            }
        }
        Ok(self.size)
    }
}

impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.size
    }

    async fn write(&mut self, chunk: Vec<u8>) -> Result<()> {
        let length = chunk.len() as u64;
        self.check_still_alone().await?;
        self.file().write(self.size, chunk).await?;
        self.size += length;
        Ok(())
    }

    async fn write_stream(&mut self, data: ByteStream) -> Result<()> {
        self.check_still_alone().await?;
        let written = self.file().write_stream(self.size, data).await;
        // How many bytes passed by, the file knows. The first error is the one that tells.
        let metadata = self.file().metadata().await;
        if let Ok(metadata) = &metadata {
            self.size = metadata.size;
        }
        written?;
        metadata?;
        Ok(())
    }

    async fn close(self) -> Result<u64> {
        self.finish(End::Close).await
    }

    async fn commit(self) -> Result<u64> {
        self.finish(End::Commit).await
    }

    async fn cancel(self) -> Result<()> {
        match self.target {
            Target::Temporary(temporary, _) => self.store.remove(temporary).await,
            Target::InPlace(_) => match self.store.dir().remove_file(names::relative(&self.path)).await {
                Err(error) if !error.is_not_found() => Err(error.into()),
                _ => Ok(()),
            },
        }
    }
}
