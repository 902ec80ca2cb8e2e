//! A client that sends what it is told and shows what came back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::invariants;
use crate::requirement::{Outcome, ensure};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Talks HTTP/1.1 to one registry, on a connection of its own for each request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client { address }
    }

    /// Begins a request for a target: a path and perhaps a query.
    pub(crate) fn request(&self, method: &str, target: impl Into<String>) -> Request {
        let body = Full::new(Bytes::new()).boxed_unsync();
        Request {
            address: self.address,
            method: method.to_owned(),
            target: target.into(),
            headers: HeaderMap::new(),
            body,
        }
    }

    pub(crate) fn get(&self, target: impl Into<String>) -> Request {
        self.request("GET", target)
    }

    pub(crate) fn head(&self, target: impl Into<String>) -> Request {
        self.request("HEAD", target)
    }

    pub(crate) fn post(&self, target: impl Into<String>) -> Request {
        self.request("POST", target)
    }

    pub(crate) fn put(&self, target: impl Into<String>) -> Request {
        self.request("PUT", target)
    }

    pub(crate) fn patch(&self, target: impl Into<String>) -> Request {
        self.request("PATCH", target)
    }

    pub(crate) fn delete(&self, target: impl Into<String>) -> Request {
        self.request("DELETE", target)
    }
}

/// A request that is not sent yet.
#[must_use]
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: HeaderMap,
    body: UnsyncBoxBody<Bytes, Infallible>,
}

impl Request {
    /// Adds a header; a name or value that HTTP forbids is a fault of the test.
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Sets a header that the client would set otherwise.
    pub(crate) fn replace(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.insert(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Sends these bytes, with their `Content-Length`.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).boxed_unsync();
        self
    }

    /// Sends these pieces with `Transfer-Encoding: chunked`, so that the length is not told before.
    pub(crate) fn chunked(mut self, pieces: Vec<Bytes>) -> Self {
        let frames = stream::iter(pieces).map(|piece| Ok(Frame::data(piece)));
        self.body = StreamBody::new(frames).boxed_unsync();
        self
    }

    /// Sends the request and waits for the whole answer, which must keep to what every answer has to.
    pub(crate) async fn send(self) -> Outcome<Response> {
        let what = format!("{} {}", self.method, self.target);
        let answer = tokio::time::timeout(PATIENCE, self.exchange()).await;
        let answer = answer.map_err(|_| format!("{what}: no answer within {} s", PATIENCE.as_secs()))?;
        let (parts, body) = answer.map_err(|error| format!("{what}: {error}"))?;
        let response = Response { what, status: parts.status.as_u16(), headers: parts.headers, body };
        invariants::check(&response).map_err(|broken| response.because(broken))?;
        Ok(response)
    }

    async fn exchange(self) -> Result<(http::response::Parts, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = http::Request::builder().method(&*self.method).uri(&self.target).body(self.body)?;
        request.headers_mut().extend(self.headers);
        let host = HeaderValue::from_str(&self.address.to_string())?;
        request.headers_mut().entry(HOST).or_insert(host);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        Ok((parts, body))
    }

    /// Sends the request; the answer must have this status.
    pub(crate) async fn expect(self, status: u16) -> Outcome<Response> {
        self.expect_one_of(&[status]).await
    }

    /// Sends the request; the answer must have one of these statuses.
    pub(crate) async fn expect_one_of(self, statuses: &[u16]) -> Outcome<Response> {
        let response = self.send().await?;
        let found = statuses.contains(&response.status);
        ensure(found, response.because(format!("status {}, required {statuses:?}", response.status)))?;
        Ok(response)
    }

    /// Sends the request; the answer must be an error with one of these statuses and one of these codes.
    pub(crate) async fn expect_error(self, statuses: &[u16], codes: &[&str]) -> Outcome<Response> {
        let response = self.expect_one_of(statuses).await?;
        let seen = response.error_codes()?;
        let found = seen.iter().any(|code| codes.contains(&code.as_str()));
        ensure(found, response.because(format!("error codes {seen:?}, required one of {codes:?}")))?;
        Ok(response)
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The request's method and target, for messages.
    pub(crate) what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// Returns a header's value, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns a header that must be there.
    pub(crate) fn required(&self, name: &str) -> Outcome<&str> {
        self.header(name).ok_or_else(|| self.because(format!("without the header {name}")).into())
    }

    /// Fails unless a header has this value.
    pub(crate) fn has(&self, name: &str, required: &str) -> Outcome {
        let seen = self.required(name)?;
        ensure(seen == required, self.because(format!("{name}: {seen}, required {required}")))
    }

    /// Fails unless the body is these bytes.
    pub(crate) fn has_body(&self, required: &[u8]) -> Outcome {
        ensure(
            self.body == required,
            self.because(format!("a body of {} bytes is not the {} required", self.body.len(), required.len())),
        )
    }

    /// Returns the media type without its parameters.
    pub(crate) fn media_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())?.split(';').next().map(str::trim)
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Outcome<Value> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.because(format!("the body is not JSON: {error}")).into())
    }

    /// Returns a list of strings in the JSON body.
    pub(crate) fn strings(&self, field: &str) -> Outcome<Vec<String>> {
        let strings = self.json()?.get(field).cloned().unwrap_or_default();
        serde_json::from_value(strings)
            .map_err(|error| self.because(format!("`{field}` is no list of strings: {error}")).into())
    }

    /// Returns the codes of the errors in the body, which has the form that the specification gives it.
    pub(crate) fn error_codes(&self) -> Outcome<Vec<String>> {
        let json = self.json()?;
        let errors = json["errors"].as_array().ok_or_else(|| self.because("no list `errors`"))?;
        ensure(!errors.is_empty(), self.because("an empty list `errors`"))?;
        let code = |error: &Value| error["code"].as_str().map(str::to_owned);
        errors.iter().map(|error| code(error).ok_or_else(|| self.because("an error without a code").into())).collect()
    }

    /// Returns `Location` as a target on the same registry.
    pub(crate) fn location(&self) -> Outcome<String> {
        let location = self.required("location")?;
        let target = match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|at| &rest[at..]),
            None => location.starts_with('/').then_some(location),
        };
        target.map(str::to_owned).ok_or_else(|| self.because(format!("Location {location} names no path")).into())
    }

    /// Returns the target of the `Link` with `rel="next"`, if there is one.
    pub(crate) fn next(&self) -> Outcome<Option<String>> {
        let Some(link) = self.header("link") else { return Ok(None) };
        let parsed = link.trim().strip_prefix('<').and_then(|link| link.split_once('>'));
        let (url, parameters) =
            parsed.ok_or_else(|| self.because(format!("Link: {link} is not of RFC 5988's form")))?;
        let relation = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        ensure(relation, self.because(format!("Link: {link} without rel=\"next\"")))?;
        let target = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|at| rest[at..].to_owned()),
            None if url.starts_with('/') => Some(url.to_owned()),
            // Relative to what was asked for.
            None => self.what.split_once(' ').map(|(_, target)| {
                let path = target.split('?').next().unwrap_or_default();
                match url.strip_prefix('?') {
                    Some(query) => format!("{path}?{query}"),
                    None => format!("{}/{url}", path.rsplit_once('/').map_or("", |(parent, _)| parent)),
                }
            }),
        };
        Ok(target)
    }

    /// Returns the answer in words, behind what is wrong with it.
    pub(crate) fn because(&self, wrong: impl std::fmt::Display) -> String {
        let mut text = format!("{}: {wrong}\nanswer: {}", self.what, self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("\n  {name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]);
        text.push_str(&format!("\n  {body:?}"));
        text
    }
}

/// Adds a parameter to a target that may have a query already.
pub(crate) fn with_query(target: &str, query: &str) -> String {
    let separator = if target.contains('?') { '&' } else { '?' };
    format!("{target}{separator}{query}")
}
