//! One connection, from its first byte to its last.

use std::any::Any;
use std::fmt::Display;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::uri::Scheme;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service;

use super::activity::{Activity, Answer, Verdict, Watched};
use super::heads::Heads;
use super::limits::Limits;
use super::listen::Socket;
use super::queues::Queues;
use super::shutdown::Phase;
use super::tls::Tls;

/// Who sent a request: an extension of every request. Beside it stand the client's [`SocketAddr`], where it has one, and
/// the [`Scheme`] that the connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's address; none at a Unix socket.
    pub(crate) address: Option<SocketAddr>,
    /// Whether the connection is one of TLS.
    pub(crate) tls: bool,
}

/// How long a connection that was asked to end, and on which nothing is under way, may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// What one connection of HTTP/1.1 reads ahead, and what it keeps of an answer that the client does not take, in bytes. With
/// hyper's 400 KiB many connections would hold more for no more speed.
const BUFFER: usize = 128 * 1024;

/// How often HTTP/2 asks a silent client whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// How many requests one connection of HTTP/2 may have in flight. What each of them holds adds up.
const STREAMS: u32 = 100;

/// With more connections than this, a new one has a buffer of [`LITTLE`] bytes instead.
const MANY: usize = 256;

const LITTLE: usize = 64 * 1024;

/// What a server has beside a connection.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// How many connections there are.
    pub(super) connections: usize,
    /// The port that they come to; 0 at a Unix socket.
    pub(super) port: u16,
    pub(super) queues: Queues,
    pub(super) limits: Arc<Limits>,
}

/// With what a client begins that speaks HTTP/2 without TLS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves one connection until it ends, by itself or because the server does.
pub(super) async fn serve(
    socket: Box<dyn Socket>,
    address: Option<SocketAddr>,
    tls: Option<Arc<Tls>>,
    cleartext_http2: bool,
    router: Router,
    load: Load,
    mut phase: watch::Receiver<Phase>,
) {
    let peer = Peer { address, tls: tls.is_some() };
    let limits = Arc::clone(&load.limits);
    // Nothing is lost with a client that has not begun a request.
    let opened = tokio::select! {
        opened = open(socket, tls, cleartext_http2, &limits) => opened,
        () = Phase::Draining.reached(&mut phase) => return,
    };
    let (socket, first, is_http2) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            tracing::debug!(target: "wharf::server", client = ?address, why, "a connection did not begin");
            return;
        }
    };
    let activity = Activity::new(&limits);
    let heads = (!is_http2).then(Heads::default);
    let io = TokioIo::new(Watched::new(socket, first, activity.clone(), heads));
    let answer = {
        let (activity, limits) = (activity.clone(), limits.clone());
        service_fn(move |request| answer(router.clone(), request, peer, activity.clone(), limits.clone(), is_http2))
    };
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
            .serve_connection(io, answer);
        drive(connection, &activity, &limits, true, phase, peer, &load).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // `Activity` does it: see there.
            .header_read_timeout(None)
            .max_header_size(limits.header_size)
            .max_buf_size(limits.header_size.max(if load.connections > MANY { LITTLE } else { BUFFER }))
            .serve_connection(io, answer);
        drive(connection, &activity, &limits, false, phase, peer, &load).await;
    }
}

/// Shakes hands, and finds out the protocol. Returns what was read to find it out.
async fn open(
    socket: Box<dyn Socket>,
    tls: Option<Arc<Tls>>,
    cleartext_http2: bool,
    limits: &Limits,
) -> Result<(Box<dyn Socket>, Bytes, bool), String> {
    match tls {
        Some(tls) => {
            let handshake = tokio::time::timeout(limits.handshake_timeout, tls.acceptor().accept(socket));
            let stream = handshake.await.map_err(|_| "the TLS handshake took too long".to_owned())?;
            let stream = stream.map_err(|error| format!("the TLS handshake failed: {error}"))?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Ok((Box::new(stream), Bytes::new(), is_http2))
        }
        None if !cleartext_http2 => Ok((socket, Bytes::new(), false)),
        None => {
            let first = tokio::time::timeout(limits.header_timeout, first_bytes(socket));
            first.await.map_err(|_| "nothing was asked".to_owned())?
        }
    }
}

/// Reads until it is plain whether a client begins as one of HTTP/2 does.
async fn first_bytes(mut socket: Box<dyn Socket>) -> Result<(Box<dyn Socket>, Bytes, bool), String> {
    let mut first = BytesMut::with_capacity(PREFACE.len());
    while first.len() < PREFACE.len() {
        let wanted = (PREFACE.len() - first.len()) as u64;
        let count = (&mut socket).take(wanted).read_buf(&mut first).await.map_err(|error| error.to_string())?;
        if count == 0 && first.is_empty() {
            return Err("the client closed it".to_owned());
        }
        if count == 0 || !PREFACE.starts_with(&first) {
            return Ok((socket, first.freeze(), false));
        }
    }
    Ok((socket, first.freeze(), true))
}

/// Answers one request. A panic costs the client this answer, and nobody else anything.
async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: Peer,
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    is_http2: bool,
) -> Result<Response<Answer>, std::convert::Infallible> {
    let under_way = activity.begin_request();
    let extensions = request.extensions_mut();
    extensions.insert(peer);
    extensions.insert(if peer.tls { Scheme::HTTPS } else { Scheme::HTTP });
    if let Some(address) = peer.address {
        extensions.insert(address);
    }
    let response = match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(panic) => {
            let why = panic_message(&*panic);
            tracing::error!(target: "wharf::server", why, "an answer panicked: this is a bug in wharf, please report it");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    };
    Ok(response.map(|body| Answer::new(body, under_way, &limits, is_http2)))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Runs a connection, watches over it, and ends it when the server ends.
async fn drive<C>(
    connection: C,
    activity: &Activity,
    limits: &Limits,
    is_http2: bool,
    mut phase: watch::Receiver<Phase>,
    peer: Peer,
    load: &Load,
) where
    C: GracefulConnection,
    C::Error: Display,
{
    let mut connection = pin!(connection);
    // What is to be noticed sets no alarm of its own: it is looked after often enough.
    let round = limits.shortest() / 4;
    let round = round.clamp(Duration::from_millis(10), Duration::from_secs(5));
    let mut alarm = pin!(tokio::time::sleep(round));
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(target: "wharf::server", client = ?peer.address, %error, "a connection failed");
                }
                return;
            }
            () = Phase::Draining.reached(&mut phase), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = alarm.as_mut() => {
                alarm.as_mut().reset(Instant::now() + round);
                let idle = if is_ending { GOODBYE.min(limits.idle) } else { limits.idle };
                let unsent = match peer.address.filter(|_| limits.min_rate.is_some() && activity.was_blocked()) {
                    Some(client) => tokio::select! {
                        biased;
                        ended = connection.as_mut() => {
                            if let Err(error) = ended {
                                tracing::debug!(target: "wharf::server", client = ?peer.address, %error, "a connection failed");
                            }
                            return;
                        }
                        unsent = load.queues.unsent(load.port, client) => unsent,
                    },
                    None => None,
                };
                if activity.judge_pace(unsent) == Verdict::TooSlow {
                    tracing::info!(target: "wharf::server", client = ?peer.address, "cut: it takes its answer too slowly");
                    return;
                }
                match activity.judge(limits, idle, is_http2) {
                    Verdict::Fine => {}
                    Verdict::Idle if !is_ending => {
                        is_ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    verdict => {
                        tracing::debug!(target: "wharf::server", client = ?peer.address, ?verdict, "a connection was cut");
                        return;
                    }
                }
            }
        }
    }
}
