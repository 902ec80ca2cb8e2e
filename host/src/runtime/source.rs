//! The bytes of a component's file: at most so many, and from a regular file only.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The largest component that is loaded, in bytes. One made by componentize-py, CPython included, has 19 MB.
pub(super) const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// Reads a file. Blocks for the time that its file system takes, and never for somebody to write to it.
///
/// What the name leads to is looked at after it was opened, so that nothing can be put in its place in between; and what is
/// read is counted, since a file may grow meanwhile and some that claim to be empty have no end.
///
/// # Errors
///
/// If it cannot be opened or read; is a directory, a device, a socket or a pipe; or has more bytes than
/// [`LARGEST_FILE`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a pipe waits for its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::other(format!("it is {}, not a file", kind(metadata.file_type()))));
    }
    // One that says that it is too large is not read at all.
    if metadata.len() <= LARGEST_FILE {
        let expected = usize::try_from(metadata.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(expected.saturating_add(1));
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= LARGEST_FILE {
            return Ok(bytes);
        }
    }
    Err(Error::other(format!(
        "it has more than {LARGEST_FILE} bytes, and larger components are not loaded; without debug information and \
         optimised for size it may be smaller"
    )))
}

fn kind(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_by_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("endless")).unwrap();
        for (name, what) in [("pipe", "a named pipe"), ("endless", "a device"), (".", "a directory")] {
            let error = read(&at(name)).unwrap_err().to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
        // The system does not open a socket at all.
        assert!(read(&at("socket")).is_err());
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_whatever_its_metadata_says() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LARGEST_FILE + 1).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("more than 67108864 bytes"));
        file.as_file().set_len(LARGEST_FILE).unwrap();
        assert_eq!(read(file.path()).unwrap().len() as u64, LARGEST_FILE);
        // It claims to be empty, and is not.
        #[cfg(target_os = "linux")]
        assert!(!read(Path::new("/proc/self/status")).unwrap().is_empty());
    }
}
