//! The file system of components: every function of `wasi:filesystem` that can wait is the host's own.
//!
//! Both versions are implemented as whole traits, so that a function which a later wasmtime adds does not compile until
//! somebody has decided on it. What wasmtime does well is still done by wasmtime, but within bounds:
//!
//! - whatever blocks runs on the [threads of the driver](super::threads), and only so many calls of an instance may wait
//!   at a time (`limits.calls`);
//! - a path is not kept while a call waits if it is longer than any that a system takes;
//! - nothing but regular files and directories is [opened](open);
//! - [directories](directory) are read when the guest reads them, and hold no thread meanwhile;
//! - every stream that holds a descriptor is counted (`limits.files`).

mod directory;
mod open;
mod p2;
mod streams;

use std::io;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::StoreContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, HasData, Linker, Resource, StreamReader};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, WasiFilesystem, WasiFilesystemView};
#[cfg(target_os = "linux")]
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptor,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use super::ceiling::LimitReached;
use super::state::State;
use super::threads::Threads;
use crate::base::cached;
use directory::{Directory, DirectoryProducer};
use open::{Found, How};
use streams::Place;

pub(super) use streams::FileProducer;

/// The longest path that a system takes, in bytes.
const LONGEST_PATH: usize = 4096;

type Outcome = std::result::Result<(), ErrorCode>;

/// Puts these functions in the place of wasmtime's own in a linker that has them.
pub(super) fn shadow(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<State, Files>(linker, view)?;
    p2::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Names the implementation.
struct Files;

impl HasData for Files {
    type Data<'a> = View<'a>;
}

/// What it works on.
struct View<'a>(&'a mut State);

fn view(state: &mut State) -> View<'_> {
    View(state)
}

/// A call that may wait: where it waits, and that it is counted.
struct Call {
    threads: Arc<Threads>,
    _pending: OwnedSemaphorePermit,
}

impl State {
    /// Counts one more call as waiting.
    fn begin_call(&self) -> Result<Call, LimitReached> {
        let pending = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| LimitReached("calls"))?;
        Ok(Call { threads: Arc::clone(&self.threads), _pending: pending })
    }
}

/// Counts one more stream that holds a descriptor.
fn open_stream(state: &State) -> Result<OwnedSemaphorePermit, LimitReached> {
    Arc::clone(&state.streamed_files).try_acquire_owned().map_err(|_| LimitReached("files"))
}

/// Lets go of a path that no system takes.
fn short(path: String) -> Result<String, ErrorCode> {
    if path.len() > LONGEST_PATH { Err(ErrorCode::NameTooLong) } else { Ok(path) }
}

fn error_code(error: io::Error) -> ErrorCode {
    FilesystemError::from(error).downcast().unwrap_or(ErrorCode::Io)
}

fn begin(accessor: &Accessor<State, Files>) -> FilesystemResult<Call> {
    accessor.with(|mut access| access.get().0.begin_call()).map_err(FilesystemError::trap)
}

/// Has wasmtime do it, on the driver's threads.
macro_rules! wasi {
    ($accessor:ident, $function:ident($($argument:expr),*)) => {{
        let call = begin($accessor)?;
        let accessor = $accessor.with_getter::<WasiFilesystem>(State::filesystem);
        let doing = <WasiFilesystem as HostDescriptorWithStore<State>>::$function(&accessor $(, $argument)*);
        call.threads.within(doing).await
    }};
}

impl How {
    fn new(path_flags: PathFlags, open_flags: OpenFlags, flags: DescriptorFlags) -> Self {
        How {
            follow: path_flags.contains(PathFlags::SYMLINK_FOLLOW),
            create: open_flags.contains(OpenFlags::CREATE),
            exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
            directory: open_flags.contains(OpenFlags::DIRECTORY),
            truncate: open_flags.contains(OpenFlags::TRUNCATE),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        }
    }

    /// Returns whether it only reads, which can often be done without waiting.
    fn only_reads(self) -> bool {
        self.read && !self.changes() && !self.directory && !self.exclusive
    }
}

/// Makes what was opened a descriptor; none if wasmtime has to be asked.
fn descriptor(directory: &Dir, how: How, found: Found) -> Result<Option<Descriptor>, ErrorCode> {
    match found {
        Found::Directory(opened) => Ok(Some(Descriptor::Dir(Dir::new(opened, directory.perms, how.mode(), false)))),
        Found::File(_) if how.directory => Err(ErrorCode::NotDirectory),
        Found::File(opened) => Ok(Some(Descriptor::File(File::new(opened, directory.perms, how.mode(), false)))),
        // What is no file and no directory is nothing that this host serves.
        Found::Other => Err(ErrorCode::Unsupported),
        Found::Unknown => Ok(None),
    }
}

/// Opens what lies beneath a directory; none if wasmtime has to be asked.
async fn open_beneath(
    threads: &Threads,
    directory: Dir,
    path: &str,
    how: How,
) -> Result<Option<Descriptor>, ErrorCode> {
    if how.is_contradictory() {
        return Err(ErrorCode::Invalid);
    }
    if directory.perms.write_not_permitted() && how.changes() {
        return Err(ErrorCode::NotPermitted);
    }
    let (beneath, path) = (Arc::clone(&directory.dir), path.to_owned());
    let found = threads.spawn(move || open::beneath(&beneath, &path, how)).await;
    descriptor(&directory, how, found.map_err(io::Error::from).flatten().map_err(error_code)?)
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDescriptor for View<'_> {
    fn drop(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.0.table.delete(descriptor)?;
        Ok(())
    }
}

/// The store behind an access.
fn store<'a>(access: &'a mut Access<'_, State, Files>) -> StoreContextMut<'a, State> {
    wasmtime::AsContextMut::as_context_mut(access)
}

impl HostDescriptorWithStore<State> for Files {
    fn read_via_stream(
        mut access: Access<'_, State, Self>,
        descriptor: Resource<Descriptor>,
        offset: u64,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Outcome>)> {
        streams::read_via_stream(store(&mut access), &descriptor, offset)
    }

    fn write_via_stream(
        mut access: Access<'_, State, Self>,
        descriptor: Resource<Descriptor>,
        data: StreamReader<u8>,
        offset: u64,
    ) -> wasmtime::Result<FutureReader<Outcome>> {
        streams::write_via_stream(store(&mut access), &descriptor, data, Place::Offset(offset))
    }

    fn append_via_stream(
        mut access: Access<'_, State, Self>,
        descriptor: Resource<Descriptor>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Outcome>> {
        streams::write_via_stream(store(&mut access), &descriptor, data, Place::End)
    }

    fn read_directory(
        mut access: Access<'_, State, Self>,
        descriptor: Resource<Descriptor>,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, FutureReader<Outcome>)> {
        let mut store = store(&mut access);
        let (result, outcome) = futures::channel::oneshot::channel();
        let stream = match store.data().table.get(&descriptor)? {
            Descriptor::Dir(directory) => {
                let directory = Directory::new(Arc::clone(&directory.dir), Arc::clone(&store.data().threads));
                let open = open_stream(store.data())?;
                StreamReader::new(&mut store, DirectoryProducer { directory, result: Some(result), _open: open })?
            }
            Descriptor::File(_) => {
                // The receiver is above and cannot be gone.
                let _ = result.send(Err(ErrorCode::NotDirectory));
                StreamReader::new(&mut store, std::iter::empty())?
            }
        };
        Ok((stream, FutureReader::new(&mut store, outcome)?))
    }

    async fn open_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FilesystemResult<Resource<Descriptor>> {
        let path = short(path)?;
        let how = How::new(path_flags, open_flags, flags);
        let directory = accessor.with(|mut access| directory_of(access.get().0, &descriptor))?;
        #[cfg(target_os = "linux")]
        if how.only_reads()
            && let Some(file) = cached::open(&directory.dir, &path, how.follow)
        {
            let file = Descriptor::File(File::new(file, directory.perms, how.mode(), false));
            return Ok(accessor.with(|mut access| access.get().0.table.push(file))?);
        }
        let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synchronous) {
            return Err(ErrorCode::Unsupported.into());
        }
        let call = begin(accessor)?;
        let opened = open_beneath(&call.threads, directory, &path, how).await?;
        drop(call);
        match opened {
            Some(opened) => Ok(accessor.with(|mut access| access.get().0.table.push(opened))?),
            None => open_by_wasmtime(accessor, descriptor, path_flags, path, open_flags, flags).await,
        }
    }

    /// Tells what an open file is, where it can be told without waiting. wasmtime's own asks a blocking thread each time.
    async fn stat(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
    ) -> FilesystemResult<DescriptorStat> {
        #[cfg(target_os = "linux")]
        {
            let file = accessor.with(|mut access| file_of(access.get().0, &descriptor))?;
            if let Some(found) = cached::stat(&file) {
                return Ok(description(&found));
            }
            let ask = move || rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS);
            let found = begin(accessor)?.threads.spawn(ask).await.map_err(io::Error::from)?;
            Ok(description(&found.map_err(io::Error::from)?))
        }
        #[cfg(not(target_os = "linux"))]
        wasi!(accessor, stat(descriptor))
    }

    /// wasmtime opens the file to be written, or else to be read: it may be none.
    async fn set_times_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        let path = short(path)?;
        let found = Self::stat_at(accessor, borrow(&descriptor), path_flags, path.clone()).await?;
        match found.type_ {
            DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink => {}
            _ => return Err(ErrorCode::Unsupported.into()),
        }
        wasi!(accessor, set_times_at(descriptor, path_flags, path, accessed, modified))
    }

    async fn advise(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: Advice,
    ) -> FilesystemResult<()> {
        wasi!(accessor, advise(descriptor, offset, length, advice))
    }

    async fn sync_data(accessor: &Accessor<State, Self>, descriptor: Resource<Descriptor>) -> FilesystemResult<()> {
        wasi!(accessor, sync_data(descriptor))
    }

    async fn get_flags(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
    ) -> FilesystemResult<DescriptorFlags> {
        wasi!(accessor, get_flags(descriptor))
    }

    async fn get_type(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
    ) -> FilesystemResult<DescriptorType> {
        wasi!(accessor, get_type(descriptor))
    }

    async fn set_size(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        size: u64,
    ) -> FilesystemResult<()> {
        wasi!(accessor, set_size(descriptor, size))
    }

    async fn set_times(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        wasi!(accessor, set_times(descriptor, accessed, modified))
    }

    async fn sync(accessor: &Accessor<State, Self>, descriptor: Resource<Descriptor>) -> FilesystemResult<()> {
        wasi!(accessor, sync(descriptor))
    }

    async fn create_directory_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        wasi!(accessor, create_directory_at(descriptor, short(path)?))
    }

    async fn stat_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        wasi!(accessor, stat_at(descriptor, path_flags, short(path)?))
    }

    async fn link_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> FilesystemResult<()> {
        wasi!(accessor, link_at(descriptor, path_flags, short(path)?, new_descriptor, short(new_path)?))
    }

    async fn readlink_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<String> {
        wasi!(accessor, readlink_at(descriptor, short(path)?))
    }

    async fn remove_directory_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        wasi!(accessor, remove_directory_at(descriptor, short(path)?))
    }

    async fn rename_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path: String,
        new_descriptor: Resource<Descriptor>,
        new_path: String,
    ) -> FilesystemResult<()> {
        wasi!(accessor, rename_at(descriptor, short(path)?, new_descriptor, short(new_path)?))
    }

    async fn symlink_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FilesystemResult<()> {
        wasi!(accessor, symlink_at(descriptor, short(target)?, short(path)?))
    }

    async fn unlink_file_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        wasi!(accessor, unlink_file_at(descriptor, short(path)?))
    }

    async fn is_same_object(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let call = accessor.with(|mut access| access.get().0.begin_call())?;
        let accessor = accessor.with_getter::<WasiFilesystem>(State::filesystem);
        let doing = <WasiFilesystem as HostDescriptorWithStore<State>>::is_same_object(&accessor, descriptor, other);
        call.threads.within(doing).await
    }

    async fn metadata_hash(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
    ) -> FilesystemResult<MetadataHashValue> {
        wasi!(accessor, metadata_hash(descriptor))
    }

    async fn metadata_hash_at(
        accessor: &Accessor<State, Self>,
        descriptor: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        wasi!(accessor, metadata_hash_at(descriptor, path_flags, short(path)?))
    }
}

fn borrow(descriptor: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(descriptor.rep())
}

fn directory_of(state: &State, descriptor: &Resource<Descriptor>) -> FilesystemResult<Dir> {
    match state.table.get(descriptor)? {
        Descriptor::Dir(directory) => Ok(directory.clone()),
        Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
    }
}

#[cfg(target_os = "linux")]
fn file_of(state: &State, descriptor: &Resource<Descriptor>) -> FilesystemResult<Arc<std::fs::File>> {
    Ok(match state.table.get(descriptor)? {
        Descriptor::File(file) => Arc::clone(&file.file),
        Descriptor::Dir(directory) => Arc::clone(&directory.dir),
    })
}

/// Opens where this system cannot open beneath a directory by itself. What is there is looked at before, so that nothing
/// waits, and after, so that nothing else is used; who swaps the two in between can still make a thread of the driver wait.
async fn open_by_wasmtime(
    accessor: &Accessor<State, Files>,
    descriptor: Resource<Descriptor>,
    path_flags: PathFlags,
    path: String,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> FilesystemResult<Resource<Descriptor>> {
    let found = Files::stat_at(accessor, borrow(&descriptor), path_flags, path.clone()).await;
    if let Ok(DescriptorStat {
        type_:
            DescriptorType::BlockDevice
            | DescriptorType::CharacterDevice
            | DescriptorType::Fifo
            | DescriptorType::Socket
            | DescriptorType::Other(_),
        ..
    }) = found
    {
        return Err(ErrorCode::Unsupported.into());
    }
    let opened = wasi!(accessor, open_at(descriptor, path_flags, path, open_flags, flags))?;
    let file = accessor.with(|mut access| match access.get().0.table.get(&opened)? {
        Descriptor::File(file) => FilesystemResult::Ok(Arc::clone(&file.file)),
        Descriptor::Dir(directory) => Ok(Arc::clone(&directory.dir)),
    })?;
    let is_served = begin(accessor)?.threads.spawn(move || open::is_file_or_directory(&file)).await;
    if is_served.map_err(io::Error::from).flatten()? {
        return Ok(opened);
    }
    accessor.with(|mut access| access.get().0.table.delete(opened))?;
    Err(ErrorCode::Unsupported.into())
}

/// Says in the words of WASI what the system says.
#[cfg(target_os = "linux")]
fn description(found: &Statx) -> DescriptorStat {
    let time = |at: StatxTimestamp| Some(Instant { seconds: at.tv_sec, nanoseconds: at.tv_nsec });
    DescriptorStat {
        type_: directory::descriptor_type(FileType::from_raw_mode(found.stx_mode.into())),
        link_count: found.stx_nlink.into(),
        size: found.stx_size,
        data_access_timestamp: time(found.stx_atime),
        data_modification_timestamp: time(found.stx_mtime),
        status_change_timestamp: time(found.stx_ctime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_longer_than_any_system_takes_is_let_go_of() {
        assert!(short("a".repeat(LONGEST_PATH)).is_ok());
        assert!(matches!(short("a".repeat(LONGEST_PATH + 1)), Err(ErrorCode::NameTooLong)));
    }
}
