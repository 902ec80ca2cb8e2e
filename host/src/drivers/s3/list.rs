//! Listing keys as files and directories.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use futures::stream::{self, StreamExt, TryStreamExt};
use percent_encoding::percent_decode_str;

use super::error::Effect;
use super::order::TreeOrder;
use super::read::listed_time;
use super::store::Store;
use crate::contract::{Cursor, Entry, EntryStream, Error, ErrorKind, Position, Result, StoragePath};

/// Sorts after every name that a path can have, and so behind all that lies below a directory: `dir/~`.
const AFTER_ALL: char = '~';

/// What of the keys below a prefix is asked for.
#[derive(Clone, Debug)]
struct Query {
    prefix: String,
    /// Whether what lies deeper is folded into directories.
    folded: bool,
    after: Option<String>,
    /// The most keys of a page; none for the store's own, which is 1,000.
    limit: Option<i32>,
}

/// A page of a listing: files and directories, in the store's order.
struct Page {
    entries: Vec<Entry>,
    /// Whether the store listed anything at all, be it names that no path has.
    is_empty: bool,
    next: Option<String>,
}

impl Store {
    /// Returns whether any key lies below a directory: one request.
    pub(super) async fn has_keys_below(&self, path: &StoragePath) -> Result<bool> {
        let prefix = self.keys.prefix(path);
        let query = Query { prefix, folded: false, after: None, limit: Some(1) };
        let answer = self.page(&query, None).await?;
        Ok(!answer.contents().is_empty())
    }

    /// Lists a directory: a request for each 1,000 entries, and one more where the first page is empty.
    pub(super) async fn list(
        self: Arc<Self>,
        path: &StoragePath,
        start_after: Option<Position>,
    ) -> Result<EntryStream> {
        let is_tree_order = self.is_tree_order;
        let prefix = self.keys.prefix(path);
        // A store of another order may list what comes after that position in ours before it in its own.
        let after = start_after.as_ref().filter(|position| !is_tree_order && path.contains(&position.path));
        let query =
            Query { prefix, folded: true, after: after.map(|position| self.start(position, false)), limit: None };
        let first = self.first_page(path, &query, start_after.is_some()).await?;
        let entries = self.pages(query, first).try_filter(move |entry| {
            std::future::ready(start_after.as_ref().is_none_or(|after| entry.position() > *after))
        });
        Ok(if is_tree_order { TreeOrder::sort(entries.boxed()) } else { entries.boxed() })
    }

    /// Walks everything below a directory: a request for each 1,000 objects.
    pub(super) async fn walk(self: Arc<Self>, path: &StoragePath, start: Option<Cursor>) -> Result<EntryStream> {
        let prefix = self.keys.prefix(path);
        let inside = start.as_ref().filter(|cursor| path.contains(&cursor.after.path));
        let after = inside.map(|cursor| self.start(&cursor.after, cursor.below));
        let query = Query { prefix, folded: false, after, limit: None };
        let first = self.first_page(path, &query, start.is_some()).await?;
        let mut directories = Directories { root: path.clone(), open: path.clone() };
        let entries = self
            .pages(query, first)
            .map_ok(move |entry| stream::iter(directories.before(entry).into_iter().map(Ok)))
            .try_flatten()
            .try_filter(move |entry| {
                std::future::ready(start.as_ref().is_none_or(|cursor| cursor.admits(&entry.position())))
            });
        Ok(entries.boxed())
    }

    /// Returns the key to start after, so that the first key is the one of the first entry that comes after `position`.
    fn start(&self, position: &Position, below: bool) -> String {
        match (position.is_dir, below) {
            (false, _) => self.keys.key(&position.path),
            (true, true) => self.keys.prefix(&position.path),
            (true, false) => format!("{}{AFTER_ALL}", self.keys.prefix(&position.path)),
        }
    }

    /// Returns the first page, or that there is no such directory.
    async fn first_page(&self, path: &StoragePath, query: &Query, has_start: bool) -> Result<Page> {
        let page = self.page_of_entries(query, None).await?;
        let is_missing = page.is_empty
            && page.next.is_none()
            && !path.is_root()
            && !(has_start && self.has_keys_below(path).await?);
        if is_missing { Err(Error::path_not_found(path)) } else { Ok(page) }
    }

    fn pages(
        self: Arc<Self>,
        query: Query,
        first: Page,
    ) -> impl futures::Stream<Item = Result<Entry>> + Send + 'static {
        struct State {
            store: Arc<Store>,
            query: Query,
            entries: VecDeque<Entry>,
            next: Option<String>,
        }
        let state = State { store: self, query, entries: first.entries.into(), next: first.next };
        stream::try_unfold(state, |mut state| async move {
            loop {
                if let Some(entry) = state.entries.pop_front() {
                    return Ok(Some((entry, state)));
                }
                let Some(next) = state.next.take() else { return Ok(None) };
                let page = state.store.page_of_entries(&state.query, Some(next)).await?;
                state.entries = page.entries.into();
                state.next = page.next;
            }
        })
    }

    async fn page_of_entries(&self, query: &Query, token: Option<String>) -> Result<Page> {
        let page = self.page(query, token).await?;
        let notation = Notation::of(&page, query);
        let files = page.contents().iter().filter_map(|object| {
            let key = notation.read(object.key()?);
            let Some(path) = self.keys.path(&key) else {
                // Somebody else's name, or the mark of a directory, which a console made: there is a directory above it.
                return if query.folded { None } else { self.keys.directory(&key).map(Entry::directory) };
            };
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            Some(Entry { path, is_dir: false, size, modified: object.last_modified().and_then(listed_time) })
        });
        let directories = page.common_prefixes().iter().filter_map(|prefix| {
            let key = notation.read(prefix.prefix()?);
            Some(Entry::directory(self.keys.path(key.strip_suffix('/')?)?))
        });
        let mut entries: Vec<Entry> = files.chain(directories).collect();
        // Each of the two is in order, the page as a whole is not.
        match (page.common_prefixes().is_empty(), self.is_tree_order) {
            (true, _) => {}
            (false, false) => entries.sort_by_key(Entry::position),
            (false, true) => entries.sort_by(|a, b| (&a.path, a.is_dir).cmp(&(&b.path, b.is_dir))),
        }
        let is_empty = page.contents().is_empty() && page.common_prefixes().is_empty();
        let next = match (page.is_truncated(), page.next_continuation_token) {
            (Some(true), Some(token)) => Some(token),
            (Some(true), None) => {
                let message = "the store says that the listing goes on, and not where; it cannot be listed";
                return Err(Error::new(ErrorKind::Other, message));
            }
            _ => None,
        };
        Ok(Page { entries, is_empty, next })
    }

    async fn page(&self, query: &Query, token: Option<String>) -> Result<ListObjectsV2Output> {
        let request = || {
            let request = self.client.list_objects_v2().bucket(self.bucket()).prefix(&query.prefix);
            request
                .set_delimiter(query.folded.then(|| "/".to_owned()))
                .set_start_after(query.after.clone().filter(|_| token.is_none()))
                .set_continuation_token(token.clone())
                .set_max_keys(query.limit)
                // Keys may hold what XML cannot.
                .encoding_type(EncodingType::Url)
                .send()
        };
        self.send(Effect::Reads, 0, request).await?.map_err(Error::from)
    }

    /// Returns a page of the keys that begin with `prefix`, and where the next begins.
    pub(super) async fn keys(&self, prefix: &str, token: Option<String>) -> Result<(Vec<String>, Option<String>)> {
        let query = Query { prefix: prefix.to_owned(), folded: false, after: None, limit: None };
        let page = self.page(&query, token).await?;
        let notation = Notation::of(&page, &query);
        let keys = page.contents().iter().filter_map(|object| Some(notation.read(object.key()?))).collect();
        Ok((keys, page.next_continuation_token.filter(|_| page.is_truncated == Some(true))))
    }

    /// Returns the directories right below a prefix, as prefixes.
    pub(super) async fn directories(&self, prefix: &str) -> Result<Vec<String>> {
        let query = Query { prefix: prefix.to_owned(), folded: true, after: None, limit: None };
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = self.page(&query, token).await?;
            let notation = Notation::of(&page, &query);
            found.extend(page.common_prefixes().iter().filter_map(|prefix| Some(notation.read(prefix.prefix()?))));
            token = page.next_continuation_token.filter(|_| page.is_truncated == Some(true));
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}

/// How a page has its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation<'a> {
    /// As in addresses.
    Encoded,
    /// The store does not say. Some answer keys as they are although they were asked to encode them: those that begin with what
    /// was asked for.
    Unsaid { prefix: &'a str },
}

impl<'a> Notation<'a> {
    fn of(page: &ListObjectsV2Output, query: &'a Query) -> Self {
        match page.encoding_type() {
            Some(EncodingType::Url) => Notation::Encoded,
            _ => Notation::Unsaid { prefix: &query.prefix },
        }
    }

    fn read(self, key: &str) -> String {
        match self {
            Notation::Unsaid { prefix } if key.starts_with(prefix) => key.to_owned(),
            _ => decode(key),
        }
    }
}

/// Returns a key as it is: the listing has it in the notation of addresses, where a plus may stand for a blank.
fn decode(encoded: &str) -> String {
    if !encoded.contains(['%', '+']) {
        return encoded.to_owned();
    }
    percent_decode_str(&encoded.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Which directory a flat listing has come to.
struct Directories {
    root: StoragePath,
    /// The directory of the last entry.
    open: StoragePath,
}

impl Directories {
    /// Returns an entry, with the directories above it that were not returned yet before it. A directory counts as one
    /// of those.
    fn before(&mut self, entry: Entry) -> Vec<Entry> {
        let parent = if entry.is_dir { Some(entry.path.clone()) } else { entry.path.parent() };
        let parent = parent.unwrap_or_else(StoragePath::root);
        let mut entries = if entry.is_dir { Vec::new() } else { vec![entry] };
        let mut directory = parent.clone();
        while self.root.contains(&directory) && directory != self.open && !directory.contains(&self.open) {
            entries.push(Entry::directory(directory.clone()));
            directory = directory.parent().unwrap_or_else(StoragePath::root);
        }
        if !parent.contains(&self.open) {
            self.open = parent;
        }
        entries.reverse();
        entries
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn path(text: &str) -> StoragePath {
        StoragePath::parse(text).unwrap()
    }

    #[test]
    fn each_directory_is_told_once_and_before_what_lies_below_it() {
        let mut directories = Directories { root: path("/r"), open: path("/r") };
        let file = |text: &str| Entry { path: path(text), is_dir: false, size: None, modified: None };
        let entries = [
            file("/r/a"),
            file("/r/a-b/x"),
            file("/r/a/b/c"),
            Entry::directory(path("/r/a/b")),
            file("/r/a/d"),
            Entry::directory(path("/r/e/f")),
            file("/r/e/f/g"),
        ];
        let told: Vec<String> = entries
            .into_iter()
            .flat_map(|entry| directories.before(entry))
            .map(|entry| format!("{}{}", entry.path, if entry.is_dir { "/" } else { "" }))
            .collect();
        let expected =
            ["/r/a", "/r/a-b/", "/r/a-b/x", "/r/a/", "/r/a/b/", "/r/a/b/c", "/r/a/d", "/r/e/", "/r/e/f/", "/r/e/f/g"];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_key_in_the_notation_of_addresses_is_read_as_it_is() {
        assert_eq!(decode("a/b%20c%2Bd+e%C3%A4"), "a/b c+d e\u{e4}");
    }

    #[test]
    fn a_key_that_the_store_did_not_encode_though_it_was_asked_to_is_taken_as_it_is() {
        let query = Query { prefix: "my reg+1/".to_owned(), folded: false, after: None, limit: None };
        let page = |encoding| ListObjectsV2Output::builder().set_encoding_type(encoding).build();
        for (encoding, key) in [
            (None, "my reg+1/docker"),
            (None, "my+reg%2B1/docker"),
            (Some(EncodingType::Url), "my+reg%2B1/docker"),
            (Some(EncodingType::Url), "my%20reg%2B1%2Fdocker"),
        ] {
            assert_eq!(Notation::of(&page(encoding), &query).read(key), "my reg+1/docker", "{key}");
        }
    }
}
