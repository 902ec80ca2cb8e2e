#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

use std::net::SocketAddr;
use std::sync::Mutex;

use axum::body::Body;
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use futures::StreamExt;
use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::serve::listen::{Address, Bound};

/// Longer than anything here takes, so that a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it never came")
}

/// A server under test, and what its uploads have come to.
struct Served {
    address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<Ended>,
    uploads: Arc<Mutex<Vec<String>>>,
}

/// Notes how an upload ended: with what it had, or not at all because nobody asked for its answer any more.
struct Upload {
    bytes: Vec<u8>,
    ended: bool,
    all: Arc<Mutex<Vec<String>>>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        let how = if self.ended { "whole" } else { "cut" };
        self.all.lock().unwrap().push(format!("{how} {}", self.bytes.len()));
    }
}

fn routes(uploads: Arc<Mutex<Vec<String>>>) -> Router {
    let upload = move |request: Request<Body>| {
        let all = uploads.clone();
        async move {
            let mut upload = Upload { bytes: Vec::new(), ended: false, all };
            let mut body = request.into_body().into_data_stream();
            while let Some(chunk) = body.next().await {
                let Ok(chunk) = chunk else { return "cut".to_owned() };
                upload.bytes.extend(chunk);
            }
            upload.ended = true;
            format!("took {}", upload.bytes.len())
        }
    };
    let peer = |request: Request<Body>| async move {
        let extensions = request.extensions();
        let peer = extensions.get::<Peer>().unwrap();
        assert_eq!(extensions.get::<SocketAddr>().copied(), peer.address);
        format!("{} {}", extensions.get::<http::uri::Scheme>().unwrap(), peer.address.unwrap().ip())
    };
    let endless = || async {
        let chunk = Bytes::from(vec![0; 64 * 1024]);
        Response::new(Body::from_stream(futures::stream::repeat(chunk).map(Ok::<_, io::Error>)))
    };
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/peer", get(peer))
        .route("/upload", any(upload))
        .route("/endless", get(endless))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
}

async fn start(limits: Limits, drain_timeout: Duration) -> Served {
    start_with(limits, drain_timeout, None, true).await
}

async fn start_with(limits: Limits, drain_timeout: Duration, tls: Option<Arc<Tls>>, cleartext_http2: bool) -> Served {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned())).await.unwrap();
    let Bound::Tcp(address) = *listener.bound() else { unreachable!() };
    let uploads = Arc::new(Mutex::default());
    let router = routes(Arc::clone(&uploads));
    let shutdown = Shutdown::new();
    let server = Server { listener, tls, cleartext_http2, router, limits, drain_timeout };
    let asked = shutdown.clone();
    let task = tokio::spawn(async move { server.run(&asked).await });
    Served { address, shutdown, task, uploads }
}

/// Limits that a test can wait for.
fn short() -> Limits {
    let limit = Duration::from_millis(300);
    Limits { header_timeout: limit, idle: 2 * limit, stall: limit, handshake_timeout: limit, ..Limits::default() }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Begins an upload of 6 bytes, of which 3 come now.
    async fn begin_upload(&self) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(b"PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").await.unwrap();
        // Until it is under way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        client
    }

    async fn uploads(&self, count: usize) -> Vec<String> {
        soon(async {
            while self.uploads.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        self.uploads.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_bare_line_end_in_a_head_is_refused_and_what_came_before_is_answered() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let good = "PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\n\n\n\
                PUT /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\n\n\r\n0\r\n\r\n";
    for bad in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        for (before, taken) in [("", 0), (good, 2)] {
            // As one piece, and byte by byte.
            for piece in [usize::MAX, 1] {
                let mut client = served.connect().await;
                let bytes = format!("{before}{bad}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                for piece in bytes.as_bytes().chunks(piece.min(bytes.len())) {
                    // Hyper closes as soon as it has refused.
                    let _ = client.write_all(piece).await;
                }
                let answers = rest(client).await;
                assert_eq!(answers.matches("HTTP/1.1 200 ").count(), taken, "{bad:?} after {before:?}: {answers}");
                assert_eq!(answers.matches("HTTP/1.1 400 ").count(), 1, "{bad:?} after {before:?}: {answers}");
            }
        }
    }
}

async fn rest(mut client: TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is cut may be reset.
    let _ = soon(client.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

async fn exchange(client: &mut TcpStream, path: &str, answer: &str) {
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with(answer) {
        let mut bytes = [0; 1024];
        let count = soon(client.read(&mut bytes)).await.unwrap();
        assert_ne!(count, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
}

async fn http2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn one_connection_carries_many_requests_of_http_1() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let mut client = served.connect().await;
    for _ in 0..3 {
        exchange(&mut client, "/", "hello").await;
    }
    exchange(&mut client, "/peer", "http 127.0.0.1").await;
}

#[tokio::test]
async fn http_2_is_spoken_without_tls_too() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let mut client = http2(served.address).await;
    let request = Request::get("http://a/").body(Body::empty()).unwrap();
    let response = soon(client.send_request(request)).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn an_upload_under_way_is_finished_before_the_end() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let mut client = served.begin_upload().await;
    let mut idle = served.connect().await;
    exchange(&mut idle, "/", "hello").await;
    assert_eq!(served.shutdown.ask(), Phase::Draining);
    let asked = std::time::Instant::now();
    assert_eq!(rest(idle).await, "");
    assert!(asked.elapsed() < Duration::from_secs(2), "a connection without a request ends at once");
    assert!(TcpStream::connect(served.address).await.is_err(), "no new connection is taken");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!served.task.is_finished(), "the end waits");
    client.write_all(b"def").await.unwrap();
    let answer = rest(client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ntook 6"), "{answer}");
    let ended = soon(served.task).await.unwrap();
    assert_eq!(ended.cut, 0);
    assert!(ended.took >= Duration::from_millis(300), "{ended:?}");
}

#[tokio::test]
async fn an_upload_of_http_2_is_finished_before_the_end() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let mut client = http2(served.address).await;
    let (sender, receiver) = futures::channel::mpsc::unbounded::<io::Result<Bytes>>();
    sender.unbounded_send(Ok(Bytes::from("abc"))).unwrap();
    let request = Request::put("http://a/upload").body(Body::from_stream(receiver)).unwrap();
    let answer = tokio::spawn(client.send_request(request));
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.shutdown.ask();
    tokio::time::sleep(Duration::from_millis(300)).await;
    sender.unbounded_send(Ok(Bytes::from("def"))).unwrap();
    drop(sender);
    let response = soon(answer).await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "took 6");
    assert_eq!(soon(served.task).await.unwrap().cut, 0);
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_cut() {
    let served = start(Limits::default(), Duration::from_millis(300)).await;
    let client = served.begin_upload().await;
    served.shutdown.ask();
    assert_eq!(rest(client).await, "");
    let uploads = served.uploads(1).await;
    let ended = soon(served.task).await.unwrap();
    assert_eq!((ended.cut, uploads), (1, vec!["cut 3".to_owned()]));
    assert!((300..5000).contains(&ended.took.as_millis()), "{ended:?}");
}

#[tokio::test]
async fn asked_twice_the_server_ends_at_once() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let client = served.begin_upload().await;
    assert_eq!(served.shutdown.ask(), Phase::Draining);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(served.shutdown.ask(), Phase::Now);
    assert_eq!(rest(client).await, "");
    assert_eq!(soon(served.task).await.unwrap().cut, 1);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    for cleartext_http2 in [false, true] {
        let limits = Limits { idle: PATIENCE, ..short() };
        let served = start_with(limits, Duration::ZERO, None, cleartext_http2).await;
        let started = std::time::Instant::now();
        assert_eq!(rest(served.connect().await).await, "");
        let took = started.elapsed();
        assert!((300..2000).contains(&took.as_millis()), "{took:?}");
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut() {
    let served = start(Limits { idle: PATIENCE, ..short() }, Duration::ZERO).await;
    let mut client = served.connect().await;
    let started = std::time::Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let cut = async {
        // A byte now and then, which keeps no connection open.
        while client.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(cut).await;
    let took = started.elapsed();
    assert!((300..2000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn half_a_preface_of_http_2_is_cut() {
    let served = start(short(), Duration::ZERO).await;
    let mut client = served.connect().await;
    client.write_all(b"PRI * HT").await.unwrap();
    assert_eq!(rest(client).await, "");
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed_and_one_in_use_is_not() {
    let served = start(short(), Duration::ZERO).await;
    let mut client = served.connect().await;
    exchange(&mut client, "/", "hello").await;
    // Longer than a head may take, which has not begun.
    tokio::time::sleep(Duration::from_millis(400)).await;
    exchange(&mut client, "/", "hello").await;
    let mut upload = served.begin_upload().await;
    let started = std::time::Instant::now();
    assert_eq!(rest(client).await, "");
    let took = started.elapsed();
    assert!((300..2000).contains(&took.as_millis()), "{took:?}");
    tokio::time::sleep(Duration::from_millis(900)).await;
    upload.write_all(b"def").await.unwrap();
    soon(async {
        let mut bytes = [0; 15];
        upload.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"HTTP/1.1 200 OK");
    })
    .await;
}

#[tokio::test]
async fn an_unused_connection_of_http_2_is_closed() {
    let served = start(short(), Duration::ZERO).await;
    let mut client = http2(served.address).await;
    let request = Request::get("http://a/").body(Body::empty()).unwrap();
    soon(client.send_request(request)).await.unwrap();
    soon(async {
        while !client.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let served = start(short(), Duration::ZERO).await;
    let mut client = served.connect().await;
    client.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // What the system has buffered still comes, and then the end.
    let cut = async {
        let mut bytes = vec![0; 1024 * 1024];
        while client.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    };
    soon(cut).await;
}

/// A kibibyte a second at the least, but for three seconds.
fn rated() -> Limits {
    let rate = wharf::registry::MinRate { grace: Duration::from_secs(3), ..Default::default() };
    Limits { min_rate: Some(rate), ..Limits::default() }
}

#[tokio::test]
async fn a_client_that_takes_less_than_the_minimum_rate_is_cut_and_a_slow_one_is_not() {
    let served = start(rated(), Duration::ZERO).await;
    let (mut stopped, mut slow) = (served.connect().await, served.connect().await);
    for client in [&mut stopped, &mut slow] {
        client.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    }
    let mut piece = vec![0; 128 * 1024];
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        soon(slow.read_exact(&mut piece)).await.expect("a slow client was cut");
    }
    let cut = async { while stopped.read(&mut piece).await.is_ok_and(|count| count > 0) {} };
    soon(cut).await;
    soon(slow.read_exact(&mut [0; 100_000])).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_http2_that_is_not_taken_ends_and_the_connection_goes_on() {
    let served = start(rated(), Duration::ZERO).await;
    let mut client = http2(served.address).await;
    let mut ask = async || {
        let request = Request::get("http://a/endless").body(Body::empty()).unwrap();
        soon(client.send_request(request)).await.unwrap().into_body()
    };
    let (mut stopped, mut read) = (ask().await, ask().await);
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        soon(read.frame()).await.unwrap().expect("a client that reads was cut");
    }
    // What was sent before comes, and then the answer is broken off.
    let end = async {
        loop {
            match stopped.frame().await {
                Some(Ok(_)) => {}
                ended => return ended,
            }
        }
    };
    assert!(soon(end).await.is_some_and(|ended| ended.is_err()), "the answer looks whole");
    soon(read.frame()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_upload_whose_client_vanishes_is_over() {
    let served = start(Limits::default(), Duration::ZERO).await;
    drop(served.begin_upload().await);
    assert_eq!(served.uploads(1).await, ["cut 3"]);
    let mut client = http2(served.address).await;
    let (sender, receiver) = futures::channel::mpsc::unbounded::<io::Result<Bytes>>();
    sender.unbounded_send(Ok(Bytes::from("ab"))).unwrap();
    let request = Request::put("http://a/upload").body(Body::from_stream(receiver)).unwrap();
    let answer = tokio::spawn(client.send_request(request));
    tokio::time::sleep(Duration::from_millis(100)).await;
    answer.abort();
    drop(client);
    assert_eq!(served.uploads(2).await, ["cut 3", "cut 2"]);
    served.shutdown.ask();
    assert_eq!(soon(served.task).await.unwrap().cut, 0, "their connections are released");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_with_431() {
    let served = start(Limits { header_size: 4096, ..Limits::default() }, Duration::ZERO).await;
    let mut client = served.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(8000));
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(client).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let mut client = served.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\nConnection: close\r\n\r\n", "x".repeat(3000));
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(rest(client).await.ends_with("hello"));
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_not_the_connection() {
    let served = start(Limits::default(), Duration::ZERO).await;
    let mut client = served.connect().await;
    exchange(&mut client, "/panic", "\r\n\r\n").await;
    exchange(&mut client, "/", "hello").await;
}

#[tokio::test]
async fn a_unix_socket_serves_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
    let router = routes(Arc::default());
    let server = Server {
        listener,
        tls: None,
        cleartext_http2: false,
        router,
        limits: Limits::default(),
        drain_timeout: Duration::ZERO,
    };
    let shutdown = Shutdown::new();
    let asked = shutdown.clone();
    let task = tokio::spawn(async move { server.run(&asked).await });
    let mut unknown = tokio::net::UnixStream::connect(&path).await.unwrap();
    unknown.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    soon(unknown.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty(), "HTTP/2 was not asked for: {answer:?}");
    let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    shutdown.ask();
    soon(task).await.unwrap();
    assert!(!path.exists());
}

#[test]
fn pauses_grow_to_a_second() {
    let mut pause = Pause::default();
    let pauses: Vec<_> = (0..10).map(|_| pause.next().as_millis()).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
}

/// A server with TLS, and the certificate that its clients trust.
async fn start_tls() -> (Served, rustls::pki_types::CertificateDer<'static>) {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let settings = crate::serve::tls::TlsSettings {
        certificate: directory.path().join("certificate"),
        key: directory.path().join("key"),
        ..Default::default()
    };
    std::fs::write(&settings.certificate, signed.cert.pem()).unwrap();
    std::fs::write(&settings.key, signed.signing_key.serialize_pem()).unwrap();
    let tls = Tls::load(settings).unwrap();
    (start_with(short(), Duration::ZERO, Some(tls), false).await, signed.cert.der().clone())
}

async fn connect_tls(
    served: &Served,
    trusted: &rustls::pki_types::CertificateDer<'static>,
    protocols: &[&[u8]],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), served.connect().await).await.unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_served_over_tls() {
    let (served, trusted) = start_tls().await;
    let mut client = connect_tls(&served, &trusted, &[]).await;
    client.write_all(b"GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("https 127.0.0.1"), "{answer}");

    let io = TokioIo::new(connect_tls(&served, &trusted, &[b"h2"]).await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Body>(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://a/peer").body(Body::empty()).unwrap();
    let response = soon(client.send_request(request)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "https 127.0.0.1");
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_is_cut() {
    let (served, _) = start_tls().await;
    let silent = served.connect().await;
    assert_eq!(rest(silent).await, "");
    let mut plain = served.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(!rest(plain).await.contains("hello"));
}

#[tokio::test]
async fn a_server_that_may_open_no_more_files_waits_and_serves_again() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Its own process: the limit holds for everything in it.
    const CHILD: &str = "WHARF_TEST_NO_FILES";
    if std::env::var_os(CHILD).is_none() {
        let name = "a_server_that_may_open_no_more_files_waits_and_serves_again";
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        let child = command.args(["--nocapture", name]).env(CHILD, "1").output();
        let output = soon(child).await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let served = start(Limits::default(), Duration::ZERO).await;
    let mut client = served.connect().await;
    exchange(&mut client, "/", "hello").await;
    // The client's own end needs a file too: it is opened before the limit sinks to what is open.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), maximum: before.maximum }).unwrap();
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    let mut waiting = socket.connect(served.address).await.unwrap();
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let began = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let mut bytes = [0; 1];
    let wait = Duration::from_millis(500);
    assert!(tokio::time::timeout(wait, waiting.read(&mut bytes)).await.is_err(), "it was taken without a file");
    let ended = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let used = (ended.tv_sec - began.tv_sec) * 1000 + (ended.tv_nsec - began.tv_nsec) / 1_000_000;
    assert!(used < 200, "{used} ms of processor time for waiting: it spins");
    exchange(&mut client, "/", "hello").await;
    drop(files);
    assert!(rest(waiting).await.ends_with("hello"));
}
