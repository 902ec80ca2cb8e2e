//! Uploads: blobs that are not whole yet.
//!
//! All that is known of an upload lies in the store, as Distribution leaves it: when it began, its bytes, and after each
//! request the state of its hash. So any process on the store goes on with it, whoever began it, and a process that is
//! killed loses nothing that it acknowledged. With a driver that cannot continue uploads, the open writer is kept in memory
//! instead, and an upload lives as long as the process, unless too many wait for their next request. It stops being one that has
//! begun when its first bytes come, so that it is unknown, and not empty, once the writer is lost.
//!
//! Whatever the store shows of an upload, one that had bytes is never taken for an empty one: see `acknowledged.rs`.
//!
//! Whatever hashes are kept, a blob is stored under a digest only if its bytes have it: where the state of the hash is
//! missing, or is not of the blob's algorithm, the bytes are read back.

mod acknowledged;
mod commit;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument;
use uuid::Uuid;

use super::{Store, is_missing};
use crate::contract::{Error, ErrorKind, FileWriter, Result, WriteMode};
use crate::registry::admission::Client;
use crate::registry::hasher::Hasher;
use crate::registry::{Algorithm, Digest, RepositoryName, layout};

use turns::{Turn, Turns};

/// What a client sends, piece by piece.
#[async_trait]
pub(in crate::registry) trait Incoming: Send {
    /// Returns the next piece; none at the end. An error if the client vanished, stalled, or sent what it should not.
    async fn next(&mut self) -> Result<Option<Bytes>, Stopped>;

    /// Returns the client that sends them.
    fn client(&self) -> Client;

    /// Returns how many bytes come at most, where that is known.
    fn at_most(&self) -> Option<u64>;
}

/// Why a client's bytes ended early. What came before is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Stopped {
    /// The connection broke.
    Vanished,
    /// Nothing came for too long.
    Stalled,
    /// Too little came in too long a time.
    TooSlow,
    /// More or fewer bytes came than the client had said.
    WrongLength,
    /// The registry has no memory left for more of it.
    NoRoom,
}

/// Why an upload did not go on.
#[derive(Debug)]
pub(in crate::registry) enum UploadError {
    /// There is no such upload.
    Unknown,
    /// Another request works on it.
    Busy,
    /// The bytes belong elsewhere: the upload has so many.
    OutOfOrder { size: u64 },
    /// The bytes have another digest; they were thrown away.
    WrongDigest { computed: Digest },
    /// The client did not send all; the upload has so many bytes now.
    Stopped { why: Stopped, size: u64 },
    /// The store failed.
    Store(Error),
}

impl From<Error> for UploadError {
    fn from(error: Error) -> Self {
        UploadError::Store(error)
    }
}

/// The uploads of a registry.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Uploads {
    store: Store,
    turns: Arc<Turns>,
    resumable: bool,
    /// A blob that comes at once and is no larger is stored by one operation.
    small: u64,
}

/// An upload that is open for bytes.
struct Open {
    writer: Box<dyn FileWriter>,
    /// None if the state of the hash is missing.
    hasher: Option<Hasher>,
    /// Whether the hash was taken up from a state in the store, which may be damaged.
    resumed: bool,
}

/// What the store shows of an upload: its bytes, none if it has none yet; or, as an error, fewer than were acknowledged.
type Resumed = Result<Option<Open>, Error>;

/// What of an upload a process holds between two requests, where the driver cannot continue it.
pub(super) struct Held(Open);

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Held").field(&self.0.writer.size()).finish()
    }
}

impl Uploads {
    pub(in crate::registry) fn new(store: Store, small: u64) -> Self {
        let resumable = store.driver().capabilities().resumable;
        Uploads { store, turns: Arc::default(), resumable, small }
    }

    /// Begins an upload.
    pub(in crate::registry) async fn begin(&self, name: &RepositoryName) -> Result<Uuid> {
        let id = Uuid::new_v4();
        let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        self.store.driver().put_content(&layout::upload_started(name, id), started.into()).await?;
        Ok(id)
    }

    /// Returns how many bytes an upload has. While a request adds some, as many as it had before; of one that has just begun to,
    /// once that is known.
    pub(in crate::registry) async fn size(&self, name: &RepositoryName, id: Uuid) -> Result<u64, UploadError> {
        let queued = self.turns.take(name, id);
        let known = queued.known_size();
        let mut turn = tokio::select! {
            biased;
            turn = queued.wait() => turn.ok_or(UploadError::Busy)?,
            size = known => return Ok(size),
        };
        let open = self.open(name, id, &mut turn).await?;
        let Some(open) = open else { return Ok(0) };
        let size = open.writer.size();
        self.put_away(open, &mut turn, name, id, false).await?;
        Ok(size)
    }

    /// Adds bytes to an upload, and returns how many it has then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on until `incoming` ends, which a connection that is closed does with an error, and keeps what came.
    pub(in crate::registry) async fn append(
        &self,
        name: &RepositoryName,
        id: Uuid,
        at: Option<u64>,
        incoming: impl Incoming + 'static,
    ) -> Result<u64, UploadError> {
        let (uploads, name) = (self.clone(), name.clone());
        to_completion(async move { uploads.append_locked(&name, id, at, incoming).await }).await
    }

    async fn append_locked(
        &self,
        name: &RepositoryName,
        id: Uuid,
        at: Option<u64>,
        mut incoming: impl Incoming,
    ) -> Result<u64, UploadError> {
        let mut turn = self.turns.take(name, id).wait().await.ok_or(UploadError::Busy)?;
        turn.set_client(incoming.client());
        let open = self.open(name, id, &mut turn).await?;
        let open = self.expect_size(open, at, &mut turn, name, id).await?;
        let mut open = match open {
            Some(open) => open,
            None => self.begin_bytes(name, id, Algorithm::Sha256).await?,
        };
        turn.set_size(open.writer.size());
        let ended = receive(&mut open, &mut incoming).await;
        let kept = self.put_away(open, &mut turn, name, id, true).await;
        match (ended, kept) {
            (Ok(None), Ok(size)) => Ok(size),
            (Ok(Some(why)), Ok(size)) => Err(UploadError::Stopped { why, size }),
            // That it was deleted meanwhile says more than that it could not be written to.
            (_, Err(UploadError::Unknown)) => Err(UploadError::Unknown),
            (Err(error), _) => Err(error.into()),
            (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Throws an upload away.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on to its end.
    pub(in crate::registry) async fn cancel(&self, name: &RepositoryName, id: Uuid) -> Result<(), UploadError> {
        let (uploads, name) = (self.clone(), name.clone());
        to_completion(async move { uploads.cancel_locked(&name, id).await }).await
    }

    async fn cancel_locked(&self, name: &RepositoryName, id: Uuid) -> Result<(), UploadError> {
        let mut turn = self.turns.take(name, id).wait().await.ok_or(UploadError::Busy)?;
        let held = turn.held().take();
        let is_held = held.is_some();
        if let Some(Held(open)) = held {
            open.writer.cancel().await?;
        }
        if !self.store.delete(&layout::upload(name, id)).await? && !is_held {
            return Err(UploadError::Unknown);
        }
        // Another process may have added something since the directory was listed. What it adds from now on it deletes itself.
        self.store.delete(&layout::upload(name, id)).await?;
        Ok(())
    }

    /// Opens an upload to be continued; none if it has begun, and has no bytes yet.
    async fn open(&self, name: &RepositoryName, id: Uuid, turn: &mut Turn) -> Result<Option<Open>, UploadError> {
        if let Some(Held(open)) = turn.held().take() {
            return Ok(Some(open));
        }
        if !self.resumable {
            return match self.store.size(&layout::upload_started(name, id)).await? {
                Some(_) => Ok(None),
                None => Err(UploadError::Unknown),
            };
        }
        let behind = match self.resume(name, id).await? {
            Err(error) => error,
            Ok(open) => return Ok(open),
        };
        tracing::warn!(repository = %name, upload = %id, error = %behind, "an upload is looked at again");
        self.resume(name, id).await?.map_err(UploadError::from)
    }

    /// Opens an upload that the driver continues, unless the store shows less of it than was acknowledged.
    async fn resume(&self, name: &RepositoryName, id: Uuid) -> Result<Resumed, UploadError> {
        let driver = self.store.driver();
        let writer = match driver.writer(&layout::upload_data(name, id), WriteMode::Append).await {
            Ok(writer) => writer,
            Err(error) if is_missing(&error) => {
                let beside = self.store.beside_upload(name, id).await?;
                return match beside.behind(0) {
                    Some(error) => Ok(Err(error)),
                    None if beside.has_begun => Ok(Ok(None)),
                    None => Err(UploadError::Unknown),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let size = writer.size();
        let hasher = self.hasher(name, id, size).await;
        // Where uploads are no files, the file at the path can be an earlier state of the upload.
        if hasher.is_none() || size == 0 || driver.capabilities().uploads {
            let behind = match self.store.beside_upload(name, id).await {
                Ok(beside) => beside.behind(size).map(Err).map(Ok),
                Err(error) => Some(Err(error.into())),
            };
            if let Some(behind) = behind {
                // Nothing was written: whatever becomes of this, the upload is as it was.
                let _ = writer.close().await;
                return behind;
            }
        }
        Ok(Ok(Some(Open { writer, hasher, resumed: true })))
    }

    /// Takes up the hash after so many bytes. What it cannot be taken from is no error: the bytes are read at the end.
    async fn hasher(&self, name: &RepositoryName, id: Uuid, size: u64) -> Option<Hasher> {
        if size == 0 {
            return Some(Hasher::new(Algorithm::Sha256));
        }
        let path = layout::hash_state(name, id, Algorithm::Sha256, size);
        let state = self.store.driver().get_content(&path).await.ok()?;
        Hasher::from_state(Algorithm::Sha256, &state).filter(|hasher| hasher.length() == size)
    }

    /// Opens an upload that has no bytes yet.
    ///
    /// Another process may have stored some since they were looked for. So they are looked for again once the writer is open,
    /// which never replaces at its close what comes after that. Otherwise a request whose client has gone could put its
    /// bytes in place of those that the same client has sent elsewhere since, between their check and their move.
    async fn begin_bytes(&self, name: &RepositoryName, id: Uuid, algorithm: Algorithm) -> Result<Open, UploadError> {
        let data = layout::upload_data(name, id);
        let writer = self.store.driver().writer(&data, WriteMode::New).await?;
        if !self.resumable {
            // From now on nobody but the holder of this writer goes on with it: any other finds no upload.
            if !self.store.delete(&layout::upload_started(name, id)).await? {
                writer.cancel().await?;
                return Err(UploadError::Unknown);
            }
        } else if self.store.size(&data).await?.is_some() {
            writer.cancel().await?;
            let message = "another request began this upload; ask how far it has come, and resume it";
            return Err(conflict(message.to_owned()).into());
        }
        Ok(Open { writer, hasher: Some(Hasher::new(algorithm)), resumed: false })
    }

    /// Checks that bytes which belong at an offset come there.
    async fn expect_size(
        &self,
        open: Option<Open>,
        at: Option<u64>,
        turn: &mut Turn,
        name: &RepositoryName,
        id: Uuid,
    ) -> Result<Option<Open>, UploadError> {
        let size = open.as_ref().map_or(0, |open| open.writer.size());
        if at.is_none_or(|at| at == size) {
            return Ok(open);
        }
        if let Some(open) = open {
            self.put_away(open, turn, name, id, false).await?;
        }
        Err(UploadError::OutOfOrder { size })
    }

    /// Keeps an upload until the next request, and returns its size. One that another process deleted while bytes were added
    /// is not brought back: they are deleted too.
    async fn put_away(
        &self,
        open: Open,
        turn: &mut Turn,
        name: &RepositoryName,
        id: Uuid,
        changed: bool,
    ) -> Result<u64, UploadError> {
        if !self.resumable {
            let size = open.writer.size();
            *turn.held() = Some(Held(open));
            turn.set_size(size);
            return Ok(size);
        }
        let Open { writer, hasher, .. } = open;
        let closed = writer.close().await;
        if let Ok(size) = closed {
            turn.set_size(size);
            if let Some(hasher) = hasher.filter(|hasher| changed && hasher.length() == size && size > 0) {
                let path = layout::hash_state(name, id, hasher.algorithm(), size);
                // Without it the bytes are read at the end: nothing is lost.
                if let Err(error) = self.store.driver().put_content(&path, hasher.to_state().into()).await {
                    tracing::warn!(%path, %error, "the state of an upload's hash could not be kept");
                }
            }
        }
        // Looked at once everything is there: whoever deletes the upload later, deletes this too.
        if changed && self.store.size(&layout::upload_started(name, id)).await?.is_none() {
            self.forget(name, id).await;
            return Err(UploadError::Unknown);
        }
        Ok(closed?)
    }
}

/// Runs a step of an upload to its end, though its client disconnects and the request's future is dropped.
///
/// The step holds the upload's lock until its writer is closed or committed. So a client that disconnects and resumes at once
/// waits for what it had sent before, and finds all of it.
async fn to_completion<T: Send + 'static>(
    step: impl Future<Output = Result<T, UploadError>> + Send + 'static,
) -> Result<T, UploadError> {
    match tokio::spawn(step.in_current_span()).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            let message = "the registry is shutting down; ask how far the upload has come, and resume it";
            Err(Error::new(ErrorKind::OutcomeUnknown, message).with_source(error).into())
        }
    }
}

/// Writes and hashes what comes. Returns why it ended early, if it did; an error if the store failed.
async fn receive(open: &mut Open, incoming: &mut dyn Incoming) -> Result<Option<Stopped>> {
    loop {
        let piece = match incoming.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(None),
            Err(why) => return Ok(Some(why)),
        };
        if let Some(hasher) = &mut open.hasher {
            hasher.update(&piece);
        }
        if let Err(error) = open.writer.write(piece).await {
            // The hash has more than the store.
            open.hasher = None;
            return Err(error);
        }
    }
}

/// What another process did to the same upload.
fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}
