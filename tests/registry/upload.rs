//! Pushing blobs: the steps that most tests take.

use bytes::Bytes;

use crate::bench::Bench;
use crate::client::{Client, Request, Response, with_query};
use crate::content::sha256;
use crate::requirement::{Outcome, ensure};

/// An upload in progress.
pub(crate) struct Upload {
    pub(crate) client: Client,
    /// Where the last answer said that the upload goes on.
    pub(crate) location: String,
}

impl Upload {
    /// Begins an upload to a repository.
    pub(crate) async fn begin(client: &Client, repository: &str) -> Outcome<Self> {
        let response = client.post(format!("/v2/{repository}/blobs/uploads/")).expect(202).await?;
        Ok(Upload { client: client.clone(), location: response.location()? })
    }

    /// Begins the request for a chunk which says where it belongs.
    pub(crate) fn chunk(&self, offset: usize, chunk: &Bytes) -> Request {
        let range = format!("{offset}-{}", (offset + chunk.len()).saturating_sub(1));
        let request = self.client.patch(&self.location).header("content-type", "application/octet-stream");
        request.header("content-range", range).body(chunk.clone())
    }

    /// Sends a chunk that has to be taken, and goes on where the answer says.
    pub(crate) async fn send(&mut self, offset: usize, chunk: &Bytes) -> Outcome<Response> {
        let response = self.chunk(offset, chunk).expect(202).await?;
        self.location = response.location()?;
        Ok(response)
    }

    /// Asks for the upload's state; returns how many bytes it has, where that can be told.
    pub(crate) async fn status(&mut self) -> Outcome<usize> {
        let response = self.client.get(&self.location).expect(204).await?;
        self.location = response.location()?;
        Ok(end(&response)? + 1)
    }

    /// Begins the request that ends the upload.
    pub(crate) fn finish(&self, digest: &str, rest: &Bytes) -> Request {
        let target = with_query(&self.location, &format!("digest={digest}"));
        self.client.put(target).header("content-type", "application/octet-stream").body(rest.clone())
    }

    /// Begins the request that throws the upload away.
    pub(crate) fn cancel(&self) -> Request {
        self.client.delete(&self.location)
    }
}

/// Returns the last byte's position in an answer's `Range: 0-N`.
pub(crate) fn end(response: &Response) -> Outcome<usize> {
    let range = response.required("range")?;
    let end = range.strip_prefix("0-").and_then(|end| end.parse().ok());
    end.ok_or_else(|| response.because(format!("Range: {range} is not of the form 0-N")).into())
}

/// Pushes a blob, and returns its digest.
pub(crate) async fn push_blob(client: &Client, repository: &str, blob: &Bytes) -> Outcome<String> {
    let digest = sha256(blob);
    Upload::begin(client, repository).await?.finish(&digest, blob).expect(201).await?;
    Ok(digest)
}

/// Fails unless the repository has a blob of exactly these bytes.
pub(crate) async fn pulls(client: &Client, repository: &str, digest: &str, blob: &[u8]) -> Outcome {
    let response = client.get(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has_body(blob)
}

/// Fails if the repository has the blob.
pub(crate) async fn lacks(client: &Client, repository: &str, digest: &str) -> Outcome {
    let response = client.head(format!("/v2/{repository}/blobs/{digest}")).send().await?;
    ensure(response.status == 404, response.because("the blob is there"))
}

/// An address in the form of this registry's, of an upload that does not exist.
pub(crate) async fn unknown_upload(bench: &Bench, repository: &str) -> Outcome<Upload> {
    let upload = Upload::begin(&bench.client, repository).await?;
    upload.cancel().expect(204).await?;
    Ok(upload)
}

/// Sends a blob in chunks of these lengths, and returns the upload.
pub(crate) async fn in_chunks(bench: &Bench, repository: &str, blob: &Bytes, lengths: &[usize]) -> Outcome<Upload> {
    let mut upload = Upload::begin(&bench.client, repository).await?;
    let mut offset = 0;
    for length in lengths {
        upload.send(offset, &blob.slice(offset..offset + length)).await?;
        offset += length;
    }
    Ok(upload)
}
