//! The addresses that answers name, and the state that those of uploads carry.
//!
//! Distribution asks that each request on an upload bring back the `_state` of the answer before: the signed number of bytes
//! that the upload had. Wharf signs it in the same form, and takes the number as what the client believes; since it compares
//! it with the store, whose signature it is does not matter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Uri, request};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use super::authority::{self, Malformed, Origin, TrustedProxies};
use crate::registry::error::{Code, Failure, Result};
use crate::registry::{Digest, Reference, RepositoryName};

/// The length of a signature, in bytes, which stands before the state.
const SIGNATURE: usize = 32;

/// How addresses are made.
#[derive(Clone)]
pub(in crate::registry) struct Addresses {
    relative: bool,
    host: Option<Host>,
    trusted: TrustedProxies,
    secret: Vec<u8>,
}

/// What addresses begin with, by the configuration.
#[derive(Clone, Debug)]
struct Host {
    /// Without a slash at its end.
    text: String,
    /// Whether it has the whole path before `/v2/`, so that no prefix is put behind it.
    has_path: bool,
}

impl Host {
    fn new(text: &str) -> Self {
        let text = text.trim_end_matches('/').to_owned();
        let has_path = text.split_once("://").map_or(&*text, |(_, rest)| rest).contains('/');
        Host { text, has_path }
    }
}

/// The state of an upload as a client brings it back, with Distribution's names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    name: String,
    #[serde(rename = "UUID")]
    id: String,
    offset: u64,
    started_at: String,
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("relative", &self.relative).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Addresses {
    pub(in crate::registry) fn new(
        relative: bool,
        host: Option<String>,
        trusted: TrustedProxies,
        secret: Vec<u8>,
    ) -> Self {
        let host = host.map(|host| Host::new(&host));
        Addresses { relative, host, trusted, secret }
    }

    /// Returns what stands before the path in the answers to a request.
    fn origin(&self, request: &request::Parts) -> Result<String> {
        if self.relative {
            return Ok(String::new());
        }
        if let Some(host) = &self.host {
            return Ok(host.text.clone());
        }
        let Origin { scheme, host } = authority::origin(request, &self.trusted).map_err(Failure::malformed)?;
        let Some(host) = host else { return Ok(String::new()) };
        let is_tls = request.extensions.get::<Tls>().is_some();
        let scheme = scheme.unwrap_or(if is_tls { "https" } else { "http" });
        Ok(format!("{scheme}://{host}"))
    }

    fn address(&self, request: &request::Parts, path: &str) -> Result<HeaderValue> {
        let is_whole = !self.relative && self.host.as_ref().is_some_and(|host| host.has_path);
        let prefix = request.extensions.get::<PathPrefix>().filter(|_| !is_whole);
        let prefix = prefix.map_or("", |prefix| &*prefix.0);
        let text = format!("{}{prefix}{path}", self.origin(request)?);
        // What is made of parts that are valid is valid, but for what nobody thought of.
        let valid = text.parse::<Uri>().ok().and_then(|_| HeaderValue::try_from(text).ok());
        valid.ok_or_else(|| Failure::malformed(Malformed("the address of the answer would be none")))
    }

    pub(super) fn blob(&self, request: &request::Parts, name: &RepositoryName, digest: &Digest) -> Result<HeaderValue> {
        self.address(request, &format!("/v2/{name}/blobs/{digest}"))
    }

    pub(super) fn manifest(
        &self,
        request: &request::Parts,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<HeaderValue> {
        self.address(request, &format!("/v2/{name}/manifests/{reference}"))
    }

    /// Returns the address of an upload that has so many bytes.
    pub(super) fn upload(
        &self,
        request: &request::Parts,
        name: &RepositoryName,
        id: Uuid,
        offset: u64,
    ) -> Result<HeaderValue> {
        let state = State {
            name: name.to_string(),
            id: id.to_string(),
            offset,
            // Distribution reads it and does not compare it.
            started_at: "1970-01-01T00:00:00Z".to_owned(),
        };
        let state = serde_json::to_vec(&state).map_err(|error| Failure::new(Code::Unknown, error))?;
        let mut signed = self.sign(&state);
        signed.extend_from_slice(&state);
        // As Distribution has it: padded, with the padding encoded.
        let state = URL_SAFE.encode(signed).replace('=', "%3D");
        self.address(request, &format!("/v2/{name}/blobs/uploads/{id}?_state={state}"))
    }

    fn sign(&self, state: &[u8]) -> Vec<u8> {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return vec![0; SIGNATURE] };
        mac.update(state);
        mac.finalize().into_bytes().to_vec()
    }
}

/// Reads from `_state` how many bytes the client believes the upload has. None: it does not say, or what it says belongs to
/// another upload.
pub(super) fn offset_in(state: &str, name: &RepositoryName, id: Uuid) -> Option<u64> {
    let signed = URL_SAFE.decode(state).ok()?;
    let state: State = serde_json::from_slice(signed.get(SIGNATURE..)?).ok()?;
    (state.name == name.as_str() && Uuid::try_parse(&state.id) == Ok(id)).then_some(state.offset)
}

/// An extension of requests: the connection is encrypted, so that addresses begin with `https`.
#[derive(Clone, Copy, Debug)]
pub struct Tls;

/// An extension of requests: what was cut from the path before the registry saw it, to be put back into addresses.
#[derive(Clone, Debug)]
pub struct PathPrefix(pub String);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use super::*;

    #[test]
    fn the_prefix_stands_once_in_addresses_also_where_the_host_has_a_path() {
        let (mut parts, ()) = http::Request::get("/v2/").header("host", "a").body(()).unwrap().into_parts();
        parts.extensions.insert(PathPrefix("/images".to_owned()));
        let name = "b".parse().unwrap();
        let digest = Digest::sha256(b"");
        for (relative, host, expected) in [
            (false, None, "http://a/images/v2/b"),
            (false, Some("https://c"), "https://c/images/v2/b"),
            (false, Some("https://c/"), "https://c/images/v2/b"),
            (false, Some("https://c/images"), "https://c/images/v2/b"),
            (false, Some("https://c/images/"), "https://c/images/v2/b"),
            // As in Distribution, it is the path by which clients know the registry, whatever a proxy makes of it.
            (false, Some("https://c/outside/images/"), "https://c/outside/images/v2/b"),
            (true, Some("https://c/images"), "/images/v2/b"),
        ] {
            let host = host.map(str::to_owned);
            let addresses = Addresses::new(relative, host.clone(), TrustedProxies::Everybody, Vec::new());
            let address = addresses.blob(&parts, &name, &digest).unwrap();
            assert_eq!(address, format!("{expected}/blobs/{digest}"), "{relative} {host:?}");
        }
    }
}
