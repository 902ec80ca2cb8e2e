//! Walking a tree: the fallback on `list`, and a walk that can skip and stop.

use std::future::Future;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};

use super::{Cursor, Entry, EntryStream, Position, Result, StoragePath};

/// What a walk does after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkStep {
    /// Go on, below the entry if it is a directory.
    Continue,
    /// Pass over all that lies below this directory. For a file the same as `Continue`.
    SkipDirectory,
    /// End the walk, successfully.
    Stop,
}

/// Walks a tree by listing one directory after the other: the `walk` of drivers without
/// [`native_walk`](super::Capabilities::native_walk).
///
/// `list` is the driver's own [`list`](super::StorageDriver::list), over owned arguments. Holds one open listing for
/// every level of the tree. A directory that vanishes between its listing and its turn is passed over.
///
/// # Errors
///
/// Those of `list`; [`PathNotFound`](super::ErrorKind::PathNotFound) only for `path` itself.
pub async fn walk_by_listing<L>(list: L, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream>
where
    L: Fn(StoragePath, Option<Position>) -> BoxFuture<'static, Result<EntryStream>> + Send + Sync + 'static,
{
    let descent = Descent::begin(&list, path, start).await?;
    let walk = stream::try_unfold((descent, list), |(mut descent, list)| async move {
        let next = descent.next(&list).await?;
        Ok(next.map(|entry| (entry, (descent, list))))
    });
    Ok(walk.boxed())
}

/// A depth-first walk: the listings that are open, from the walk's own directory down.
struct Descent {
    open: Vec<EntryStream>,
    /// The directory that was returned last: entered when the next entry is asked for.
    entering: Option<StoragePath>,
}

impl Descent {
    /// Opens the listings down to where the walk begins.
    async fn begin<L, F>(list: &L, path: &StoragePath, start: Option<&Cursor>) -> Result<Self>
    where
        L: Fn(StoragePath, Option<Position>) -> F,
        F: Future<Output = Result<EntryStream>>,
    {
        let mut descent = Descent { open: Vec::new(), entering: None };
        let Some(cursor) = start.filter(|cursor| path.contains(&cursor.after.path)) else {
            let listing = list(path.clone(), None).await?;
            // A cursor outside the tree lies before all of it, or after all of it, or is a directory that holds all of it.
            let all = match start {
                None => true,
                Some(cursor) => {
                    let Cursor { after, below } = cursor;
                    let holds = after.is_dir && (after.path == *path || after.path.contains(path));
                    if holds { *below } else { *after < Position::directory(path.clone()) }
                }
            };
            if all {
                descent.open.push(listing);
            }
            return Ok(descent);
        };

        let target = &cursor.after;
        let mut directory = path.clone();
        let below = target.path.as_str()[path.as_prefix().len()..].split('/');
        let mut remaining = below.clone().count();
        for component in below {
            remaining -= 1;
            let child = directory.join(component)?;
            let after = Position { path: child.clone(), is_dir: remaining > 0 || target.is_dir };
            if !descent.open_listing(list, directory, Some(after)).await? {
                return Ok(descent);
            }
            directory = child;
        }
        if target.is_dir && cursor.below {
            descent.open_listing(list, directory, None).await?;
        }
        Ok(descent)
    }

    /// Opens a directory's listing; false if the directory is missing and is not the walk's own.
    async fn open_listing<L, F>(&mut self, list: &L, path: StoragePath, after: Option<Position>) -> Result<bool>
    where
        L: Fn(StoragePath, Option<Position>) -> F,
        F: Future<Output = Result<EntryStream>>,
    {
        match list(path, after).await {
            Ok(listing) => self.open.push(listing),
            Err(error) if error.is_path_not_found() && !self.open.is_empty() => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Returns the next entry in the order of the walk.
    async fn next<L, F>(&mut self, list: &L) -> Result<Option<Entry>>
    where
        L: Fn(StoragePath, Option<Position>) -> F,
        F: Future<Output = Result<EntryStream>>,
    {
        if let Some(directory) = self.entering.take() {
            self.open_listing(list, directory, None).await?;
        }
        while let Some(listing) = self.open.last_mut() {
            match listing.next().await.transpose()? {
                Some(entry) => {
                    if entry.is_dir {
                        self.entering = Some(entry.path.clone());
                    }
                    return Ok(Some(entry));
                }
                None => {
                    self.open.pop();
                }
            }
        }
        Ok(None)
    }
}
