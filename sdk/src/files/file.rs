//! An open file.

use std::future::Future;

use wasip3::filesystem::types::{self as wasi, Descriptor};
use wasip3::wit_stream;

use super::{Error, Result};
use crate::{ByteStream, Timestamp};

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// For reading. It exists.
    Read,
    /// For writing at any place. It exists.
    Write,
    /// For writing. It does not exist yet, and is created.
    CreateNew,
}

impl Open {
    pub(super) fn flags(self) -> (wasi::OpenFlags, wasi::DescriptorFlags) {
        match self {
            Open::Read => (wasi::OpenFlags::empty(), wasi::DescriptorFlags::READ),
            Open::Write => (wasi::OpenFlags::empty(), wasi::DescriptorFlags::WRITE),
            Open::CreateNew => (wasi::OpenFlags::CREATE | wasi::OpenFlags::EXCLUSIVE, wasi::DescriptorFlags::WRITE),
        }
    }
}

/// What something in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// Anything else: a device, a pipe, a socket.
    Other,
}

impl From<wasi::DescriptorType> for FileType {
    fn from(kind: wasi::DescriptorType) -> Self {
        match kind {
            wasi::DescriptorType::RegularFile => FileType::File,
            wasi::DescriptorType::Directory => FileType::Directory,
            wasi::DescriptorType::SymbolicLink => FileType::SymbolicLink,
            _ => FileType::Other,
        }
    }
}

/// What is known of something in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// A file's length in bytes.
    pub size: u64,
    /// When the content last changed, where the file system says.
    pub modified: Option<Timestamp>,
    /// When the content, the name or an attribute last changed, where the file system says.
    pub changed: Option<Timestamp>,
}

impl From<wasi::DescriptorStat> for Metadata {
    fn from(stat: wasi::DescriptorStat) -> Self {
        let timestamp = |time: wasi::Instant| Timestamp { seconds: time.seconds, nanoseconds: time.nanoseconds };
        Metadata {
            file_type: stat.type_.into(),
            size: stat.size,
            modified: stat.data_modification_timestamp.map(timestamp),
            changed: stat.status_change_timestamp.map(timestamp),
        }
    }
}

/// An open file. Dropped, it is closed; streams that it gave go on.
#[derive(Debug)]
pub struct File {
    descriptor: Descriptor,
    /// For error messages.
    path: String,
}

impl File {
    pub(super) fn new(descriptor: Descriptor, path: &str) -> Self {
        File { descriptor, path: path.to_owned() }
    }

    /// Returns what is known of the file.
    ///
    /// # Errors
    ///
    /// As the file system's.
    pub async fn metadata(&self) -> Result<Metadata> {
        Ok(self.descriptor.stat().await.map_err(|cause| self.failed("look at", &cause))?.into())
    }

    /// Returns the bytes from `offset` to the end, and what resolves after the stream's end to whether it was the
    /// file's. For [`Reader::from_stream`](crate::Reader::from_stream), which passes the bytes by the component.
    pub fn read_stream(&self, offset: u64) -> (ByteStream, impl Future<Output = crate::Result<()>> + 'static) {
        let (stream, ended) = self.descriptor.read_via_stream(offset);
        let path = self.path.clone();
        let outcome = async move { Ok(ended.await.map_err(|cause| Error::new("read", &path, &cause))?) };
        (stream.into(), outcome)
    }

    /// Writes all bytes of a stream at `offset`. A stream that came from the host passes the component by.
    ///
    /// # Errors
    ///
    /// As the file system's. Some of the bytes may have been written then.
    pub async fn write_stream(&self, offset: u64, data: ByteStream) -> Result<()> {
        let ended = self.descriptor.write_via_stream(data.into(), offset);
        ended.await.map_err(|cause| self.failed("write", &cause))
    }

    /// Writes bytes at `offset`.
    ///
    /// # Errors
    ///
    /// As the file system's. Some of the bytes may have been written then.
    pub async fn write(&self, offset: u64, bytes: Vec<u8>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (mut sender, data) = wit_stream::new();
        let ended = self.descriptor.write_via_stream(data, offset);
        // What was not taken is of no interest: a stream that is refused has an error for its outcome.
        let _ = sender.write_all(bytes).await;
        drop(sender);
        ended.await.map_err(|cause| self.failed("write", &cause))
    }

    /// Brings the file to the disk, its length and times included.
    ///
    /// # Errors
    ///
    /// As the file system's. Nobody knows then which bytes are on the disk.
    pub async fn sync(&self) -> Result<()> {
        self.descriptor.sync().await.map_err(|cause| self.failed("sync", &cause))
    }

    fn failed(&self, verb: &str, cause: &wasi::ErrorCode) -> Error {
        Error::new(verb, &self.path, cause)
    }
}
