//! The operations on the disk, each of one piece. Everything here blocks.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::{Intent, error};
use super::gate::Gate;
use super::lock::lock;
use super::root::{Root, name};
use super::temporary::Temporary;
use crate::contract::{ByteRange, Error, ErrorKind, FileInfo, MAX_CONTENT, Result, StoragePath};

/// How often a put begins again because its directory was deleted under it.
const ATTEMPTS: usize = 8;

/// How long a move waits for a writer's lock: a writer that was dropped keeps it until its last write is done.
const PATIENCE: Duration = Duration::from_millis(500);

/// Returns what is at a path.
pub(super) fn stat(root: &Root, path: &StoragePath) -> Result<FileInfo> {
    let found = match path.is_root() {
        true => root.open().and_then(|root| root.dir_metadata()),
        false => root.beneath(path.relative(), |directory, rest| directory.metadata(rest)),
    };
    match found {
        Ok(metadata) => info(path, &metadata),
        // The root is there before anything is stored in it.
        Err(error) if path.is_root() && error.kind() == io::ErrorKind::NotFound => {
            Ok(FileInfo::directory(path.clone()))
        }
        Err(found) if path.is_root() => {
            let failed = error(path, Intent::Store, found);
            Err(Error::new(failed.kind().clone(), format!("{}: {}", root.path().display(), failed.message()))
                .with_path(path))
        }
        Err(found) => Err(error(path, Intent::Find, found)),
    }
}

/// Opens a file for reading, with what it is and how many bytes of it the range holds.
pub(super) fn open(root: &Root, path: &StoragePath, range: ByteRange) -> Result<(File, FileInfo, u64)> {
    // Without waiting: opening a named pipe would wait for somebody to write to it.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let file = root
        .beneath(path.relative(), |directory, rest| directory.open_with(rest, &options))
        .map_err(|found| error(path, Intent::Find, found))?
        .into_std();
    let metadata = Metadata::from_file(&file).map_err(|found| error(path, Intent::Find, found))?;
    let info = info(path, &metadata)?;
    if info.is_dir {
        return Err(Error::path_not_found(path));
    }
    let count = range.count_in(info.size).ok_or_else(|| Error::invalid_offset(path, range.offset))?;
    Ok((file, info, count))
}

/// Returns the whole content of a file.
pub(super) fn get(root: &Root, path: &StoragePath) -> Result<Vec<u8>> {
    let (file, info, _) = open(root, path, ByteRange::ALL)?;
    let too_large = |size: u64| {
        let message = format!("the file has {size} bytes, and {MAX_CONTENT} is the most; use a reader");
        Error::new(ErrorKind::TooLarge, message).with_path(path)
    };
    if info.size > MAX_CONTENT {
        return Err(too_large(info.size));
    }
    let mut content = Vec::with_capacity(info.size as usize);
    // It may grow while it is read.
    file.take(MAX_CONTENT + 1).read_to_end(&mut content).map_err(|found| error(path, Intent::Find, found))?;
    if content.len() as u64 > MAX_CONTENT {
        return Err(too_large(content.len() as u64));
    }
    Ok(content)
}

/// Stores the whole content of a file.
pub(super) fn put(root: &Root, path: &StoragePath, content: &[u8], gate: &Gate) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let temporary = Temporary::create(root.make_parent(path)?)?;
        temporary.file().as_ref().write_all(content)?;
        temporary.publish(root.names(), name(path), gate)
    };
    again_where_deleted(attempt).map_err(|found| error(path, Intent::Store, found))
}

/// Moves a file.
pub(super) fn move_file(root: &Root, source: &StoragePath, destination: &StoragePath, gate: &Gate) -> Result<()> {
    let missing = |found| error(source, Intent::Find, found);
    let from = root.parent(source).map_err(missing)?;
    // The link itself, if it is one, is what is moved.
    if from.symlink_metadata(name(source)).map_err(missing)?.is_dir() {
        return Err(Error::path_not_found(source));
    }
    // Not under a writer that continues it: it would go on writing to what has become another file.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let locked = match from.open_with(name(source), &options) {
        Ok(file) => {
            let file = file.into_std();
            lock(&file, source, PATIENCE)?;
            Some(file)
        }
        // What cannot be read can be moved.
        Err(_) => None,
    };
    let attempt = || -> io::Result<()> {
        let to = root.make_parent(destination)?;
        match gate.pass(|| from.rename(name(source), &to, name(destination))) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::XDEV) => {
                let file = locked.as_ref().ok_or(error)?;
                return move_over(root, (&from, name(source), file), to, name(destination), gate);
            }
            renamed => renamed?,
        }
        // First where it is now: in between it has two names rather than none.
        root.names().sync(&to)?;
        root.names().sync(&from)
    };
    again_where_deleted(attempt).map_err(|found| {
        // What was not found is the source, if somebody took it since it was looked at, or else the destination's
        // directory. Any other error may have come after the move, when the source is rightly gone.
        let is_gone = is_missing(&found) && from.symlink_metadata(name(source)).is_err_and(|gone| is_missing(&gone));
        if is_gone { Error::path_not_found(source) } else { error(destination, Intent::Store, found) }
    })
}

/// Moves a file to another file system, where no rename reaches: a copy beside its target is renamed, and then the source goes.
/// A caller that goes away in between leaves both.
pub(super) fn move_over(
    root: &Root,
    (from, source, file): (&Dir, &str, &File),
    to: Dir,
    destination: &str,
    gate: &Gate,
) -> io::Result<()> {
    let mut content = file;
    // Moved before, and its directory deleted under it.
    content.seek(io::SeekFrom::Start(0))?;
    let temporary = Temporary::create(to)?;
    io::copy(&mut content, &mut temporary.file().as_ref())?;
    temporary.publish(root.names(), destination, gate)?;
    match gate.pass(|| from.remove_file(source)) {
        Err(error) if is_missing(&error) => {}
        removed => removed?,
    }
    root.names().sync(from)
}

/// Deletes a file, or a directory with all below it.
pub(super) fn delete(root: &Root, path: &StoragePath, gate: &Gate) -> Result<()> {
    let missing = |found| error(path, Intent::Find, found);
    let parent = root.parent(path).map_err(missing)?;
    let failed = |found| error(path, Intent::Store, found);
    if parent.symlink_metadata(name(path)).map_err(missing)?.is_dir() {
        remove_tree(&parent, name(path).as_ref(), gate).map_err(failed)?;
    } else {
        gate.pass(|| parent.remove_file(name(path))).map_err(missing)?;
    }
    root.names().sync(&parent).map_err(failed)
}

/// Deletes files. Those that are missing, and directories, are passed over.
pub(super) fn delete_files(root: &Root, paths: &[StoragePath], gate: &Gate) -> Result<()> {
    let mut changed: Vec<(&str, Dir)> = Vec::new();
    for path in paths {
        let failed = |found| error(path, Intent::Store, found);
        let above = path.as_str().rsplit_once('/').map_or("", |(above, _)| above);
        let index = match changed.iter().position(|(known, _)| *known == above) {
            Some(index) => index,
            None => match root.parent(path) {
                Err(error) if is_missing(&error) => continue,
                Err(found) => return Err(failed(found)),
                Ok(parent) => {
                    changed.push((above, parent));
                    changed.len() - 1
                }
            },
        };
        let parent = &changed[index].1;
        match gate.pass(|| parent.remove_file(name(path))) {
            // Linux says EISDIR, POSIX allows EPERM: a directory is none of ours here.
            Err(_) if parent.symlink_metadata(name(path)).is_ok_and(|found| found.is_dir()) => {}
            Err(error) if is_missing(&error) => {}
            removed => removed.map_err(failed)?,
        }
    }
    for (_, parent) in &changed {
        root.names().sync(parent).map_err(|found| error(&paths[0], Intent::Store, found))?;
    }
    Ok(())
}

/// Removes a directory with all in it that is there when it is looked at.
///
/// What somebody stores there meanwhile may stay, and its directories with it: they are removed only empty, in one step.
fn remove_tree(parent: &Dir, name: &OsStr, gate: &Gate) -> io::Result<()> {
    // One name, and no link behind it: this cannot lead out of the parent.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(io::Error::from) {
        Err(error) if is_missing(&error) => return Ok(()),
        opened => Dir::from_std_file(opened?.into()),
    };
    for entry in directory.entries()? {
        let entry = entry?;
        // A name that is not text cannot be Distribution's; it is removed all the same.
        let name = entry.file_name();
        let removed = match entry.file_type()?.is_dir() {
            true => remove_tree(&directory, &name, gate),
            false => gate.pass(|| directory.remove_file(&name)),
        };
        match removed {
            Err(error) if is_missing(&error) => {}
            removed => removed?,
        }
    }
    match gate.pass(|| parent.remove_dir(name)) {
        Err(error) if is_missing(&error) || error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed,
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Begins again where a directory was deleted between being found and being used.
pub(super) fn again_where_deleted<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut tried = 1;
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tried < ATTEMPTS => tried += 1,
            done => return done,
        }
    }
}

/// Tells what a file or directory is. Anything else, such as a named pipe, is not there.
pub(super) fn info(path: &StoragePath, metadata: &Metadata) -> Result<FileInfo> {
    let is_dir = metadata.is_dir();
    if !is_dir && !metadata.is_file() {
        return Err(Error::path_not_found(path));
    }
    Ok(FileInfo {
        path: path.clone(),
        size: if is_dir { 0 } else { metadata.size() },
        is_dir,
        modified: metadata.modified().ok().map(cap_std::time::SystemTime::into_std),
        // Neither the number of a file nor its times are sure to change with its content: numbers are used again, and
        // two puts may lie within one tick of the clock.
        version: None,
    })
}
