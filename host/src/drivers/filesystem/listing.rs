//! Directories, in the order of the contract.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;
use futures::stream::{self, StreamExt};

use super::error::{Intent, error};
use super::root::Root;
use super::{blocking, store};
use crate::contract::{Entry, EntryStream, Error, Position, Result, StoragePath};

/// How many entries are looked up in one step.
const PAGE: usize = 512;

/// A directory that is open, and the names in it that are still to come.
struct Listing {
    directory: Dir,
    path: StoragePath,
    names: VecDeque<Position>,
}

/// Lists the direct children of a directory, from after a position.
///
/// The names are read at once, since the disk has them in no order; sizes and times are looked up page by page.
pub(super) async fn list(root: Arc<Root>, path: StoragePath, start_after: Option<Position>) -> Result<EntryStream> {
    let Some(listing) = blocking(move || open(&root, path, start_after)).await? else {
        return Ok(stream::empty().boxed());
    };
    let pages = stream::try_unfold(listing, |listing| async move {
        if listing.names.is_empty() {
            return Ok(None);
        }
        blocking(move || listing.page()).await.map(Some)
    });
    Ok(pages
        .flat_map(|page: Result<Vec<Entry>>| {
            let entries: Vec<Result<Entry>> = match page {
                Ok(entries) => entries.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(entries)
        })
        .boxed())
}

/// Opens a directory and reads its names; none for a root that is not there yet, which is empty.
fn open(root: &Root, path: StoragePath, start_after: Option<Position>) -> Result<Option<Listing>> {
    let opened = match path.is_root() {
        true => root.open(),
        false => root.beneath(path.relative(), |directory, rest| directory.open_dir(rest)),
    };
    let directory = match opened {
        Ok(directory) => directory,
        Err(found) if path.is_root() && found.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(found) => return Err(error(&path, Intent::Find, found)),
    };
    let failed = |found| error(&path, Intent::Store, found);
    let mut names = Vec::new();
    for entry in directory.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Temporaries, and what others have put there, have names outside the grammar.
        let Some(name) = entry.file_name().to_str().filter(|name| StoragePath::is_component(name)).map(str::to_owned)
        else {
            continue;
        };
        let kind = entry.file_type().map_err(failed)?;
        let path = path.join(&name)?;
        let is_dir = match kind.is_symlink() {
            false => kind.is_dir(),
            true => {
                let target = root.beneath(path.relative(), |directory, rest| directory.metadata(rest));
                target.is_ok_and(|target| target.is_dir())
            }
        };
        names.push(Position { path, is_dir });
    }
    names.sort_unstable();
    let first = start_after.map_or(0, |after| names.partition_point(|position| *position <= after));
    let names = names.split_off(first).into();
    Ok(Some(Listing { directory, path, names }))
}

impl Listing {
    /// Looks up the next entries. What has vanished since its name was read, and what is neither file nor directory, is
    /// left out.
    fn page(mut self) -> Result<(Vec<Entry>, Self)> {
        let count = self.names.len().min(PAGE);
        let mut entries = Vec::with_capacity(count);
        for position in self.names.drain(..count) {
            let name = position.path.file_name().unwrap_or_default();
            if position.is_dir {
                entries.push(Entry::directory(position.path));
                continue;
            }
            let found = match self.directory.metadata(name) {
                Ok(metadata) => store::info(&position.path, &metadata),
                Err(found) => Err(error(&position.path, Intent::Find, found)),
            };
            match found {
                // Replaced by a directory since: its place in the order is another.
                Ok(info) if info.is_dir => {}
                Ok(info) => entries.push(Entry {
                    path: info.path,
                    is_dir: false,
                    size: Some(info.size),
                    modified: info.modified,
                }),
                Err(error) if error.is_path_not_found() => {}
                // A link that leads out of the root is not part of the store.
                Err(error) if error.kind() == &crate::contract::ErrorKind::AccessDenied => {}
                Err(error) => return Err(Error::with_path(error, &self.path)),
            }
        }
        Ok((entries, self))
    }
}
