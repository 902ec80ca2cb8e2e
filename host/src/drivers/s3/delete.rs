//! Deleting objects, and the uploads that would become some.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt, TryStreamExt};
use md5::{Digest, Md5};

use super::error::Effect;
use super::store::Store;
use crate::contract::{Error, ErrorKind, Result, StoragePath};

/// How many objects are deleted at a time where each takes a request.
const SINGLE_DELETES: usize = 16;

/// How many uploads are aborted at a time.
const ABORTS: usize = 16;

impl Store {
    /// Deletes a file or a directory, with the uploads at and below it. For each 1,000 keys two requests, and one more
    /// for each 1,000 uploads, but at least one.
    pub(super) async fn delete(&self, path: &StoragePath) -> Result<()> {
        let (key, prefix) = (self.keys.key(path), self.keys.prefix(path));
        // One page tells all of a file and of a small directory.
        let (mut keys, more) = self.keys(&key, None).await?;
        keys.retain(|found| *found == key || found.starts_with(&prefix));
        let mut found = !keys.is_empty();
        self.delete_keys(&keys).await?;
        if more.is_some() {
            // The rest may be siblings that begin with the same name, any number of them: from here on without those.
            let mut after = None;
            loop {
                let (keys, next) = self.keys(&prefix, after.take()).await?;
                found |= !keys.is_empty();
                self.delete_keys(&keys).await?;
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        found |= self.abort_at(path).await?;
        if self.is_tree_order {
            self.remove_directories(prefix).await?;
        }
        if found { Ok(()) } else { Err(Error::path_not_found(path)) }
    }

    /// Aborts the uploads at and below a path, and returns whether there were any.
    async fn abort_at(&self, path: &StoragePath) -> Result<bool> {
        let (key, prefix) = (self.keys.key(path), self.keys.prefix(path));
        let mut found = false;
        let mut marker = None;
        loop {
            let (page, next) = self.uploads_page(&key, marker).await?;
            let mut aborts = Vec::new();
            for upload in &page {
                if upload.key == key || upload.key.starts_with(&prefix) {
                    aborts.push(self.abort(&upload.key, &upload.id));
                }
            }
            found |= !aborts.is_empty();
            stream::iter(aborts).buffer_unordered(ABORTS).try_collect::<()>().await?;
            match next {
                Some(next) => marker = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Removes the directories that a store which lists as a tree keeps when their last file is gone: itself by the key
    /// with the slash at its end, which such a store refuses to do silently while anything lies below.
    async fn remove_directories(&self, directory: String) -> Result<()> {
        let mut found = self.directories(&directory).await?;
        if found.is_empty() {
            return self.delete_key(&directory).await;
        }
        // Deeper ones first.
        let mut all = vec![directory];
        while let Some(next) = found.pop() {
            found.extend(self.directories(&next).await?);
            all.push(next);
        }
        all.sort_by_key(|directory| std::cmp::Reverse(directory.len()));
        for directory in all {
            self.delete_key(&directory).await?;
        }
        Ok(())
    }

    /// Deletes objects: one request for 1,000, where the store does that. Those that are missing are no error.
    pub(super) async fn delete_keys(&self, keys: &[String]) -> Result<()> {
        match keys {
            [] => Ok(()),
            [key] => self.delete_key(key).await,
            keys if self.config.multidelete => self.delete_many(keys).await,
            keys => {
                let mut deletes = Vec::new();
                for key in keys {
                    deletes.push(self.delete_key(key));
                }
                stream::iter(deletes).buffer_unordered(SINGLE_DELETES).try_collect().await
            }
        }
    }

    /// Deletes one object; one that is missing is no error.
    pub(super) async fn delete_key(&self, key: &str) -> Result<()> {
        let request = || self.client.delete_object().bucket(self.bucket()).key(key).send();
        match self.send(Effect::Writes, 0, request).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_not_found() => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn delete_many(&self, keys: &[String]) -> Result<()> {
        let wrong = |error: &dyn std::fmt::Display| Error::new(ErrorKind::Other, error.to_string());
        let objects: Vec<ObjectIdentifier> = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(|error| wrong(&error))?;
        let request = || {
            let request = self.client.delete_objects().bucket(self.bucket()).delete(delete.clone());
            // S3 wants a checksum of this body. The SDK sends a CRC; older stores know only the MD5.
            request
                .customize()
                .mutate_request(|request| {
                    if let Some(body) = request.body().bytes() {
                        let md5 = STANDARD.encode(Md5::digest(body));
                        request.headers_mut().insert("content-md5", md5);
                    }
                })
                .send()
        };
        let answer = self.send(Effect::Writes, 0, request).await?.map_err(Error::from)?;
        let failed: Vec<_> = answer.errors().iter().filter(|error| error.code() != Some("NoSuchKey")).collect();
        let Some(first) = failed.first() else { return Ok(()) };
        let code = first.code().unwrap_or_default();
        let kind = match code {
            "AccessDenied" => ErrorKind::AccessDenied,
            "SlowDown" => ErrorKind::Throttled { retry_after: None },
            "InternalError" => ErrorKind::OutcomeUnknown,
            _ => ErrorKind::Other,
        };
        let message = format!(
            "{} of {} objects could not be deleted, the first of them {}: {code}: {}",
            failed.len(),
            keys.len(),
            first.key().unwrap_or_default(),
            first.message().unwrap_or_default()
        );
        Err(Error::new(kind, message))
    }
}
