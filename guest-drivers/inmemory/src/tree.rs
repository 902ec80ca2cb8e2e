//! What is stored: files by path, and uploads. No waiting, no streams: this is tested natively.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use wharf_sdk::{Entry, Error, FileInfo, Result, Timestamp, WriteMode};

/// Chunks are filled up to this size, so that a file written in tiny steps does not become a million of them.
const CHUNK: usize = 256 * 1024;

/// The bytes of a file, in the chunks in which they came. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    chunks: Vec<Rc<Vec<u8>>>,
    size: u64,
}

impl Content {
    fn push(&mut self, chunk: Vec<u8>) {
        self.size += chunk.len() as u64;
        match self.chunks.last_mut() {
            // A reader, or the file that an upload began with, may share the last chunk: then it stays as it is.
            Some(last) if last.len() + chunk.len() <= CHUNK => match Rc::get_mut(last) {
                Some(last) => last.extend_from_slice(&chunk),
                None => self.chunks.push(Rc::new(chunk)),
            },
            _ => self.chunks.push(Rc::new(chunk)),
        }
    }

    /// Returns the bytes of a range, which lies within the content, in chunks.
    pub(crate) fn read(self, range: Range<u64>) -> impl Iterator<Item = Vec<u8>> {
        let mut begin = 0;
        self.chunks.into_iter().flat_map(move |chunk| {
            let len = chunk.len() as u64;
            let within = |at: u64| at.saturating_sub(begin).min(len) as usize;
            let wanted = within(range.start)..within(range.end);
            begin += len;
            // `put` may have stored 16 MiB in one piece.
            let pieces: Vec<_> = wanted.clone().step_by(CHUNK).collect();
            pieces.into_iter().map(move |at| chunk[at..wanted.end.min(at + CHUNK)].to_vec())
        })
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        let size = bytes.len() as u64;
        Content { chunks: vec![Rc::new(bytes)], size }
    }
}

#[derive(Debug)]
struct File {
    content: Content,
    modified: Timestamp,
    version: u64,
}

#[derive(Debug)]
struct Upload {
    path: String,
    content: Content,
    began: Timestamp,
    is_open: bool,
}

/// Names an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(u64);

/// What is stored.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// By path. The byte order of paths keeps what lies below a directory together.
    files: BTreeMap<String, File>,
    uploads: BTreeMap<Token, Upload>,
    /// Counts up: no two contents have one version, no two uploads one token.
    counter: u64,
}

impl Tree {
    /// Stores a file, in place of any that was there.
    pub(crate) fn put(&mut self, path: &str, content: Content) -> Result<()> {
        self.check_place(path)?;
        let version = self.count();
        self.files.insert(path.to_owned(), File { content, modified: Timestamp::now(), version });
        Ok(())
    }

    /// Returns a file and its bytes.
    pub(crate) fn file(&self, path: &str) -> Result<(FileInfo, Content)> {
        let file = self.files.get(path).ok_or_else(Error::path_not_found)?;
        let info =
            FileInfo::file(path, file.content.size).with_modified(file.modified).with_version(file.version.to_string());
        Ok((info, file.content.clone()))
    }

    /// Returns what is at a path.
    pub(crate) fn stat(&self, path: &str) -> Result<FileInfo> {
        match self.file(path) {
            Ok((info, _)) => Ok(info),
            Err(_) if self.is_directory(path) => Ok(FileInfo::directory(path)),
            Err(error) => Err(error),
        }
    }

    /// Returns the direct children of a directory.
    pub(crate) fn children(&self, path: &str) -> Result<Vec<Entry>> {
        if !self.is_directory(path) {
            return Err(Error::path_not_found());
        }
        let prefix = prefix(path);
        let mut children: Vec<Entry> = Vec::new();
        for (below, file) in self.below(path) {
            match below[prefix.len()..].split_once('/') {
                None => children.push(Entry::file(below, file.content.size).with_modified(file.modified)),
                Some((name, _)) => {
                    let directory = &below[..prefix.len() + name.len()];
                    // All files of a directory follow one another.
                    if children.last().is_none_or(|last| last.path != directory) {
                        children.push(Entry::directory(directory));
                    }
                }
            }
        }
        Ok(children)
    }

    /// Moves a file, replacing the destination.
    pub(crate) fn move_file(&mut self, source: &str, destination: &str) -> Result<()> {
        if !self.files.contains_key(source) {
            return Err(Error::path_not_found());
        }
        self.check_place(destination)?;
        if let Some(file) = self.files.remove(source) {
            self.files.insert(destination.to_owned(), file);
        }
        Ok(())
    }

    /// Deletes a file, or a directory with all below it, unfinished uploads too.
    pub(crate) fn delete(&mut self, path: &str) -> Result<()> {
        let before = self.files.len() + self.uploads.len();
        let goes = |at: &str| at == path || at.starts_with(&prefix(path));
        self.files.retain(|at, _| !goes(at));
        self.uploads.retain(|_, upload| !goes(&upload.path));
        if self.files.len() + self.uploads.len() < before { Ok(()) } else { Err(Error::path_not_found()) }
    }

    /// Begins an upload, or continues one. Returns it with its size.
    pub(crate) fn begin(&mut self, path: &str, mode: WriteMode) -> Result<(Token, u64)> {
        self.check_place(path)?;
        let here = |upload: &Upload| upload.path == path;
        let content = match mode {
            WriteMode::New => {
                // What was closed here could otherwise be continued in place of this one.
                self.uploads.retain(|_, upload| upload.is_open || !here(upload));
                Content::default()
            }
            WriteMode::Append => {
                if let Some((token, upload)) =
                    self.uploads.iter_mut().find(|(_, upload)| !upload.is_open && here(upload))
                {
                    upload.is_open = true;
                    return Ok((*token, upload.content.size));
                }
                match self.files.get(path) {
                    Some(file) => file.content.clone(),
                    None if self.uploads.values().any(here) => {
                        return Err(Error::conflict("another writer has this upload open; close it first"));
                    }
                    None => return Err(Error::path_not_found()),
                }
            }
        };
        let token = Token(self.count());
        let size = content.size;
        let upload = Upload { path: path.to_owned(), content, began: Timestamp::now(), is_open: true };
        self.uploads.insert(token, upload);
        Ok((token, size))
    }

    /// Adds bytes to an upload and returns its size.
    pub(crate) fn write(&mut self, token: Token, chunk: Vec<u8>) -> Result<u64> {
        let upload = self.upload(token)?;
        upload.content.push(chunk);
        Ok(upload.content.size)
    }

    /// Keeps an upload, to be continued later, and returns its size.
    pub(crate) fn close(&mut self, token: Token) -> Result<u64> {
        let upload = self.upload(token)?;
        upload.is_open = false;
        Ok(upload.content.size)
    }

    /// Makes an upload the file at its path, and returns its size. An upload that cannot be is kept.
    pub(crate) fn commit(&mut self, token: Token) -> Result<u64> {
        let size = self.close(token)?;
        let path = self.upload(token)?.path.clone();
        self.check_place(&path)?;
        if let Some(upload) = self.uploads.remove(&token) {
            self.put(&path, upload.content)?;
        }
        Ok(size)
    }

    /// Throws an upload away.
    pub(crate) fn cancel(&mut self, token: Token) {
        self.uploads.remove(&token);
    }

    /// Returns the uploads at and below a path, open or closed.
    pub(crate) fn uploads(&self, path: &str) -> Vec<Entry> {
        let prefix = prefix(path);
        self.uploads
            .values()
            .filter(|upload| upload.path == path || upload.path.starts_with(&prefix))
            .map(|upload| Entry::file(&upload.path, upload.content.size).with_modified(upload.began))
            .collect()
    }

    fn upload(&mut self, token: Token) -> Result<&mut Upload> {
        self.uploads.get_mut(&token).ok_or_else(|| Error::conflict("the upload was deleted"))
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn is_directory(&self, path: &str) -> bool {
        path == "/" || self.below(path).next().is_some()
    }

    fn below(&self, path: &str) -> impl Iterator<Item = (&String, &File)> {
        let prefix = prefix(path);
        self.files.range(prefix.clone()..).take_while(move |(at, _)| at.starts_with(&prefix))
    }

    /// Checks that a file can be at a path: no directory is there, and no file where a directory would have to be.
    fn check_place(&self, path: &str) -> Result<()> {
        if self.is_directory(path) {
            return Err(Error::invalid_path("a directory is there; delete it, or use another path"));
        }
        let ancestors = path.match_indices('/').skip(1).map(|(slash, _)| &path[..slash]);
        for ancestor in ancestors {
            if self.files.contains_key(ancestor) {
                return Err(Error::invalid_path(format!("{ancestor} is a file; delete it, or use another path")));
            }
        }
        Ok(())
    }
}

fn prefix(directory: &str) -> String {
    if directory == "/" { "/".to_owned() } else { format!("{directory}/") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;
    use wharf_sdk::ErrorKind;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            tree.put(path, Content::from(path.as_bytes().to_vec())).unwrap();
        }
        tree
    }

    fn bytes(tree: &Tree, path: &str) -> Vec<u8> {
        let (info, content) = tree.file(path).unwrap();
        content.read(0..info.size).flatten().collect()
    }

    fn names(entries: &[Entry]) -> Vec<String> {
        entries.iter().map(|entry| entry.position().key()).collect()
    }

    #[test]
    fn children_are_listed_once_beside_siblings_that_share_a_prefix() {
        let tree = tree(&["/a/x", "/a/y/z", "/a-b", "/ab"]);
        assert_eq!(names(&tree.children("/").unwrap()), ["/a-b", "/a/", "/ab"]);
        assert_eq!(names(&tree.children("/a").unwrap()), ["/a/x", "/a/y/"]);
        assert!(tree.children("/ab").unwrap_err().is_path_not_found());
    }

    #[test]
    fn delete_leaves_siblings_that_share_a_prefix() {
        let mut tree = tree(&["/a/x", "/a-b", "/ab", "/a.b"]);
        tree.delete("/a").unwrap();
        assert_eq!(names(&tree.children("/").unwrap()), ["/a-b", "/a.b", "/ab"]);
        assert!(tree.delete("/a").unwrap_err().is_path_not_found());
    }

    #[test]
    fn a_file_is_neither_stored_below_a_file_nor_over_a_directory() {
        let mut tree = tree(&["/a/x"]);
        for path in ["/a", "/a/x/y", "/a/x/y/z"] {
            assert_eq!(tree.put(path, Content::default()).unwrap_err().kind(), ErrorKind::InvalidPath);
            assert_eq!(tree.begin(path, WriteMode::New).unwrap_err().kind(), ErrorKind::InvalidPath);
        }
        assert_eq!(bytes(&tree, "/a/x"), b"/a/x");
    }

    #[test]
    fn a_failed_move_changes_nothing() {
        let mut tree = tree(&["/a", "/d/x"]);
        assert!(tree.move_file("/missing", "/a").unwrap_err().is_path_not_found());
        assert!(tree.move_file("/d", "/a").unwrap_err().is_path_not_found());
        assert_eq!(tree.move_file("/a", "/d").unwrap_err().kind(), ErrorKind::InvalidPath);
        assert_eq!(bytes(&tree, "/a"), b"/a");
        tree.move_file("/a", "/d/x").unwrap();
        assert_eq!(bytes(&tree, "/d/x"), b"/a");
    }

    #[test]
    fn every_range_of_a_content_in_many_chunks_is_read() {
        let mut content = Content::default();
        for chunk in [vec![1; CHUNK], vec![2; 10], vec![3; CHUNK - 5]] {
            content.push(chunk);
        }
        let whole: Vec<u8> = content.clone().read(0..content.size).flatten().collect();
        assert_eq!(whole.len() as u64, content.size);
        let edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 9, CHUNK + 10, CHUNK + 11, whole.len()];
        for start in edges {
            for end in edges.into_iter().filter(|end| *end >= start) {
                let read: Vec<u8> = content.clone().read(start as u64..end as u64).flatten().collect();
                assert!(read == whole[start..end], "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_read_that_began_sees_the_content_as_it_was() {
        let mut tree = tree(&["/a"]);
        let (token, _) = tree.begin("/a", WriteMode::Append).unwrap();
        let (_, old) = tree.file("/a").unwrap();
        tree.write(token, b"more".to_vec()).unwrap();
        assert_eq!(bytes(&tree, "/a"), b"/a");
        tree.commit(token).unwrap();
        assert_eq!(bytes(&tree, "/a"), b"/amore");
        assert_eq!(old.read(0..2).flatten().collect::<Vec<_>>(), b"/a");
    }

    #[test]
    fn a_closed_upload_is_continued_and_a_new_one_starts_anew() {
        let mut tree = Tree::default();
        let (token, _) = tree.begin("/a", WriteMode::New).unwrap();
        tree.write(token, b"one".to_vec()).unwrap();
        tree.close(token).unwrap();
        assert!(tree.file("/a").is_err());
        assert_eq!(names(&tree.uploads("/")), ["/a"]);

        let (token, size) = tree.begin("/a", WriteMode::Append).unwrap();
        assert_eq!(size, 3);
        assert_eq!(tree.begin("/a", WriteMode::Append).unwrap_err().kind(), ErrorKind::Conflict);
        tree.close(token).unwrap();

        let (token, size) = tree.begin("/a", WriteMode::New).unwrap();
        assert_eq!((size, tree.uploads("/a").len()), (0, 1));
        tree.write(token, b"two".to_vec()).unwrap();
        tree.commit(token).unwrap();
        assert_eq!(bytes(&tree, "/a"), b"two");
        assert_eq!(tree.uploads("/").len(), 0);
    }

    #[test]
    fn an_upload_that_was_deleted_cannot_come_back() {
        let mut tree = Tree::default();
        let (token, _) = tree.begin("/d/a", WriteMode::New).unwrap();
        tree.delete("/d").unwrap();
        assert_eq!(tree.write(token, vec![1]).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(tree.commit(token).unwrap_err().kind(), ErrorKind::Conflict);
        assert!(tree.children("/").unwrap().is_empty());
    }

    #[test]
    fn a_commit_that_finds_its_place_taken_keeps_the_upload() {
        let mut tree = Tree::default();
        let (token, _) = tree.begin("/a", WriteMode::New).unwrap();
        tree.put("/a/b", Content::default()).unwrap();
        assert_eq!(tree.commit(token).unwrap_err().kind(), ErrorKind::InvalidPath);
        assert_eq!(tree.uploads("/a").len(), 1);
    }
}
