//! Removing uploads that nobody will end.

use std::time::SystemTime;

use futures::TryStreamExt;
use serde::Serialize;

use super::catalog::Descent;
use super::{Store, is_missing};
use crate::contract::{Entry, Result, StoragePath};

/// What a purge removed, or would have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Uploads that had begun before the given time.
    pub uploads: usize,
    /// Uploads that could not be removed; the log says why.
    pub failed: usize,
}

impl Store {
    /// Deletes the uploads that began before a time. One that does not say when it began, which nobody can go on with, goes by
    /// when something was last written to it; Distribution keeps it for ever.
    pub(in crate::registry) async fn purge(&self, before: SystemTime, dry_run: bool) -> Result<Purged> {
        let mut purged = Purged::default();
        let mut descent = Descent::begin(self, None).await?;
        while let Some(directory) = descent.next(self).await? {
            for upload in self.uploads_in(&directory).await? {
                match self.purge_upload(&upload, before, dry_run).await {
                    Ok(true) => purged.uploads += 1,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(path = %upload, %error, "a stale upload could not be removed");
                        purged.failed += 1;
                    }
                }
            }
        }
        Ok(purged)
    }

    async fn uploads_in(&self, repository: &StoragePath) -> Result<Vec<StoragePath>> {
        let entries: Vec<Entry> = match self.driver.list(&repository.join("_uploads")?, None).await {
            Ok(entries) => entries.try_collect().await?,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.path).collect())
    }

    /// Deletes an upload if it began before the time. Returns whether it did.
    async fn purge_upload(&self, upload: &StoragePath, before: SystemTime, dry_run: bool) -> Result<bool> {
        let began = match self.driver.get_content(&upload.join("startedat")?).await {
            Ok(text) => std::str::from_utf8(&text).ok().and_then(|text| humantime::parse_rfc3339(text.trim()).ok()),
            Err(error) if is_missing(&error) => self.last_written(upload).await?,
            Err(error) => return Err(error),
        };
        if began.is_none_or(|began| began >= before) {
            return Ok(false);
        }
        tracing::info!(path = %upload, dry_run, "a stale upload is removed");
        if !dry_run {
            self.delete(upload).await?;
        }
        Ok(true)
    }

    /// Returns when a file below a directory was last written; none if there is no file, or the store does not say.
    async fn last_written(&self, directory: &StoragePath) -> Result<Option<SystemTime>> {
        let entries = self.driver.walk(directory, None).await?;
        entries.try_fold(None, async |last: Option<SystemTime>, entry: Entry| Ok(last.max(entry.modified))).await
    }
}
