//! Drivers that break one promise each, by which the suite itself is tested.
//!
//! [`Wrong`] wraps a right driver and passes everything through, but for one [`Fault`]. The suite has teeth when the
//! case that [`Fault::breaks`] names fails on the wrong driver and passes on the right one.

mod fault;
mod late;
mod matrix;
mod redeclared;
mod state;
mod writer;

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{
    ByteRange, Capabilities, Cursor, Entry, EntryStream, Error, ErrorKind, FileInfo, FileWriter, MAX_CONTENT, Position,
    Reader, RedirectRequest, Result, StorageDriver, StorageDriverExt, StoragePath, WriteMode,
};

use state::State;

pub use fault::Fault;
pub use matrix::{MakeDriver, Matrix, Row};

/// A right driver with one fault.
pub struct Wrong {
    inner: Arc<dyn StorageDriver>,
    fault: Fault,
    state: Arc<State>,
}

impl Wrong {
    /// Wraps a driver, which should be behind `base`.
    pub fn new(inner: Arc<dyn StorageDriver>, fault: Fault) -> Self {
        Wrong { inner, fault, state: Arc::default() }
    }

    async fn entries(&self, path: &StoragePath, after: Option<&Position>) -> Result<Vec<Entry>> {
        self.inner.list(path, after).await?.try_collect().await
    }

    async fn is_directory(&self, path: &StoragePath) -> bool {
        self.inner.stat(path).await.is_ok_and(|info| info.is_dir)
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
            _ => {}
        }
        Ok(entries)
    }

    fn spoil_info(&self, mut info: FileInfo) -> FileInfo {
        match self.fault {
            Fault::StatOneByteOff if !info.is_dir => info.size += 1,
            Fault::StatDirectoryHasSize if info.is_dir => info.size = 4096,
            Fault::StatForgetsPath => info.path = StoragePath::root(),
            Fault::ModifiedNeverChanges => info.modified = Some(SystemTime::UNIX_EPOCH),
            Fault::VersionNeverChanges => info.version = Some("1".to_owned()),
            _ => {}
        }
        info
    }

    /// Spoils an operation's error.
    fn spoil<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match self.fault {
            Fault::ErrorsWithoutDriver => Error::new(error.kind().clone(), error.message()),
            Fault::WrongKind if error.is_path_not_found() => {
                let kept = Error::new(ErrorKind::Other, "no such key").with_driver(self.inner.name());
                match error.path() {
                    Some(path) => kept.with_path_text(path),
                    None => kept,
                }
            }
            _ => error,
        })
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrong").field("fault", &self.fault).field("inner", &self.inner).finish()
    }
}

fn listing(entries: Vec<Entry>) -> EntryStream {
    stream::iter(entries.into_iter().map(Ok)).boxed()
}

#[async_trait]
impl StorageDriver for Wrong {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        match self.fault {
            Fault::RedirectsNowhere => capabilities.redirect = true,
            Fault::UploadsHidden => capabilities.uploads = true,
            Fault::UploadsUndeclared => capabilities.uploads = false,
            Fault::AppendUndeclared => capabilities.resumable = false,
            _ => {}
        }
        capabilities
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let content = self.spoil(self.inner.get_content(path).await);
        match self.fault {
            Fault::GetLosesTheLastByte => content.map(|content| content.slice(..content.len().saturating_sub(1))),
            Fault::GetMissingIsEmpty => content.or_else(|_| Ok(Bytes::new())),
            Fault::GetOfADirectoryIsEmpty if self.is_directory(path).await => Ok(Bytes::new()),
            Fault::GetCutsAtTheLimit if content.is_err() => {
                self.inner.read_range(path, ByteRange::new(0, MAX_CONTENT)).await
            }
            Fault::GetCleansText => content.map(|content| String::from_utf8_lossy(&content).into_owned().into()),
            _ => content,
        }
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        match self.fault {
            Fault::PutAppends => {
                let old = self.inner.get_content(path).await.unwrap_or_default();
                self.inner.put_content(path, [old, content].concat().into()).await
            }
            Fault::PutShowsAPrefix => {
                self.inner.put_content(path, content.slice(..content.len() / 2)).await?;
                tokio::task::yield_now().await;
                self.inner.put_content(path, content).await
            }
            Fault::PutDeletesFirst => {
                if self.inner.stat(path).await.is_ok_and(|info| !info.is_dir) {
                    self.inner.delete(path).await?;
                    tokio::task::yield_now().await;
                }
                self.inner.put_content(path, content).await
            }
            Fault::PutKeepsTheTail => {
                let old = self.inner.get_content(path).await.unwrap_or_default();
                let tail = old.slice(content.len().min(old.len())..);
                self.inner.put_content(path, [content, tail].concat().into()).await
            }
            Fault::PutKeepsTheFirst if self.inner.get_content(path).await.is_ok() => Ok(()),
            Fault::PutOfNothingIsForgotten if content.is_empty() => Ok(()),
            Fault::PutOfADeletedPathIsForgotten if self.state.knows(path) => Ok(()),
            Fault::PutHasASmallerLimit if content.len() as u64 > MAX_CONTENT / 2 => {
                Err(Error::new(ErrorKind::TooLarge, "8 MiB is the most"))
            }
            Fault::PutCutsAtTheLimit => {
                let limit = content.len().min(MAX_CONTENT as usize);
                self.inner.put_content(path, content.slice(..limit)).await
            }
            Fault::PutRefusesTrailingDots if path.components().any(|name| name.ends_with('.')) => {
                Err(Error::invalid_path(path, "a name ends in a dot"))
            }
            Fault::PutRefusesReservedNames if path.file_name() == Some("CON") => {
                Err(Error::invalid_path(path, "a reserved name"))
            }
            Fault::PutCutsLongNames => {
                let name = path.file_name().unwrap_or_default();
                let cut = path.parent().unwrap_or_else(StoragePath::root).join(&name[..name.len().min(128)])?;
                self.inner.put_content(&cut, content).await
            }
            Fault::PutBelowAFileDeletesIt => {
                if let Some(parent) = path.parent().filter(|parent| !parent.is_root())
                    && self.inner.get_content(&parent).await.is_ok()
                {
                    self.inner.delete(&parent).await?;
                }
                self.inner.put_content(path, content).await
            }
            Fault::PutOnADirectoryDeletesIt => {
                if self.inner.stat(path).await.is_ok_and(|info| info.is_dir) {
                    self.inner.delete(path).await?;
                }
                self.inner.put_content(path, content).await
            }
            Fault::PutFoldsCase => {
                let name = path.file_name().unwrap_or_default().to_lowercase();
                let folded = path.parent().unwrap_or_else(StoragePath::root).join(&name)?;
                self.inner.put_content(&folded, content).await
            }
            Fault::DroppedPutsLandLate => {
                let (inner, path) = (self.inner.clone(), path.clone());
                late::later(async move { inner.put_content(&path, content).await }).await
            }
            _ => self.spoil(self.inner.put_content(path, content).await),
        }
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let empty = |size| {
            let info = FileInfo { size, is_dir: false, ..FileInfo::directory(path.clone()) };
            Reader::new(info, stream::empty().boxed())
        };
        let wider = ByteRange { length: range.length.map(|length| length.saturating_add(1)), ..range };
        let result = match self.fault {
            Fault::RangeOneByteLong => self.inner.reader(path, wider).await,
            Fault::ReaderIgnoresTheOffset => self.inner.reader(path, ByteRange { offset: 0, ..range }).await,
            _ => self.inner.reader(path, range).await,
        };
        let result = match (self.fault, result) {
            (Fault::OffsetBeyondTheEndIsEmpty, Err(error))
                if matches!(error.kind(), ErrorKind::InvalidOffset { .. }) =>
            {
                Ok(empty(0))
            }
            (Fault::ReaderOfMissingIsEmpty, Err(error)) if error.is_path_not_found() => Ok(empty(0)),
            (Fault::ReaderOfADirectoryIsEmpty, Err(_)) if self.is_directory(path).await => Ok(empty(0)),
            (_, result) => result,
        };
        let (info, bytes) = self.spoil(result)?.into_parts();
        match self.fault {
            Fault::OffsetAtTheEndFails if range.offset == info.size && range.offset > 0 => {
                Err(Error::invalid_offset(path, range.offset))
            }
            Fault::LengthPastTheEndFails
                if range.length.is_some_and(|n| n.saturating_add(range.offset) > info.size) =>
            {
                Err(Error::invalid_offset(path, range.offset))
            }
            Fault::ReaderEndsEarly => {
                let keep = range.count_in(info.size).unwrap_or(0).saturating_sub(1) as usize;
                let mut content: Vec<u8> = bytes.map_ok(|chunk| chunk.to_vec()).try_concat().await?;
                content.truncate(keep);
                Ok(Reader::new(info, stream::once(async { Ok(content.into()) }).boxed()))
            }
            Fault::DroppedReadersLeak => {
                // Given back only by a stream that came to its end.
                let mut taken = Some(ManuallyDrop::new(self.state.take(10)?));
                let bytes = bytes.map(Some).chain(stream::once(async { None })).filter_map(move |chunk| {
                    if chunk.is_none() {
                        drop(taken.take().map(ManuallyDrop::into_inner));
                    }
                    std::future::ready(chunk)
                });
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::OneReaderAtATime => {
                let taken = self.state.take(1)?;
                tokio::task::yield_now().await;
                let bytes = bytes.inspect(move |_| {
                    let _ = &taken;
                });
                Ok(Reader::new(info, bytes.boxed()))
            }
            Fault::ReaderTellsTheRangesSize => {
                let size = range.count_in(info.size).unwrap_or(0);
                Ok(Reader::new(FileInfo { size, ..info }, bytes))
            }
            _ => Ok(Reader::new(info, bytes)),
        }
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        if late::concerns(self.fault) {
            return Ok(Box::new(late::LateWriter::open(self.inner.clone(), self.fault, path, mode).await?));
        }
        writer::open(self.inner.clone(), self.fault, self.state.clone(), path, mode).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        match self.fault {
            Fault::EmptyRootIsMissing if path.is_root() && self.entries(path, None).await?.is_empty() => {
                Err(Error::path_not_found(path))
            }
            Fault::RootIsMissing if path.is_root() => Err(Error::path_not_found(path)),
            Fault::StatFindsPrefixes => match (self.inner.stat(path).await, path.parent()) {
                (Err(error), Some(parent)) => {
                    let siblings = self.entries(&parent, None).await.unwrap_or_default();
                    if siblings.iter().any(|entry| entry.path.as_str().starts_with(path.as_str())) {
                        return Ok(FileInfo::directory(path.clone()));
                    }
                    Err(error)
                }
                (result, _) => result,
            },
            _ => self.spoil(self.inner.stat(path).await).map(|info| self.spoil_info(info)),
        }
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let start = if self.fault == Fault::ListIgnoresTheStart { None } else { start_after };
        let entries = match self.spoil(self.entries(path, start).await) {
            Err(error) if self.fault == Fault::ListOfMissingIsEmpty && error.is_path_not_found() => Vec::new(),
            Err(_) if self.fault == Fault::ListOfAFileIsEmpty && self.inner.get_content(path).await.is_ok() => {
                Vec::new()
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
        if self.fault == Fault::EmptyRootListFails && path.is_root() && entries.is_empty() {
            return Err(Error::path_not_found(path));
        }
        Ok(listing(self.spoil_listing(path, start_after, entries).await?))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        let mut entries: Vec<Entry> = match self.spoil(self.inner.walk(path, start).await) {
            Err(error) if self.fault == Fault::WalkOfMissingIsEmpty && error.is_path_not_found() => Vec::new(),
            Err(_) if self.fault == Fault::WalkOfAFileIsEmpty && self.inner.get_content(path).await.is_ok() => {
                Vec::new()
            }
            Err(error) => return Err(error),
            Ok(entries) => entries.try_collect().await?,
        };
        match self.fault {
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
            _ => {}
        }
        Ok(listing(entries))
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        match self.fault {
            Fault::MoveLeavesTheSource => {
                let content = self.inner.get_content(source).await?;
                self.inner.put_content(destination, content).await
            }
            Fault::MoveOfMissingMakesAFile if self.inner.stat(source).await.is_err() => {
                self.inner.put_content(destination, Bytes::new()).await?;
                Err(Error::path_not_found(source))
            }
            Fault::MoveKeepsTheDestination if self.inner.stat(destination).await.is_ok() => {
                self.inner.delete(source).await
            }
            Fault::MoveTakesDirectories if self.inner.stat(source).await.is_ok_and(|info| info.is_dir) => Ok(()),
            Fault::MoveOntoItselfAlwaysSucceeds if source == destination => Ok(()),
            Fault::MoveOnADirectoryDeletesIt => {
                if self.is_directory(destination).await {
                    self.inner.delete(destination).await?;
                }
                self.inner.move_file(source, destination).await
            }
            Fault::MoveOntoItselfDeletes if source == destination => self.inner.delete(source).await,
            Fault::DroppedMovesLandLate => {
                let (inner, source, destination) = (self.inner.clone(), source.clone(), destination.clone());
                late::later(async move { inner.move_file(&source, &destination).await }).await
            }
            _ => self.spoil(self.inner.move_file(source, destination).await),
        }
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        match self.fault {
            Fault::DeleteTakesSiblings => {
                let siblings = match path.parent() {
                    Some(parent) => self.entries(&parent, None).await.unwrap_or_default(),
                    None => Vec::new(),
                };
                let result = self.inner.delete(path).await;
                for entry in siblings {
                    if entry.path != *path && entry.path.as_str().starts_with(path.as_str()) {
                        self.inner.delete(&entry.path).await?;
                    }
                }
                result
            }
            Fault::DeleteIsNotRecursive => {
                let children = self.entries(path, None).await.unwrap_or_default();
                if children.is_empty() {
                    return self.inner.delete(path).await;
                }
                for entry in children.iter().filter(|entry| !entry.is_dir) {
                    self.inner.delete(&entry.path).await?;
                }
                Ok(())
            }
            Fault::DeleteOfMissingSucceeds => match self.inner.delete(path).await {
                Err(error) if error.is_path_not_found() => Ok(()),
                result => result,
            },
            Fault::DeleteOfTheRootSucceeds if path.is_root() => Ok(()),
            Fault::DeleteLeavesUploads => {
                if !self.is_directory(path).await {
                    return self.inner.delete(path).await;
                }
                let below: Vec<Entry> = self.inner.walk(path, None).await?.try_collect().await?;
                let files: Vec<_> = below.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.path).collect();
                self.inner.delete_files(&files).await
            }
            Fault::PutOfADeletedPathIsForgotten | Fault::EmptiedDirectoryShowsGhosts => {
                self.state.remember(path);
                self.inner.delete(path).await
            }
            Fault::DroppedDeletesLandLate => {
                let (inner, path) = (self.inner.clone(), path.clone());
                late::later(async move { inner.delete(&path).await }).await
            }
            Fault::DeleteDoesNothing => self.inner.stat(path).await.map(|_| ()),
            _ => self.spoil(self.inner.delete(path).await),
        }
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        match self.fault {
            Fault::DeleteFilesFailsOnMissing => {
                for path in paths {
                    self.inner.delete(path).await?;
                }
                Ok(())
            }
            Fault::DeleteFilesDeletesTheFirst => self.inner.delete_files(&paths[..paths.len().min(1)]).await,
            _ => self.inner.delete_files(paths).await,
        }
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        match self.fault {
            Fault::RedirectsUndeclared => Ok(Some("http://localhost/".to_owned())),
            Fault::RedirectsNowhere => Ok(None),
            _ => self.inner.redirect_url(path, request).await,
        }
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        match self.fault {
            Fault::UploadsHidden => Ok(listing(Vec::new())),
            _ => self.inner.uploads(path).await,
        }
    }
}
