//! A client of a registry that says exactly what it sends, and goes on with an upload wherever it is told to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::content::digest;
use crate::http1::{Connection, Response};
use crate::images::{Blob, INDEX, Image, Index, MANIFEST};

/// How long one read or write of a connection may take.
const PATIENCE: Duration = Duration::from_secs(120);

const BYTES: &str = "application/octet-stream";
const ACCEPT: (&str, &str) = (
    "Accept",
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json",
);

/// What a request came to.
pub type Result<T> = std::result::Result<T, ClientError>;

/// Why a request brought not what it was to bring.
#[derive(Debug)]
pub enum ClientError {
    /// There was no answer: the connection was refused or broke. Whether the request was carried out is not known.
    Lost {
        /// The request.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// There was an answer, and it was another than the one that was promised.
    Answered {
        /// The request.
        what: String,
        /// The answer.
        response: Box<Response>,
    },
    /// The answer was right and what was in it was not.
    Wrong(String),
}

impl ClientError {
    /// Returns the status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Answered { response, .. } => Some(response.status),
            ClientError::Lost { .. } | ClientError::Wrong(_) => None,
        }
    }

    /// Returns whether there was no answer.
    pub fn is_lost(&self) -> bool {
        matches!(self, ClientError::Lost { .. })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Lost { what, error } => write!(f, "{what}: {error}"),
            ClientError::Answered { what, response } => write!(f, "{what}: {}, {}", response.status, response.text()),
            ClientError::Wrong(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ClientError {}

/// A client with one connection, which it opens again when it has to.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    patience: Duration,
    connection: Option<Connection>,
}

/// An upload that was begun: where the next request for it goes, without the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The path and query.
    pub location: String,
    /// The upload's name.
    pub uuid: String,
}

impl Client {
    /// Makes a client of the registry at that address.
    pub fn new(address: SocketAddr) -> Self {
        Client { address, patience: PATIENCE, connection: None }
    }

    /// Waits no longer than that for each read and write.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends a request and returns the answer, whatever it is.
    ///
    /// # Errors
    ///
    /// [`ClientError::Lost`].
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Response> {
        let answer = self.attempt(method, target, headers, body);
        answer.map_err(|error| ClientError::Lost { what: what(method, target), error })
    }

    fn attempt(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address, self.patience)?,
        };
        let answer = connection.request(method, target, headers, body)?;
        if connection.is_reusable() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// Sends a request and fails unless the answer has that status.
    ///
    /// # Errors
    ///
    /// [`ClientError::Lost`], [`ClientError::Answered`].
    pub fn expect(
        &mut self,
        status: u16,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Response> {
        let response = self.send(method, target, headers, body)?;
        if response.status == status {
            return Ok(response);
        }
        Err(ClientError::Answered { what: what(method, target), response: Box::new(response) })
    }

    /// Begins an upload.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn begin(&mut self, name: &str) -> Result<Upload> {
        let response = self.expect(202, "POST", &format!("/v2/{name}/blobs/uploads/"), &[], Some(b""))?;
        Upload::from_response(&response)
    }

    /// Adds bytes to an upload that has `offset` already.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect). The upload may have some of the bytes all the same.
    pub fn patch(&mut self, upload: &Upload, offset: usize, bytes: &[u8]) -> Result<Upload> {
        let range = format!("{offset}-{}", (offset + bytes.len()).saturating_sub(1));
        let headers: &[(&str, &str)] = match bytes {
            [] => &[("Content-Type", BYTES)],
            _ => &[("Content-Type", BYTES), ("Content-Range", &range)],
        };
        let response = self.expect(202, "PATCH", &upload.location, headers, Some(bytes))?;
        Upload::from_response(&response)
    }

    /// Asks how many bytes an upload has, and where it goes on.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn offset(&mut self, upload: &Upload) -> Result<(usize, Upload)> {
        let response = self.expect(204, "GET", &upload.location, &[], None)?;
        let range = response.header("Range").and_then(|range| range.split_once('-')?.1.parse::<usize>().ok());
        let last = range.ok_or_else(|| ClientError::Wrong(format!("an upload without a range: {response:?}")))?;
        // `0-0` is said of no byte and of one byte. No test here leaves one.
        Ok((if last == 0 { 0 } else { last + 1 }, Upload::from_response(&response)?))
    }

    /// Adds the last bytes and makes the whole a blob.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn finish(&mut self, upload: &Upload, bytes: &[u8], digest: &str) -> Result<()> {
        let separator = if upload.location.contains('?') { '&' } else { '?' };
        let target = format!("{}{separator}digest={digest}", upload.location);
        let response = self.expect(201, "PUT", &target, &[("Content-Type", BYTES)], Some(bytes))?;
        told("the digest of a blob", response.header("Docker-Content-Digest"), digest)
    }

    /// Pushes a blob by one request after the first.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn push_blob(&mut self, name: &str, blob: &Blob) -> Result<()> {
        let upload = self.begin(name)?;
        self.finish(&upload, &blob.bytes, &blob.digest)
    }

    /// Makes a blob of one repository one of another too. Returns whether it did: a registry may begin an upload instead.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn mount(&mut self, name: &str, digest: &str, from: &str) -> Result<bool> {
        let target = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={from}");
        let response = self.send("POST", &target, &[], Some(b""))?;
        match response.status {
            201 => Ok(true),
            202 => Ok(false),
            _ => Err(ClientError::Answered { what: what("POST", &target), response: Box::new(response) }),
        }
    }

    /// Pushes a manifest.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect); or that the registry tells another digest.
    pub fn push_manifest(&mut self, name: &str, reference: &str, media_type: &str, manifest: &Blob) -> Result<()> {
        let target = format!("/v2/{name}/manifests/{reference}");
        let response = self.expect(201, "PUT", &target, &[("Content-Type", media_type)], Some(&manifest.bytes))?;
        told("the digest of a manifest", response.header("Docker-Content-Digest"), &manifest.digest)
    }

    /// Pushes an image and its manifest.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn push_image(&mut self, name: &str, reference: &str, image: &Image) -> Result<()> {
        for blob in image.blobs() {
            self.push_blob(name, blob)?;
        }
        self.push_manifest(name, reference, MANIFEST, &image.manifest)
    }

    /// Pushes the images of an index, by their digests, and the index.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn push_index(&mut self, name: &str, reference: &str, index: &Index) -> Result<()> {
        for image in &index.images {
            self.push_image(name, &image.manifest.digest, image)?;
        }
        self.push_manifest(name, reference, INDEX, &index.index)
    }

    /// Pulls a blob and compares it with its digest; from the store itself, if the registry says so.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect); or that it is another.
    pub fn pull_blob(&mut self, name: &str, digest_promised: &str) -> Result<Vec<u8>> {
        let target = format!("/v2/{name}/blobs/{digest_promised}");
        let response = self.send("GET", &target, &[], None)?;
        let bytes = match response.status {
            200 => response.body,
            307 => self.follow(&response)?,
            _ => return Err(ClientError::Answered { what: what("GET", &target), response: Box::new(response) }),
        };
        told("a blob that was pulled", Some(&digest(&bytes)), digest_promised)?;
        Ok(bytes)
    }

    fn follow(&self, response: &Response) -> Result<Vec<u8>> {
        let wrong = || ClientError::Wrong(format!("a redirection to nowhere: {response:?}"));
        let (server, target) = response.header("Location").and_then(split).ok_or_else(wrong)?;
        let address = server.and_then(|server| server.parse().ok()).ok_or_else(wrong)?;
        Ok(Client::new(address).with_patience(self.patience).expect(200, "GET", &target, &[], None)?.body)
    }

    /// Pulls a manifest. Returns it if there is one; compared with the digest that the registry tells, and with the
    /// reference if that is a digest.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect); or that it is another.
    pub fn pull_manifest(&mut self, name: &str, reference: &str) -> Result<Option<Blob>> {
        let target = format!("/v2/{name}/manifests/{reference}");
        let response = self.send("GET", &target, &[ACCEPT], None)?;
        match response.status {
            404 => return Ok(None),
            200 => {}
            _ => return Err(ClientError::Answered { what: what("GET", &target), response: Box::new(response) }),
        }
        let seen = digest(&response.body);
        told("a manifest that was pulled", response.header("Docker-Content-Digest"), &seen)?;
        if reference.contains(':') {
            told("a manifest that was pulled", Some(&seen), reference)?;
        }
        Ok(Some(Blob { digest: seen, bytes: response.body.into() }))
    }

    /// Pulls an image by a reference and compares all of it with what it has to be.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect); or that something is another or missing.
    pub fn pull_image(&mut self, name: &str, reference: &str, image: &Image) -> Result<()> {
        let manifest = self.pull_manifest(name, reference)?;
        let seen = manifest.as_ref().map(|manifest| &*manifest.digest);
        told(&format!("{name}:{reference}"), seen, &image.manifest.digest)?;
        for blob in image.blobs() {
            self.pull_blob(name, &blob.digest)?;
        }
        Ok(())
    }

    /// Deletes what is there below the repository, such as `manifests/sha256:...`.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn delete(&mut self, name: &str, what: &str) -> Result<()> {
        self.expect(202, "DELETE", &format!("/v2/{name}/{what}"), &[], None).map(drop)
    }

    /// Returns a repository's tags, as they come.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn tags(&mut self, name: &str) -> Result<Vec<String>> {
        self.pages(&format!("/v2/{name}/tags/list"), "tags")
    }

    /// Returns the repositories' names, as they come.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect).
    pub fn repositories(&mut self) -> Result<Vec<String>> {
        self.pages("/v2/_catalog", "repositories")
    }

    /// Returns a list that may come in pages.
    ///
    /// # Errors
    ///
    /// As [`expect`](Client::expect); or that the answer is no such list.
    pub fn pages(&mut self, target: &str, key: &str) -> Result<Vec<String>> {
        let mut target = target.to_owned();
        let mut names = Vec::new();
        loop {
            let response = self.expect(200, "GET", &target, &[], None)?;
            let answer: Value = serde_json::from_slice(&response.body)
                .map_err(|error| ClientError::Wrong(format!("GET {target}: {error}: {response:?}")))?;
            // A repository without tags has null in some registries.
            let page =
                answer.get(key).ok_or_else(|| ClientError::Wrong(format!("GET {target}: no {key}: {answer}")))?;
            names.extend(page.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            let link = response.header("Link").and_then(|link| link.strip_prefix('<')?.split_once('>'));
            match link {
                None => return Ok(names),
                Some((next, _)) => {
                    target = split(next).ok_or_else(|| ClientError::Wrong(format!("a link to nowhere: {next}")))?.1;
                }
            }
        }
    }
}

impl Upload {
    fn from_response(response: &Response) -> Result<Self> {
        let wrong = || ClientError::Wrong(format!("an upload without an address or a name: {response:?}"));
        let (_, location) = response.header("Location").and_then(split).ok_or_else(wrong)?;
        let uuid = response.header("Docker-Upload-UUID").ok_or_else(wrong)?.to_owned();
        Ok(Upload { location, uuid })
    }
}

/// Splits an address into the server, if it names one, and the rest.
fn split(url: &str) -> Option<(Option<String>, String)> {
    if url.starts_with('/') {
        return Some((None, url.to_owned()));
    }
    let rest = url.strip_prefix("http://")?;
    let slash = rest.find('/')?;
    Some((Some(rest[..slash].to_owned()), rest[slash..].to_owned()))
}

/// The request without its query, which is long.
fn what(method: &str, target: &str) -> String {
    format!("{method} {}", target.split('?').next().unwrap_or_default())
}

fn told(what: &str, seen: Option<&str>, promised: &str) -> Result<()> {
    match seen {
        Some(seen) if seen == promised => Ok(()),
        _ => Err(ClientError::Wrong(format!("{what}: seen {seen:?}, promised {promised}"))),
    }
}
