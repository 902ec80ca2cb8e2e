//! A web server on loopback that remembers who came.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Body = BoxBody<Bytes, std::io::Error>;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) version: Version,
}

/// What the server remembers.
#[derive(Default)]
pub(crate) struct Visits {
    connections: AtomicUsize,
    requests: Mutex<Vec<Seen>>,
}

/// A running server. It ends with the test's executor.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    visits: Arc<Visits>,
}

impl Server {
    pub(crate) async fn plain() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn tls(config: rustls::ServerConfig) -> Self {
        Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let visits = Arc::new(Visits::default());
        let remembers = Arc::clone(&visits);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                remembers.connections.fetch_add(1, Ordering::SeqCst);
                let (remembers, tls) = (Arc::clone(&remembers), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, remembers).await,
                        // A client that does not like the certificate goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, remembers).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, visits }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.visits.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.visits.requests.lock().unwrap().clone()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, visits: Arc<Visits>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let visits = Arc::clone(&visits);
        async move { Ok::<_, Infallible>(answer(request, &visits).await) }
    });
    // Clients that vanish are none of its business.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), answer).await;
}

async fn answer(request: Request<Incoming>, visits: &Visits) -> Response<Body> {
    let (parts, body) = request.into_parts();
    visits.requests.lock().unwrap().push(Seen { version: parts.version });
    let path = parts.uri.path();
    if let Some(to) = parts.uri.query().and_then(|query| query.strip_prefix("to=")) {
        return Response::builder().status(302).header("location", to).body(text("")).unwrap();
    }
    if parts.method == Method::PUT {
        let mut body = body;
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            // An upload that is cut has no answer that anybody could read.
            let Ok(frame) = frame else { return Response::new(text("cut")) };
            size += frame.data_ref().map_or(0, Bytes::len);
        }
        return Response::new(text(&size.to_string()));
    }
    if let Some(size) = path.strip_prefix("/bytes-").and_then(|size| size.parse::<u64>().ok()) {
        return bytes_of(size, &parts.headers);
    }
    match path {
        "/cut" => announced(1_000_000, stream::iter([Ok(zeros(500_000)), Err(std::io::ErrorKind::Other.into())])),
        "/slow" => announced(1_000_000, stream::iter([Ok(zeros(500_000))]).chain(stream::pending())),
        _ => Response::builder().status(StatusCode::NOT_FOUND).body(text("nothing here")).unwrap(),
    }
}

fn text(text: &str) -> Body {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {}).boxed()
}

fn zeros(count: usize) -> Bytes {
    Bytes::from(vec![0; count])
}

fn announced(
    size: u64,
    chunks: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + Sync + 'static,
) -> Response<Body> {
    let body = BodyExt::boxed(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))));
    Response::builder().header("content-length", size).body(body).unwrap()
}

/// Byte `i` is `i` modulo 251; with a range, the part of it.
fn bytes_of(size: u64, headers: &HeaderMap) -> Response<Body> {
    let range = headers.get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let (from, to, partial) = match range {
        Some((from, to)) => (from.parse().unwrap(), to.parse::<u64>().map_or(size, |last| (last + 1).min(size)), true),
        None => (0, size, false),
    };
    let steps = (from..to).step_by(65_536).map(move |at| Ok(Bytes::from_iter((at..to.min(at + 65_536)).map(byte))));
    let mut response = announced(to - from, stream::iter(steps));
    if partial {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let told = format!("bytes {from}-{}/{size}", to - 1);
        response.headers_mut().insert("content-range", told.parse().unwrap());
    }
    response
}

pub(crate) fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

/// A proxy that joins what CONNECT asks for, whatever the name, to one address. Returns its own, and the heads of the
/// requests that it got.
pub(crate) async fn proxy(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let remembers = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let remembers = Arc::clone(&remembers);
            tokio::spawn(async move {
                let head = read_head(&mut client).await;
                let connects = head.starts_with("CONNECT ");
                remembers.lock().unwrap().push(head.clone());
                let mut server = TcpStream::connect(to).await.unwrap();
                if connects {
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                } else {
                    server.write_all(head.as_bytes()).await.unwrap();
                }
                // Either end may close first.
                let _ =
                    tokio::time::timeout(Duration::from_secs(10), copy_bidirectional(&mut client, &mut server)).await;
            });
        }
    });
    (address, heads)
}

async fn read_head(client: &mut TcpStream) -> String {
    use tokio::io::AsyncReadExt;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
