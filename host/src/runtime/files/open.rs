//! Opening what lies beneath a granted directory: regular files and directories, and nothing else.
//!
//! A FIFO would hold a thread until somebody opens its other end, a device may do anything. So nothing waits when it is
//! opened, and what it is is looked at once it is open: between a look before and the opening somebody could put something
//! else there.

use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
#[cfg(target_os = "linux")]
use rustix::io::Errno;
use wasmtime_wasi::OpenMode;

/// How something is to be opened: the flags of WASI, of whichever version.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// Whether a symbolic link at the end is followed.
    pub(super) follow: bool,
    pub(super) create: bool,
    /// With `create`: whether nothing may be there.
    pub(super) exclusive: bool,
    /// Whether it must be a directory.
    pub(super) directory: bool,
    pub(super) truncate: bool,
    pub(super) read: bool,
    pub(super) write: bool,
}

impl How {
    /// Returns what may be done with what is opened, once the permissions of its directory allow it too.
    pub(super) fn mode(self) -> OpenMode {
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::WRITE, self.changes());
        // What is not opened to be written is opened to be read, since it must be opened somehow.
        mode.set(OpenMode::READ, self.read || !self.write);
        mode
    }

    /// Returns whether it may change something.
    pub(super) fn changes(self) -> bool {
        self.create || self.truncate || self.write
    }

    /// Returns whether the flags contradict one another.
    pub(super) fn is_contradictory(self) -> bool {
        self.directory && (self.create || self.exclusive || self.truncate)
    }
}

/// What was opened.
pub(super) enum Found {
    File(File),
    Directory(File),
    /// Neither: it is closed again.
    Other,
    /// This system cannot open so, and nothing was opened.
    Unknown,
}

/// Opens a path beneath a directory. Waits for the disk, and for nothing else.
///
/// # Errors
///
/// The system's. A path that leads outside is [`PermissionDenied`](io::ErrorKind::PermissionDenied).
#[cfg(target_os = "linux")]
pub(super) fn beneath(directory: &File, path: &str, how: How) -> io::Result<Found> {
    let mode = how.mode();
    let access = match (mode.contains(OpenMode::READ), mode.contains(OpenMode::WRITE)) {
        (_, false) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
    };
    let mut flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    flags.set(OFlags::NOFOLLOW, !how.follow);
    flags.set(OFlags::CREATE, how.create);
    flags.set(OFlags::EXCL, how.create && how.exclusive);
    flags.set(OFlags::TRUNC, how.truncate && !(how.create && how.exclusive));
    let permissions = if how.create { Mode::from_raw_mode(0o666) } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // Somebody renamed something while a path with `..` was resolved: four times at most, as there is no end to it.
    for _ in 0..4 {
        match openat2(directory, path, flags, permissions, resolve) {
            Ok(file) => return tell(File::from(file)),
            Err(Errno::AGAIN) => {}
            // A FIFO that nobody reads, a socket, a device that is not there.
            Err(Errno::NXIO | Errno::NODEV) => return Ok(Found::Other),
            Err(Errno::XDEV) => {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the path leads outside of the directory"));
            }
            // Some sandboxes say so where there is no such call.
            Err(Errno::NOSYS | Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Found::Unknown)
}

/// Opens nothing: only Linux can open so.
///
/// # Errors
///
/// None.
#[cfg(not(target_os = "linux"))]
pub(super) fn beneath(_: &File, _: &str, _: How) -> io::Result<Found> {
    Ok(Found::Unknown)
}

#[cfg(target_os = "linux")]
fn tell(file: File) -> io::Result<Found> {
    let found = rustix::fs::fstat(&file)?;
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Found::File(file),
        FileType::Directory => Found::Directory(file),
        _ => Found::Other,
    })
}

/// Tells what wasmtime has opened, where this system cannot open otherwise.
///
/// # Errors
///
/// The system's.
pub(super) fn is_file_or_directory(file: &File) -> io::Result<bool> {
    let found = file.metadata()?;
    Ok(found.is_file() || found.is_dir())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::{Duration, Instant};

    use super::*;

    fn name(found: io::Result<Found>) -> String {
        match found {
            Ok(Found::File(_)) => "file".to_owned(),
            Ok(Found::Directory(_)) => "directory".to_owned(),
            Ok(Found::Other) => "other".to_owned(),
            Ok(Found::Unknown) => "unknown".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn only_regular_files_and_directories_beneath_are_opened_and_nothing_waits() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("in");
        std::fs::create_dir_all(path.join("a")).unwrap();
        std::fs::write(path.join("a/file"), "inside").unwrap();
        std::fs::write(outer.path().join("secret"), "outside").unwrap();
        for (link, target) in
            [("link", "a/file"), ("out", "../secret"), ("absolute", "/etc/passwd"), ("to-fifo", "fifo")]
        {
            std::os::unix::fs::symlink(target, path.join(link)).unwrap();
        }
        let fifo = path.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
        let directory = File::open(&path).unwrap();
        let read = How { follow: true, read: true, ..How::default() };
        let begun = Instant::now();
        for (path, expected) in [
            ("a/file", "file"),
            ("link", "file"),
            ("a", "directory"),
            (".", "directory"),
            ("a/../a", "directory"),
            ("fifo", "other"),
            ("to-fifo", "other"),
            ("socket", "other"),
            ("out", "PermissionDenied"),
            ("absolute", "PermissionDenied"),
            ("../secret", "PermissionDenied"),
            ("/etc/passwd", "PermissionDenied"),
            ("nothing", "NotFound"),
        ] {
            assert_eq!(name(beneath(&directory, path, read)), expected, "{path}");
        }
        for how in [
            How { write: true, ..read },
            How { write: true, read: false, ..read },
            How { create: true, write: true, ..read },
            How { truncate: true, ..read },
        ] {
            assert_eq!(name(beneath(&directory, "fifo", how)), "other", "{how:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        let unfollowed = How { follow: false, ..read };
        assert_eq!(name(beneath(&directory, "link", unfollowed)), "FilesystemLoop");
    }

    #[test]
    fn a_file_is_created_truncated_and_refused_as_the_flags_say() {
        let directory = tempfile::tempdir().unwrap();
        let open = |how| name(beneath(&File::open(directory.path()).unwrap(), "file", how));
        let write = How { write: true, ..How::default() };
        assert_eq!(open(write), "NotFound");
        assert_eq!(open(How { create: true, exclusive: true, ..write }), "file");
        assert_eq!(open(How { create: true, exclusive: true, ..write }), "AlreadyExists");
        std::fs::write(directory.path().join("file"), "content").unwrap();
        assert_eq!(open(How { create: true, ..write }), "file");
        assert_eq!(std::fs::read(directory.path().join("file")).unwrap(), b"content");
        assert_eq!(open(How { truncate: true, ..write }), "file");
        assert_eq!(std::fs::read(directory.path().join("file")).unwrap(), b"");
    }
}
