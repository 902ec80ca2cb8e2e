//! The client that sends a driver's requests: one for all its instances, so that they share its connections.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use http::uri::Scheme;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};

use super::super::limits::permits;
use super::config::{HttpConfig, ProxyAddress};
use super::connect::{CONNECT, ConnectError, Connector, Resolver};
use super::destination::Destination;
use super::grant::{AllowList, HttpGrant};
use crate::contract::Result;

/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How many connections without a request are kept for one host.
const IDLE_CONNECTIONS: usize = 32;

/// What the host takes by HTTP/2 of a response that the component does not read, and what it holds of a body that is not
/// sent, for each request: 64 MiB for 256 of them. By HTTP/1.1 it reads nothing ahead of the component.
const WINDOW: u32 = 256 * 1024;
const UNSENT: usize = 256 * 1024;

/// The requests of one driver.
pub(in super::super) struct HttpClient {
    driver: Arc<str>,
    allow: Arc<AllowList>,
    client: Client<HttpsConnector<Connector>, WasiBody>,
    /// What requests without encryption tell the proxy, which reads them; in a tunnel, nobody does.
    proxy_authorization: Option<HeaderValue>,
    /// Taken by every request until its response has been read.
    requests: Arc<Semaphore>,
}

impl HttpClient {
    /// Reads the certificates and prepares the client; nothing is connected to.
    ///
    /// # Errors
    ///
    /// Those of [`HttpConfig::tls`].
    pub(in super::super) fn new(
        driver: Arc<str>,
        grants: &[HttpGrant],
        config: &HttpConfig,
        requests: NonZeroU32,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self> {
        let allow = Arc::new(AllowList::new(grants));
        let connector = Connector::new(Arc::clone(&allow), resolver, config.proxy.clone());
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.tls()?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_ALIVE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_initial_stream_window_size(WINDOW)
            .http2_max_send_buf_size(UNSENT)
            .build(connector);
        let proxy_authorization = config.proxy.as_ref().and_then(ProxyAddress::authorization);
        Ok(HttpClient { driver, allow, client, proxy_authorization, requests: permits(requests.get()) })
    }

    /// Sends a request, if its destination is granted, and returns the beginning of the response.
    pub(super) async fn send(
        self: Arc<Self>,
        mut request: Request<WasiBody>,
        options: RequestOptions,
    ) -> std::result::Result<Response<WasiBody>, HttpError> {
        // A tunnel through a host that is granted would lead to hosts that are not.
        if request.method() == Method::CONNECT {
            return Err(HttpError::HttpRequestMethodInvalid);
        }
        let destination = Destination::of(request.uri()).ok_or(HttpError::HttpRequestUriInvalid)?;
        if !self.allow.grants(&destination) {
            self.log_denied(&destination, None);
            return Err(HttpError::HttpRequestDenied);
        }
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| HttpError::ConnectionLimitReached)?;
        if let Some(authorization) = &self.proxy_authorization
            && request.uri().scheme() == Some(&Scheme::HTTP)
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let sending = self.client.request(request);
        let response = match options.first_byte_timeout {
            // The connector has a limit of its own, which a request cannot shorten: another one may get the connection.
            Some(limit) => tokio::time::timeout(limit.saturating_add(CONNECT), sending)
                .await
                .map_err(|_| HttpError::ConnectionReadTimeout)?,
            None => sending.await,
        };
        let response = response.map_err(|error| self.explain(&error))?;
        Ok(response.map(|body| {
            let body = body.map_err(HttpError::from);
            let between = options.between_bytes_timeout.map(|limit| (limit, Box::pin(tokio::time::sleep(limit))));
            Incoming { body, between, _permit: permit }.boxed_unsync()
        }))
    }

    /// Tells the guest what it may know, and the log the rest.
    fn explain(&self, error: &legacy::Error) -> HttpError {
        let causes = causes(error);
        for cause in &causes {
            if let Some(error) = cause.downcast_ref::<ConnectError>() {
                return self.explain_connect(error);
            }
            if let Some(error) = cause.downcast_ref::<rustls::Error>() {
                tracing::warn!(driver = &*self.driver, %error, "a component's request failed in TLS");
                return explain_tls(error);
            }
            // What the request's own body failed with.
            if let Some(HttpError::HttpRequestBodySize(size)) = cause.downcast_ref::<HttpError>() {
                return HttpError::HttpRequestBodySize(*size);
            }
        }
        let deepest = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        tracing::debug!(driver = &*self.driver, error = deepest, "a component's request failed");
        if error.is_connect() { HttpError::DestinationUnavailable } else { HttpError::ConnectionTerminated }
    }

    fn explain_connect(&self, error: &ConnectError) -> HttpError {
        match error {
            ConnectError::Denied { destination, address } => {
                self.log_denied(destination, address.as_ref());
                HttpError::DestinationIpProhibited
            }
            ConnectError::Destination => HttpError::HttpRequestUriInvalid,
            ConnectError::Resolve(error) => {
                tracing::debug!(driver = &*self.driver, %error, "a name cannot be looked up");
                HttpError::DnsError { rcode: None, info_code: None }
            }
            ConnectError::Connect(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                HttpError::ConnectionRefused
            }
            ConnectError::Connect(_) => HttpError::DestinationUnavailable,
            ConnectError::Timeout => HttpError::ConnectionTimeout,
        }
    }

    fn log_denied(&self, destination: &Destination, address: Option<&std::net::IpAddr>) {
        let grant = match address {
            Some(address) => Destination { host: super::destination::Host::Address(*address), ..*destination },
            None => destination.clone(),
        };
        let line = format!("allow: {{ http: [\"{grant}\"] }}");
        tracing::warn!(driver = &*self.driver, %destination, "a component's request was denied; `{line}` would grant it");
    }
}

fn explain_tls(error: &rustls::Error) -> HttpError {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => HttpError::TlsCertificateError,
        rustls::Error::AlertReceived(alert) => {
            HttpError::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message: Some(format!("{alert:?}")) }
        }
        _ => HttpError::TlsProtocolError,
    }
}

/// Returns what an error was caused by, the nearest first. An error of the system's does not name as its source what it
/// wraps.
fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> Vec<&'a (dyn std::error::Error + 'static)> {
    let below = |error: &'a (dyn std::error::Error + 'static)| match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
        None => error.source(),
    };
    std::iter::successors(below(error), |error| below(*error)).collect()
}

/// The body of a response, with its time limit; keeps the request counted until it is dropped.
struct Incoming<B> {
    body: B,
    between: Option<(Duration, Pin<Box<tokio::time::Sleep>>)>,
    _permit: OwnedSemaphorePermit,
}

impl<B: Body<Data = Bytes, Error = HttpError> + Unpin> Body for Incoming<B> {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some((limit, sleep)) = &mut this.between {
                    sleep.as_mut().reset(tokio::time::Instant::now() + *limit);
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let sleep = this.between.as_mut().map(|(_, sleep)| sleep.as_mut().poll(cx));
                match sleep {
                    Some(Poll::Ready(())) => Poll::Ready(Some(Err(HttpError::ConnectionReadTimeout))),
                    _ => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
