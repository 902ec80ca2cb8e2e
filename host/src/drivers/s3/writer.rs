//! Writing a file of any size, with one chunk in memory.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::config::MIN_PART;
use super::multipart::{Multipart, Others};
use super::store::Store;
use crate::contract::{Error, ErrorKind, FileInfo, FileWriter, Result, StoragePath, WriteMode};

/// Begins to write a chunk with so much room, and twice as much each time it is full: most uploads of a registry are
/// small, and many are open at a time.
const FIRST_ROOM: usize = 64 * 1024;

/// From here on the room is a chunk's.
const LAST_ROOM: usize = 1024 * 1024;

/// A file that is being written.
///
/// The upload is begun at S3 only when a chunk is full or the writer is closed: a file that fits into a chunk is stored by
/// one request, as by a put.
pub(super) struct Writer {
    store: Arc<Store>,
    path: StoragePath,
    mode: WriteMode,
    stored: Stored,
    /// What comes after what is stored; less than a chunk.
    buffer: BytesMut,
}

/// What S3 has of a file that is being written.
enum Stored {
    Nothing,
    /// The beginning, as an object at the file's key: to be copied into an upload before more can follow.
    Object(FileInfo),
    /// The beginning, as an upload in parts.
    Parts(Multipart),
}

impl Stored {
    fn size(&self) -> u64 {
        match self {
            Stored::Nothing => 0,
            Stored::Object(info) => info.size,
            Stored::Parts(upload) => upload.size(),
        }
    }
}

impl Writer {
    /// Opens a writer. Anew: one request, which finds older uploads of that path, and one to abort each. To continue: two.
    ///
    /// Where no upload is, what was committed is continued. So an upload is not lost whose lengthening was interrupted.
    pub(super) async fn open(store: Arc<Store>, path: &StoragePath, mode: WriteMode) -> Result<Self> {
        let stored = match mode {
            WriteMode::New => {
                store.abort_all(path).await?;
                Stored::Nothing
            }
            WriteMode::Append => match store.find(path).await? {
                Some(upload) => Stored::Parts(upload),
                None => Stored::Object(store.stat_file(path).await?.ok_or_else(|| Error::path_not_found(path))?),
            },
        };
        Ok(Writer { store, path: path.clone(), mode, stored, buffer: BytesMut::new() })
    }

    fn chunk(&self) -> usize {
        usize::try_from(self.store.config.chunksize).unwrap_or(usize::MAX)
    }

    /// Stores bytes as the next part.
    async fn store_part(&mut self, content: Bytes) -> Result<()> {
        let store = self.store.clone();
        let was_there = matches!(self.stored, Stored::Parts(_));
        let upload = self.parts().await?;
        let result = store.add_part(upload, content).await;
        if result.is_err() && !was_there {
            // An upload without parts would hide an object that is the beginning of this file.
            store.abort_quietly(upload).await;
            self.stored = Stored::Nothing;
        }
        result
    }

    /// Returns the upload in parts, and begins it if there is none.
    async fn parts(&mut self) -> Result<&mut Multipart> {
        if !matches!(self.stored, Stored::Parts(_)) {
            self.stored = Stored::Parts(self.store.begin(&self.path, self.others()).await?);
        }
        match &mut self.stored {
            Stored::Parts(upload) => Ok(upload),
            Stored::Nothing | Stored::Object(_) => {
                Err(Error::new(ErrorKind::Other, "an upload was begun and is not there"))
            }
        }
    }

    /// What a new writer finds when it begins its upload came after it was opened. So the late close of a writer whose client
    /// has gone does not abort what that client has sent since.
    fn others(&self) -> Others {
        match self.mode {
            WriteMode::New => Others::Keep,
            WriteMode::Append => Others::Abort,
        }
    }

    /// Stores what is buffered as the next part, however short.
    async fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let content = std::mem::take(&mut self.buffer).freeze();
        let result = self.store_part(content.clone()).await;
        // Nobody else has it any more: its memory is used again. After a failure a close that follows stores it.
        self.buffer = BytesMut::from(content);
        if result.is_ok() {
            self.buffer.clear();
        }
        result
    }

    /// Makes what is stored ready to be followed by more.
    ///
    /// S3 takes no part after one below 5 MiB. An upload that ends in one is completed, so that its content is an object, and
    /// an object is the beginning of a new upload: copied within S3, or read into the buffer if it is short itself. As
    /// Distribution does, but above 5 GiB too.
    async fn make_extensible(&mut self) -> Result<()> {
        if let Stored::Parts(upload) = &mut self.stored
            && upload.last_part().is_some_and(|size| size < MIN_PART)
        {
            self.store.complete(upload).await?;
            let info = self.store.stat_file(&self.path).await?.ok_or_else(|| lost(&self.path))?;
            self.stored = Stored::Object(info);
        }
        let Stored::Object(info) = &self.stored else { return Ok(()) };
        if info.size >= MIN_PART {
            let mut upload = self.store.begin(&self.path, Others::Abort).await?;
            if let Err(error) = self.store.copy_into(&mut upload, info).await {
                self.store.abort_quietly(&upload).await;
                return Err(error);
            }
            self.stored = Stored::Parts(upload);
            return Ok(());
        }
        let content = if info.size > 0 { self.store.get_content(&self.path).await? } else { Bytes::new() };
        if content.len() as u64 != info.size {
            return Err(lost(&self.path));
        }
        self.buffer = BytesMut::from(content);
        self.stored = Stored::Nothing;
        Ok(())
    }
}

/// What was just stored is not there.
fn lost(path: &StoragePath) -> Error {
    let message = "somebody else replaced or deleted what this upload had stored";
    Error::new(ErrorKind::Conflict, message).with_path(path)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.stored.size() + self.buffer.len() as u64
    }

    async fn write(&mut self, mut data: Bytes) -> Result<()> {
        self.make_extensible().await?;
        let chunk = self.chunk();
        while !data.is_empty() {
            if self.buffer.is_empty() && data.len() >= chunk {
                let part = data.split_to(chunk);
                self.store_part(part).await?;
                continue;
            }
            let room = chunk - self.buffer.len();
            let piece = data.split_to(room.min(data.len()));
            if self.buffer.capacity() - self.buffer.len() < piece.len() {
                let needed = self.buffer.len() + piece.len();
                // While it grows there are two: near a chunk's size that would be nearly two chunks.
                let grown = if needed > LAST_ROOM { chunk } else { needed.max(self.buffer.capacity() * 2) };
                let grown = grown.max(FIRST_ROOM).min(chunk);
                self.buffer.reserve(grown - self.buffer.len());
            }
            self.buffer.extend_from_slice(&piece);
            if self.buffer.len() >= chunk {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.flush().await?;
        if matches!(self.stored, Stored::Nothing) {
            // Empty so far, and there to be continued.
            self.parts().await?;
        }
        Ok(self.stored.size())
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        if matches!(self.stored, Stored::Nothing) {
            let content = std::mem::take(&mut self.buffer).freeze();
            let size = content.len() as u64;
            self.store.put(&self.path, content).await?;
            return Ok(size);
        }
        self.flush().await?;
        match &mut self.stored {
            Stored::Parts(upload) => self.store.complete(upload).await,
            // Nothing was added to what is committed.
            Stored::Nothing | Stored::Object(_) => Ok(self.stored.size()),
        }
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        if let Stored::Parts(upload) = &self.stored {
            self.store.abort_upload(upload).await?;
        }
        if self.mode == WriteMode::Append {
            // What lies at the path may be the beginning of this upload.
            self.store.delete_key(&self.store.keys.key(&self.path)).await?;
        }
        Ok(())
    }
}
