//! Where compiled components are kept between runs.

use std::io;
use std::path::{Path, PathBuf};

/// Returns the directory of compiled code, created if it was not there; none, with a warning, if there is none to use.
pub(crate) fn directory() -> Option<PathBuf> {
    let Some(directory) = place(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) else {
        tracing::warn!(
            "components are compiled anew at each start: neither XDG_CACHE_HOME nor HOME is an absolute path"
        );
        return None;
    };
    match prepare(&directory) {
        Ok(()) => Some(directory),
        Err(error) => {
            tracing::warn!(
                directory = %directory.display(), %error,
                "components are compiled anew at each start: the cache cannot be used; --no-cache silences this"
            );
            None
        }
    }
}

fn place(cache: Option<std::ffi::OsString>, home: Option<std::ffi::OsString>) -> Option<PathBuf> {
    // The XDG specification says that a relative path is to be ignored.
    let absolute = |path: std::ffi::OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let base = cache.and_then(absolute).or_else(|| home.and_then(absolute).map(|home| home.join(".cache")));
    base.map(|base| base.join("wharf"))
}

/// Creates the directory for this user alone: whoever can write to it can run code in this process.
fn prepare(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    let ours = tempfile::tempfile_in(directory)?;
    check_owner(&std::fs::metadata(directory)?, &ours.metadata()?)
}

#[cfg(unix)]
fn check_owner(directory: &std::fs::Metadata, ours: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if directory.uid() != ours.uid() {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    if directory.mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it; `chmod go-w` takes that from them"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &std::fs::Metadata, _: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]
    use super::*;

    #[test]
    fn the_place_is_absolute_and_prefers_the_users_choice() {
        let place = |cache: &str, home: &str| place(Some(cache.into()), Some(home.into()));
        assert_eq!(place("/c", "/h"), Some("/c/wharf".into()));
        assert_eq!(place("c", "/h"), Some("/h/.cache/wharf".into()));
        assert_eq!(place("", "h"), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_new_directory_is_the_users_alone_and_one_that_others_can_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/wharf");
        prepare(&directory).unwrap();
        assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(prepare(&directory).unwrap_err().to_string().contains("others can write"));
    }
}
