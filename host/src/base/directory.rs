//! Whether a directory of this machine could be written to, found out without writing.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, StatVfs, StatVfsMountFlags, accessat, statvfs};

use crate::contract::{Error, ErrorKind, Result};

/// The room below which a file system counts as full, in bytes: the next image would fill it.
const LEAST_ROOM: u64 = 1024 * 1024;

/// Returns whether a file could be made in a directory, or, while it is not there, in the directory above that it would be
/// made in: by permissions, by how the file system is mounted, and by the room that it has left. Three calls of the system,
/// which block; nothing is written. Quotas are not seen, and a promise it is not: somebody may fill the disk meanwhile.
///
/// # Errors
///
/// [`ErrorKind::AccessDenied`], [`ErrorKind::QuotaExceeded`], or [`ErrorKind::Unavailable`] for what else the system says;
/// each names the directory, and what to do.
pub(crate) fn check_writable(directory: &Path) -> Result<()> {
    let mut found = directory;
    let metadata = loop {
        match found.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                found = match found.parent() {
                    // A relative path begins where the process is.
                    Some(above) if above.as_os_str().is_empty() => Path::new("."),
                    Some(above) => above,
                    None => return Err(failed(directory, found, &error)),
                };
            }
            Err(error) => return Err(failed(directory, found, &error)),
            Ok(metadata) => break metadata,
        }
    };
    if !metadata.is_dir() {
        let message = format!("{} cannot be written to: {} is no directory", directory.display(), found.display());
        return Err(Error::new(ErrorKind::AccessDenied, message));
    }
    accessat(CWD, found, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|errno| failed(directory, found, &errno.into()))?;
    let system = statvfs(found).map_err(|errno| failed(directory, found, &errno.into()))?;
    has_room(&system).map_err(|(kind, why)| Error::new(kind, format!("{} {why}", found.display())))
}

fn failed(directory: &Path, found: &Path, error: &std::io::Error) -> Error {
    let (kind, advice) = match error.kind() {
        std::io::ErrorKind::PermissionDenied => (ErrorKind::AccessDenied, "; check its owner and its mode"),
        std::io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::AccessDenied, "; its file system is mounted for reading only")
        }
        std::io::ErrorKind::NotADirectory => {
            (ErrorKind::AccessDenied, "; a file is where a directory would have to be")
        }
        _ => (ErrorKind::Unavailable, ""),
    };
    let at = if found == directory { String::new() } else { format!(" (at {})", found.display()) };
    Error::new(kind, format!("{} cannot be written to{at}: {error}{advice}", directory.display()))
}

/// Returns what a file system lacks, if it takes no more.
fn has_room(system: &StatVfs) -> std::result::Result<(), (ErrorKind, &'static str)> {
    if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err((ErrorKind::AccessDenied, "is on a file system that is mounted for reading only"));
    }
    // Some file systems count neither: then both are 0.
    if system.f_blocks > 0 && system.f_bavail.saturating_mul(system.f_frsize) < LEAST_ROOM {
        return Err((ErrorKind::QuotaExceeded, "is on a file system with less than 1 MiB left; free room"));
    }
    if system.f_files > 0 && system.f_favail == 0 {
        return Err((ErrorKind::QuotaExceeded, "is on a file system that takes no more files (inodes); delete some"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_is_there_or_could_be_made_is_writable_and_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        check_writable(place.path()).unwrap();
        check_writable(&place.path().join("a/b/c")).unwrap();
        check_writable(Path::new("relative")).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_made_is_not_writable() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        for directory in [file.clone(), file.join("below"), file.join("far/below")] {
            let error = check_writable(&directory).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::AccessDenied, "{error}");
            assert!(error.message().contains(&*directory.display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_directory_that_may_not_be_written_to_is_refused_before_anybody_tries() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
        // The same question, asked by trying: root may.
        let may = std::fs::write(place.path().join("tried"), "").is_ok();
        assert_eq!(check_writable(place.path()).is_ok(), may);
    }

    #[test]
    fn a_file_system_that_is_full_or_for_reading_only_is_told_from_one_that_does_not_count() {
        let place = tempfile::tempdir().unwrap();
        let system = || {
            let mut system = statvfs(place.path()).unwrap();
            system.f_flag = StatVfsMountFlags::empty();
            (system.f_frsize, system.f_blocks, system.f_bavail, system.f_files, system.f_favail) =
                (4096, 1 << 20, 1 << 19, 1000, 10);
            system
        };
        assert_eq!(has_room(&system()), Ok(()));
        let kind = |system: StatVfs| has_room(&system).map_err(|(kind, _)| kind);
        let read_only = StatVfs { f_flag: StatVfsMountFlags::RDONLY, ..system() };
        assert_eq!(kind(read_only), Err(ErrorKind::AccessDenied));
        assert_eq!(kind(StatVfs { f_bavail: 255, ..system() }), Err(ErrorKind::QuotaExceeded));
        assert_eq!(kind(StatVfs { f_favail: 0, ..system() }), Err(ErrorKind::QuotaExceeded));
        assert_eq!(kind(StatVfs { f_blocks: 0, f_bavail: 0, f_files: 0, f_favail: 0, ..system() }), Ok(()));
    }
}
