//! A client of a registry, as far as these tests go.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::check::{Outcome, ensure, same};
use crate::content::digest;
use crate::curl::{Reply, Request};
use crate::image::{Content, Image};

/// What `http.secret` is in the registry's configuration.
pub(crate) const SECRET: &str = "interop";

const BYTES: &str = "application/octet-stream";

/// A registry at an address.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    url: String,
}

/// An upload at a registry.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) uuid: String,
    location: String,
}

impl Client {
    pub(crate) fn new(url: String) -> Self {
        Client { url: format!("{url}/v2") }
    }

    /// Begins an upload.
    pub(crate) fn begin(&self, name: &str) -> Outcome<Upload> {
        let url = format!("{}/{name}/blobs/uploads/", self.url);
        let reply = Request::new("POST", url).header("Content-Length: 0").expect(202)?;
        Upload::from_reply(&reply)
    }

    /// Goes on with an upload that has so many bytes, which somebody else added.
    ///
    /// The address that the registry gave out says how many bytes the upload has, and it refuses an upload that has
    /// others. Clients do not know the secret; two registries on one store share it.
    pub(crate) fn adopt(&self, name: &str, uuid: &str, size: usize) -> Outcome<Upload> {
        let state = json!({ "Name": name, "UUID": uuid, "Offset": size, "StartedAt": "2026-01-02T03:04:05Z" });
        let state = state.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        mac.update(state.as_bytes());
        let mut signed = mac.finalize().into_bytes().to_vec();
        signed.extend_from_slice(state.as_bytes());
        let state = URL_SAFE.encode(signed).replace('=', "%3D");
        let location = format!("{}/{name}/blobs/uploads/{uuid}?_state={state}", self.url);
        Ok(Upload { uuid: uuid.to_owned(), location })
    }

    /// Pushes a blob by one request after the first.
    pub(crate) fn push_whole(&self, name: &str, blob: &Content) -> Outcome {
        self.begin(name)?.finish(blob.bytes.clone(), &blob.digest)
    }

    /// Pushes a blob by a request for each so many bytes, the first with a length and the others without.
    pub(crate) fn push_chunked(&self, name: &str, blob: &Content, length: usize) -> Outcome {
        let mut upload = self.begin(name)?;
        let mut rest = blob.bytes.clone();
        while !rest.is_empty() {
            let is_first = rest.len() == blob.bytes.len();
            let chunk = rest.split_to(length.min(rest.len()));
            upload.send(chunk, if is_first { None } else { Some("Transfer-Encoding: chunked") })?;
        }
        upload.finish(Bytes::new(), &blob.digest)
    }

    /// Pushes an image's manifest under each of its tags.
    pub(crate) fn push_manifest(&self, image: &Image) -> Outcome {
        for tag in &image.tags {
            let url = format!("{}/{}/manifests/{tag}", self.url, image.name);
            let reply = Request::new("PUT", url).body(Image::media_type(), image.manifest.bytes.clone()).expect(201)?;
            same("the digest of a manifest", reply.header("Docker-Content-Digest")?, &*image.manifest.digest)?;
        }
        Ok(())
    }

    /// Pushes an image, each blob by one request.
    pub(crate) fn push(&self, image: &Image) -> Outcome {
        image.blobs().try_for_each(|blob| self.push_whole(&image.name, blob))?;
        self.push_manifest(image)
    }

    /// Makes a blob of one repository one of another too.
    pub(crate) fn mount(&self, name: &str, digest: &str, from: &str) -> Outcome {
        let url = format!("{}/{name}/blobs/uploads/?mount={digest}&from={from}", self.url);
        Request::new("POST", url).header("Content-Length: 0").expect(201).map(drop)
    }

    /// Pulls a blob, from the store itself if the registry says so, and compares it with what it has to be.
    pub(crate) fn pull(&self, name: &str, blob: &Content) -> Outcome {
        let url = format!("{}/{name}/blobs/{}", self.url, blob.digest);
        let head = Request::new("HEAD", &*url).with(["--location"]).send()?;
        // Where the registry redirects, the store's address may be for GET alone.
        if head.status == 200 {
            same("Content-Length", head.header("Content-Length")?, &*blob.bytes.len().to_string())?;
        }
        let seen = Request::get(url).with(["--location"]).expect(200)?.body;
        same(format_args!("length of {} pulled", blob.digest), seen.len(), blob.bytes.len())?;
        same("digest pulled", digest(&seen), blob.digest.clone())
    }

    /// Pulls all of an image.
    pub(crate) fn pull_image(&self, image: &Image) -> Outcome {
        image.blobs().try_for_each(|blob| self.pull(&image.name, blob))?;
        for tag in &image.tags {
            let reply = self.manifest(&image.name, tag)?;
            same("status of a manifest", reply.status, 200)?;
            same("digest of a manifest", digest(&reply.body), image.manifest.digest.clone())?;
        }
        Ok(())
    }

    /// Asks for a manifest by tag or digest.
    pub(crate) fn manifest(&self, name: &str, reference: &str) -> Outcome<Reply> {
        let url = format!("{}/{name}/manifests/{reference}", self.url);
        Request::get(url).header(&format!("Accept: {}", Image::media_type())).send()
    }

    /// Asks below the repository: the status.
    pub(crate) fn status(&self, name: &str, what: &str) -> Outcome<u16> {
        Ok(Request::get(format!("{}/{name}/{what}", self.url)).with(["--location"]).send()?.status)
    }

    /// Deletes something below the repository.
    pub(crate) fn delete(&self, name: &str, what: &str) -> Outcome {
        Request::new("DELETE", format!("{}/{name}/{what}", self.url)).expect(202).map(drop)
    }

    /// Returns a repository's tags, sorted.
    pub(crate) fn tags(&self, name: &str) -> Outcome<Vec<String>> {
        self.names(&format!("{name}/tags/list"), "tags")
    }

    /// Returns the repositories' names, sorted.
    pub(crate) fn repositories(&self) -> Outcome<Vec<String>> {
        self.names("_catalog", "repositories")
    }

    fn names(&self, what: &str, key: &str) -> Outcome<Vec<String>> {
        let reply = Request::get(format!("{}/{what}", self.url)).expect(200)?;
        let answer: Value = serde_json::from_slice(&reply.body)?;
        let names = answer[key].as_array().ok_or_else(|| format!("{what} lists no {key}: {answer}"))?;
        let mut names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }
}

impl Upload {
    fn from_reply(reply: &Reply) -> Outcome<Self> {
        let uuid = reply.header("Docker-Upload-UUID")?.to_owned();
        Ok(Upload { uuid, location: reply.header("Location")?.to_owned() })
    }

    /// Adds bytes.
    pub(crate) fn patch(&mut self, content: Bytes) -> Outcome {
        self.send(content, None)
    }

    fn send(&mut self, content: Bytes, header: Option<&str>) -> Outcome {
        let mut request = Request::new("PATCH", &*self.location).body(BYTES, content);
        if let Some(header) = header {
            request = request.header(header);
        }
        *self = Self::from_reply(&request.expect(202)?)?;
        Ok(())
    }

    /// Fails unless the registry says that the upload has so many bytes.
    pub(crate) fn expect_size(&self, size: usize) -> Outcome {
        let reply = Request::get(&*self.location).expect(204)?;
        let range = format!("0-{}", size.saturating_sub(1));
        same("what the registry has of the upload", reply.header("Range")?, &*range)
    }

    /// Adds the last bytes and makes the whole a blob.
    pub(crate) fn finish(self, content: Bytes, digest: &str) -> Outcome {
        let reply = self.try_finish(content, digest)?;
        let told = String::from_utf8_lossy(&reply.body);
        ensure(reply.status == 201, format_args!("the registry did not finish the upload: {}, {told}", reply.status))
    }

    /// The same, whatever the registry answers.
    pub(crate) fn try_finish(self, content: Bytes, digest: &str) -> Outcome<Reply> {
        let separator = if self.location.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}digest={digest}", self.location);
        Request::new("PUT", url).body(BYTES, content).send()
    }
}
