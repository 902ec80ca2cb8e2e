//! Moves and deletes with a fault.

use std::sync::PoisonError;

use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{ByteRange, Entry, Error, ErrorKind, MAX_CONTENT, Result, StorageDriverExt, StoragePath};

use super::{Fault, Wrong, late};

impl Wrong {
    pub(super) async fn move_to(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
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
            Fault::MoveTakesTheContentAway => {
                let content = self.inner.get_content(source).await?;
                self.inner.move_file(source, destination).await?;
                let parent = source.parent().unwrap_or_else(StoragePath::root);
                for entry in self.entries(&parent, None).await.unwrap_or_default() {
                    let is_other = entry.path != *destination && !entry.is_dir;
                    if is_other && self.inner.get_content(&entry.path).await? == content {
                        self.inner.delete(&entry.path).await?;
                    }
                }
                Ok(())
            }
            Fault::MoveOntoItselfDeletes if source == destination => self.inner.delete(source).await,
            Fault::MoveOfNothingFails if self.inner.stat(source).await?.size == 0 => {
                Err(Error::new(ErrorKind::Other, "bytes=0--1 is no range"))
            }
            Fault::MoveBelowAFileLosesIt => {
                let result = self.inner.move_file(source, destination).await;
                let below = match destination.parent() {
                    Some(parent) => self.inner.get_content(&parent).await.is_ok(),
                    None => false,
                };
                if below {
                    self.inner.delete_files(&[source.clone(), destination.clone()]).await?;
                }
                result
            }
            Fault::MoveShowsAPrefix => {
                let content = self.inner.get_content(source).await?;
                self.inner.put_content(destination, content.slice(..content.len() / 2)).await?;
                tokio::task::yield_now().await;
                self.inner.move_file(source, destination).await
            }
            Fault::MoveDeletesFirst => {
                self.inner.stat(source).await?;
                self.inner.delete_files(std::slice::from_ref(destination)).await?;
                tokio::task::yield_now().await;
                self.inner.move_file(source, destination).await
            }
            Fault::MoveRemovesTheSourceFirst => {
                let content = self.inner.get_content(source).await?;
                self.inner.delete(source).await?;
                tokio::task::yield_now().await;
                self.inner.put_content(destination, content).await
            }
            Fault::MoveCutsAtTheLimit => {
                let content = self.inner.read_range(source, ByteRange::new(0, MAX_CONTENT)).await?;
                self.inner.put_content(destination, content).await?;
                self.inner.delete(source).await
            }
            Fault::DroppedMovesLandLate => {
                let (inner, source, destination) = (self.inner.clone(), source.clone(), destination.clone());
                late::later(async move { inner.move_file(&source, &destination).await }).await
            }
            _ => self.spoil(self.inner.move_file(source, destination).await),
        }
    }

    /// Returns the paths beside this one that its name fits as a pattern, in which one byte stands for any.
    pub(super) async fn like(&self, path: &StoragePath, any: char) -> Vec<StoragePath> {
        let (Some(parent), Some(pattern)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let siblings = self.entries(&parent, None).await.unwrap_or_default();
        let fits = |name: &str| {
            name.len() == pattern.len()
                && pattern.chars().zip(name.chars()).all(|(one, other)| one == any || one == other)
        };
        let like = |other: &StoragePath| other != path && other.file_name().is_some_and(fits);
        siblings.into_iter().map(|entry| entry.path).filter(like).collect()
    }

    pub(super) async fn delete_path(&self, path: &StoragePath) -> Result<()> {
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
            Fault::DeleteTakesWhatIsLike => {
                let like = self.like(path, '_').await;
                self.inner.delete(path).await?;
                for other in like {
                    self.inner.delete(&other).await?;
                }
                Ok(())
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
            Fault::DeleteOfAFileLeavesItsUpload if self.inner.get_content(path).await.is_ok() => {
                self.inner.delete_files(std::slice::from_ref(path)).await
            }
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
            Fault::VersionCountsPuts => {
                {
                    let mut generations = self.state.generations.lock().unwrap_or_else(PoisonError::into_inner);
                    generations.retain(|other, _| other != path && !path.contains(other));
                }
                self.inner.delete(path).await
            }
            Fault::DeleteStopsAfterAThousand => {
                let below: Vec<Entry> = match self.inner.walk(path, None).await {
                    Ok(entries) => entries.try_collect().await?,
                    Err(_) => Vec::new(),
                };
                let files = below.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.path);
                match files.take(1001).collect::<Vec<_>>() {
                    files if files.len() > 1000 => self.inner.delete_files(&files[..1000]).await,
                    _ => self.inner.delete(path).await,
                }
            }
            Fault::DeleteFoldsCase => {
                self.inner.delete(path).await?;
                let parent = path.parent().unwrap_or_else(StoragePath::root);
                let siblings = self.entries(&parent, None).await.unwrap_or_default();
                let alike = |entry: &Entry| entry.path.as_str().eq_ignore_ascii_case(path.as_str());
                let alike: Vec<_> = siblings.into_iter().filter(alike).map(|entry| entry.path).collect();
                self.inner.delete_files(&alike).await
            }
            Fault::TrailingDotsAreCut | Fault::LongNamesAreCut => self.inner.delete(&self.mapped(path)?).await,
            Fault::DeletePrunesDirectories => {
                self.inner.delete(path).await?;
                let parent = path.parent().unwrap_or_else(StoragePath::root);
                if !parent.is_root() && self.entries(&parent, None).await.unwrap_or_default().is_empty() {
                    tokio::task::yield_now().await;
                    match self.inner.delete(&parent).await {
                        Err(error) if !error.is_path_not_found() => return Err(error),
                        _ => {}
                    }
                }
                Ok(())
            }
            Fault::DeleteCutsOpenUploads => {
                self.state.remember(path);
                self.inner.delete(path).await
            }
            Fault::ListLagsBehindDeletes => {
                self.state.remember(path);
                self.inner.delete(path).await
            }
            Fault::DeleteDoesNothing => self.inner.stat(path).await.map(|_| ()),
            _ => self.spoil(self.inner.delete(path).await),
        }
    }

    pub(super) async fn delete_all(&self, paths: &[StoragePath]) -> Result<()> {
        match self.fault {
            Fault::DeleteFilesFailsOnMissing => {
                for path in paths {
                    self.inner.delete(path).await?;
                }
                Ok(())
            }
            Fault::DeleteFilesRefusesRepeats
                if paths.iter().enumerate().any(|(index, path)| paths[..index].contains(path)) =>
            {
                Err(Error::new(ErrorKind::Other, "a key is there twice"))
            }
            Fault::DeleteFilesDeletesTheFirst => self.inner.delete_files(&paths[..paths.len().min(1)]).await,
            Fault::DeleteFilesForgetsTheThousandth => self.inner.delete_files(&paths[..paths.len().min(999)]).await,
            Fault::DeleteFilesTakesDirectories => {
                for path in paths {
                    match self.inner.delete(path).await {
                        Err(error) if !error.is_path_not_found() => return Err(error),
                        _ => {}
                    }
                }
                Ok(())
            }
            _ => self.inner.delete_files(paths).await,
        }
    }
}
