//! One line for each request, when it is over: Apache's combined format, as Distribution writes it, and after it how long
//! the request took in seconds.
//!
//! ```text
//! 192.0.2.7 - alice [24/Nov/2026:19:49:44 +0000] "GET /v2/a/manifests/b HTTP/1.1" 200 1024 "" "docker/27.0" 0.004
//! ```
//!
//! What a client sends stands there escaped, so that it cannot write lines of its own. The state of an upload, which only
//! its client should know, is left out; `Authorization` never comes near.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Uri, Version, header, request};
use http_body::{Body as _, Frame, SizeHint};
use tracing::Level;
use wharf::registry::{Handled, TrustedProxies};

/// The target of the lines; their level is `info`.
const TARGET: &str = "wharf::access";

/// Wraps the routes so that each request writes its line. Put it outermost. Without a subscriber for the target, it costs
/// next to nothing.
///
/// The client is the one that the proxies name which are named in turn, as it is for bounds.
pub(crate) fn log(router: Router, proxies: TrustedProxies) -> Router {
    let proxies = Arc::new(proxies);
    router.layer(axum::middleware::from_fn(move |request, next| note(Arc::clone(&proxies), request, next)))
}

async fn note(proxies: Arc<TrustedProxies>, request: Request<Body>, next: Next) -> Response {
    if !tracing::enabled!(target: TARGET, Level::INFO) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut line = Line::begin(&parts, &proxies);
    let response = next.run(Request::from_parts(parts, body)).await;
    line.status = response.status().as_u16();
    if let Some(handled) = response.extensions().get::<Handled>() {
        line.user.clone_from(&handled.user);
    }
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(Logged { body, line: Some(line) }))
}

/// A line, which is written when it is dropped.
struct Line {
    client: Option<IpAddr>,
    user: Option<String>,
    at: SystemTime,
    started: Instant,
    method: Method,
    uri: Uri,
    version: Version,
    referer: Vec<u8>,
    agent: Vec<u8>,
    /// As long as there is no answer, the code of a client that went away.
    status: u16,
    bytes: u64,
}

impl Line {
    fn begin(request: &request::Parts, proxies: &TrustedProxies) -> Self {
        Line {
            client: proxies.client(request),
            user: None,
            at: SystemTime::now(),
            started: Instant::now(),
            method: request.method.clone(),
            uri: request.uri.clone(),
            version: request.version,
            referer: value(&request.headers, &header::REFERER),
            agent: value(&request.headers, &header::USER_AGENT),
            status: 499,
            bytes: 0,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, took: Duration) -> fmt::Result {
        match self.client {
            Some(client) => write!(f, "{}", client.to_canonical())?,
            None => f.write_str("-")?,
        }
        f.write_str(" - ")?;
        match self.user.as_deref().filter(|user| !user.is_empty()) {
            Some(user) => escape(f, user.as_bytes(), true)?,
            None => f.write_str("-")?,
        }
        write!(f, " [{}] \"{} ", Date(self.at), self.method)?;
        escape(f, self.uri.path().as_bytes(), true)?;
        if let Some(query) = self.uri.query() {
            write_query(f, query)?;
        }
        write!(f, " {:?}\" {} {} \"", self.version, self.status, self.bytes)?;
        escape(f, &self.referer, false)?;
        f.write_str("\" \"")?;
        escape(f, &self.agent, false)?;
        write!(f, "\" {:.3}", took.as_secs_f64())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let line = fmt::from_fn(|f| self.write(f, took));
        tracing::info!(target: TARGET, "{line}");
    }
}

fn value(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    headers.get(name).map(|value| value.as_bytes().to_vec()).unwrap_or_default()
}

/// Writes a query, without the values of what is secret.
fn write_query(f: &mut fmt::Formatter<'_>, query: &str) -> fmt::Result {
    for (index, parameter) in query.split('&').enumerate() {
        f.write_str(if index == 0 { "?" } else { "&" })?;
        match parameter.split_once('=') {
            // No client of good will encodes the letters of a name.
            Some((name, _)) if name == "_state" || name.contains('%') => {
                escape(f, name.as_bytes(), true)?;
                f.write_str("=...")?;
            }
            _ => escape(f, parameter.as_bytes(), true)?,
        }
    }
    Ok(())
}

/// Writes what a client sent so that it stays within its quotes and its line; within its word too, if it is one.
fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8], word: bool) -> fmt::Result {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
            b' ' if word => f.write_str("\\x20")?,
            b' '..=b'~' => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

/// A date as Apache writes it, in UTC.
struct Date(SystemTime);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Always `2026-11-24T19:49:44Z`.
        let text = humantime::format_rfc3339_seconds(self.0).to_string();
        let month: usize = text[5..7].parse().unwrap_or(1);
        write!(f, "{}/{}/{}:{} +0000", &text[8..10], MONTHS[(month - 1) % 12], &text[..4], &text[11..19])
    }
}

/// An answer's body, with the line that is written when it has ended or was given up.
struct Logged {
    body: Body,
    /// None once the body has ended.
    line: Option<Line>,
}

impl http_body::Body for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let step = Pin::new(&mut self.body).poll_frame(cx);
        match &step {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(line) = &mut self.line {
                    line.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                }
            }
            Poll::Ready(_) => self.line = None,
            Poll::Pending => {}
        }
        step
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use std::io::{self, Write};
    use std::sync::Mutex;

    use axum::routing::any;
    use futures::channel::mpsc;
    use http_body_util::BodyExt;
    use tower_service::Service;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use wharf::registry::ClientAddress;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn listen(&self) -> tracing::subscriber::DefaultGuard {
            let lines = tracing_subscriber::fmt()
                .with_writer(self.clone())
                .with_ansi(false)
                .without_time()
                .with_level(false)
                .with_target(false)
                .finish();
            tracing::subscriber::set_default(lines)
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// Answers with the request's body, as somebody.
    fn routes(user: Option<&'static str>) -> Router {
        let proxies = TrustedProxies::Networks { networks: vec![([10, 0, 0, 0].into(), 8)], local: false };
        let answer = move |request: Request<Body>| async move {
            let mut response = Response::new(request.into_body());
            let user = user.map(str::to_owned);
            response.extensions_mut().insert(Handled { user, ..Handled::default() });
            response
        };
        log(Router::new().fallback(any(answer)), proxies)
    }

    fn request(uri: &str) -> http::request::Builder {
        Request::builder()
            .uri(uri)
            .extension(ClientAddress([192, 0, 2, 7].into()))
            .header("Authorization", "Basic aHVudGVyMg==")
    }

    async fn line(user: Option<&'static str>, request: Request<Body>) -> String {
        let lines = Lines::default();
        let guard = lines.listen();
        let response = routes(user).call(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        drop(guard);
        lines.text()
    }

    #[tokio::test]
    async fn a_request_is_one_line_of_the_combined_format() {
        let request = request("/v2/a/manifests/b?n=1").header("User-Agent", "docker/27.0").body("abc".into()).unwrap();
        let line = line(Some("alice"), request).await;
        let (before, rest) = line.split_once(" [").unwrap();
        assert_eq!(before.trim_start(), "192.0.2.7 - alice");
        let (date, rest) = rest.split_once("] ").unwrap();
        assert!(date.len() == 26 && date.ends_with(" +0000"), "{date}");
        let (rest, took) = rest.rsplit_once(' ').unwrap();
        assert_eq!(rest, r#""GET /v2/a/manifests/b?n=1 HTTP/1.1" 200 3 "" "docker/27.0""#);
        assert!(took.ends_with('\n') && took.trim().parse::<f64>().unwrap() < 10.0, "{took}");
    }

    #[tokio::test]
    async fn the_client_is_the_one_that_a_named_proxy_names() {
        for (seen, expected) in [([10, 1, 2, 3], "192.0.2.1 - "), ([203, 0, 113, 1], "203.0.113.1 - ")] {
            let request = Request::builder().uri("/").extension(ClientAddress(seen.into()));
            let request = request.header("X-Forwarded-For", "198.51.100.1, 192.0.2.1, 10.9.9.9");
            let line = line(None, request.body(Body::empty()).unwrap()).await;
            assert!(line.trim_start().starts_with(expected), "{line}");
        }
    }

    #[tokio::test]
    async fn no_secret_is_logged() {
        for name in ["_state", "%5Fstate"] {
            let uri = format!("/v2/a/blobs/uploads/1?{name}=hunter2&digest=sha256:1");
            let line = line(None, request(&uri).body(Body::empty()).unwrap()).await;
            assert!(line.contains(&format!("?{name}=...&digest=sha256:1 HTTP/1.1")), "{line}");
            assert!(!line.contains("hunter2") && !line.contains("aHVudGVyMg"), "{line}");
        }
    }

    #[tokio::test]
    async fn a_client_cannot_write_lines_of_its_own() {
        let agent = http::HeaderValue::from_bytes(b"a\" 200 0\tb\\\xff").unwrap();
        let request = request("/").header("User-Agent", agent).body(Body::empty()).unwrap();
        let line = line(Some("eve - x\n192.0.2.1"), request).await;
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains(r#" - eve\x20-\x20x\x0a192.0.2.1 ["#), "{line}");
        assert!(line.contains(r#""a\" 200 0\x09b\\\xff""#), "{line}");
    }

    #[tokio::test]
    async fn the_line_comes_when_the_answer_has_ended_and_not_before() {
        let lines = Lines::default();
        let guard = lines.listen();
        let (sender, receiver) = mpsc::unbounded::<io::Result<Bytes>>();
        let request = request("/").body(Body::from_stream(receiver)).unwrap();
        let mut response = routes(None).call(request).await.unwrap();
        sender.unbounded_send(Ok(Bytes::from("abcd"))).unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(lines.text(), "");
        // Given up by the client.
        drop(response);
        assert!(lines.text().contains("\" 200 4 \""), "{}", lines.text());
        drop(guard);
        assert_eq!(lines.text().lines().count(), 1);
    }

    #[test]
    fn dates_are_written_as_apache_does() {
        let at = |seconds| Date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        assert_eq!(at(0), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(at(1_795_549_784), "24/Nov/2026:19:49:44 +0000");
    }
}
