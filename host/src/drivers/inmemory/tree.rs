//! What is stored: files by path, and uploads. Nothing here waits; the driver holds the lock around each call.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::content::Content;
use crate::contract::{Entry, Error, ErrorKind, FileInfo, Position, Result, StoragePath, WriteMode};

#[derive(Debug)]
struct File {
    /// Sealed. Readers share it.
    content: Arc<Content>,
    modified: SystemTime,
    version: u64,
}

#[derive(Debug)]
struct Upload {
    path: StoragePath,
    content: Content,
    began: SystemTime,
    /// Whether a writer has it. A closed one can be continued.
    is_open: bool,
}

/// Names an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

/// What is stored.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By path. Byte order keeps what lies below a directory together, and is the order of listings. Directories are
    /// not stored: one exists while a file lies below it, so none is ever left behind empty.
    files: BTreeMap<StoragePath, File>,
    /// Apart from the files: hidden until the commit. There may be several at one path, one for each open writer.
    uploads: BTreeMap<Token, Upload>,
    /// Counts up: no two contents have one version, no two uploads one token.
    counter: u64,
}

impl Tree {
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.files.len(), self.uploads.len())
    }

    /// Stores a file, in place of any that was there.
    pub(super) fn put(&mut self, path: &StoragePath, mut content: Content) -> Result<()> {
        self.check_place(path)?;
        content.seal();
        let version = self.count();
        let file = File { content: Arc::new(content), modified: SystemTime::now(), version };
        self.files.insert(path.clone(), file);
        Ok(())
    }

    /// Returns a file and its bytes.
    pub(super) fn file(&self, path: &StoragePath) -> Option<(FileInfo, Arc<Content>)> {
        let file = self.files.get(path)?;
        Some((file.info(path), file.content.clone()))
    }

    /// Returns what is at a path.
    pub(super) fn stat(&self, path: &StoragePath) -> Option<FileInfo> {
        match self.files.get(path) {
            Some(file) => Some(file.info(path)),
            None => self.is_directory(path).then(|| FileInfo::directory(path.clone())),
        }
    }

    /// Returns the direct children of a directory, at most `limit` from after a position; none if there is no such
    /// directory.
    pub(super) fn children(&self, path: &StoragePath, after: Option<&Position>, limit: usize) -> Option<Vec<Entry>> {
        if !self.is_directory(path) {
            return None;
        }
        let prefix = path.as_prefix();
        let mut children = Vec::new();
        let mut from = self.first_after(path, &prefix, after);
        while children.len() < limit {
            let Some((at, file)) = self.files.range::<str, _>((bound(&from), Bound::Unbounded)).next() else { break };
            let Some(below) = at.as_str().strip_prefix(&prefix) else { break };
            let entry = match below.split_once('/') {
                None => {
                    from = Bound::Excluded(at.as_str().to_owned());
                    let (size, modified) = (Some(file.content.size()), Some(file.modified));
                    Entry { path: at.clone(), is_dir: false, size, modified }
                }
                Some((name, _)) => {
                    // Straight to what follows the directory, however much lies below it.
                    let directory = path.join(name).ok()?;
                    from = behind(&directory);
                    Entry::directory(directory)
                }
            };
            if after.is_none_or(|after| entry.position() > *after) {
                children.push(entry);
            }
        }
        Some(children)
    }

    /// Returns from which file on a listing has to look: none of those before it makes an entry after the position.
    fn first_after(&self, path: &StoragePath, prefix: &str, after: Option<&Position>) -> Bound<String> {
        let Some(after) = after else { return Bound::Included(prefix.to_owned()) };
        let begin = match after.is_dir {
            // The position of a directory that holds the listed one, or is it, lies before all entries.
            true if after.path == *path || after.path.contains(path) => Bound::Included(prefix.to_owned()),
            true => behind(&after.path),
            false => Bound::Excluded(after.path.as_str().to_owned()),
        };
        let is_before = matches!(&begin, Bound::Included(at) | Bound::Excluded(at) if at.as_str() < prefix);
        if is_before { Bound::Included(prefix.to_owned()) } else { begin }
    }

    /// Moves a file, replacing the destination.
    pub(super) fn move_file(&mut self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        if !self.files.contains_key(source) {
            return Err(Error::path_not_found(source));
        }
        self.check_place(destination)?;
        if let Some(file) = self.files.remove(source) {
            self.files.insert(destination.clone(), file);
        }
        Ok(())
    }

    /// Deletes a file, or a directory with all below it, unfinished uploads too. Returns whether there was anything.
    pub(super) fn delete(&mut self, path: &StoragePath) -> bool {
        let before = self.counts();
        self.files.remove(path);
        let below: Vec<_> = self.below(path).map(|(at, _)| at.clone()).collect();
        for at in &below {
            self.files.remove(at);
        }
        self.uploads.retain(|_, upload| upload.path != *path && !path.contains(&upload.path));
        self.counts() != before
    }

    /// Deletes a file, if there is one.
    pub(super) fn delete_file(&mut self, path: &StoragePath) {
        self.files.remove(path);
    }

    /// Begins an upload, or continues one. Returns it with its size.
    pub(super) fn begin(&mut self, path: &StoragePath, mode: WriteMode) -> Result<(Token, u64)> {
        self.check_place(path)?;
        let content = match mode {
            WriteMode::New => {
                // What was closed here could otherwise be continued in place of this one.
                self.uploads.retain(|_, upload| upload.is_open || upload.path != *path);
                Content::default()
            }
            WriteMode::Append => {
                let mut here = self.uploads.iter_mut().filter(|(_, upload)| upload.path == *path).peekable();
                let is_any = here.peek().is_some();
                if let Some((token, upload)) = here.find(|(_, upload)| !upload.is_open) {
                    upload.is_open = true;
                    return Ok((*token, upload.content.size()));
                }
                match self.files.get(path) {
                    // A copy that shares the chunks: the file stays as it is until the commit.
                    Some(file) => (*file.content).clone(),
                    None if is_any => {
                        let message = "another writer has this upload open; close it first";
                        return Err(Error::new(ErrorKind::Conflict, message));
                    }
                    None => return Err(Error::path_not_found(path)),
                }
            }
        };
        let token = Token(self.count());
        let size = content.size();
        let upload = Upload { path: path.clone(), content, began: SystemTime::now(), is_open: true };
        self.uploads.insert(token, upload);
        Ok((token, size))
    }

    /// Adds bytes to an upload and returns its size.
    pub(super) fn write(&mut self, token: Token, bytes: Bytes) -> Result<u64> {
        let upload = self.upload(token)?;
        upload.content.push(bytes);
        Ok(upload.content.size())
    }

    /// Keeps an upload, to be continued later, and returns its size.
    pub(super) fn close(&mut self, token: Token) -> Result<u64> {
        let upload = self.upload(token)?;
        upload.is_open = false;
        Ok(upload.content.size())
    }

    /// Makes an upload the file at its path, and returns its size. One that cannot be is kept.
    pub(super) fn commit(&mut self, token: Token) -> Result<u64> {
        let size = self.close(token)?;
        let path = self.upload(token)?.path.clone();
        self.check_place(&path)?;
        if let Some(upload) = self.uploads.remove(&token) {
            self.put(&path, upload.content)?;
        }
        Ok(size)
    }

    /// Throws an upload away.
    pub(super) fn cancel(&mut self, token: Token) {
        self.uploads.remove(&token);
    }

    /// Returns the uploads at and below a path, open or closed, in the order of their paths.
    pub(super) fn uploads(&self, path: &StoragePath) -> Vec<Entry> {
        let here = self.uploads.values().filter(|upload| upload.path == *path || path.contains(&upload.path));
        let mut entries: Vec<_> = here
            .map(|upload| {
                let (size, modified) = (Some(upload.content.size()), Some(upload.began));
                Entry { path: upload.path.clone(), is_dir: false, size, modified }
            })
            .collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    fn upload(&mut self, token: Token) -> Result<&mut Upload> {
        let gone = || Error::new(ErrorKind::Conflict, "the upload was deleted meanwhile; begin it anew");
        self.uploads.get_mut(&token).ok_or_else(gone)
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn is_directory(&self, path: &StoragePath) -> bool {
        path.is_root() || self.below(path).next().is_some()
    }

    fn below(&self, path: &StoragePath) -> impl Iterator<Item = (&StoragePath, &File)> {
        let prefix = path.as_prefix();
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.files.range::<str, _>(from).take_while(move |(at, _)| at.as_str().starts_with(&prefix))
    }

    /// Checks that a file can be at a path: no directory is there, and no file where a directory would have to be.
    fn check_place(&self, path: &StoragePath) -> Result<()> {
        if self.is_directory(path) {
            return Err(Error::invalid_path(path, "a directory is there; delete it, or use another path"));
        }
        let text = path.as_str();
        for (slash, _) in text.match_indices('/').skip(1) {
            let ancestor = &text[..slash];
            if self.files.contains_key(ancestor) {
                let reason = format!("{ancestor} is a file; delete it, or use another path");
                return Err(Error::invalid_path(path, reason));
            }
        }
        Ok(())
    }
}

impl File {
    fn info(&self, path: &StoragePath) -> FileInfo {
        FileInfo {
            path: path.clone(),
            size: self.content.size(),
            is_dir: false,
            modified: Some(self.modified),
            version: Some(self.version.to_string()),
        }
    }
}

/// The first path text that can follow all that lies below a directory: `0` is the byte after `/`.
fn behind(directory: &StoragePath) -> Bound<String> {
    Bound::Included(format!("{}0", directory.as_str()))
}

fn bound(bound: &Bound<String>) -> Bound<&str> {
    bound.as_ref().map(String::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    fn path(text: &str) -> StoragePath {
        StoragePath::parse(text).unwrap()
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for text in paths {
            tree.put(&path(text), Content::from(Bytes::copy_from_slice(text.as_bytes()))).unwrap();
        }
        tree
    }

    fn names(tree: &Tree, directory: &str, after: Option<&Position>, limit: usize) -> Vec<String> {
        let children = tree.children(&path(directory), after, limit).unwrap();
        children.iter().map(|entry| format!("{}{}", entry.path, if entry.is_dir { "/" } else { "" })).collect()
    }

    #[test]
    fn children_are_listed_once_beside_siblings_that_share_a_prefix() {
        let tree = tree(&["/a/x", "/a/y/z", "/a-b", "/ab", "/a0"]);
        assert_eq!(names(&tree, "/", None, 10), ["/a-b", "/a/", "/a0", "/ab"]);
        assert_eq!(names(&tree, "/a", None, 10), ["/a/x", "/a/y/"]);
        assert!(tree.children(&path("/ab"), None, 10).is_none());
    }

    #[test]
    fn a_listing_from_any_position_is_the_rest_of_the_whole() {
        let tree = tree(&["/a/b/x", "/a/b/y/z", "/a/b-c", "/a/bc/1", "/a/bc/2", "/a/d", "/b"]);
        for directory in ["/", "/a", "/a/b"] {
            let directory = path(directory);
            let all = tree.children(&directory, None, usize::MAX).unwrap();
            for text in ["/a", "/a/b", "/a/b/x", "/a/b/y", "/a/b/y/q", "/a/b0", "/a/bc", "/a/d", "/0", "/c", "/b/q"] {
                for after in [Position::file(path(text)), Position::directory(path(text))] {
                    let rest: Vec<_> = all.iter().filter(|entry| entry.position() > after).cloned().collect();
                    assert_eq!(tree.children(&directory, Some(&after), usize::MAX).unwrap(), rest, "{after:?}");
                }
            }
            let root = Position::directory(StoragePath::root());
            assert_eq!(tree.children(&directory, Some(&root), usize::MAX).unwrap(), all);
        }
    }

    #[test]
    fn delete_leaves_siblings_that_share_a_prefix() {
        let mut tree = tree(&["/a/x", "/a-b", "/ab", "/a.b"]);
        assert!(tree.delete(&path("/a")));
        assert_eq!(names(&tree, "/", None, 10), ["/a-b", "/a.b", "/ab"]);
        assert!(!tree.delete(&path("/a")));
    }

    #[test]
    fn a_file_is_neither_stored_below_a_file_nor_over_a_directory() {
        let mut tree = tree(&["/a/x"]);
        for text in ["/a", "/a/x/y", "/a/x/y/z"] {
            let error = tree.put(&path(text), Content::default()).unwrap_err();
            assert_eq!((error.kind(), error.path()), (&ErrorKind::InvalidPath, Some(text)));
        }
    }

    #[test]
    fn an_upload_whose_place_was_taken_is_kept() {
        let mut tree = Tree::default();
        let (token, _) = tree.begin(&path("/a"), WriteMode::New).unwrap();
        tree.write(token, Bytes::from("x")).unwrap();
        tree.put(&path("/a/b"), Content::default()).unwrap();
        assert_eq!(tree.commit(token).unwrap_err().kind(), &ErrorKind::InvalidPath);
        assert_eq!(tree.uploads(&path("/a")).len(), 1);
        assert!(tree.delete(&path("/a/b")));
        let (_, size) = tree.begin(&path("/a"), WriteMode::Append).unwrap();
        assert_eq!(size, 1);
    }

    #[test]
    fn a_deleted_upload_is_a_conflict_for_its_writer() {
        let mut tree = Tree::default();
        let (token, _) = tree.begin(&path("/a/b"), WriteMode::New).unwrap();
        assert!(tree.delete(&path("/a")));
        assert_eq!(tree.write(token, Bytes::from("x")).unwrap_err().kind(), &ErrorKind::Conflict);
        assert_eq!(tree.commit(token).unwrap_err().kind(), &ErrorKind::Conflict);
    }
}
