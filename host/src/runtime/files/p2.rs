//! The same for WASI 0.2, which the standard libraries of most languages use.
//!
//! Its streams are wasmtime's, polled so that they use the driver's threads. Each has an entry in the table, and so is
//! counted as an open file.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::FileType;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::super::limits::STREAM_STEP;
use super::super::state::State;
use super::super::threads::Threads;
use super::directory::{Directory, Name};
use super::open::{self, Found, How};
use super::{Call, Files, View, view};

/// Puts these functions in the place of wasmtime's own.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    types::add_to_linker::<State, Files>(linker, view)
}

/// Lets go of a path that no system takes.
fn short(path: String) -> Result<String, ErrorCode> {
    super::short(path).map_err(|_| ErrorCode::NameTooLong)
}

/// Has wasmtime do it, on the driver's threads.
macro_rules! wasi {
    ($view:ident, $function:ident($($argument:expr),*)) => {{
        let call = $view.begin()?;
        let mut filesystem = $view.0.filesystem();
        call.threads.within(HostDescriptor::$function(&mut filesystem $(, $argument)*)).await
    }};
}

impl View<'_> {
    fn begin(&self) -> FsResult<Call> {
        self.0.begin_call().map_err(FsError::trap)
    }

    fn directory(&self, descriptor: &Resource<Descriptor>) -> FsResult<Dir> {
        match self.0.table.get(descriptor)? {
            Descriptor::Dir(directory) => Ok(directory.clone()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// Opens where this system cannot open beneath a directory by itself: as [`open_by_wasmtime`](super::open_by_wasmtime).
    async fn open_by_wasmtime(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let found = self.stat_at(super::borrow(&descriptor), path_flags, path.clone()).await;
        if found.is_ok_and(|found| !is_served(found.type_)) {
            return Err(ErrorCode::Unsupported.into());
        }
        let opened = wasi!(self, open_at(descriptor, path_flags, path, open_flags, flags))?;
        let file = match self.0.table.get(&opened)? {
            Descriptor::File(file) => Arc::clone(&file.file),
            Descriptor::Dir(directory) => Arc::clone(&directory.dir),
        };
        let looked = self.begin()?.threads.spawn(move || open::is_file_or_directory(&file)).await;
        if looked.map_err(io::Error::from).flatten()? {
            return Ok(opened);
        }
        self.0.table.delete(opened)?;
        Err(ErrorCode::Unsupported.into())
    }
}

fn is_served(found: DescriptorType) -> bool {
    matches!(found, DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink)
}

impl Host for View<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Host::filesystem_error_code(&mut self.0.filesystem(), error)
    }
}

impl HostDescriptor for View<'_> {
    fn read_via_stream(&mut self, descriptor: Resource<Descriptor>, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let stream = self.0.filesystem().read_via_stream(descriptor, offset)?;
        let stream = self.0.table.delete(stream)?;
        let stream: DynInputStream = Box::new(OnThreads { stream, threads: Arc::clone(&self.0.threads) });
        Ok(self.0.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.0.filesystem().write_via_stream(descriptor, offset)?;
        self.on_threads(stream)
    }

    fn append_via_stream(&mut self, descriptor: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.0.filesystem().append_via_stream(descriptor)?;
        self.on_threads(stream)
    }

    /// Read when the guest reads. wasmtime's own reads the whole at once, however large it is.
    async fn read_directory(&mut self, descriptor: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let directory = self.directory(&descriptor)?;
        let directory = Directory::new(directory.dir, Arc::clone(&self.0.threads));
        let directory = self.0.table.push(directory)?;
        // The guest's handle is of the type that the linker knows; what stands behind it is ours.
        Ok(Resource::new_own(directory.rep()))
    }

    async fn open_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let path = short(path)?;
        let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synchronous) {
            return Err(ErrorCode::Unsupported.into());
        }
        let how = How {
            follow: path_flags.contains(PathFlags::SYMLINK_FOLLOW),
            create: open_flags.contains(OpenFlags::CREATE),
            exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
            directory: open_flags.contains(OpenFlags::DIRECTORY),
            truncate: open_flags.contains(OpenFlags::TRUNCATE),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        if how.is_contradictory() {
            return Err(ErrorCode::Invalid.into());
        }
        let directory = self.directory(&descriptor)?;
        if directory.perms.write_not_permitted() && how.changes() {
            return Err(ErrorCode::NotPermitted.into());
        }
        let (beneath, name) = (Arc::clone(&directory.dir), path.clone());
        let found = self.begin()?.threads.spawn(move || open::beneath(&beneath, &name, how)).await;
        let opened = match found.map_err(io::Error::from).flatten()? {
            Found::Unknown => return self.open_by_wasmtime(descriptor, path_flags, path, open_flags, flags).await,
            Found::File(_) if how.directory => return Err(ErrorCode::NotDirectory.into()),
            Found::Other => return Err(ErrorCode::Unsupported.into()),
            found => super::descriptor(&directory, how, found).ok().flatten().ok_or(ErrorCode::Unsupported)?,
        };
        Ok(self.0.table.push(opened)?)
    }

    /// Writes a step at most, and says so: what the guest hands over is copied, and held until it is written.
    async fn write(&mut self, descriptor: Resource<Descriptor>, mut bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        bytes.truncate(STREAM_STEP);
        bytes.shrink_to_fit();
        wasi!(self, write(descriptor, bytes, offset))
    }

    /// wasmtime opens the file to be written, or else to be read: it may be none.
    async fn set_times_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let path = short(path)?;
        let found = self.stat_at(super::borrow(&descriptor), path_flags, path.clone()).await?;
        if !is_served(found.type_) {
            return Err(ErrorCode::Unsupported.into());
        }
        wasi!(self, set_times_at(descriptor, path_flags, path, accessed, modified))
    }

    async fn read(&mut self, descriptor: Resource<Descriptor>, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        wasi!(self, read(descriptor, length, offset))
    }

    async fn advise(
        &mut self,
        descriptor: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: Advice,
    ) -> FsResult<()> {
        wasi!(self, advise(descriptor, offset, length, advice))
    }

    async fn sync_data(&mut self, descriptor: Resource<Descriptor>) -> FsResult<()> {
        wasi!(self, sync_data(descriptor))
    }

    async fn get_flags(&mut self, descriptor: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        wasi!(self, get_flags(descriptor))
    }

    async fn get_type(&mut self, descriptor: Resource<Descriptor>) -> FsResult<DescriptorType> {
        wasi!(self, get_type(descriptor))
    }

    async fn set_size(&mut self, descriptor: Resource<Descriptor>, size: u64) -> FsResult<()> {
        wasi!(self, set_size(descriptor, size))
    }

    async fn set_times(
        &mut self,
        descriptor: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        wasi!(self, set_times(descriptor, accessed, modified))
    }

    async fn sync(&mut self, descriptor: Resource<Descriptor>) -> FsResult<()> {
        wasi!(self, sync(descriptor))
    }

    async fn create_directory_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> FsResult<()> {
        wasi!(self, create_directory_at(descriptor, short(path)?))
    }

    async fn stat(&mut self, descriptor: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        wasi!(self, stat(descriptor))
    }

    async fn stat_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        wasi!(self, stat_at(descriptor, path_flags, short(path)?))
    }

    async fn link_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        wasi!(self, link_at(descriptor, path_flags, short(path)?, new_descriptor, short(new_path)?))
    }

    async fn readlink_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> FsResult<String> {
        wasi!(self, readlink_at(descriptor, short(path)?))
    }

    async fn remove_directory_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> FsResult<()> {
        wasi!(self, remove_directory_at(descriptor, short(path)?))
    }

    async fn rename_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        wasi!(self, rename_at(descriptor, short(path)?, new_descriptor, short(new_path)?))
    }

    async fn symlink_at(&mut self, descriptor: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        wasi!(self, symlink_at(descriptor, short(target)?, short(path)?))
    }

    async fn unlink_file_at(&mut self, descriptor: Resource<Descriptor>, path: String) -> FsResult<()> {
        wasi!(self, unlink_file_at(descriptor, short(path)?))
    }

    async fn is_same_object(
        &mut self,
        descriptor: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let call = self.0.begin_call()?;
        let mut filesystem = self.0.filesystem();
        call.threads.within(HostDescriptor::is_same_object(&mut filesystem, descriptor, other)).await
    }

    async fn metadata_hash(&mut self, descriptor: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        wasi!(self, metadata_hash(descriptor))
    }

    async fn metadata_hash_at(
        &mut self,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        wasi!(self, metadata_hash_at(descriptor, path_flags, short(path)?))
    }

    fn drop(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.0.table.delete(descriptor)?;
        Ok(())
    }
}

impl HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let _call = self.begin()?;
        let directory = self.0.table.get_mut(&Resource::<Directory>::new_borrow(stream.rep()))?;
        match directory.next().await.transpose()? {
            Some(Name { name: Some(name), file_type }) => {
                Ok(Some(DirectoryEntry { type_: descriptor_type(file_type), name }))
            }
            Some(Name { name: None, .. }) => Err(ErrorCode::IllegalByteSequence.into()),
            None => Ok(None),
        }
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.0.table.delete(Resource::<Directory>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// Says in the words of WASI 0.2 what something is.
fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        _ => DescriptorType::Unknown,
    }
}

/// A stream of wasmtime's whose blocking work runs on the driver's threads.
struct OnThreads<S> {
    stream: S,
    threads: Arc<Threads>,
}

impl View<'_> {
    fn on_threads(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.0.table.delete(stream)?;
        let stream: DynOutputStream = Box::new(OnThreads { stream, threads: Arc::clone(&self.0.threads) });
        Ok(self.0.table.push(stream)?)
    }
}

#[async_trait]
impl<S: Pollable + Send> Pollable for OnThreads<S> {
    async fn ready(&mut self) {
        self.threads.within(self.stream.ready()).await;
    }
}

#[async_trait]
impl InputStream for OnThreads<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.threads.inside(|| self.stream.read(size))
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.threads.within(self.stream.blocking_read(size)).await
    }

    fn skip(&mut self, count: usize) -> StreamResult<usize> {
        self.threads.inside(|| self.stream.skip(count))
    }

    async fn blocking_skip(&mut self, count: usize) -> StreamResult<usize> {
        self.threads.within(self.stream.blocking_skip(count)).await
    }

    async fn cancel(&mut self) {
        self.threads.within(self.stream.cancel()).await;
    }
}

#[async_trait]
impl OutputStream for OnThreads<DynOutputStream> {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.threads.inside(|| self.stream.write(bytes))
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        self.threads.inside(|| self.stream.flush())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.stream.check_write()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.threads.within(self.stream.blocking_write_and_flush(bytes)).await
    }

    fn write_zeroes(&mut self, count: usize) -> StreamResult<()> {
        self.threads.inside(|| self.stream.write_zeroes(count))
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.threads.within(self.stream.write_ready()).await
    }

    async fn cancel(&mut self) {
        self.threads.within(self.stream.cancel()).await;
    }
}
