//! The tree that the demo stores: which files there are, and what they hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wharf::contract::StoragePath;

/// The source tree that the program was built from: what is stored unless another tree is named.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A tree of files, read once: so that what comes back can be compared, and so that the first driver finds it in the
/// same caches as the second.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The directory.
    pub(super) root: PathBuf,
    /// The files by their path below it, `/` between components.
    pub(super) files: BTreeMap<String, Content>,
    /// The names that no driver can store, and links.
    pub(super) not_stored: Vec<String>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) digest: [u8; 32],
}

impl Source {
    /// Reads a tree; this project's, without `target` and hidden names, if none is named. Blocks.
    pub(super) fn read(tree: Option<&Path>) -> Result<Self> {
        let (root, own) = match tree {
            Some(tree) => (tree.to_owned(), false),
            None => (PathBuf::from(OWN), true),
        };
        let metadata = std::fs::metadata(&root).with_context(|| {
            format!("could not look at {}: name a directory to store with --tree DIR", root.display())
        })?;
        if !metadata.is_dir() {
            bail!("{} is no directory: name one with --tree DIR", root.display());
        }
        let mut source = Source { root: root.canonicalize().unwrap_or(root), ..Source::default() };
        source.read_directory("", own)?;
        if source.files.is_empty() {
            bail!("{} holds no file that can be stored: name another tree with --tree DIR", source.root.display());
        }
        Ok(source)
    }

    fn read_directory(&mut self, below: &str, own: bool) -> Result<()> {
        let directory = self.root.join(below);
        let could_not = || format!("could not list {}", directory.display());
        for entry in std::fs::read_dir(&directory).with_context(could_not)? {
            let entry = entry.with_context(could_not)?;
            let kind = entry.file_type().with_context(could_not)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if own && (name.starts_with('.') || name == "target") {
                continue;
            }
            let path = if below.is_empty() { name.to_string() } else { format!("{below}/{name}") };
            if !StoragePath::is_component(&name) || !(kind.is_dir() || kind.is_file()) {
                self.not_stored.push(path);
            } else if kind.is_dir() {
                self.read_directory(&path, own)?;
            } else {
                let content = Content::of(&entry.path())?;
                self.files.insert(path, content);
            }
        }
        Ok(())
    }

    /// Returns how many bytes all files have together.
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|content| content.size).sum()
    }
}

impl Content {
    fn of(path: &Path) -> Result<Self> {
        let read = || {
            let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = file.read(&mut buffer)?;
                if count == 0 {
                    return Ok::<_, std::io::Error>(Content { size, digest: hash.finalize().into() });
                }
                size += count as u64;
                hash.update(&buffer[..count]);
            }
        };
        read().with_context(|| format!("could not read {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]
    use super::*;

    #[test]
    fn names_that_cannot_be_stored_and_links_are_told() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        std::fs::write(directory.path().join("a/file"), "abc").unwrap();
        std::fs::write(directory.path().join("a name"), "").unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("link")).unwrap();
        let source = Source::read(Some(directory.path())).unwrap();
        assert_eq!(source.files.keys().collect::<Vec<_>>(), ["a/file"]);
        assert_eq!(source.size(), 3);
        let mut not_stored = source.not_stored;
        not_stored.sort();
        assert_eq!(not_stored, ["a name", "link"]);
    }

    #[test]
    fn this_project_is_there_without_what_is_hidden_or_built() {
        let source = Source::read(None).unwrap();
        assert!(source.files.contains_key("host/cli/src/main.rs"));
        assert!(source.files.keys().all(|path| path.split('/').all(|name| name != "target" && !name.starts_with('.'))));
    }

    #[test]
    fn a_tree_that_is_missing_or_holds_nothing_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        for tree in [directory.path().to_owned(), directory.path().join("none")] {
            assert!(format!("{:#}", Source::read(Some(&tree)).unwrap_err()).contains("--tree DIR"));
        }
    }
}
