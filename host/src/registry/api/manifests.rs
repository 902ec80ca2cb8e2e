//! `/v2/NAME/manifests/REFERENCE`.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::blobs::etag;
use super::incoming::{Kept, Received, content_length};
use super::{Call, DOCKER_CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG, digest_value, empty};
use crate::registry::admission::no_more_room;
use crate::registry::error::{Code, Failure, Result};
use crate::registry::manifest::{
    Content, DOCKER_LIST, DOCKER_MANIFEST, MAX_MANIFEST, Manifest, TypeFrom, schema_1_type,
};
use crate::registry::store::uploads::{Incoming, Stopped};
use crate::registry::store::{Pushed, Stored};
use crate::registry::{Algorithm, Digest, Reference, RepositoryName, Tag};

/// How many tags one push by digest may set. Each is two requests to the store.
const MAX_TAGS: usize = 64;

/// How a manifest is served whose own document does not say what it is.
const FALLBACK_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Call<'_> {
    /// `GET` and `HEAD` (end-3).
    pub(super) async fn get_manifest(&self, name: &RepositoryName, reference: &Reference) -> Result<Response> {
        let store = self.registry.store();
        let Some(digest) = store.resolve(name, reference).await? else { return Err(unknown(name, reference)) };
        if self.is_known(&digest) && store.has_manifest(name, &digest).await? {
            return self.not_modified(&digest);
        }
        let stored = store.manifest(name, &digest).await.map_err(Failure::reading(&digest))?;
        let Some(mut stored) = stored else { return Err(unknown(name, reference)) };
        let mut manifest = store.read(name, &stored).await?;
        if matches!(reference, Reference::Tag(_))
            && let Some(digest) = manifest.as_ref().and_then(|manifest| self.instead(manifest))
        {
            let child = store.manifest(name, &digest).await.map_err(Failure::reading(&digest))?;
            let Some(child) = child else { return Err(unknown(name, reference)) };
            manifest = store.read(name, &child).await?;
            stored = child;
        }
        let Stored { digest, bytes } = stored;
        let kind = match manifest {
            Some(manifest) => HeaderValue::try_from(manifest.media_type).ok(),
            None => schema_1_type(&bytes).map(HeaderValue::from_static),
        };
        let mut response = empty(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind.unwrap_or(FALLBACK_TYPE));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        headers.insert(DOCKER_CONTENT_DIGEST, digest_value(&digest)?);
        headers.insert(ETAG, etag(&digest)?);
        if !self.is_head() {
            *response.body_mut() = Body::from(bytes);
        }
        Ok(response)
    }

    /// Returns the manifest that a client gets in place of a Docker list which it cannot read, being older than lists: the one
    /// for Linux on amd64, as Distribution does. Only a client that names what it can read is taken to mean it.
    fn instead(&self, manifest: &Manifest) -> Option<Digest> {
        let Content::Manifests(children) = &manifest.content else { return None };
        let accepted: Vec<&str> =
            self.parts.headers.get_all(ACCEPT).iter().filter_map(|kinds| kinds.to_str().ok()).collect();
        let accepts = |kind: &str| accepted.iter().any(|accepted| accepted.contains(kind));
        if manifest.media_type != DOCKER_LIST || accepts(DOCKER_LIST) || accepts("*") || !accepts(DOCKER_MANIFEST) {
            return None;
        }
        let is_default = |(os, architecture): &(String, String)| os == "linux" && architecture == "amd64";
        let child = children.iter().find(|child| child.platform.as_ref().is_some_and(is_default))?;
        Some(child.digest.clone())
    }

    /// `PUT` (end-7).
    pub(super) async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        body: Body,
    ) -> Result<Response> {
        let bytes = self.whole_manifest(body).await?;
        let manifest = Manifest::parse_pushed(&bytes, self.header(CONTENT_TYPE));
        let manifest = manifest.map_err(|invalid| Failure::new(Code::ManifestInvalid, invalid))?;
        let (digest, tags) = match reference {
            Reference::Tag(tag) => (Digest::of(Algorithm::Sha256, &bytes), vec![tag.clone()]),
            Reference::Digest(digest) => {
                let computed = Digest::of(digest.algorithm(), &bytes);
                if computed != *digest {
                    let detail = json!({ "computed": computed.as_str() });
                    return Err(
                        Failure::new(Code::DigestInvalid, "the manifest has another digest").with_detail(detail)
                    );
                }
                (computed, self.tags_of_query()?)
            }
        };
        let store = self.registry.store();
        let missing = store.missing(name, &manifest, self.registry.settings().verify_index).await?;
        if !missing.is_empty() {
            let digests: Vec<&str> = missing.iter().take(100).map(Digest::as_str).collect();
            let what = if matches!(manifest.content, Content::Blobs(_)) { "blobs" } else { "entries" };
            let message =
                format!("the repository does not have {} of the manifest's {what}; push them first", missing.len());
            return Err(Failure::new(Code::ManifestBlobUnknown, message).with_detail(json!({ "digests": digests })));
        }
        let pushed = Pushed {
            digest: &digest,
            bytes,
            media_type: (manifest.type_from == TypeFrom::ContentType).then_some(&*manifest.media_type),
            subject: manifest.subject.as_ref(),
            tags: &tags,
        };
        store.put_manifest(name, pushed).await?;
        let mut response = empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        let own = Reference::Digest(digest.clone());
        headers.insert(LOCATION, self.registry.addresses().manifest(self.parts, name, &own)?);
        headers.insert(DOCKER_CONTENT_DIGEST, digest_value(&digest)?);
        if let Some(subject) = &manifest.subject {
            headers.insert(OCI_SUBJECT, digest_value(subject)?);
        }
        if matches!(reference, Reference::Digest(_)) {
            for tag in &tags {
                let tag = HeaderValue::try_from(tag.to_string());
                headers.append(OCI_TAG, tag.map_err(|error| Failure::new(Code::Unknown, error))?);
            }
        }
        Ok(response)
    }

    /// Returns the tags that a push by digest is to set (end-7b), each once.
    fn tags_of_query(&self) -> Result<Vec<Tag>> {
        let mut tags: Vec<Tag> = Vec::new();
        for text in self.query.all("tag")? {
            let tag = text.parse().map_err(|invalid| Failure::new(Code::TagInvalid, invalid))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
            if tags.len() > MAX_TAGS {
                let message = format!("a push sets at most {MAX_TAGS} tags; set the others by further pushes");
                return Err(Failure::new(Code::TagInvalid, message).with_status(StatusCode::URI_TOO_LONG));
            }
        }
        Ok(tags)
    }

    /// Takes a manifest's bytes, which are bounded.
    async fn whole_manifest(&self, body: Body) -> Result<bytes::Bytes> {
        let too_large = || {
            let message = format!("a manifest has at most {MAX_MANIFEST} bytes");
            Failure::new(Code::SizeInvalid, message).with_status(StatusCode::PAYLOAD_TOO_LARGE)
        };
        if content_length(&self.parts.headers)?.is_some_and(|length| length > MAX_MANIFEST as u64) {
            return Err(too_large());
        }
        let kept = Kept::Whole(MAX_MANIFEST as u64);
        let mut received = Received::new(self.registry, self.parts, body, None, kept).await?;
        let mut bytes = bytes::BytesMut::new();
        loop {
            match received.next().await {
                Ok(None) => return Ok(bytes.freeze()),
                Ok(Some(piece)) if bytes.len() + piece.len() > MAX_MANIFEST => return Err(too_large()),
                Ok(Some(piece)) => bytes.extend_from_slice(&piece),
                Err(Stopped::NoRoom) => return Err(no_more_room()),
                Err(_) => return Err(Failure::new(Code::SizeInvalid, "the manifest did not come whole")),
            }
        }
    }

    /// `DELETE` (end-9): a tag, or a manifest with the tags that name it.
    pub(super) async fn delete_manifest(&self, name: &RepositoryName, reference: &Reference) -> Result<Response> {
        self.may_delete()?;
        let store = self.registry.store();
        let was_there = match reference {
            Reference::Tag(tag) => store.delete_tag(name, tag).await?,
            Reference::Digest(digest) => store.delete_manifest(name, digest).await?,
        };
        match was_there {
            true => Ok(empty(StatusCode::ACCEPTED)),
            false => Err(unknown(name, reference)),
        }
    }
}

fn unknown(name: &RepositoryName, reference: &Reference) -> Failure {
    let detail = json!({ "name": name.as_str(), "reference": reference.to_string() });
    Failure::new(Code::ManifestUnknown, "the repository has no such manifest").with_detail(detail)
}
