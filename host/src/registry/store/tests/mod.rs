//! What a store keeps to although others work on it at the same time, are stopped half-way, or damage it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod interposed;
mod tags;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;

pub(in crate::registry) use interposed::Interposed;

use super::{Pushed, Store, WantedReferrers};
use crate::contract::StorageDriver;
use crate::registry::{Digest, Registry, RepositoryName};

/// The repository of these tests.
fn name() -> RepositoryName {
    "a/b".parse().unwrap()
}

/// A manifest without blobs, one of many.
fn manifest(number: usize) -> (Digest, Bytes) {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"number":"{number}"}}}}"#
    );
    (Digest::sha256(text.as_bytes()), text.into())
}

/// Gives a manifest a tag.
async fn tag(store: &Store, number: usize, tag: &str) -> Digest {
    let (digest, bytes) = manifest(number);
    let tags = [tag.parse().unwrap()];
    let pushed = Pushed { digest: &digest, bytes, media_type: None, subject: None, tags: &tags };
    store.put_manifest(&name(), pushed).await.unwrap();
    digest
}

/// A registry over a driver, which everybody may delete from.
pub(in crate::registry) fn registry(driver: &Arc<Interposed>) -> Registry {
    Registry::builder(Arc::clone(driver) as Arc<dyn StorageDriver>).delete(true).build()
}

/// An answer.
#[derive(Debug)]
pub(in crate::registry) struct Answer {
    pub(in crate::registry) status: StatusCode,
    pub(in crate::registry) headers: HeaderMap,
    pub(in crate::registry) body: Bytes,
}

impl Answer {
    pub(in crate::registry) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the path and query of `Location`.
    pub(in crate::registry) fn location(&self) -> String {
        let location: http::Uri = self.headers[header::LOCATION].to_str().unwrap().parse().unwrap();
        location.path_and_query().unwrap().to_string()
    }
}

/// Sends a registry a request with a body.
pub(in crate::registry) async fn send(
    registry: &Registry,
    method: &str,
    target: &str,
    body: impl Into<Bytes>,
) -> Answer {
    let body = body.into();
    let request = Request::builder().method(method).uri(target).header(header::HOST, "localhost");
    let request = request.header(header::CONTENT_LENGTH, body.len());
    let request = match target.contains("/manifests/") && !body.is_empty() {
        true => request.header(header::CONTENT_TYPE, "application/vnd.oci.image.index.v1+json"),
        false => request,
    };
    let (parts, body) = registry.handle(request.body(Body::from(body)).unwrap()).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}
