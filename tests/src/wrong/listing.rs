//! Listings and walks with a fault.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{Cursor, Entry, EntryStream, Error, Position, Result, StoragePath};

use super::{Fault, Wrong};

pub(super) fn listing(entries: Vec<Entry>) -> EntryStream {
    stream::iter(entries.into_iter().map(Ok)).boxed()
}

impl Wrong {
    /// Lists by counting: looks again when a hundred entries were returned, and goes on after as many.
    fn by_count(&self, path: &StoragePath, after: Option<Position>, most: usize) -> EntryStream {
        let (inner, path) = (self.inner.clone(), path.clone());
        let pages = stream::try_unfold(0, move |count| {
            let (inner, path, after) = (inner.clone(), path.clone(), after.clone());
            async move {
                if count >= most {
                    return Ok::<_, Error>(None);
                }
                let all: Vec<Entry> = inner.list(&path, after.as_ref()).await?.try_collect().await?;
                let page: Vec<Entry> = all.into_iter().skip(count).take(100).collect();
                let next = count + page.len();
                Ok((!page.is_empty()).then(|| (stream::iter(page.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    /// Spoils what a listing of `path` returned.
    async fn spoil_listing(
        &self,
        path: &StoragePath,
        after: Option<&Position>,
        mut entries: Vec<Entry>,
    ) -> Result<Vec<Entry>> {
        match self.fault {
            Fault::ListUnordered => entries.reverse(),
            Fault::ListOrdersDirectoriesAsFiles => entries.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str())),
            Fault::ListLosesSecondPage => entries.truncate(40),
            Fault::ListLosesTheTenthPage => entries.truncate(9000),
            Fault::RootFilesAreNotListed if path.is_root() => entries.retain(|entry| entry.is_dir),
            Fault::ListShowsWhatMatches => {
                for other in self.like(path, '.').await {
                    for entry in self.entries(&other, None).await.unwrap_or_default() {
                        let path = path.join(entry.path.file_name().unwrap_or_default())?;
                        entries.push(Entry { path, ..entry });
                    }
                }
                entries.sort_by_key(Entry::position);
            }
            Fault::RootListIsEmpty if path.is_root() => entries.clear(),
            Fault::ListLosesPrefixes => {
                let names: Vec<_> = entries.iter().map(|entry| entry.path.to_string()).collect();
                entries.retain(|entry| {
                    !names
                        .iter()
                        .any(|name| name.len() > entry.path.as_str().len() && name.starts_with(entry.path.as_str()))
                });
            }
            Fault::ListShowsTemporaries => {
                let files: Vec<_> = entries.iter().filter(|entry| !entry.is_dir).cloned().collect();
                for file in files {
                    entries.push(Entry { path: StoragePath::parse(format!("{}.tmp", file.path))?, ..file });
                }
                entries.sort_by_key(Entry::position);
            }
            Fault::ListTellsWrongSizes => {
                for entry in entries.iter_mut().filter(|entry| !entry.is_dir) {
                    entry.size = Some(1);
                }
            }
            Fault::ListRecursive => {
                entries = self.inner.walk(path, None).await?.try_collect().await?;
            }
            Fault::ListStartIncluded => {
                if let Some(after) = after {
                    let all = self.entries(path, None).await?;
                    entries = all.into_iter().filter(|entry| entry.position() >= *after).collect();
                }
            }
            Fault::ListStartForgetsDirectories => {
                if let Some(after) = after {
                    entries.retain(|entry| entry.path.as_str() > after.path.as_str());
                }
            }
            Fault::ListFromAStartEndsAfterAPage if after.is_some() => entries.truncate(1000),
            Fault::ListRepeatsLargeDirectories => {
                for directory in entries.clone().into_iter().filter(|entry| entry.is_dir) {
                    if self.entries(&directory.path, None).await?.len() > 1000 {
                        entries.push(directory);
                    }
                }
                entries.sort_by_key(Entry::position);
            }
            Fault::ListLosesDirectoriesOfASecondPage => {
                let mut seen = 0;
                entries.retain(|entry| {
                    seen += usize::from(entry.is_dir);
                    !entry.is_dir || seen <= 1000
                });
            }
            Fault::ListRepeatsDirectoriesBetweenPages if entries.len() > 1000 && entries[999].is_dir => {
                entries.insert(1000, entries[999].clone());
            }
            Fault::ListTellsOtherTimes => {
                for modified in entries.iter_mut().filter_map(|entry| entry.modified.as_mut()) {
                    *modified += Duration::from_secs(1);
                }
            }
            Fault::UploadsAreListed => {
                for open in self.state.known_in(path) {
                    let part = StoragePath::parse(format!("{open}.part"))?;
                    entries.push(Entry { is_dir: false, ..Entry::directory(part) });
                }
                entries.sort_by_key(Entry::position);
            }
            Fault::ListLagsBehindDeletes => {
                let deleted = self.state.take_known_below(path);
                entries.extend(deleted.into_iter().map(|path| Entry { is_dir: false, ..Entry::directory(path) }));
                entries.sort_by_key(Entry::position);
            }
            _ => {}
        }
        Ok(entries)
    }

    pub(super) async fn list_of(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        if let Some(kept) = self.kept_listing(path, start_after) {
            return Ok(listing(kept));
        }
        let ignored = match self.fault {
            Fault::ListIgnoresTheStart => true,
            Fault::ListStartMustBeInside => start_after.is_some_and(|after| after.path.parent().as_ref() != Some(path)),
            _ => false,
        };
        let start = if ignored { None } else { start_after };
        let entries = match self.spoil(self.entries(path, start).await) {
            Err(error) if self.fault == Fault::ListOfMissingIsEmpty && error.is_path_not_found() => Vec::new(),
            Err(_) if self.fault == Fault::ListOfAFileIsEmpty && self.inner.get_content(path).await.is_ok() => {
                Vec::new()
            }
            Err(error) if self.fault == Fault::UploadsAreListed && error.is_path_not_found() => {
                match self.state.known_in(path).is_empty() {
                    true => return Err(error),
                    false => Vec::new(),
                }
            }
            Err(error) if self.fault == Fault::EmptiedDirectoryShowsGhosts && error.is_path_not_found() => {
                match self.state.known_below(path) {
                    Some(ghost) => vec![Entry { is_dir: false, ..Entry::directory(ghost) }],
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
            Ok(entries) => entries,
        };
        if self.fault == Fault::ListingCountsEntries {
            return Ok(self.by_count(path, start_after.cloned(), entries.len()));
        }
        if self.fault == Fault::OpenListingLocks {
            let taken = self.state.take(1)?;
            let entries = stream::iter(entries.into_iter().map(Ok)).inspect(move |_| {
                let _ = &taken;
            });
            return Ok(entries.boxed());
        }
        if self.fault == Fault::EmptyRootListFails && path.is_root() && entries.is_empty() {
            return Err(Error::path_not_found(path));
        }
        let entries = self.spoil_listing(path, start_after, entries).await?;
        self.keep_listing(path, start_after, &entries);
        Ok(listing(entries))
    }

    pub(super) async fn walk_of(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let inside = |cursor: &&Cursor| self.fault != Fault::WalkStartMustBeInside || path.contains(&cursor.after.path);
        let start = start.filter(inside);
        let mut entries: Vec<Entry> = match self.spoil(self.inner.walk(path, start).await) {
            Err(error) if self.fault == Fault::WalkOfMissingIsEmpty && error.is_path_not_found() => Vec::new(),
            Err(_) if self.fault == Fault::WalkOfAFileIsEmpty && self.inner.get_content(path).await.is_ok() => {
                Vec::new()
            }
            Err(error) => return Err(error),
            Ok(entries) => entries.try_collect().await?,
        };
        if self.fault == Fault::KeepsWalks {
            match self.kept_walk(path) {
                Some(kept) if start.is_none() => return Ok(listing(kept)),
                _ => self.keep_walk(path, &entries),
            }
        }
        match self.fault {
            Fault::WalkHidesDots => {
                entries.retain(|entry| !entry.path.file_name().unwrap_or_default().starts_with('.'));
            }
            Fault::WalkByLevels => entries.sort_by_key(|entry| entry.path.components().count()),
            Fault::WalkLosesDirectories => entries.retain(|entry| !entry.is_dir),
            Fault::WalkTellsFilesOnly => entries.iter_mut().for_each(|entry| entry.is_dir = false),
            Fault::WalkStartIncluded => {
                if let Some(cursor) = start {
                    let all: Vec<Entry> = self.inner.walk(path, None).await?.try_collect().await?;
                    let own = all.into_iter().filter(|entry| entry.position() == cursor.after);
                    entries.splice(0..0, own);
                }
            }
            Fault::WalkCursorOffByOne if start.is_some() && !entries.is_empty() => {
                entries.remove(0);
            }
            Fault::WalkEntersPassedDirectories => {
                if let Some(cursor) = start.filter(|cursor| !cursor.below) {
                    let entered = Cursor { below: true, ..cursor.clone() };
                    entries = self.inner.walk(path, Some(&entered)).await?.try_collect().await?;
                }
            }
            Fault::WalkEndsAfterNinePages => entries.truncate(9000),
            Fault::WalkFromACursorEndsAfterAPage if start.is_some() => entries.truncate(1000),
            Fault::WalkTellsOtherSizes => {
                for size in entries.iter_mut().filter_map(|entry| entry.size.as_mut()) {
                    *size += 1;
                }
            }
            _ => {}
        }
        Ok(listing(entries))
    }
}
