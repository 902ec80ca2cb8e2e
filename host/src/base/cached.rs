//! What the system knows of an open file without asking a disk or a server: answered at once, where it is called.
//!
//! Handing such a question to the blocking threads and taking back the answer costs more than ten times what the question
//! costs. Each of these answers none where it would have to wait, or where the system cannot be asked so; the caller then
//! goes the long way.

use std::fs::File;
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, Statx, StatxFlags};
#[cfg(target_os = "linux")]
use rustix::io::{ReadWriteFlags, preadv2};

use super::file_stream::SMALL;

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
