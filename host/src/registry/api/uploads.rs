//! `/v2/NAME/blobs/uploads/`: pushing blobs, at once or in pieces.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderValue, StatusCode};
use http_body::Body as _;
use uuid::Uuid;

use super::address::offset_in;
use super::incoming::{Kept, Received, content_length};
use super::{Call, DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID, digest_value, empty};
use crate::registry::admission::no_more_room;
use crate::registry::error::{Code, Failure, Result};
use crate::registry::range::ChunkRange;
use crate::registry::store::uploads::{Stopped, UploadError};
use crate::registry::{Algorithm, Digest, RepositoryName};

impl Call<'_> {
    /// `POST` (end-4a, end-4b, end-11): begins an upload, or stores a blob at once, or takes one from another repository.
    pub(super) async fn begin_upload(&self, name: &RepositoryName, body: Body) -> Result<Response> {
        if let Some(mounted) = self.query.get("mount")? {
            let digest: Digest = mounted.parse()?;
            if self.may_mount && self.mount(name, &digest).await? {
                return self.created(name, &digest);
            }
        } else if let Some(digest) = self.query.get("digest")? {
            return self.push_at_once(name, &digest.parse()?, body).await;
        }
        // The algorithm is the digest's that ends the upload, whatever is announced; but one that cannot end it is refused now.
        if let Some(algorithm) = self.query.get("digest-algorithm")?
            && Algorithm::named(&algorithm).is_none()
        {
            return Err(Failure::new(Code::DigestInvalid, "digest-algorithm is neither sha256 nor sha512"));
        }
        let id = self.registry.uploads().begin(name).await?;
        self.accepted(name, id, 0)
    }

    /// Makes a blob of the store the repository's, from the repository that the client names. Where it names none, from any:
    /// but only where everybody may read everything, since the digest alone would open each blob otherwise.
    async fn mount(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        let store = self.registry.store();
        match self.query.get("from")? {
            Some(from) => match from.parse() {
                Ok(from) => Ok(store.mount(name, digest, &from).await?),
                // No repository has such a name: the client pushes it then.
                Err(_) => Ok(false),
            },
            None if self.registry.settings().access.is_none() => Ok(store.adopt(name, digest).await?),
            None => Ok(false),
        }
    }

    async fn push_at_once(&self, name: &RepositoryName, digest: &Digest, body: Body) -> Result<Response> {
        let length = content_length(&self.parts.headers)?;
        let uploads = self.registry.uploads();
        let is_small = length.is_some_and(|length| uploads.is_small(length));
        let kept = length.filter(|_| is_small).map_or(Kept::Streamed, Kept::Whole);
        let mut received = Received::new(self.registry, self.parts, body, None, kept).await?;
        if is_small {
            let stored = uploads.store_at_once(name, &mut received, digest).await;
            stored.map_err(|error| self.failure(name, None, error))?;
        } else {
            let stored = uploads.push(name, received, digest).await;
            stored.map_err(|error| self.failure(name, None, error))?;
        }
        self.created(name, digest)
    }

    /// `GET` (end-13): how far an upload has come.
    pub(super) async fn upload_status(&self, name: &RepositoryName, id: Uuid) -> Result<Response> {
        let size = self.registry.uploads().size(name, id).await;
        let size = size.map_err(|error| self.failure(name, Some(id), error))?;
        self.progress(name, id, size, StatusCode::NO_CONTENT)
    }

    /// `PATCH` (end-5): adds bytes.
    pub(super) async fn add_to_upload(&self, name: &RepositoryName, id: Uuid, body: Body) -> Result<Response> {
        let chunk = self.chunk()?;
        let at = chunk.map(|chunk| chunk.first).or(self.believed_offset(name, id)?);
        let received = self.receive(body, chunk).await?;
        let size = self.registry.uploads().append(name, id, at, received).await;
        let size = size.map_err(|error| self.failure(name, Some(id), error))?;
        self.accepted(name, id, size)
    }

    /// `PUT` (end-6): adds the last bytes, if any, and stores the blob.
    pub(super) async fn end_upload(&self, name: &RepositoryName, id: Uuid, body: Body) -> Result<Response> {
        let Some(digest) = self.query.get("digest")? else {
            return Err(Failure::new(
                Code::DigestInvalid,
                "the parameter digest is missing: it says what the upload is",
            ));
        };
        let digest: Digest = digest.parse()?;
        let is_empty = content_length(&self.parts.headers)? == Some(0) || body.is_end_stream();
        // Where nothing comes, its range says nothing: some clients name that of all that they sent before.
        let chunk = if is_empty { None } else { self.chunk()? };
        let at = match chunk {
            Some(chunk) => Some(chunk.first),
            // Nothing is added: the digest alone says whether it is whole.
            None if is_empty => None,
            None => self.believed_offset(name, id)?,
        };
        let received = self.receive(body, chunk).await?;
        let stored = self.registry.uploads().commit(name, id, at, received, &digest).await;
        stored.map_err(|error| self.failure(name, Some(id), error))?;
        self.created(name, &digest)
    }

    /// `DELETE`: gives an upload up.
    pub(super) async fn cancel_upload(&self, name: &RepositoryName, id: Uuid) -> Result<Response> {
        let cancelled = self.registry.uploads().cancel(name, id).await;
        cancelled.map_err(|error| self.failure(name, Some(id), error))?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    async fn receive(&self, body: Body, chunk: Option<ChunkRange>) -> Result<Received> {
        Received::new(self.registry, self.parts, body, chunk.map(|chunk| chunk.length), Kept::Streamed).await
    }

    /// Returns where the body belongs, by its header.
    fn chunk(&self) -> Result<Option<ChunkRange>> {
        let Some(value) = self.parts.headers.get(CONTENT_RANGE) else { return Ok(None) };
        let chunk = value.to_str().ok().and_then(ChunkRange::parse);
        chunk.map(Some).ok_or_else(|| Failure::new(Code::RangeInvalid, "Content-Range is not FIRST-LAST, in bytes"))
    }

    /// Returns how many bytes the upload has, by the address that the client uses.
    fn believed_offset(&self, name: &RepositoryName, id: Uuid) -> Result<Option<u64>> {
        Ok(self.query.get("_state")?.and_then(|state| offset_in(&state, name, id)))
    }

    fn created(&self, name: &RepositoryName, digest: &Digest) -> Result<Response> {
        let mut response = empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        headers.insert(LOCATION, self.registry.addresses().blob(self.parts, name, digest)?);
        headers.insert(DOCKER_CONTENT_DIGEST, digest_value(digest)?);
        Ok(response)
    }

    fn accepted(&self, name: &RepositoryName, id: Uuid, size: u64) -> Result<Response> {
        self.progress(name, id, size, StatusCode::ACCEPTED)
    }

    fn progress(&self, name: &RepositoryName, id: Uuid, size: u64, status: StatusCode) -> Result<Response> {
        let mut response = empty(status);
        let headers = response.headers_mut();
        headers.insert(LOCATION, self.registry.addresses().upload(self.parts, name, id, size)?);
        headers.insert(RANGE, range(size)?);
        headers.insert(DOCKER_UPLOAD_UUID, value(id)?);
        Ok(response)
    }

    /// Says why an upload did not go on, and where it stands, so that the client can.
    fn failure(&self, name: &RepositoryName, id: Option<Uuid>, error: UploadError) -> Failure {
        let (failure, size) = match error {
            UploadError::Unknown => {
                (Failure::new(Code::BlobUploadUnknown, "there is no such upload; begin another one"), None)
            }
            UploadError::Busy => {
                let message = "another request works on this upload; wait for it, or begin another one";
                (Failure::new(Code::BlobUploadInvalid, message).with_status(StatusCode::CONFLICT), None)
            }
            UploadError::OutOfOrder { size } => {
                let message = format!("the upload has {size} bytes, and these belong elsewhere");
                (Failure::new(Code::RangeInvalid, message), Some(size))
            }
            UploadError::WrongDigest { computed } => {
                let message = "the bytes have another digest, and were thrown away";
                let detail = serde_json::json!({ "computed": computed.as_str() });
                (Failure::new(Code::DigestInvalid, message).with_detail(detail), None)
            }
            UploadError::Stopped { why, size } => {
                let failure = match why {
                    Stopped::WrongLength => {
                        Failure::new(Code::SizeInvalid, "more or fewer bytes came than the headers say")
                    }
                    Stopped::Stalled => Failure::new(Code::BlobUploadInvalid, "nothing came for too long")
                        .with_status(StatusCode::REQUEST_TIMEOUT),
                    Stopped::TooSlow => Failure::new(Code::BlobUploadInvalid, "the bytes came too slowly for too long")
                        .with_status(StatusCode::REQUEST_TIMEOUT),
                    Stopped::Vanished => Failure::new(Code::BlobUploadInvalid, "the body broke off"),
                    Stopped::NoRoom => no_more_room(),
                };
                (failure, Some(size))
            }
            UploadError::Store(error) => (error.into(), None),
        };
        let (Some(id), Some(size)) = (id, size) else { return failure };
        match (self.registry.addresses().upload(self.parts, name, id, size), range(size), value(id)) {
            (Ok(location), Ok(range), Ok(id)) => {
                failure.with_header(LOCATION, location).with_header(RANGE, range).with_header(DOCKER_UPLOAD_UUID, id)
            }
            _ => failure,
        }
    }
}

/// What an upload has: `0-LAST`, and `0-0` if it has nothing, as Distribution has it.
fn range(size: u64) -> Result<HeaderValue> {
    value(format_args!("0-{}", size.saturating_sub(1)))
}

fn value(text: impl std::fmt::Display) -> Result<HeaderValue> {
    HeaderValue::try_from(text.to_string()).map_err(|error| Failure::new(Code::Unknown, error))
}
