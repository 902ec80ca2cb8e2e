//! What an instance keeps of what it has seen: it asks the store again only once it has changed something itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wharf::contract::{Entry, Error, FileInfo, Position, Result, StoragePath};

use super::{Fault, Wrong};

/// What one instance has seen.
#[derive(Default)]
struct Seen {
    contents: BTreeMap<StoragePath, Bytes>,
    infos: BTreeMap<StoragePath, FileInfo>,
    listings: BTreeMap<StoragePath, Vec<Entry>>,
    uploads: BTreeMap<StoragePath, Vec<Entry>>,
    walks: BTreeMap<StoragePath, Vec<Entry>>,
    missing: BTreeSet<StoragePath>,
}

/// The memory of one instance of what it has seen.
#[derive(Default)]
pub(super) struct Kept(Mutex<Seen>);

impl Kept {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a content that was read.
    pub(super) fn content(&self, path: &StoragePath) -> Option<Bytes> {
        self.seen().contents.get(path).cloned()
    }
}

impl Wrong {
    /// Forgets what was seen, since this instance is about to change something.
    pub(super) fn changes(&self) {
        if self.fault != Fault::KeepsMissingForEver {
            *self.state.kept.seen() = Seen::default();
        }
    }

    fn keeps_missing(&self) -> bool {
        matches!(self.fault, Fault::KeepsMissing | Fault::KeepsMissingForEver)
    }

    fn keep_missing<T>(&self, path: &StoragePath, result: &Result<T>) {
        if self.keeps_missing() && result.as_ref().is_err_and(Error::is_path_not_found) {
            self.state.kept.seen().missing.insert(path.clone());
        }
    }

    fn kept_missing<T>(&self, path: &StoragePath) -> Option<Result<T>> {
        let kept = self.keeps_missing() && self.state.kept.seen().missing.contains(path);
        kept.then(|| Err(Error::path_not_found(path)))
    }

    pub(super) fn keep_content(&self, path: &StoragePath, result: &Result<Bytes>) {
        self.keep_missing(path, result);
        if let (Ok(content), Fault::KeepsContents | Fault::KeepsContentsOfDeleted) = (result, self.fault) {
            self.state.kept.seen().contents.insert(path.clone(), content.clone());
        }
    }

    pub(super) fn kept_content(&self, path: &StoragePath) -> Option<Result<Bytes>> {
        let kept = (self.fault == Fault::KeepsContents).then(|| self.state.kept.content(path)).flatten();
        kept.map(Ok).or_else(|| self.kept_missing(path))
    }

    pub(super) fn keep_info(&self, path: &StoragePath, result: &Result<FileInfo>) {
        self.keep_missing(path, result);
        if let (Ok(info), Fault::KeepsInfos) = (result, self.fault) {
            self.state.kept.seen().infos.insert(path.clone(), info.clone());
        }
    }

    pub(super) fn kept_info(&self, path: &StoragePath) -> Option<Result<FileInfo>> {
        let kept = self.state.kept.seen().infos.get(path).cloned();
        kept.map(Ok).or_else(|| self.kept_missing(path))
    }

    pub(super) fn keep_listing(&self, path: &StoragePath, after: Option<&Position>, entries: &[Entry]) {
        if self.fault == Fault::KeepsListings && after.is_none() {
            self.state.kept.seen().listings.insert(path.clone(), entries.to_vec());
        }
    }

    pub(super) fn kept_listing(&self, path: &StoragePath, after: Option<&Position>) -> Option<Vec<Entry>> {
        if after.is_some() {
            return None;
        }
        self.state.kept.seen().listings.get(path).cloned()
    }

    pub(super) fn keep_walk(&self, path: &StoragePath, entries: &[Entry]) {
        self.state.kept.seen().walks.insert(path.clone(), entries.to_vec());
    }

    pub(super) fn kept_walk(&self, path: &StoragePath) -> Option<Vec<Entry>> {
        self.state.kept.seen().walks.get(path).cloned()
    }

    pub(super) fn keep_uploads(&self, path: &StoragePath, entries: &[Entry]) {
        if self.fault == Fault::KeepsUploads {
            self.state.kept.seen().uploads.insert(path.clone(), entries.to_vec());
        }
    }

    pub(super) fn kept_uploads(&self, path: &StoragePath) -> Option<Vec<Entry>> {
        self.state.kept.seen().uploads.get(path).cloned()
    }
}
