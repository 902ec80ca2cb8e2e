//! What the system knows of files without asking a disk or a server: answered at once, where it is called.
//!
//! Handing such a question to the blocking threads and taking back the answer costs more than ten times what the question
//! costs. Each of these answers none where it would have to wait, or where the system cannot be asked so; the caller then
//! goes the long way.

use std::fs::File;
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, fstatfs, openat2};
#[cfg(target_os = "linux")]
use rustix::io::{ReadWriteFlags, preadv2};

use super::file_stream::SMALL;

/// File systems that open a file whose name they know without asking anybody: ext, XFS, Btrfs, F2FS, tmpfs. One of a server, or
/// of a program, may ask it.
#[cfg(target_os = "linux")]
const LOCAL: [u32; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];

/// Opens a file to be read, beneath a directory and on the same local file system, if the system has its name in memory. Links
/// that lead outside are not followed, and those at the end only if it is said.
#[cfg(target_os = "linux")]
pub(crate) fn open(directory: &File, path: &str, follow: bool) -> Option<File> {
    if is_local(directory) { open_beneath(directory, path, follow) } else { None }
}

#[cfg(target_os = "linux")]
fn is_local(directory: &File) -> bool {
    // The magic numbers have 32 bits, whatever type the system's structure gives them.
    fstatfs(directory).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

#[cfg(target_os = "linux")]
fn open_beneath(directory: &File, path: &str, follow: bool) -> Option<File> {
    // What is no file must not wait for its other end, nor become the program's terminal.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    flags.set(OFlags::NOFOLLOW, !follow);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV | ResolveFlags::CACHED;
    let file = File::from(openat2(directory, path, flags, Mode::empty(), resolve).ok()?);
    let is_file = FileType::from_raw_mode(stat(&file)?.stx_mode.into()) == FileType::RegularFile;
    is_file.then_some(file)
}

/// Returns what the system has in memory of a file's attributes. A file of a server may have changed since.
#[cfg(target_os = "linux")]
pub(crate) fn stat(file: &File) -> Option<Statx> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = rustix::fs::statx(file, "", flags, StatxFlags::BASIC_STATS).ok()?;
    // Of a file system that does not have them all ready, the answer would be made up in part.
    (StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BASIC_STATS)).then_some(found)
}

/// Returns what is between an offset and the end of a file, if that is little and lies in memory.
#[cfg(target_os = "linux")]
pub(crate) fn read_to_end(file: &File, offset: u64) -> Option<Vec<u8>> {
    let length = stat(file)?.stx_size.saturating_sub(offset);
    read(file, offset, length)
}

/// Returns so many bytes from an offset on, if they are few and lie in memory.
#[cfg(target_os = "linux")]
pub(crate) fn read(file: &File, offset: u64, length: u64) -> Option<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|_| length <= SMALL)?;
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        let at = offset.checked_add(done as u64)?;
        let count = preadv2(file, &mut [IoSliceMut::new(&mut bytes[done..])], at, ReadWriteFlags::NOWAIT).ok()?;
        // The file has become shorter: the long way says what that means.
        if count == 0 {
            return None;
        }
        done += count;
    }
    Some(bytes)
}

/// Returns none: only Linux can be asked so.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_to_end(_: &File, _: u64) -> Option<Vec<u8>> {
    None
}

/// Returns none: only Linux can be asked so.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read(_: &File, _: u64, _: u64) -> Option<Vec<u8>> {
    None
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// A file that was just written, and so lies in memory.
    fn file(size: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn what_lies_in_memory_is_read_at_once() {
        let (file, bytes) = file(10_000);
        for offset in [0, 1, 9_999] {
            assert_eq!(read_to_end(&file, offset as u64).unwrap(), bytes[offset..]);
        }
        assert_eq!(read(&file, 5, 10).unwrap(), bytes[5..15]);
        for at_the_end in [10_000, 10_001, u64::MAX] {
            assert_eq!(read_to_end(&file, at_the_end).unwrap(), b"");
        }
    }

    #[test]
    fn what_is_large_or_not_there_goes_the_long_way() {
        let (large, _) = file(SMALL as usize + 1);
        assert_eq!(read_to_end(&large, 0), None);
        assert_eq!(read_to_end(&large, 1).unwrap().len() as u64, SMALL);
        assert_eq!(read(&large, SMALL, 2), None, "the file ends before");
        assert_eq!(read(&large, u64::MAX, 1), None);
    }

    #[test]
    fn a_file_beneath_is_opened_and_nothing_else() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("in");
        std::fs::create_dir_all(path.join("a")).unwrap();
        std::fs::write(path.join("a/file"), "inside").unwrap();
        std::fs::write(outer.path().join("secret"), "outside").unwrap();
        std::os::unix::fs::symlink("a/file", path.join("link")).unwrap();
        std::os::unix::fs::symlink("../secret", path.join("out")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path.join("absolute")).unwrap();
        let fifo = path.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let directory = File::open(&path).unwrap();
        let content =
            |path: &str, follow: bool| Some(read_to_end(&open_beneath(&directory, path, follow)?, 0).unwrap());
        // The system may say that it would have to wait: where somebody else renames, or needed the memory that the name was in.
        let soon = |name, follow| {
            let again = |_| {
                content(name, follow).or_else(|| {
                    std::fs::metadata(path.join(name)).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    None
                })
            };
            (0..2000).find_map(again)
        };
        assert_eq!(soon("a/file", false).unwrap(), b"inside");
        assert_eq!(soon("link", true).unwrap(), b"inside");
        assert_eq!(content("link", false), None);
        for outside in ["out", "absolute", "../secret", "a/../../secret", "/etc/passwd", "fifo", "a", "", "nothing"] {
            assert_eq!(content(outside, true), None, "{outside}");
        }
    }

    #[test]
    fn what_a_program_serves_goes_the_long_way() {
        assert!(!is_local(&File::open("/proc").unwrap()));
        assert!(open(&File::open("/proc").unwrap(), "version", false).is_none());
    }

    #[test]
    fn a_file_is_what_the_system_says() {
        let (file, _) = file(123);
        let (found, expected) = (stat(&file).unwrap(), file.metadata().unwrap());
        assert_eq!((found.stx_size, u64::from(found.stx_nlink)), (123, expected.nlink()));
        assert_eq!(
            (found.stx_mtime.tv_sec, i64::from(found.stx_mtime.tv_nsec)),
            (expected.mtime(), expected.mtime_nsec())
        );
        assert_eq!(u32::from(found.stx_mode), expected.mode());
    }
}
