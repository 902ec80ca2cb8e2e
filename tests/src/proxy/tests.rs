//! The proxy in front of a small server of hyper's, whose count of requests shows what reached it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::*;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Counts requests that it took whole, and connections.
#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    connections: AtomicUsize,
    /// Bytes of bodies that were as they should be.
    bytes: AtomicUsize,
}

struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), counts: Arc::default() };
        let counts = Arc::clone(&server.counts);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let counts = Arc::clone(&counts);
                let service = service_fn(move |request| serve(request, Arc::clone(&counts)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        server
    }

    fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    fn proxy(&self) -> Proxy {
        Proxy::start(&format!("http://{}", self.address)).unwrap()
    }

    /// A proxy that strikes the next request, and a client of it.
    async fn struck_by(&self, fault: Fault) -> (Proxy, Client) {
        let proxy = self.proxy();
        proxy.fail_next(fault, |_| true);
        let client = Client::connect(&proxy).await;
        (proxy, client)
    }
}

async fn serve(request: Request<Incoming>, counts: Arc<Counts>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|number| number.parse::<usize>().ok());
    if path == "/refused" {
        return Ok(Response::builder().status(403).body(full("no")).unwrap());
    }
    let mut body = request.into_body();
    if path == "/held" {
        // It keeps the connection and reads nothing.
        std::mem::forget(body);
        return std::future::pending().await;
    }
    let mut at = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap();
        let is_good = data.iter().enumerate().all(|(index, found)| *found == byte(at + index));
        counts.bytes.fetch_add(if is_good { data.len() } else { 0 }, Ordering::SeqCst);
        at += data.len();
    }
    let request = counts.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let response = Response::builder();
    Ok(if let Some(length) = number("/bytes/") {
        response.header("content-length", length).body(pattern(length)).unwrap()
    } else if let Some(length) = number("/chunked/") {
        response.body(pattern(length)).unwrap()
    } else if path == "/empty" {
        response.body(full("")).unwrap()
    } else {
        response.body(full(&format!("request {request}"))).unwrap()
    })
}

/// The byte at a position of a body.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

fn full(text: &str) -> Body {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed_unsync()
}

fn pattern(length: usize) -> Body {
    const PIECE: usize = 100_000;
    let pieces = (0..length.div_ceil(PIECE)).map(move |piece| {
        let (from, to) = (piece * PIECE, length.min((piece + 1) * PIECE));
        Ok(Frame::data((from..to).map(byte).collect::<Bytes>()))
    });
    StreamBody::new(futures::stream::iter(pieces)).boxed_unsync()
}

/// A client with one connection.
struct Client {
    sender: SendRequest<Body>,
}

impl Client {
    async fn connect(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Client { sender }
    }

    async fn send(&mut self, method: Method, path: &str, body: Body) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        let request = Request::builder().method(method).uri(path).header("host", "bucket.s3.test");
        self.sender.send_request(request.body(body).unwrap()).await
    }

    /// Sends a request, and returns the status and the text of the answer.
    async fn ask(&mut self, method: Method, path: &str, body: &str) -> hyper::Result<(StatusCode, String)> {
        let response = self.send(method, path, full(body)).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }
}

/// Reads a body of the pattern, and returns its length, or what ended it and where.
async fn read(response: Response<Incoming>) -> Result<usize, (usize, hyper::Error)> {
    let (mut body, mut at) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|error| (at, error))?.into_data().unwrap();
        assert!(data.iter().enumerate().all(|(index, found)| *found == byte(at + index)), "from byte {at} on");
        at += data.len();
    }
    Ok(at)
}

#[tokio::test]
async fn a_delay_comes_before_the_request_is_forwarded() {
    let server = Server::start().await;
    let (_proxy, mut client) = server.struck_by(Fault::Delay).await;
    let began = Instant::now();
    let asking = client.ask(Method::GET, "/", "");
    let early = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.requests()
    };
    let (answer, early) = tokio::join!(asking, early);
    assert_eq!(answer.unwrap().1, "request 1");
    assert_eq!(early, 0);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn reset_before_forwards_nothing() {
    let server = Server::start().await;
    let (proxy, mut client) = server.struck_by(Fault::ResetBefore).await;
    client.ask(Method::PUT, "/", "abc").await.unwrap_err();
    assert_eq!((server.requests(), server.counts.connections.load(Ordering::SeqCst)), (0, 0));
    assert_eq!((proxy.requests()[0].forwarded, proxy.requests()[0].status), (0, None));
}

#[tokio::test]
async fn reset_after_lets_the_server_do_the_work_and_drops_its_answer() {
    let server = Server::start().await;
    let (proxy, mut client) = server.struck_by(Fault::ResetAfter).await;
    client.ask(Method::PUT, "/", "abc").await.unwrap_err();
    assert_eq!(server.requests(), 1);
    let seen = &proxy.requests()[0];
    assert_eq!((seen.server_status, seen.status, seen.down), (Some(200), None, 0));
}

#[tokio::test]
async fn a_reset_is_one_and_not_an_ordinary_close() {
    let server = Server::start().await;
    for fault in [Fault::ResetBefore, Fault::ResetAfter] {
        let (proxy, _) = server.struck_by(fault).await;
        let error = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream.read(&mut [0; 10]).unwrap_err()
        });
        assert_eq!(error.await.unwrap().kind(), std::io::ErrorKind::ConnectionReset, "{fault}");
    }
}

#[tokio::test]
async fn cut_ends_an_answer_in_the_middle_of_its_body() {
    let server = Server::start().await;
    for (path, least) in [("/bytes/1000000", 500_000), ("/chunked/1000000", 1)] {
        let (_proxy, mut client) = server.struck_by(Fault::Cut).await;
        let response = client.send(Method::GET, path, full("")).await.unwrap();
        assert_eq!(response.status(), 200);
        let (got, _) = read(response).await.unwrap_err();
        assert!((least..=500_000).contains(&got), "{path}: {got}");
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn the_errors_before_forward_nothing_and_keep_the_connection() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    let errors = [
        (Fault::ErrorBefore, 500, "InternalError"),
        (Fault::SlowDown, 503, "SlowDown"),
        (Fault::Unavailable, 503, "ServiceUnavailable"),
        (Fault::TooManyRequests, 429, "TooManyRequests"),
    ];
    for (fault, status, code) in errors {
        proxy.fail_next(fault, |_| true);
        let (got, body) = client.ask(Method::PUT, "/", &"x".repeat(3_000_000)).await.unwrap();
        assert_eq!(got, status, "{fault}");
        assert!(body.contains(&format!("<Error><Code>{code}</Code>")), "{fault}: {body}");
    }
    assert_eq!(server.requests(), 0);
    assert_eq!(client.ask(Method::PUT, "/", "").await.unwrap().1, "request 1");
}

#[tokio::test]
async fn only_slow_down_says_when_to_come_again_and_each_error_names_its_request() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    for fault in [Fault::SlowDown, Fault::Unavailable, Fault::ErrorBefore, Fault::TooManyRequests] {
        proxy.fail_next(fault, |_| true);
        let response = client.send(Method::HEAD, "/", full("")).await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("retry-after"), (fault == Fault::SlowDown).then(|| "1".to_owned()), "{fault}");
        assert!(header("x-amz-request-id").is_some(), "{fault}");
        response.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn error_after_lets_the_server_do_the_work_and_replaces_its_answer() {
    let server = Server::start().await;
    let (proxy, mut client) = server.struck_by(Fault::ErrorAfter).await;
    let (status, body) = client.ask(Method::PUT, "/", "abc").await.unwrap();
    assert_eq!((status.as_u16(), server.requests()), (500, 1));
    assert!(body.contains("<Code>InternalError</Code>"), "{body}");
    assert_eq!((proxy.requests()[0].server_status, proxy.requests()[0].status), (Some(200), Some(500)));
    assert_eq!(client.ask(Method::PUT, "/", "abc").await.unwrap().1, "request 2");
}

#[tokio::test]
async fn twice_the_server_gets_the_request_and_the_client_the_first_answer() {
    let server = Server::start().await;
    let (proxy, mut client) = server.struck_by(Fault::Twice).await;
    let body: String = (0..100).map(|at| char::from(byte(at))).collect();
    assert_eq!(client.ask(Method::PUT, "/", &body).await.unwrap().1, "request 1");
    assert_eq!(server.requests(), 2);
    assert_eq!(server.counts.bytes.load(Ordering::SeqCst), 200);
    assert_eq!(proxy.requests()[0].forwarded, 2);
    assert_eq!(client.ask(Method::PUT, "/", "").await.unwrap().1, "request 3");
}

#[tokio::test]
async fn twice_passes_an_answer_of_any_length() {
    let server = Server::start().await;
    for path in ["/bytes/5000000", "/chunked/5000000", "/bytes/5", "/chunked/5", "/bytes/0"] {
        let (proxy, mut client) = server.struck_by(Fault::Twice).await;
        let response = client.send(Method::GET, path, full("")).await.unwrap();
        let length = read(response).await.unwrap();
        assert!(path.ends_with(&format!("/{length}")), "{path}: {length}");
        assert_eq!((proxy.requests()[0].forwarded, proxy.requests()[0].down), (2, length as u64));
    }
}

#[tokio::test]
async fn twice_passes_over_a_body_that_it_would_not_keep() {
    let server = Server::start().await;
    let (proxy, mut client) = server.struck_by(Fault::Twice).await;
    client.ask(Method::PUT, "/", &"x".repeat(1024 * 1024 + 1)).await.unwrap();
    assert_eq!((server.requests(), proxy.pending()), (1, 1));
}

#[tokio::test]
async fn a_trickle_is_slow_and_whole() {
    let server = Server::start().await;
    for path in ["/bytes/300", "/chunked/300", "/bytes/1000000", "/bytes/1"] {
        let (_proxy, mut client) = server.struck_by(Fault::Trickle).await;
        let began = Instant::now();
        let response = client.send(Method::GET, path, full("")).await.unwrap();
        let length = read(response).await.unwrap();
        assert!(path.ends_with(&format!("/{length}")), "{path}: {length}");
        assert!(began.elapsed() >= Duration::from_millis(if length == 1 { 0 } else { 80 }), "{path}");
    }
}

#[tokio::test]
async fn what_strikes_a_body_waits_for_an_answer_that_has_one() {
    let server = Server::start().await;
    let (proxy, mut client) = server.struck_by(Fault::Cut).await;
    client.ask(Method::GET, "/empty", "").await.unwrap();
    client.ask(Method::HEAD, "/", "").await.unwrap();
    assert_eq!(proxy.pending(), 1);
    client.ask(Method::GET, "/", "").await.unwrap_err();
    assert_eq!(proxy.pending(), 0);
}

#[tokio::test]
async fn heads_pass_as_they_were_sent_in_both_directions() {
    const ASKED: &[u8] =
        b"GET /a%2Fb?x=1&y HTTP/1.1\r\nhOST: bucket.s3.test:1\r\nX-Two:  spaces \r\nx-two: again\r\n\r\n";
    const ANSWER: &[u8] = b"HTTP/1.1 200 Fine\r\nETAG: \"a\"\r\ncontent-LENGTH: 2\r\n\r\nok";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(&listener.local_addr().unwrap().to_string()).unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut asked = vec![0; ASKED.len()];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(ANSWER).unwrap();
        asked
    });
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(ASKED).unwrap();
    let mut answer = vec![0; ANSWER.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(server.join().unwrap(), ASKED);
    assert_eq!(answer, ANSWER);
}

const LARGE: usize = 100_000_000;

#[tokio::test]
async fn large_answers_pass_exactly() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    for path in ["/bytes", "/chunked"] {
        let response = client.send(Method::GET, &format!("{path}/{LARGE}"), full("")).await.unwrap();
        assert_eq!(read(response).await.unwrap(), LARGE);
    }
    assert!(proxy.requests().iter().all(|seen| seen.down == LARGE as u64));
}

#[tokio::test]
async fn large_requests_pass_exactly() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    // Of unknown length, so that hyper sends it in chunks.
    client.send(Method::PUT, "/", pattern(LARGE)).await.unwrap();
    assert_eq!(server.counts.bytes.load(Ordering::SeqCst), LARGE);
    assert_eq!(proxy.requests()[0].up, LARGE as u64);
}

/// Waits until a number stays as it is, and returns it.
async fn settled(number: impl Fn() -> u64) -> u64 {
    let (mut before, mut same) = (number(), 0);
    while same < 5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        same = if number() == before && before > 0 { same + 1 } else { 0 };
        before = number();
    }
    before
}

/// More than the buffers of four sockets hold.
const BUFFERS: u64 = 40_000_000;

#[tokio::test]
async fn what_the_server_does_not_read_is_not_taken_from_the_client() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    let sending = tokio::spawn(async move { client.send(Method::PUT, "/held", pattern(LARGE)).await.map(drop) });
    let taken = settled(|| proxy.requests().first().map_or(0, |seen| seen.up)).await;
    assert!(taken < BUFFERS, "{taken} bytes were taken");
    sending.abort();
}

#[tokio::test]
async fn what_the_client_does_not_read_is_not_taken_from_the_server() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    let _unread = client.send(Method::GET, &format!("/bytes/{LARGE}"), full("")).await.unwrap();
    let taken = settled(|| proxy.requests()[0].down).await;
    assert!(taken < BUFFERS, "{taken} bytes were taken");
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    for number in 1..=10 {
        assert_eq!(client.ask(Method::POST, "/", "abc").await.unwrap().1, format!("request {number}"));
    }
    assert_eq!(server.counts.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_closed_an_idle_connection_is_connected_to_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(&listener.local_addr().unwrap().to_string()).unwrap();
    std::thread::spawn(move || {
        loop {
            let mut stream = listener.accept().unwrap().0;
            let _ = stream.read(&mut [0; 1000]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let mut client = Client::connect(&proxy).await;
    for _ in 0..3 {
        client.ask(Method::GET, "/", "").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends a head that asks for `100 Continue` and, if it comes, the body; returns the final answer.
fn ask_first(proxy: &Proxy) -> String {
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).unwrap();
    let mut answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    if answer.starts_with("HTTP/1.1 100 ") {
        stream.write_all(&[0, 1, 2, 3, 4]).unwrap();
        answer.clear();
    }
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_its_body_is_told_to() {
    let server = Server::start().await;
    for fault in [None, Some(Fault::Twice), Some(Fault::ErrorAfter), Some(Fault::SlowDown)] {
        let proxy = server.proxy();
        if let Some(fault) = fault {
            proxy.fail_next(fault, |_| true);
        }
        server.counts.bytes.store(0, Ordering::SeqCst);
        let answer = tokio::task::spawn_blocking(move || ask_first(&proxy)).await.unwrap();
        let (status, bytes) = match fault {
            None => (200, 5),
            Some(Fault::Twice) => (200, 10),
            Some(Fault::ErrorAfter) => (500, 5),
            Some(_) => (503, 0),
        };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fault:?}: {answer}");
        assert_eq!(server.counts.bytes.load(Ordering::SeqCst), bytes, "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_answers_before_it_has_read_everything_is_heard() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    let response = client.send(Method::PUT, "/refused", pattern(LARGE)).await.unwrap();
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn a_server_that_is_not_there_closes_the_connection() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(&address.to_string()).unwrap();
    let mut client = Client::connect(&proxy).await;
    client.ask(Method::GET, "/", "").await.unwrap_err();
}

#[tokio::test]
async fn an_instruction_strikes_the_request_that_it_means_and_no_other() {
    let server = Server::start().await;
    let proxy = server.proxy();
    proxy.fail_times(2, Fault::ErrorAfter, |request| request.method == "POST" && request.has_query("uploadId"));
    let mut client = Client::connect(&proxy).await;
    let mut statuses = Vec::new();
    for (method, path) in [
        (Method::POST, "/k?uploads"),
        (Method::PUT, "/k?uploadId=1"),
        (Method::POST, "/k?uploadId=1"),
        (Method::POST, "/k?uploadId=2"),
        (Method::POST, "/k?uploadId=3"),
    ] {
        statuses.push(client.ask(method, path, "").await.unwrap().0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 500, 500, 200]);
    assert_eq!(proxy.report().struck(), 2);
}

#[tokio::test]
async fn requests_are_recorded_until_they_are_cleared_and_counted_in_the_report_even_then() {
    let server = Server::start().await;
    let proxy = server.proxy();
    let mut client = Client::connect(&proxy).await;
    client.ask(Method::PUT, "/a/b?c=d", "12345").await.unwrap();
    let expected = Seen {
        method: "PUT".to_owned(),
        path: "/a/b".to_owned(),
        query: "c=d".to_owned(),
        status: Some(200),
        server_status: Some(200),
        forwarded: 1,
        up: 5,
        down: "request 1".len() as u64,
        struck: None,
    };
    assert_eq!(proxy.requests(), [expected]);
    assert_eq!(proxy.requests()[0].to_string(), "PUT /a/b?c=d: 200");
    assert_eq!(proxy.count_where(|seen| seen.method == "PUT"), 1);
    proxy.clear();
    assert_eq!((proxy.requests().len(), proxy.report().requests()), (0, 1));
}

#[tokio::test]
async fn a_run_with_faults_meets_every_class_and_says_so() {
    let server = Server::start().await;
    let faults = Faults { delay: Duration::from_millis(1), ..Faults::new(0.5, 11) };
    let proxy = Proxy::start_faulty(&server.address.to_string(), faults).unwrap();
    assert_eq!(proxy.report().idle_classes(), Fault::ALL);
    for number in 0..100 {
        let mut client = Client::connect(&proxy).await;
        let (method, path) = if number % 2 == 0 { (Method::GET, "/") } else { (Method::PUT, "/empty") };
        let _ = client.ask(method, path, "").await;
    }
    let report = proxy.report();
    assert_eq!(report.idle_classes(), [], "\n{report}");
    assert_eq!(report.struck() as usize, proxy.count_where(|seen| seen.struck.is_some()));
    assert!((30..70).contains(&report.struck()), "\n{report}");
}

#[test]
fn a_proxy_may_be_dropped_in_a_test_with_a_runtime_and_without() {
    drop(Proxy::start("127.0.0.1:1").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { drop(Proxy::start("127.0.0.1:1").unwrap()) });
    assert!(Proxy::start("s3.test").is_err());
}
