//! Stat with a fault.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use wharf::contract::{ByteRange, Error, FileInfo, Result, StorageDriverExt, StoragePath};

use super::{Fault, Wrong};

impl Wrong {
    fn spoil_info(&self, mut info: FileInfo) -> FileInfo {
        match self.fault {
            Fault::StatOneByteOff if !info.is_dir => info.size += 1,
            Fault::StatDirectoryHasSize if info.is_dir => info.size = 4096,
            Fault::StatForgetsPath => info.path = StoragePath::root(),
            Fault::ModifiedNeverChanges => info.modified = Some(SystemTime::UNIX_EPOCH),
            Fault::VersionNeverChanges => info.version = Some("1".to_owned()),
            Fault::ModifiedIsOfAnotherZone => {
                info.modified = info.modified.map(|modified| modified - Duration::from_secs(7200));
            }
            Fault::ModifiedIsNow => info.modified = Some(SystemTime::now()),
            Fault::ModifiedGoesBack if self.state.count().is_multiple_of(2) => {
                info.modified = info.modified.map(|modified| modified - Duration::from_millis(500));
            }
            Fault::VersionIsAlwaysAnother => info.version = Some(self.state.count().to_string()),
            _ => {}
        }
        info
    }

    pub(super) async fn info_of(&self, path: &StoragePath) -> Result<FileInfo> {
        if let Some(kept) = self.kept_info(path) {
            return kept;
        }
        let info = match self.fault {
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
            Fault::VersionIsSizeAndBeginning => {
                let info = self.inner.stat(path).await?;
                let version = match info.is_dir {
                    true => None,
                    false => {
                        let beginning = self.inner.read_range(path, ByteRange::new(0, 1000)).await?;
                        Some(format!("{}-{:?}", info.size, beginning))
                    }
                };
                Ok(FileInfo { version, ..info })
            }
            Fault::VersionCountsPuts => {
                let info = self.inner.stat(path).await?;
                let generations = self.state.generations.lock().unwrap_or_else(PoisonError::into_inner);
                let version = Some(format!("{}", generations.get(path).copied().unwrap_or_default()));
                Ok(FileInfo { version, ..info })
            }
            Fault::TrailingDotsAreCut | Fault::LongNamesAreCut => {
                let info = self.inner.stat(&self.mapped(path)?).await?;
                Ok(FileInfo { path: path.clone(), ..info })
            }
            _ => self.spoil(self.inner.stat(path).await).map(|info| self.spoil_info(info)),
        };
        self.keep_info(path, &info);
        info
    }
}
