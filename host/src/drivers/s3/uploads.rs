//! The uploads that nobody has completed or aborted.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, StreamExt};

use super::multipart::Listed;
use super::store::Store;
use crate::contract::{Entry, EntryStream, Result, StoragePath};

impl Store {
    /// Lists the uploads at and below a path: a request for each 1,000.
    pub(super) async fn uploads(self: Arc<Self>, path: &StoragePath) -> Result<EntryStream> {
        struct State {
            store: Arc<Store>,
            path: StoragePath,
            prefix: String,
            entries: VecDeque<Entry>,
            next: Option<(String, String)>,
        }
        let prefix = if path.is_root() { self.keys.prefix(path) } else { self.keys.key(path) };
        // The first page now, so that a store that lists no uploads says so here.
        let (page, next) = self.uploads_page(&prefix, None).await?;
        let entries = self.entries_of(path, page).collect();
        let state = State { store: self, path: path.clone(), prefix, entries, next };
        let entries = stream::try_unfold(state, |mut state| async move {
            loop {
                if let Some(entry) = state.entries.pop_front() {
                    return Ok(Some((entry, state)));
                }
                let Some(next) = state.next.take() else { return Ok(None) };
                let (page, next) = state.store.uploads_page(&state.prefix, Some(next)).await?;
                state.entries = state.store.entries_of(&state.path, page).collect();
                state.next = next;
            }
        });
        Ok(entries.boxed())
    }

    fn entries_of(&self, path: &StoragePath, page: Vec<Listed>) -> impl Iterator<Item = Entry> {
        page.into_iter().filter_map(move |upload| {
            let found = self.keys.path(&upload.key)?;
            let is_asked_for = found == *path || path.contains(&found);
            is_asked_for.then_some(Entry { path: found, is_dir: false, size: None, modified: upload.initiated })
        })
    }
}
