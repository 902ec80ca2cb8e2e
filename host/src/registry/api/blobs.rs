//! `/v2/NAME/blobs/DIGEST`: blobs, whole and in ranges.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::TryStreamExt;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LOCATION,
    RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::held::Held;
use super::incoming::{SMALL, client};
use super::{Call, DOCKER_CONTENT_DIGEST, digest_value, empty};
use crate::contract::{ByteRange, ErrorKind, RedirectRequest};
use crate::registry::error::{Code, Failure, Result};
use crate::registry::range::Wanted;
use crate::registry::store::{Blob, verify};
use crate::registry::{Digest, RepositoryName};

/// How long a client waits that has as many downloads as it may.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A blob that is sent to a client.
struct Open {
    /// The size of the whole, in bytes.
    size: u64,
    /// The bytes that were asked for.
    body: Body,
}

impl Call<'_> {
    /// `GET` and `HEAD` (end-2).
    pub(super) async fn get_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Response> {
        let store = self.registry.store();
        if self.is_known(digest) {
            return match store.is_linked(name, digest).await? {
                true => Ok(self.not_modified(digest)?),
                false => Err(unknown(digest)),
            };
        }
        if self.registry.redirects() {
            // Asked first whether the repository has it: the address tells nobody whether it may be read here.
            let Some(size) = store.blob_size(name, digest).await? else { return Err(unknown(digest)) };
            let request = RedirectRequest {
                method: self.parts.method.to_string(),
                client_address: self.client().map(|address| address.to_string()),
            };
            if let Some(location) = store.blob_address(digest, &request).await {
                let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
                response.headers_mut().insert(LOCATION, location);
                response.headers_mut().insert(DOCKER_CONTENT_DIGEST, digest_value(digest)?);
                return Ok(response);
            }
            if self.is_head() {
                return whole(digest, size, Body::empty());
            }
        }
        if self.is_head() {
            let Some(size) = store.blob_size(name, digest).await? else { return Err(unknown(digest)) };
            return whole(digest, size, Body::empty());
        }
        match self.wanted(digest).as_deref() {
            None | Some([]) => self.get_whole(name, digest).await,
            Some(&[wanted]) => self.get_range(name, digest, wanted).await,
            Some(several) => self.get_ranges(name, digest, several).await,
        }
    }

    pub(super) async fn get_whole(&self, name: &RepositoryName, digest: &Digest) -> Result<Response> {
        let open = self.open(name, digest, ByteRange::ALL).await?.ok_or_else(|| unknown(digest))?;
        whole(digest, open.size, open.body)
    }

    pub(super) async fn get_range(&self, name: &RepositoryName, digest: &Digest, wanted: Wanted) -> Result<Response> {
        let store = self.registry.store();
        let range = match wanted.without_size() {
            Some(range) => range,
            None => {
                let Some(size) = store.blob_size(name, digest).await? else { return Err(unknown(digest)) };
                let Some((first, last)) = wanted.of(size) else { return nothing_of(digest, size) };
                ByteRange::new(first, last - first + 1)
            }
        };
        let Open { size, body } = self.open(name, digest, range).await?.ok_or_else(|| unknown(digest))?;
        // A range that begins at the end of the file opens, and holds nothing.
        let Some((first, last)) = wanted.of(size) else { return nothing_of(digest, size) };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let headers = response.headers_mut();
        describe(headers, digest, last - first + 1)?;
        let range = HeaderValue::try_from(format!("bytes {first}-{last}/{size}"));
        headers.insert(CONTENT_RANGE, range.map_err(|error| Failure::new(Code::Unknown, error))?);
        Ok(response)
    }

    /// Opens a blob for the client, if it may have one more; none if the repository has no such blob. What is small is read
    /// at once, and holds nothing of the store while the client takes it. Of a range behind the end there is nothing.
    async fn open(&self, name: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<Option<Open>> {
        let store = self.registry.store();
        let (downloads, client) = (self.registry.downloads(), client(self.registry, self.parts));
        let room = match downloads.try_enter(client) {
            Some(room) => Some(room),
            None => {
                let Some(size) = store.blob_size(name, digest).await? else { return Ok(None) };
                match range.count_in(size) {
                    Some(count) if count > SMALL => Some(downloads.enter(client, 1, PATIENCE).await?),
                    _ => None,
                }
            }
        };
        let opened = match store.open_blob(name, digest, range).await {
            Err(error) if matches!(error.kind(), ErrorKind::InvalidOffset { .. }) => {
                let size = store.blob_size(name, digest).await?.ok_or_else(|| unknown(digest))?;
                return Ok(Some(Open { size, body: Body::empty() }));
            }
            opened => opened?,
        };
        let Some(Blob { size, reader }) = opened else { return Ok(None) };
        let body = match range.count_in(size) {
            Some(count) if count <= SMALL => {
                let chunks: Vec<Bytes> = reader.try_collect().await.map_err(Failure::reading(digest))?;
                let bytes = match <[Bytes; 1]>::try_from(chunks) {
                    Ok([whole]) => whole,
                    Err(chunks) => Bytes::from(chunks.concat()),
                };
                // It is here, and little: what it costs to hash it is not seen.
                if count == size {
                    verify(digest, &bytes).map_err(Failure::reading(digest))?;
                }
                Body::from(bytes)
            }
            _ => match room {
                Some(room) => Held::body(Body::from_stream(reader), room),
                None => Body::from_stream(reader),
            },
        };
        Ok(Some(Open { size, body }))
    }

    /// Returns the ranges that are asked for, if they are to be answered.
    fn wanted(&self, digest: &Digest) -> Option<Vec<Wanted>> {
        let wanted = Wanted::parse(self.header(RANGE)?)?;
        // A blob never changes: it is the one that the client has a part of, or the client means another.
        match self.header(IF_RANGE) {
            Some(tag) if tag.trim_matches('"') != digest.as_str() => None,
            _ => Some(wanted),
        }
    }

    /// Returns whether the client says that it has this content.
    pub(super) fn is_known(&self, digest: &Digest) -> bool {
        let tags = self.parts.headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
        tags.flat_map(|tags| tags.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == digest.as_str()
        })
    }

    pub(super) fn not_modified(&self, digest: &Digest) -> Result<Response> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(DOCKER_CONTENT_DIGEST, digest_value(digest)?);
        response.headers_mut().insert(ETAG, etag(digest)?);
        Ok(response)
    }

    /// `DELETE` (end-10).
    pub(super) async fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Response> {
        self.may_delete()?;
        match self.registry.store().delete_blob(name, digest).await? {
            true => Ok(empty(StatusCode::ACCEPTED)),
            false => Err(unknown(digest)),
        }
    }
}

fn whole(digest: &Digest, size: u64, body: Body) -> Result<Response> {
    let mut response = Response::new(body);
    describe(response.headers_mut(), digest, size)?;
    Ok(response)
}

/// Adds what is said of a blob, whole or not.
pub(super) fn describe(headers: &mut HeaderMap, digest: &Digest, length: u64) -> Result<()> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
    headers.insert(DOCKER_CONTENT_DIGEST, digest_value(digest)?);
    headers.insert(ETAG, etag(digest)?);
    Ok(())
}

pub(super) fn etag(digest: &Digest) -> Result<HeaderValue> {
    HeaderValue::try_from(format!("\"{digest}\"")).map_err(|error| Failure::new(Code::Unknown, error))
}

pub(super) fn unknown(digest: &Digest) -> Failure {
    Failure::new(Code::BlobUnknown, "the repository has no such blob")
        .with_detail(serde_json::json!({ "digest": digest.as_str() }))
}

/// The answer to ranges of which a blob has no byte. Of an empty blob it is the empty blob, as Go's library answers: some clients
/// send the header with every request.
pub(super) fn nothing_of(digest: &Digest, size: u64) -> Result<Response> {
    if size == 0 {
        return whole(digest, 0, Body::empty());
    }
    let failure = Failure::new(Code::RangeInvalid, format_args!("the blob has {size} bytes, and none in this range"));
    Err(match HeaderValue::try_from(format!("bytes */{size}")) {
        Ok(range) => failure.with_header(CONTENT_RANGE, range),
        Err(_) => failure,
    })
}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
