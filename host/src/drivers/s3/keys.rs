//! Which key a path has, and which path a key.

use crate::contract::StoragePath;

/// The map between paths and keys: a key is the root directory and the path, without a slash in front
/// (Distribution's `s3Path`).
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Empty, or ends in a slash.
    root: String,
}

impl Keys {
    pub(super) fn new(root_directory: &str) -> Self {
        let root = root_directory.trim_matches('/');
        Keys { root: if root.is_empty() { String::new() } else { format!("{root}/") } }
    }

    /// Returns a file's key.
    pub(super) fn key(&self, path: &StoragePath) -> String {
        format!("{}{}", self.root, path.relative())
    }

    /// Returns what the key of everything below a directory begins with: for the root all that there is.
    pub(super) fn prefix(&self, path: &StoragePath) -> String {
        if path.is_root() { self.root.clone() } else { format!("{}{}/", self.root, path.relative()) }
    }

    /// Returns the path of a key, without a slash at its end; none for one that no path has: somebody else's, or the mark
    /// of a directory that consoles make.
    pub(super) fn path(&self, key: &str) -> Option<StoragePath> {
        let relative = key.strip_prefix(&self.root).filter(|relative| !relative.is_empty())?;
        StoragePath::root().join(relative).ok()
    }

    /// Returns the deepest directory that a key lies in and that a path has; none if that is the root.
    pub(super) fn directory(&self, key: &str) -> Option<StoragePath> {
        let components = key.strip_prefix(&self.root)?.rsplit_once('/')?.0.split('/');
        let valid = components.take_while(|component| StoragePath::is_component(component));
        let directory = valid.fold(String::new(), |path, component| format!("{path}/{component}"));
        StoragePath::parse(directory).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// As `s3Path` of Distribution does: the root without slashes around it, and never a slash in front.
    #[test]
    fn keys_are_distributions() {
        let path = StoragePath::parse("/docker/registry/v2").unwrap();
        for (root, key) in [
            ("", "docker/registry/v2"),
            ("/", "docker/registry/v2"),
            ("a", "a/docker/registry/v2"),
            ("/a/b/", "a/b/docker/registry/v2"),
        ] {
            let keys = Keys::new(root);
            assert_eq!(keys.key(&path), key);
            assert_eq!(keys.path(key).unwrap(), path);
            assert_eq!(keys.prefix(&path), format!("{key}/"));
        }
        assert_eq!(Keys::new("/a/").prefix(&StoragePath::root()), "a/");
        assert_eq!(Keys::new("").prefix(&StoragePath::root()), "");
    }

    #[test]
    fn what_no_path_has_is_no_path() {
        let keys = Keys::new("root");
        assert_eq!(keys.directory("root/a/b c").unwrap().as_str(), "/a");
        assert_eq!(keys.directory("root/a/b/").unwrap().as_str(), "/a/b");
        assert_eq!(keys.directory("root/a/b c/d").unwrap().as_str(), "/a");
        assert_eq!(keys.directory("root/b c"), None);
        for key in ["root/", "other/a", "root/a/", "root/a b", "root//a", "root/../a", "rootless"] {
            assert_eq!(keys.path(key), None, "{key}");
        }
    }
}
