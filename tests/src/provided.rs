//! The content of a driver that only reads, as its author knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wharf::contract::{Position, StoragePath};

use crate::Failure;

/// What is in the store of a driver that only reads: the suite holds what the driver tells against it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provided {
    files: Arc<BTreeMap<StoragePath, Source>>,
    /// The files and the directories that they lie in, but the root, in the order of listings.
    all: Arc<[Position]>,
    /// Directories without files, which a driver may show or not.
    empty: Arc<BTreeSet<StoragePath>>,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    Disk { file: PathBuf, size: u64 },
}

impl Source {
    fn size(&self) -> u64 {
        match self {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::Disk { size, .. } => *size,
        }
    }
}

impl Provided {
    /// Takes files from memory.
    pub fn from_files(files: impl IntoIterator<Item = (StoragePath, Bytes)>) -> Self {
        let files = files.into_iter().map(|(path, content)| (path, Source::Memory(content)));
        Self::new(files.collect(), BTreeSet::new())
    }

    fn new(files: BTreeMap<StoragePath, Source>, mut empty: BTreeSet<StoragePath>) -> Self {
        let mut all: BTreeSet<Position> = BTreeSet::new();
        for path in files.keys() {
            all.insert(Position { path: path.clone(), is_dir: false });
            let mut above = path.parent().filter(|above| !above.is_root());
            while let Some(path) = above {
                above = path.parent().filter(|above| !above.is_root());
                all.insert(Position { path, is_dir: true });
            }
        }
        empty.retain(|path| !all.contains(&Position { path: path.clone(), is_dir: true }));
        Provided { files: Arc::new(files), all: all.into_iter().collect(), empty: Arc::new(empty) }
    }

    /// Takes the files at and below a directory, each at its path from there; a symbolic link to a file is that file. What has a name
    /// outside the contract's grammar is left out, as every driver leaves it out. A directory without files may be there or not, as
    /// the contract has it. Blocks; reads names and sizes, and the bytes only when a case compares them.
    ///
    /// # Errors
    ///
    /// If something cannot be read, or is neither a file nor a directory, with its path; if there is no file.
    pub fn from_directory(directory: &Path) -> Result<Self, String> {
        let (mut files, mut directories) = (BTreeMap::new(), BTreeSet::new());
        collect(directory, "", &mut files, &mut directories)?;
        if files.is_empty() {
            return Err(format!("{} has no file that a driver could have", directory.display()));
        }
        Ok(Self::new(files, directories))
    }

    /// Returns the files, in the order of their paths, with their sizes.
    pub(crate) fn files(&self) -> impl DoubleEndedIterator<Item = (&StoragePath, u64)> {
        self.files.iter().map(|(path, source)| (path, source.size()))
    }

    /// Returns some of the files: evenly spread ones, and the largest.
    pub(crate) fn some(&self, count: usize) -> Vec<(&StoragePath, u64)> {
        let step = self.files.len().div_ceil(count).max(1);
        let largest = self.files().max_by_key(|(_, size)| *size);
        self.files().step_by(step).chain(largest).collect()
    }

    /// Returns the directories, the root first, in the order of their paths.
    pub(crate) fn directories(&self) -> Vec<StoragePath> {
        let below = self.all.iter().filter(|at| at.is_dir).map(|at| at.path.clone());
        std::iter::once(StoragePath::root()).chain(below).collect()
    }

    /// Returns everything below a directory, in the order of listings.
    pub(crate) fn tree(&self, directory: &StoragePath) -> Vec<Position> {
        let prefix = directory.as_prefix();
        self.all.iter().filter(|at| at.path.as_str().starts_with(&prefix)).cloned().collect()
    }

    /// Returns the direct children of a directory, in the order of listings.
    pub(crate) fn children(&self, directory: &StoragePath) -> Vec<Position> {
        let mut tree = self.tree(directory);
        tree.retain(|at| at.path.parent().as_ref() == Some(directory));
        tree
    }

    /// Returns whether something is at a path, or may be.
    pub(crate) fn may_have(&self, path: &StoragePath) -> bool {
        self.all.iter().any(|at| at.path == *path) || self.empty.contains(path)
    }

    /// Returns whether a driver may show this or not.
    pub(crate) fn may_lack(&self, at: &Position) -> bool {
        at.is_dir && self.empty.contains(&at.path)
    }

    /// Returns bytes of a file. Blocks for a short while.
    ///
    /// # Errors
    ///
    /// A failure that says what became of the file meanwhile.
    pub(crate) fn bytes(&self, path: &StoragePath, offset: u64, length: usize) -> Result<Bytes, Failure> {
        let changed = |why: String| Failure::new(format!("the content that was provided has changed: {path}: {why}"));
        match self.files.get(path) {
            None => Err(changed("it is not there".to_owned())),
            Some(Source::Memory(bytes)) => {
                let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                Ok(bytes.slice(from..from.saturating_add(length).min(bytes.len())))
            }
            Some(Source::Disk { file, size }) => {
                let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
                let mut bytes = vec![0; length.min(left)];
                let read = File::open(file).and_then(|file| file.read_exact_at(&mut bytes, offset));
                read.map_err(|error| changed(error.to_string()))?;
                Ok(bytes.into())
            }
        }
    }
}

/// Adds what lies in a directory, whose path in the store is `prefix`.
fn collect(
    directory: &Path,
    prefix: &str,
    files: &mut BTreeMap<StoragePath, Source>,
    directories: &mut BTreeSet<StoragePath>,
) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    for entry in std::fs::read_dir(directory).map_err(|error| failed(directory, error))? {
        let entry = entry.map_err(|error| failed(directory, error))?;
        let file = entry.path();
        let Some(path) = entry.file_name().to_str().map(|name| format!("{prefix}/{name}")) else { continue };
        let Ok(at) = StoragePath::parse(&*path) else { continue };
        let is_link = entry.file_type().map_err(|error| failed(&file, error))?.is_symlink();
        let found = match file.metadata() {
            Err(error) if is_link => {
                return Err(format!("{} is a symbolic link that leads nowhere: {error}", file.display()));
            }
            found => found.map_err(|error| failed(&file, error))?,
        };
        if found.is_file() {
            files.insert(at, Source::Disk { file, size: found.len() });
        } else if found.is_dir() && is_link {
            return Err(format!(
                "{} is a symbolic link to a directory, which is not followed; remove it",
                file.display()
            ));
        } else if found.is_dir() {
            collect(&file, &path, files, directories)?;
            directories.insert(at);
        } else {
            return Err(format!("{} is neither a file nor a directory", file.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn keys(positions: &[Position]) -> Vec<String> {
        positions.iter().map(|at| format!("{}{}", at.path, if at.is_dir { "/" } else { "" })).collect()
    }

    #[test]
    fn a_directory_provides_its_files_at_their_paths_and_the_directories_above_them() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("a/b")).unwrap();
        std::fs::create_dir(place.path().join("empty")).unwrap();
        for (name, content) in [("a/b/x", "12345"), ("a-b", ""), ("not a name", "1")] {
            std::fs::write(place.path().join(name), content).unwrap();
        }
        let provided = Provided::from_directory(place.path()).unwrap();
        assert_eq!(keys(&provided.tree(&StoragePath::root())), ["/a-b", "/a/", "/a/b/", "/a/b/x"]);
        assert_eq!(keys(&provided.children(&StoragePath::root())), ["/a-b", "/a/"]);
        let x = StoragePath::parse("/a/b/x").unwrap();
        assert_eq!(&provided.bytes(&x, 1, 3).unwrap()[..], b"234");
        assert_eq!(&provided.bytes(&x, 3, 9).unwrap()[..], b"45");
        let empty = Position { path: StoragePath::parse("/empty").unwrap(), is_dir: true };
        assert!(provided.may_have(&empty.path) && provided.may_lack(&empty));
        let a = Position { path: StoragePath::parse("/a").unwrap(), is_dir: true };
        assert!(provided.may_have(&a.path) && !provided.may_lack(&a));

        std::os::unix::fs::symlink("a", place.path().join("link")).unwrap();
        assert!(Provided::from_directory(place.path()).unwrap_err().contains("is a symbolic link to a directory"));
    }

    #[test]
    fn a_directory_without_files_provides_nothing_to_test() {
        let place = tempfile::tempdir().unwrap();
        Provided::from_directory(place.path()).unwrap_err();
        Provided::from_directory(&place.path().join("missing")).unwrap_err();
    }
}
