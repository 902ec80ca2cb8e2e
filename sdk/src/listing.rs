//! A listing.

use std::collections::BTreeSet;
use std::fmt;

use crate::source::Source;
use crate::{Entry, Error, Position, Result};

/// What [`list`](crate::StorageDriver::list) and [`walk`](crate::StorageDriver::walk) return: entries in the order of
/// [`Position`], page by page.
pub struct Listing {
    pub(crate) pages: Box<dyn Source<Vec<Entry>>>,
}

impl Listing {
    /// A listing of entries that are in order already.
    pub fn from_entries(entries: Vec<Entry>) -> Self {
        let mut entries = Some(entries);
        Self::from_pages(async move || Ok(entries.take()))
    }

    /// A listing of entries as the store gave them: sorted, without those up to `start_after`, and without names that
    /// are outside the path grammar.
    pub fn from_unsorted(mut entries: Vec<Entry>, start_after: Option<&Position>) -> Self {
        entries.retain(|entry| is_path(&entry.path) && start_after.is_none_or(|after| entry.position() > *after));
        entries.sort_by_cached_key(Entry::position);
        Self::from_entries(entries)
    }

    /// The listing of a directory of a store that knows no directories: its direct children, worked out from the files
    /// at any depth below it. Other files may be among them.
    ///
    /// # Errors
    ///
    /// [`Error::path_not_found`] if none lies below it, unless it is the root.
    pub fn from_files(
        directory: &str,
        files: impl IntoIterator<Item = Entry>,
        start_after: Option<&Position>,
    ) -> Result<Self> {
        let prefix = if directory == "/" { "/".to_owned() } else { format!("{directory}/") };
        let mut directories = BTreeSet::new();
        let mut children = Vec::new();
        for file in files {
            match file.path.strip_prefix(&prefix).map(|below| below.split_once('/')) {
                None => {}
                Some(None) => children.push(file),
                Some(Some((name, _))) => {
                    directories.insert(format!("{prefix}{name}"));
                }
            }
        }
        children.extend(directories.into_iter().map(Entry::directory));
        if children.is_empty() && directory != "/" {
            return Err(Error::path_not_found());
        }
        Ok(Self::from_unsorted(children, start_after))
    }

    /// A listing that asks for one page after the other, until there is none or an error. The pages are in order, and
    /// so are the entries of each; an empty page is not the end.
    pub fn from_pages<F>(pages: F) -> Self
    where
        F: AsyncFnMut() -> Result<Option<Vec<Entry>>> + 'static,
    {
        Listing { pages: Box::new(pages) }
    }

    /// Returns all entries.
    ///
    /// # Errors
    ///
    /// What asking for a page fails with.
    pub async fn collect(mut self) -> Result<Vec<Entry>> {
        let mut all = Vec::new();
        while let Some(page) = self.pages.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// Returns whether a name can be one component of a path: letters, digits, `.`, `_` and `-`, and neither `.` nor `..`.
/// What a store holds under another name is not part of it, and no listing shows it.
pub fn is_path_component(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name != "." && name != ".." && name.bytes().all(is_allowed)
}

fn is_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_path_component))
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;
    use crate::testing::ready;

    fn paths(listing: Listing) -> Vec<String> {
        ready(listing.collect()).unwrap().iter().map(|entry| entry.position().key()).collect()
    }

    #[test]
    fn unsorted_entries_come_in_the_order_of_paths_with_directories_as_slashes() {
        let entries =
            vec![Entry::file("/d/ab", 1), Entry::directory("/d/a"), Entry::file("/d/a.b", 1), Entry::file("/d/a-b", 1)];
        assert_eq!(paths(Listing::from_unsorted(entries, None)), ["/d/a-b", "/d/a.b", "/d/a/", "/d/ab"]);
    }

    #[test]
    fn the_children_of_a_directory_are_worked_out_from_files_at_any_depth() {
        let files = ["/a/x", "/a/y/1", "/a/y/2", "/a-b", "/ab", "/a/z"].map(|path| Entry::file(path, 1));
        let list = |directory, after| Listing::from_files(directory, files.clone(), after);
        assert_eq!(paths(list("/a", None).unwrap()), ["/a/x", "/a/y/", "/a/z"]);
        assert_eq!(paths(list("/", None).unwrap()), ["/a-b", "/a/", "/ab"]);
        let after = Position { path: "/a/y".into(), is_dir: true };
        assert_eq!(paths(list("/a", Some(&after)).unwrap()), ["/a/z"]);
        assert!(list("/ab", None).unwrap_err().is_path_not_found());
        assert_eq!(paths(Listing::from_files("/", [], None).unwrap()), [""; 0]);
    }

    #[test]
    fn a_listing_starts_after_a_position_that_need_not_exist() {
        let entries = vec![Entry::file("/a", 1), Entry::directory("/a"), Entry::file("/b", 1)];
        let after = Position { path: "/a".into(), is_dir: false };
        assert_eq!(paths(Listing::from_unsorted(entries.clone(), Some(&after))), ["/a/", "/b"]);
        let after = Position { path: "/aa".into(), is_dir: true };
        assert_eq!(paths(Listing::from_unsorted(entries, Some(&after))), ["/b"]);
    }

    #[test]
    fn names_outside_the_grammar_are_left_out() {
        let entries = ["/ok", "/not ok", "/no\u{e9}", "/", "/..", "/a//b", "relative"];
        let entries = entries.map(|path| Entry::file(path, 1)).to_vec();
        assert_eq!(paths(Listing::from_unsorted(entries, None)), ["/ok"]);
    }

    #[test]
    fn an_empty_page_is_not_the_end() {
        let mut pages = vec![vec![Entry::file("/a", 1)], vec![], vec![Entry::file("/b", 1)]].into_iter();
        assert_eq!(paths(Listing::from_pages(async move || Ok(pages.next()))), ["/a", "/b"]);
    }
}
