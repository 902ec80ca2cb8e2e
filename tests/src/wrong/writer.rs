//! Writers with a fault.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{Entry, Error, ErrorKind, FileWriter, Result, StorageDriver, StoragePath, WriteMode};

use super::Fault;
use super::content::beside;
use super::state::{State, Taken};

pub(super) async fn open(
    driver: Arc<dyn StorageDriver>,
    fault: Fault,
    state: Arc<State>,
    path: &StoragePath,
    mode: WriteMode,
) -> Result<Box<dyn FileWriter>> {
    refuse(&*driver, fault, &state, path, mode).await?;
    match fault {
        Fault::CommitOnADirectoryDeletesIt if driver.stat(path).await.is_ok_and(|info| info.is_dir) => {
            driver.delete(path).await?;
        }
        Fault::NewEndsUploadsOfLongerNames if mode == WriteMode::New && driver.capabilities().uploads => {
            let parent = path.parent().unwrap_or_else(StoragePath::root);
            let uploads: Vec<Entry> = driver.uploads(&parent).await?.try_collect().await?;
            let longer = |entry: &&Entry| entry.path != *path && entry.path.as_str().starts_with(path.as_str());
            for upload in uploads.iter().filter(longer) {
                driver.writer(&upload.path, WriteMode::Append).await?.cancel().await?;
            }
        }
        Fault::WritersShareATemporary if mode == WriteMode::New => {
            driver.put_content(&beside(path)?, Bytes::new()).await?;
        }
        Fault::NewDeletesTheOld if mode == WriteMode::New => driver.delete_files(std::slice::from_ref(path)).await?,
        _ => {}
    }
    let mode = match fault {
        Fault::AppendToContentStartsAnew if driver.get_content(path).await.is_ok_and(|old| !old.is_empty()) => {
            WriteMode::New
        }
        Fault::SecondAppendStartsAnew if mode == WriteMode::Append => match driver.writer(path, mode).await {
            Err(error) if error.kind() == &ErrorKind::Conflict => WriteMode::New,
            Err(error) => return Err(error),
            Ok(writer) => {
                writer.close().await?;
                mode
            }
        },
        Fault::AppendStartsAnew => {
            if mode == WriteMode::Append {
                driver.writer(path, mode).await?.close().await?;
            }
            WriteMode::New
        }
        Fault::AppendToMissingBegins if mode == WriteMode::Append => match driver.writer(path, mode).await {
            Ok(writer) => {
                writer.close().await?;
                mode
            }
            Err(_) => WriteMode::New,
        },
        Fault::NewContinues => match driver.writer(path, WriteMode::Append).await {
            Ok(writer) => {
                writer.close().await?;
                WriteMode::Append
            }
            Err(_) => mode,
        },
        _ => mode,
    };
    if fault == Fault::AppendContinuesTheFile
        && mode == WriteMode::Append
        && let Ok(content) = driver.get_content(path).await
        && !content.is_empty()
    {
        let mut writer = driver.writer(path, WriteMode::New).await?;
        writer.write(content).await?;
        return Ok(writer);
    }
    let taken = match fault {
        Fault::SixteenWritersAtMost => Some(state.take(16)?),
        _ => None,
    };
    if taken.is_some() {
        tokio::task::yield_now().await;
    }
    let inner = match driver.writer(path, mode).await {
        Err(error) if fault == Fault::LoserOfTwoDamagesTheFile && error.kind() == &ErrorKind::Conflict => {
            driver.writer(&beside(path)?, WriteMode::New).await?
        }
        opened => opened?,
    };
    state.remember(path);
    let (commits, began) = (state.commits.load(Ordering::Relaxed), inner.size());
    Ok(Box::new(WrongWriter {
        inner,
        driver,
        fault,
        state,
        path: path.clone(),
        written: Vec::new(),
        writes: 0,
        began,
        commits,
        _taken: taken,
    }))
}

/// Refuses what a right driver takes.
async fn refuse(
    driver: &dyn StorageDriver,
    fault: Fault,
    state: &State,
    path: &StoragePath,
    mode: WriteMode,
) -> Result<()> {
    match fault {
        Fault::WriterNeedsDirectories => {
            let above = path.parent().and_then(|parent| parent.parent());
            if let Some(above) = above {
                driver.stat(&above).await?;
            }
        }
        Fault::DroppedWriterLocks if state.knows(path) => {
            return Err(Error::new(ErrorKind::Conflict, "the path is locked"));
        }
        Fault::AppendToEmptyFails
            if mode == WriteMode::Append && driver.stat(path).await.is_ok_and(|info| info.size == 0) =>
        {
            return Err(Error::unsupported("nothing to append to"));
        }
        Fault::UploadsKnownToOneInstance if mode == WriteMode::Append && !state.knows(path) => {
            driver.stat(path).await?;
        }
        _ => {}
    }
    Ok(())
}

struct WrongWriter {
    inner: Box<dyn FileWriter>,
    driver: Arc<dyn StorageDriver>,
    fault: Fault,
    state: Arc<State>,
    path: StoragePath,
    written: Vec<u8>,
    writes: usize,
    commits: usize,
    /// How much was there when it was opened.
    began: u64,
    _taken: Option<Taken>,
}

impl WrongWriter {
    /// Returns whether it continued an upload.
    fn appends(&self) -> bool {
        self.began > 0
    }

    /// Returns what was closed first at the path, which may be what is closed now.
    fn oldest(&self) -> Vec<u8> {
        let mut oldest = self.state.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        oldest.entry(self.path.clone()).or_insert_with(|| self.written.clone()).clone()
    }

    /// Returns whether a directory above the path was deleted.
    fn is_in_a_deleted_directory(&self) -> bool {
        let mut above = self.path.parent();
        while let Some(directory) = above.filter(|directory| !directory.is_root()) {
            if self.state.knows(&directory) {
                return true;
            }
            above = directory.parent();
        }
        false
    }

    /// Returns the buffer of all writers of the instance.
    fn shared(&self) -> MutexGuard<'_, Vec<u8>> {
        self.state.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as many bytes as this writer was given, from the beginning of the buffer of all.
    async fn write_shared(&mut self) -> Result<()> {
        let own: Vec<u8> = {
            let mut shared = self.shared();
            let count = self.written.len().min(shared.len());
            shared.drain(..count).collect()
        };
        self.inner.write(own.into()).await
    }

    /// Lets go of the path, which a dropped writer does not.
    fn unlock(&self) {
        if self.fault == Fault::DroppedWriterLocks {
            self.state.forget(&self.path);
        }
    }
}

#[async_trait]
impl FileWriter for WrongWriter {
    fn size(&self) -> u64 {
        match self.fault {
            Fault::WritersShareABuffer | Fault::CommitEndsOtherUploads => self.inner.size() + self.written.len() as u64,
            Fault::SizeForgetsWhatWasThere => self.written.len() as u64,
            _ => self.inner.size(),
        }
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.written.extend_from_slice(&data);
        match self.fault {
            Fault::WritersEndWithTheDriver => {
                self.state.expect_a_driver()?;
                self.inner.write(data).await
            }
            Fault::CommitLosesTheTail | Fault::CloseLosesTheTail => Ok(()),
            Fault::UploadsVisible => {
                self.driver.put_content(&self.path, self.written.clone().into()).await?;
                self.inner.write(data).await
            }
            Fault::UploadShowsOtherBytes => {
                self.driver.put_content(&self.path, vec![0; self.written.len()].into()).await?;
                self.inner.write(data).await
            }
            Fault::WriterCutsLargeWrites => {
                let kept = data.len().min(8 << 20);
                self.inner.write(data.slice(..kept)).await
            }
            Fault::ReordersChunks => {
                let mut data = data.to_vec();
                data.reverse();
                self.inner.write(data.into()).await
            }
            Fault::DeleteCutsOpenUploads if self.is_in_a_deleted_directory() => Ok(()),
            Fault::SecondWriteOfAnAppendIsLost if self.appends() && self.written.len() > data.len() => Ok(()),
            Fault::OneByteStepsAreLost if data.len() == 1 && self.inner.size() > 5 << 20 => Ok(()),
            Fault::LateChunksAreTurned if self.inner.size() >= 50 << 20 => {
                let mut data = data.to_vec();
                data.reverse();
                self.inner.write(data.into()).await
            }
            Fault::WriterCutsOddChunks if data.len() > 65_536 && data.len() % 2 == 1 => {
                self.inner.write(data.slice(..data.len() - 1)).await
            }
            Fault::WriterTakesAThousandWrites => {
                self.writes += 1;
                if self.writes > 1000 { Ok(()) } else { self.inner.write(data).await }
            }
            Fault::UploadLosesAByteAtFiveMebibytes if self.written.len() == 5 << 20 => {
                self.inner.write(data.slice(..data.len() - 1)).await
            }
            Fault::WritersShareATemporary => {
                let temporary = beside(&self.path)?;
                let begun = self.driver.get_content(&temporary).await?;
                self.driver.put_content(&temporary, [begun, data].concat().into()).await
            }
            Fault::WritersShareABuffer => {
                self.shared().extend_from_slice(&data);
                Ok(())
            }
            Fault::CommitEndsOtherUploads => {
                let commits = self.state.commits.load(Ordering::Relaxed);
                if commits != self.commits {
                    self.written.drain(..self.written.len() - data.len());
                    self.commits = commits;
                }
                Ok(())
            }
            _ => self.inner.write(data).await,
        }
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.unlock();
        match self.fault {
            Fault::CommitLosesTheTail => self.inner.write(self.written.into()).await?,
            Fault::CloseLosesTheTail => {
                self.written.pop();
                self.inner.write(self.written.into()).await?;
            }
            Fault::CloseThrowsAway => {
                let size = self.inner.size();
                self.inner.cancel().await?;
                return Ok(size);
            }
            Fault::CloseOfNothingIsForgotten if self.inner.size() == 0 => {
                self.inner.cancel().await?;
                return Ok(0);
            }
            Fault::WritersShareABuffer => self.write_shared().await?,
            Fault::CommitEndsOtherUploads => self.inner.write(self.written.into()).await?,
            Fault::AppendTakesTheOldest if !self.appends() => {
                let oldest = self.oldest();
                let size = self.inner.close().await?;
                if size > 0 && oldest.len() as u64 != size {
                    let mut older = self.driver.writer(&self.path, WriteMode::New).await?;
                    older.write(oldest.into()).await?;
                    older.close().await?;
                }
                return Ok(size);
            }
            Fault::CloseReplacesWhatIsThere if self.driver.get_content(&self.path).await.is_ok() => {
                return self.inner.commit().await;
            }
            Fault::CloseCommits => return self.inner.commit().await,
            _ => {}
        }
        self.inner.close().await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        self.unlock();
        match self.fault {
            Fault::CommitLosesTheTail => {
                self.written.pop();
                self.inner.write(self.written.into()).await?;
            }
            Fault::CloseLosesTheTail => self.inner.write(self.written.into()).await?,
            Fault::CommitKeepsTheOld if self.driver.get_content(&self.path).await.is_ok() => {
                let size = self.inner.size();
                self.inner.cancel().await?;
                return Ok(size);
            }
            Fault::CommitOnlyCloses => return self.inner.close().await,
            Fault::WritersShareABuffer => self.write_shared().await?,
            Fault::CommitEndsOtherUploads => {
                self.state.commits.fetch_add(1, Ordering::Relaxed);
                self.inner.write(std::mem::take(&mut self.written).into()).await?;
            }
            Fault::ReaderLooksAgainAfterACommit => {
                self.state.commits.fetch_add(1, Ordering::Relaxed);
            }
            Fault::CommitShowsAPrefix => {
                self.written.truncate(self.written.len() / 2);
                self.driver.put_content(&self.path, self.written.into()).await?;
                tokio::task::yield_now().await;
            }
            Fault::WritersShareATemporary => {
                let content = self.driver.get_content(&beside(&self.path)?).await?;
                self.inner.write(content).await?;
            }
            Fault::LargeCommitsDeleteFirst if self.written.len() > 5 << 20 => {
                self.driver.delete_files(&[self.path]).await?;
                tokio::task::yield_now().await;
            }
            Fault::DeleteCutsOpenUploads if self.is_in_a_deleted_directory() => {
                self.inner.cancel().await?;
                let mut writer = self.driver.writer(&self.path, WriteMode::New).await?;
                writer.write(self.written.split_off(self.written.len() / 2).into()).await?;
                return writer.commit().await;
            }
            Fault::CommitDeletesFirst => {
                self.driver.delete_files(&[self.path]).await?;
                tokio::task::yield_now().await;
            }
            Fault::AppendOfNothingCommitsNothing if self.written.is_empty() && self.inner.size() > 0 => {
                self.inner.cancel().await?;
                let mut writer = self.driver.writer(&self.path, WriteMode::New).await?;
                writer.write(Bytes::new()).await?;
                return writer.commit().await;
            }
            Fault::AppendCommitsElsewhere if self.appends() && self.driver.stat(&self.path).await.is_ok() => {
                let size = self.inner.size();
                self.inner.cancel().await?;
                return Ok(size);
            }
            Fault::LoserOfTwoDamagesTheFile if self.began == 0 && self.driver.stat(&self.path).await.is_ok() => {
                self.inner.cancel().await?;
                self.driver.put_content(&self.path, Bytes::from_static(b"one")).await?;
                return Err(Error::new(ErrorKind::Conflict, "another writer was first"));
            }
            Fault::CommitTellsAnotherSize => return Ok(self.inner.commit().await? + 1),
            Fault::CommitOfNothingIsForgotten if self.inner.size() == 0 => {
                self.inner.cancel().await?;
                return Ok(0);
            }
            Fault::WritersMix => {
                let size = self.inner.commit().await?;
                let mut content = self.written;
                if content.len() > 40_000 {
                    content[..1000].fill(0);
                }
                self.driver.put_content(&self.path, content.into()).await?;
                return Ok(size);
            }
            _ => {}
        }
        self.inner.commit().await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.unlock();
        match self.fault {
            Fault::CancelOfAnAppendCommits if self.inner.size() > self.written.len() as u64 => {
                self.inner.commit().await.map(|_| ())
            }
            Fault::CancelKeepsFlushedBytes if self.written.len() > 4 << 20 => self.inner.close().await.map(|_| ()),
            Fault::CancelLeavesBytes => self.inner.commit().await.map(|_| ()),
            Fault::CancelDeletesTheOld | Fault::CancelOfNothingDeletesTheOld | Fault::CancelOfNothingForgetsTheFile => {
                self.inner.cancel().await?;
                self.driver.delete_files(&[self.path]).await
            }
            Fault::CancelOnlyCloses => self.inner.close().await.map(|_| ()),
            _ => self.inner.cancel().await,
        }
    }
}
