//! What is done on every driver.

use std::collections::BTreeMap;

use anyhow::Result;
use wharf::contract::StoragePath;

use super::source::{Content, Source};
use crate::pattern::{Pattern, STEP};

/// How many files of the tree are under way at a time.
pub(super) const FILES_AT_A_TIME: usize = 8;

/// What is done, the same on every driver.
#[derive(Debug)]
pub(super) struct Plan {
    /// The tree that is stored.
    pub(super) source: Source,
    /// The bytes of the two streams.
    pub(super) pattern: Pattern,
    /// The stream that is stored at once.
    pub(super) stream: Content,
    /// The stream whose upload is interrupted half-way.
    pub(super) upload: Content,
}

impl Plan {
    /// Plans a session with a tree, a stream of so many bytes, and an interrupted upload of so many.
    pub(super) fn new(source: Source, stream: u64, upload: u64) -> Self {
        let pattern = Pattern::new(STEP);
        let content = |size| Content { size, digest: pattern.digest(size) };
        Plan { source, stream: content(stream), upload: content(upload), pattern }
    }

    /// Returns where the interrupted upload is interrupted: half-way, and not between two chunks.
    pub(super) fn cut(&self) -> u64 {
        self.upload.size / 2 + 1
    }

    /// Returns every file that is stored, before the move or after it.
    pub(super) fn files(&self, moved: bool) -> Result<BTreeMap<StoragePath, Content>> {
        let root = if moved { StoragePath::parse("/moved")? } else { StoragePath::root() };
        let tree = self.source.files.iter().map(|(path, content)| (format!("tree/{path}"), *content));
        let streams = [("streams/whole".to_owned(), self.stream), ("streams/resumed".to_owned(), self.upload)];
        tree.chain(streams).map(|(path, content)| Ok((root.join(&path)?, content))).collect()
    }
}
