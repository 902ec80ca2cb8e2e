//! Several ranges of a blob in one answer: `multipart/byteranges` (RFC 9110, section 14.6).
//!
//! One part is open at a time, and all together have no more bytes than the blob: what a client asks for beyond that is
//! answered with the whole, as section 14.2 allows.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::Call;
use super::blobs::{PATIENCE, describe, nothing_of, unknown};
use super::held::Held;
use super::incoming::{SMALL, client};
use crate::contract::{self, ByteRange, ErrorKind};
use crate::registry::error::{Code, Failure, Result};
use crate::registry::range::Wanted;
use crate::registry::store::Store;
use crate::registry::{Digest, RepositoryName};

/// A part of the answer.
struct Part {
    /// What stands before its bytes.
    head: Bytes,
    range: ByteRange,
}

impl Call<'_> {
    /// Answers several ranges, in the order in which they are asked for.
    pub(super) async fn get_ranges(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        wanted: &[Wanted],
    ) -> Result<Response> {
        let store = self.registry.store();
        let Some(size) = store.blob_size(name, digest).await? else { return Err(unknown(digest)) };
        let bounds: Vec<(u64, u64)> = wanted.iter().filter_map(|wanted| wanted.of(size)).collect();
        let bytes = bounds.iter().fold(0u64, |bytes, (first, last)| bytes.saturating_add(last - first + 1));
        match bounds[..] {
            [] => return nothing_of(digest, size),
            // One needs no parts.
            [(first, last)] => {
                return self.get_range(name, digest, Wanted::From { first, last: Some(last) }).await;
            }
            _ if bytes > size => return self.get_whole(name, digest).await,
            _ => {}
        }
        let boundary = Uuid::new_v4().simple();
        let part = |(index, &(first, last)): (usize, &(u64, u64))| {
            let before = if index == 0 { "" } else { "\r\n" };
            let head = format!(
                "{before}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n\r\n"
            );
            Part { head: head.into(), range: ByteRange::new(first, last - first + 1) }
        };
        let parts: Vec<Part> = bounds.iter().enumerate().map(part).collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let heads: usize = parts.iter().map(|part| part.head.len()).sum();
        let length = bytes + (heads + end.len()) as u64;

        let room = match bytes {
            ..=SMALL => None,
            _ => Some(self.registry.downloads().enter(client(self.registry, self.parts), 1, PATIENCE).await?),
        };
        let mut pieces = Box::pin(pieces(store.clone(), name.clone(), digest.clone(), parts, end));
        // The first comes once its part is open: what fails before has an answer of its own.
        let first = pieces.try_next().await?;
        let pieces = stream::iter(first.map(Ok)).chain(pieces);
        let body = match room {
            Some(room) => Held::body(Body::from_stream(pieces), room),
            None => Body::from(pieces.try_collect::<Vec<Bytes>>().await?.concat()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let headers = response.headers_mut();
        describe(headers, digest, length)?;
        let kind = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"));
        headers.insert(CONTENT_TYPE, kind.map_err(|error| Failure::new(Code::Unknown, error))?);
        Ok(response)
    }
}

/// Returns the bytes of all parts. Each is opened when the one before it has ended.
fn pieces(
    store: Store,
    name: RepositoryName,
    digest: Digest,
    parts: Vec<Part>,
    end: Bytes,
) -> impl Stream<Item = contract::Result<Bytes>> + Send + 'static {
    let open = move |Part { head, range }: Part| {
        let (store, name, digest) = (store.clone(), name.clone(), digest.clone());
        async move {
            let blob = store.open_blob(&name, &digest, range).await?;
            let blob = blob.ok_or_else(|| {
                contract::Error::new(ErrorKind::PathNotFound, "the blob was deleted while parts of it were sent")
            })?;
            Ok::<_, contract::Error>(stream::once(future::ready(Ok(head))).chain(blob.reader))
        }
    };
    stream::iter(parts).then(open).try_flatten().chain(stream::once(future::ready(Ok(end))))
}
