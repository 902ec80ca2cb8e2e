//! The end of an upload: its bytes become a blob.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{Held, Incoming, Open, Stopped, UploadError, Uploads, conflict, receive, to_completion};
use crate::contract::Result;
use crate::registry::hasher::Hasher;
use crate::registry::{Digest, RepositoryName, layout};

impl Uploads {
    /// Adds the last bytes to an upload, and stores the whole as a blob of the repository if it has that digest.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on until `incoming` ends: the blob is stored, or the upload keeps what came.
    pub(in crate::registry) async fn commit(
        &self,
        name: &RepositoryName,
        id: Uuid,
        at: Option<u64>,
        incoming: impl Incoming + 'static,
        digest: &Digest,
    ) -> Result<u64, UploadError> {
        let (uploads, name, digest) = (self.clone(), name.clone(), digest.clone());
        to_completion(async move { uploads.commit_locked(&name, id, at, incoming, &digest).await }).await
    }

    /// Stores a blob that comes in one request, by an upload that nobody else knows of: it is cancelled if that fails.
    ///
    /// # Cancel safety
    ///
    /// As [`commit`](Self::commit).
    pub(in crate::registry) async fn push(
        &self,
        name: &RepositoryName,
        incoming: impl Incoming + 'static,
        digest: &Digest,
    ) -> Result<u64, UploadError> {
        let (uploads, name, digest) = (self.clone(), name.clone(), digest.clone());
        let step = async move {
            let id = uploads.begin(&name).await?;
            let stored = uploads.commit_locked(&name, id, None, incoming, &digest).await;
            if stored.is_err() {
                // What cannot be deleted is purged later.
                let _ = uploads.cancel_locked(&name, id).await;
            }
            stored
        };
        to_completion(step).await
    }

    async fn commit_locked(
        &self,
        name: &RepositoryName,
        id: Uuid,
        at: Option<u64>,
        mut incoming: impl Incoming,
        digest: &Digest,
    ) -> Result<u64, UploadError> {
        let mut turn = self.turns.take(name, id).wait().await.ok_or(UploadError::Busy)?;
        turn.set_client(incoming.client());
        let open = self.open(name, id, &mut turn).await?;
        let size = match self.expect_size(open, at, &mut turn, name, id).await? {
            None if incoming.at_most().is_some_and(|bytes| bytes <= self.small) => {
                let size = self.store_small(&mut incoming, digest).await;
                if matches!(size, Err(UploadError::WrongDigest { .. })) {
                    self.forget(name, id).await;
                }
                size?
            }
            open => {
                let mut open = match open {
                    Some(open) => open,
                    None => self.begin_bytes(name, id, digest.algorithm()).await?,
                };
                turn.set_size(open.writer.size());
                match receive(&mut open, &mut incoming).await {
                    Ok(None) => self.publish(name, id, open, digest).await?,
                    Ok(Some(why)) => {
                        let size = self.put_away(open, &mut turn, name, id, true).await?;
                        return Err(UploadError::Stopped { why, size });
                    }
                    Err(error) => {
                        if !self.resumable {
                            *turn.held() = Some(Held(open));
                        } else if let Err(error) = open.writer.close().await {
                            tracing::debug!(%error, "an upload whose write failed could not be closed");
                        }
                        return Err(error.into());
                    }
                }
            }
        };
        self.store.put_link(&layout::layer_link(name, digest), digest).await?;
        self.forget(name, id).await;
        Ok(size)
    }

    /// Stores a small blob that comes in one request, without an upload that could be continued.
    pub(in crate::registry) async fn store_at_once(
        &self,
        name: &RepositoryName,
        incoming: &mut dyn Incoming,
        digest: &Digest,
    ) -> Result<u64, UploadError> {
        let size = self.store_small(incoming, digest).await?;
        self.store.put_link(&layout::layer_link(name, digest), digest).await?;
        Ok(size)
    }

    /// Stores the bytes of a small blob.
    async fn store_small(&self, incoming: &mut dyn Incoming, digest: &Digest) -> Result<u64, UploadError> {
        let bytes = gather(incoming).await.map_err(|why| UploadError::Stopped { why, size: 0 })?;
        let computed = Digest::of(digest.algorithm(), &bytes);
        if computed != *digest {
            return Err(UploadError::WrongDigest { computed });
        }
        let size = bytes.len() as u64;
        self.store.put_bytes(digest, bytes).await?;
        Ok(size)
    }

    /// Returns whether so many bytes are stored by one operation.
    pub(in crate::registry) fn is_small(&self, bytes: u64) -> bool {
        bytes <= self.small
    }

    /// Moves the bytes of an upload to where a blob lies.
    async fn publish(&self, name: &RepositoryName, id: Uuid, open: Open, digest: &Digest) -> Result<u64, UploadError> {
        let (data, blob) = (layout::upload_data(name, id), layout::blob(digest));
        let Open { writer, hasher, resumed } = open;
        let size = writer.size();
        let hasher = hasher.filter(|hasher| hasher.algorithm() == digest.algorithm() && hasher.length() == size);
        let computed = hasher.as_ref().map(Hasher::digest);
        let is_right = computed.as_ref() == Some(digest);
        // A state that was kept can be damaged: the bytes themselves have the last word.
        if let Some(computed) = computed.filter(|_| !is_right && !resumed) {
            writer.cancel().await?;
            self.forget(name, id).await;
            return Err(UploadError::WrongDigest { computed });
        }
        writer.commit().await?;
        // Whoever continued it at the same time has made it longer, or replaced it.
        let stored = self.store.size(&data).await?;
        if stored != Some(size) {
            let stored = stored.map_or_else(|| "none".to_owned(), |stored| stored.to_string());
            return Err(conflict(format!("the upload has {stored} bytes, not {size}: another one continues it")).into());
        }
        if !is_right {
            let computed = self.store.digest_of(&data, digest.algorithm()).await?;
            if computed != *digest {
                self.forget(name, id).await;
                return Err(UploadError::WrongDigest { computed });
            }
        }
        if resumed {
            // They say that there are bytes here: a crash after these are gone would leave an upload that can neither go on
            // nor end (`acknowledged.rs`). Without them the bytes are read, should this be retried.
            self.store.delete(&layout::hash_states(name, id)).await?;
        }
        // What is there may be damaged. It is replaced then, and not for nothing otherwise: others read it.
        if !self.store.is_intact(digest, size).await? {
            self.store.driver().move_file(&data, &blob).await?;
        }
        Ok(size)
    }

    /// Deletes what is left of an upload that has ended. What cannot be deleted is purged later.
    pub(super) async fn forget(&self, name: &RepositoryName, id: Uuid) {
        if let Err(error) = self.store.delete(&layout::upload(name, id)).await {
            tracing::warn!(repository = %name, upload = %id, %error, "what is left of an upload could not be deleted");
        }
    }
}

/// Takes all that comes, which is little.
async fn gather(incoming: &mut dyn Incoming) -> Result<Bytes, Stopped> {
    // Mostly one piece, which is not copied then.
    let mut only = Bytes::new();
    let mut gathered = BytesMut::new();
    let expected = incoming.at_most().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    while let Some(piece) = incoming.next().await? {
        if only.is_empty() && gathered.is_empty() {
            only = piece;
            continue;
        }
        // Not twice as much at the end, as it would have grown by itself. Nothing for what is announced and does not come.
        if gathered.is_empty() {
            gathered.reserve(expected);
        }
        gathered.extend_from_slice(&std::mem::take(&mut only));
        gathered.extend_from_slice(&piece);
    }
    Ok(if gathered.is_empty() { only } else { gathered.freeze() })
}
