//! What is answered.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use wasip3::http::types as wasi;
use wasip3::wit_future;

use super::error::Sent;
use super::headers::Headers;
use crate::{ByteStream, Error, Result};

/// An answer: its status and headers are there, its body is still to come. Dropped, the rest is given up.
pub struct Response {
    response: wasi::Response,
    status: u16,
    headers: Headers,
    has_body: bool,
    sent: Sent,
}

impl Response {
    pub(super) fn new(response: wasi::Response, is_head: bool, sent: Sent) -> Self {
        let status = response.get_status_code();
        let headers = Headers(response.get_headers().copy_all());
        Response { response, status, headers, has_body: has_body(is_head, status), sent }
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether the status is one of success, 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns a header's first value. None if there is none, or if it is no text in UTF-8.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.text(name).map(str::to_owned)
    }

    /// Returns all headers, names and values, in the order of the message. A name may occur more than once, in any case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Returns the body's length, where the server says: after a `HEAD`, of the body that a `GET` would give. It is not
    /// more than what the server says.
    pub fn content_length(&self) -> Option<u64> {
        self.headers.number("content-length")
    }

    /// Makes an error of the status, by [`status_error`](super::status_error)'s table, with the `Retry-After` of the
    /// answer where it is in seconds. `what` was done, for the message.
    ///
    /// Only one line differs: 502 and 504 after a change are
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown), since a gateway lost the answer.
    pub fn error(&self, what: &str) -> Error {
        let retry_after = self.headers.number("retry-after").map(Duration::from_secs);
        self.sent.answered(self.status, retry_after, what)
    }

    /// Reads the whole body, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::too_large`] if there is more, and what [`into_stream`](Response::into_stream) ends with.
    pub async fn bytes(self, limit: u64) -> Result<Vec<u8>> {
        let (mut stream, outcome) = self.into_stream();
        let mut all = Vec::new();
        while let Some(chunk) = stream.next().await {
            if all.len() as u64 + chunk.len() as u64 > limit {
                return Err(Error::too_large(format!("the answer is larger than {limit} bytes")));
            }
            if all.is_empty() { all = chunk } else { all.extend_from_slice(&chunk) }
        }
        drop(stream);
        outcome.await?;
        Ok(all)
    }

    /// Returns the body, and what resolves after the stream's end to whether it was the body's. For
    /// [`Reader::from_stream`](crate::Reader::from_stream), which passes the bytes by the component.
    ///
    /// The outcome is an error if the body was cut off: [`Unavailable`](crate::ErrorKind::Unavailable) after a `GET`,
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) after a change, whose answer the body is.
    pub fn into_stream(self) -> (ByteStream, impl Future<Output = Result<()>> + 'static) {
        let Response { response, has_body, sent, .. } = self;
        // Whether this side handled the answer is of no interest to anybody. Dropped, it says that all is well.
        let (handled, result) = wit_future::new(|| Ok(()));
        let (stream, trailers) = wasi::Response::consume_body(response, result);
        drop(handled);
        let outcome = async move {
            if !has_body {
                return Ok(());
            }
            let _ = trailers.await.map_err(|cause| sent.failed(&cause))?;
            Ok(())
        };
        (stream.into(), outcome)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold secrets.
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Returns whether an answer has a body. One without may still tell a length, which hosts then find missing.
fn has_body(is_head: bool, status: u16) -> bool {
    !is_head && !matches!(status, 204 | 304)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_head_has_no_body() {
        assert!(has_body(false, 200) && !has_body(true, 200));
    }

    #[test]
    fn an_answer_without_content_has_no_body() {
        assert!(!has_body(false, 204) && !has_body(false, 304));
    }
}
