//! What is sent.

use std::fmt;
use std::time::Duration;

use wasip3::http::{client, types as wasi};
use wasip3::wit_future;
use wit_bindgen::spawn_local;

use super::error::Sent;
use super::headers::Headers;
use super::outgoing::{Body, Timeouts, address, contents, headers};
use super::url::Url;
use super::{Method, Response};
use crate::{ByteStream, Result};

/// A request, until it is sent.
pub struct Request {
    method: Method,
    url: Url,
    headers: Headers,
    body: Body,
    timeouts: Timeouts,
}

impl Request {
    /// A request without a body, for an `http://` or `https://` URL. What is no ASCII in it is percent-encoded already;
    /// its fragment is not sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`](crate::ErrorKind::Other) if the URL is another one or holds a user name; the message does
    /// not repeat it.
    pub fn new(method: Method, url: &str) -> Result<Self> {
        Ok(Request {
            method,
            url: Url::parse(url)?,
            headers: Headers::default(),
            body: Body::None,
            timeouts: Timeouts::default(),
        })
    }

    /// A `GET`.
    ///
    /// # Errors
    ///
    /// As [`new`](Request::new).
    pub fn get(url: &str) -> Result<Self> {
        Self::new(Method::Get, url)
    }

    /// A `HEAD`.
    ///
    /// # Errors
    ///
    /// As [`new`](Request::new).
    pub fn head(url: &str) -> Result<Self> {
        Self::new(Method::Head, url)
    }

    /// A `POST`.
    ///
    /// # Errors
    ///
    /// As [`new`](Request::new).
    pub fn post(url: &str) -> Result<Self> {
        Self::new(Method::Post, url)
    }

    /// A `PUT`.
    ///
    /// # Errors
    ///
    /// As [`new`](Request::new).
    pub fn put(url: &str) -> Result<Self> {
        Self::new(Method::Put, url)
    }

    /// A `DELETE`.
    ///
    /// # Errors
    ///
    /// As [`new`](Request::new).
    pub fn delete(url: &str) -> Result<Self> {
        Self::new(Method::Delete, url)
    }

    /// Adds a header. A name that is added twice is sent twice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`](crate::ErrorKind::Other) if the name is no name, if the value holds a line's end or another
    /// control character, and for `content-length`, which follows from the body. Names that only the host may set, such
    /// as `host`, `connection` and `transfer-encoding`, are refused when the request is sent.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        self.headers.add(name, value)?;
        Ok(self)
    }

    /// Sends these bytes for a body, with their length.
    pub fn body(mut self, bytes: Vec<u8>) -> Self {
        self.body = Body::Bytes(bytes);
        self
    }

    /// Sends a stream for a body. A stream that came from the host passes the component by.
    ///
    /// With a `length`, it is announced, and the request fails if the stream is of another one. Without, the body is
    /// sent in chunks, which some servers refuse.
    ///
    /// A stream that ends early because its sender failed looks like a whole one unless the `length` is known.
    pub fn body_stream(mut self, stream: ByteStream, length: Option<u64>) -> Self {
        self.body = Body::Stream(stream, length);
        self
    }

    /// Limits how long to wait for the connection, for the answer's first byte, and for each next one. Without a limit
    /// here, the host's holds.
    pub fn timeouts(
        mut self,
        connect: Option<Duration>,
        first_byte: Option<Duration>,
        between_bytes: Option<Duration>,
    ) -> Self {
        self.timeouts = Timeouts { connect, first_byte, between_bytes };
        self
    }

    /// Sends the request, and returns the answer once its headers are there, of whatever status.
    ///
    /// Dropped before that, it gives the request up; the server may have got it.
    ///
    /// # Errors
    ///
    /// - [`AccessDenied`](crate::ErrorKind::AccessDenied) if the host's configuration does not grant the URL's host, and
    ///   if the server's certificate is not trusted.
    /// - [`Unavailable`](crate::ErrorKind::Unavailable) if there was no connection, or if the answer to a `GET` or `HEAD`
    ///   was lost.
    /// - [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if the answer to anything else was lost.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the host cannot keep a timeout.
    /// - [`Other`](crate::ErrorKind::Other) for anything else: a header that only the host may set, a stream that is not
    ///   as long as was announced.
    pub async fn send(self) -> Result<Response> {
        let sent = Sent { place: self.url.place(), is_change: self.method.is_change() };
        let length = match &self.body {
            // Many servers refuse a `PUT` without a length.
            Body::None => sent.is_change.then_some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream(_, length) => *length,
        };
        let headers = headers(&self.headers, length)?;
        let options = self.timeouts.options()?;
        let (sender, contents) = contents(self.body);
        let (done, trailers) = wit_future::new(|| Ok(None));
        // The result says when the body has been sent. What matters of it, the answer says as well.
        let (request, _) = wasi::Request::new(headers, contents, trailers, options);
        spawn_local(async move {
            if let Some((mut sender, bytes)) = sender {
                // What was not taken is of no interest: a server may answer before it has read everything.
                let _ = sender.write_all(bytes).await;
            }
            // There are no trailers. Whoever dropped the request, below too, does not want to know.
            let _ = done.write(Ok(None)).await;
        });
        let is_head = self.method == Method::Head;
        address(&request, self.method, &self.url)?;
        let response = client::send(request).await.map_err(|cause| sent.failed(&cause))?;
        Ok(Response::new(response, is_head, sent))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and queries hold secrets.
        let place = self.url.place();
        f.debug_struct("Request").field("method", &self.method).field("place", &place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    #[test]
    fn a_printed_request_shows_no_secret() {
        let request = Request::get("http://a/b?signature=secret").unwrap().header("authorization", "secret").unwrap();
        assert_eq!(format!("{request:?}"), r#"Request { method: Get, place: "a:80", .. }"#);
    }
}
