//! Put and get with a fault.

use std::sync::PoisonError;

use bytes::Bytes;
use wharf::contract::{ByteRange, Error, ErrorKind, MAX_CONTENT, Result, StorageDriverExt, StoragePath};

use super::{Fault, Wrong, late};

/// Above this a driver stores in parts.
const PART: usize = 5 << 20;

/// Returns the temporary of all who write a path.
pub(super) fn beside(path: &StoragePath) -> Result<StoragePath> {
    StoragePath::parse(format!("{path}.tmp"))
}

impl Wrong {
    /// Returns the path that a driver takes this one for.
    pub(super) fn mapped(&self, path: &StoragePath) -> Result<StoragePath> {
        let name = path.file_name().unwrap_or_default();
        match (self.fault, path.parent(), name.trim_end_matches('.')) {
            (Fault::TrailingDotsAreCut, Some(parent), cut) if !cut.is_empty() => parent.join(cut),
            (Fault::LongNamesAreCut, Some(parent), _) => parent.join(&name[..name.len().min(255)]),
            _ => Ok(path.clone()),
        }
    }

    pub(super) async fn get(&self, path: &StoragePath) -> Result<Bytes> {
        if let Some(kept) = self.kept_content(path) {
            return kept;
        }
        if self.fault == Fault::BelowAFileIsAnotherError
            && let Some(parent) = path.parent().filter(|parent| !parent.is_root())
            && self.inner.stat(&parent).await.is_ok_and(|info| !info.is_dir)
        {
            return Err(Error::new(ErrorKind::Other, "not a directory"));
        }
        let content = self.spoil(self.inner.get_content(&self.mapped(path)?).await);
        self.keep_content(path, &content);
        match self.fault {
            Fault::GetLosesTheLastByte => content.map(|content| content.slice(..content.len().saturating_sub(1))),
            Fault::GetMissingIsEmpty => content.or_else(|_| Ok(Bytes::new())),
            Fault::GetOfADirectoryIsEmpty if self.is_directory(path).await => Ok(Bytes::new()),
            Fault::GetCutsAtTheLimit if content.is_err() => {
                self.inner.read_range(path, ByteRange::new(0, MAX_CONTENT)).await
            }
            Fault::GetCleansText => content.map(|content| String::from_utf8_lossy(&content).into_owned().into()),
            Fault::ByteOrderMarkIsCut => content.map(|content| {
                content.strip_prefix(b"\xef\xbb\xbf").map(|rest| content.slice_ref(rest)).unwrap_or(content)
            }),
            Fault::GzipIsDecoded => content.map(|content| match content.starts_with(&[0x1f, 0x8b]) {
                true => Bytes::from_static(b"hello"),
                false => content,
            }),
            Fault::KeepsContentsOfDeleted => content.or_else(|error| self.state.kept.content(path).ok_or(error)),
            _ => content,
        }
    }

    pub(super) async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
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
            Fault::PutLosesAByteAtFiveMebibytes if content.len() == 5 << 20 => {
                self.inner.put_content(path, content.slice(1..)).await
            }
            Fault::VersionCountsPuts => {
                self.state
                    .generations
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(path.clone())
                    .and_modify(|count| *count += 1)
                    .or_default();
                self.inner.put_content(path, content).await
            }
            Fault::OpenListingLocks => {
                let _taken = self.state.take(1)?;
                self.inner.put_content(path, content).await
            }
            Fault::LongPathsAreRefused if path.as_str().len() > 900 => Err(Error::invalid_path(path, "it is too long")),
            Fault::DeepPathsAreRefused if path.components().count() > 25 => {
                Err(Error::invalid_path(path, "it is too deep"))
            }
            Fault::VeryDeepPathsAreRefused if path.components().count() > 100 => {
                Err(Error::invalid_path(path, "it is too deep"))
            }
            Fault::RootTakesNoFiles if path.components().count() == 1 => {
                Err(Error::invalid_path(path, "it names no container"))
            }
            Fault::PutsOfADirectoryShareATemporary => {
                let temporary = beside(&path.parent().unwrap_or_else(StoragePath::root))?;
                self.inner.put_content(&temporary, content).await?;
                tokio::task::yield_now().await;
                let content = self.inner.get_content(&temporary).await?;
                self.inner.put_content(path, content).await
            }
            Fault::TrailingDotsAreCut | Fault::LongNamesAreCut => {
                self.inner.put_content(&self.mapped(path)?, content).await
            }
            Fault::LongNamesAreAnotherError if path.components().any(|name| name.len() > 255) => {
                Err(Error::new(ErrorKind::Other, "File name too long (os error 36)"))
            }
            Fault::LargePutsShowAPart if content.len() > PART => {
                self.inner.put_content(path, content.slice(..PART)).await?;
                tokio::task::yield_now().await;
                self.inner.put_content(path, content).await
            }
            Fault::PutsShareATemporary => {
                let temporary = beside(path)?;
                let half = content.len() / 2;
                self.inner.put_content(&temporary, content.slice(..half)).await?;
                tokio::task::yield_now().await;
                let begun = self.inner.get_content(&temporary).await?;
                self.inner.put_content(&temporary, [begun, content.slice(half..)].concat().into()).await?;
                self.inner.move_file(&temporary, path).await
            }
            Fault::DroppedPutsLandLate => {
                let (inner, path) = (self.inner.clone(), path.clone());
                late::later(async move { inner.put_content(&path, content).await }).await
            }
            _ => self.spoil(self.inner.put_content(path, content).await),
        }
    }
}
