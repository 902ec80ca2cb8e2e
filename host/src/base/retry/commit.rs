//! The commit of an upload, looked up when nobody knows whether it happened.
//!
//! A commit consumes its writer, so it cannot just be called again. After a failure that may pass:
//!
//! 1. With `resumable` the upload is opened again. One of the size that was to be committed is committed: its bytes are
//!    ours, since no write is ever repeated or left out. Where the commit had happened, a driver whose append continues
//!    committed content (the filesystem's, the one in memory) opens that, and committing it again changes nothing.
//! 2. One of another size is somebody else's, or has lost bytes. It is closed, and the caller gets the error.
//! 3. Where there is no upload to be continued, the commit may be what ended it. A file of the right size at the path,
//!    written since the writer was opened, is taken for ours.
//!
//! # Content that was there before
//!
//! A file of exactly the same size may have been at the path before the upload: a link, a digest. Were the upload lost, 1
//! would commit that old file again and call it the new one. So the file is looked at first: one of the right size which
//! was not written since the writer was opened is ours only if the driver tells that an unfinished upload is beside it.
//! Nobody can tell where it does not, and then the caller gets the error.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use super::Retrying;
use super::attempts::Attempts;
use super::policy::{Repeat, is_transient};
use crate::contract::{Error, ErrorKind, FileInfo, FileWriter, Result, StorageDriver, StoragePath, WriteMode};

/// How far the store's clock may be behind ours.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// What has to be known of an upload once its writer is gone.
pub(super) struct Upload {
    pub(super) driver: Retrying,
    pub(super) path: StoragePath,
    /// When its writer was opened.
    pub(super) opened: SystemTime,
}

/// What became of an upload.
enum Found {
    /// It is a file.
    Committed,
    /// It is not, and this writer has it again.
    Open(Box<dyn FileWriter>),
    /// Nobody knows. This was seen, in words.
    Unclear(String),
}

impl Upload {
    /// Commits by the writer, and by another one where that fails and the upload is still there.
    pub(super) async fn commit(self, mut writer: Box<dyn FileWriter>) -> Result<u64> {
        let retry = &self.driver.retry;
        let size = writer.size();
        // The time counts from the first failure on: how long a commit takes depends on what is stored.
        let mut attempts = Attempts::default();
        let mut may_insist = true;
        loop {
            let error = match writer.commit().await {
                Ok(committed) => {
                    retry.earn();
                    return Ok(committed);
                }
                Err(error) => error,
            };
            if !is_transient(&error) || retry.policy().attempts <= 1 {
                return Err(attempts.last(error));
            }
            // Whoever counted attempts made them within the writer that is gone. What is there now is worth one more.
            let insists = std::mem::take(&mut may_insist) && error.attempts().is_some();
            let may_repeat = attempts.pause(retry, &error, Repeat::Always).await || insists;
            let may_have_happened = !matches!(error.kind(), ErrorKind::Throttled { .. }) || attempts.is_unknown();
            let found = match may_repeat {
                true => self.find(size, may_have_happened).await,
                false => self.find_committed(size, &error).await,
            };
            match found {
                Found::Committed => return Ok(size),
                Found::Open(again) => {
                    attempts.remember(error);
                    writer = again;
                }
                Found::Unclear(seen) if seen.is_empty() => return Err(attempts.end(error)),
                Found::Unclear(seen) => return Err(attempts.end(error.with_note(seen))),
            }
        }
    }

    /// Looks what became of the upload, which should have so many bytes.
    async fn find(&self, size: u64, may_have_happened: bool) -> Found {
        let Retrying { inner, retry } = &self.driver;
        if inner.capabilities().resumable {
            match self.may_be_older(size).await {
                Ok(false) => {}
                Ok(true) => return Found::Unclear("a file of the same size was there before".to_owned()),
                Err(look) => return Found::unseen(&look),
            }
            // Repeated even where it is not known whether the upload was opened: a writer that is lost has added nothing.
            match retry.run(Repeat::Always, || inner.writer(&self.path, WriteMode::Append)).await {
                Ok(writer) if writer.size() == size => return Found::Open(writer),
                Ok(writer) => {
                    let seen = format!("an upload of {} bytes is there, not of {size}", writer.size());
                    // Whosoever it is, it stays as it was found.
                    return match writer.close().await {
                        Ok(_) => Found::Unclear(seen),
                        Err(error) => Found::Unclear(format!("{seen}, and closing it failed: {error}")),
                    };
                }
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PathNotFound) => {}
                Err(look) => return Found::unseen(&look),
            }
        }
        if !may_have_happened {
            return Found::Unclear("the upload is gone".to_owned());
        }
        self.find_file(size).await
    }

    /// The last look, after which nothing more is done: only at what says for certain that the commit has happened.
    async fn find_committed(&self, size: u64, error: &Error) -> Found {
        let capabilities = self.driver.inner.capabilities();
        // An upload that is seen at its path before the commit looks the same after it.
        let can_be_told = capabilities.hidden_uploads || !capabilities.resumable;
        if can_be_told && error.kind() == &ErrorKind::OutcomeUnknown {
            self.find_file(size).await
        } else {
            Found::Unclear(String::new())
        }
    }

    /// Looks whether the file at the path is what was to be committed.
    async fn find_file(&self, size: u64) -> Found {
        let seen = match self.stat().await {
            Err(look) => return Found::unseen(&look),
            Ok(None) => "nothing is at its path".to_owned(),
            Ok(Some(info)) if info.is_dir => "a directory is at its path".to_owned(),
            Ok(Some(info)) if info.size != size => {
                format!("a file of {} bytes is at its path, not of {size}", info.size)
            }
            Ok(Some(info)) if self.is_recent(&info) => return Found::Committed,
            Ok(Some(_)) => "a file of the same size is at its path, and nothing says that it is a new one".to_owned(),
        };
        Found::Unclear(seen)
    }

    /// Returns whether what an append would continue may be a file that was there before the upload.
    async fn may_be_older(&self, size: u64) -> Result<bool> {
        // All files of no bytes are the same.
        let is_same = |info: &FileInfo| !info.is_dir && info.size == size && size > 0;
        let Some(info) = self.stat().await?.filter(is_same) else { return Ok(false) };
        if self.is_recent(&info) {
            return Ok(false);
        }
        if !self.driver.inner.capabilities().uploads {
            return Ok(true);
        }
        let uploads: Vec<_> = self.driver.uploads(&self.path).await?.try_collect().await?;
        Ok(!uploads.iter().any(|upload| upload.path == self.path))
    }

    /// Returns whether a file was written since the writer was opened, as far as the store says.
    fn is_recent(&self, info: &FileInfo) -> bool {
        info.modified.is_some_and(|modified| modified + CLOCK_SLACK >= self.opened)
    }

    async fn stat(&self) -> Result<Option<FileInfo>> {
        let Retrying { inner, retry } = &self.driver;
        match retry.run(Repeat::Always, || inner.stat(&self.path)).await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.is_path_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Found {
    /// The look itself failed.
    fn unseen(look: &Error) -> Self {
        Found::Unclear(format!("it could not be looked at: {look}"))
    }
}
