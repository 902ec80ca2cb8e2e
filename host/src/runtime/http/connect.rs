//! Connections: where the decision is made that counts, on the address that is connected to.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::config::ProxyAddress;
use super::destination::{Destination, Host};
use super::grant::AllowList;

/// How long a connection may take, the look-up of the name included.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// How many names of one driver are looked up at a time. The system's resolver holds a thread for each, for as long as a
/// name server that nobody trusts takes to answer.
const LOOK_UPS: usize = 8;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Finds the addresses of names, for the requests of components.
///
/// The system's own resolver is the default. Whatever it answers, an address that is not granted is not connected to.
pub trait Resolver: Send + Sync {
    /// Returns the addresses of a name, in lower case and without a dot at its end. Best first.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The URI is nothing that can be decided on.
    Destination,
    /// The name could not be looked up.
    Resolve(io::Error),
    /// None of the addresses is granted.
    Denied { destination: Destination, address: Option<IpAddr> },
    /// The system's error for the last address that was tried.
    Connect(io::Error),
    /// It took too long.
    Timeout,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Destination => f.write_str("no destination"),
            ConnectError::Resolve(error) => write!(f, "the name cannot be looked up: {error}"),
            ConnectError::Denied { address: Some(address), .. } => write!(f, "{address} is not granted"),
            ConnectError::Denied { address: None, .. } => f.write_str("the name has no address"),
            ConnectError::Connect(error) => write!(f, "{error}"),
            ConnectError::Timeout => write!(f, "no connection within {CONNECT:?}"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Connects straight to where a request goes, if the address is granted.
#[derive(Clone)]
struct Direct {
    allow: Arc<AllowList>,
    resolver: Arc<dyn Resolver>,
    look_ups: Arc<Semaphore>,
}

impl Direct {
    async fn connect(self, uri: Uri) -> Result<TcpStream, ConnectError> {
        let destination = Destination::of(&uri).ok_or(ConnectError::Destination)?;
        let found = match &destination.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                // Never closed.
                let _one_of_few = self.look_ups.acquire().await;
                self.resolver.resolve(name).await.map_err(ConnectError::Resolve)?
            }
        };
        let granted: Vec<SocketAddr> = found
            .iter()
            .filter(|address| self.allow.grants_address(&destination, **address))
            .map(|address| SocketAddr::new(*address, destination.port))
            .collect();
        if granted.is_empty() {
            return Err(ConnectError::Denied { destination, address: found.first().copied() });
        }
        connect_to_any(&granted).await
    }
}

/// Tries one address after the other.
async fn connect_to_any(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is written in one piece and must not wait for a second one. It works without too.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Connect(last))
}

/// Connects to the proxy, wherever it is: the operator named it.
#[derive(Clone)]
struct ToProxy;

impl Service<Uri> for ToProxy {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        Box::pin(async move {
            let host = proxy.host().ok_or(ConnectError::Destination)?.trim_matches(['[', ']']).to_owned();
            let port = proxy.port_u16().ok_or(ConnectError::Destination)?;
            let found = tokio::net::lookup_host((host, port)).await.map_err(ConnectError::Resolve)?;
            let addresses: Vec<SocketAddr> = found.collect();
            Ok(TokioIo::new(connect_to_any(&addresses).await?))
        })
    }
}

/// Connects where a request goes, straight or through a proxy.
#[derive(Clone)]
pub(super) struct Connector {
    direct: Direct,
    proxy: Option<ProxyAddress>,
}

impl Connector {
    pub(super) fn new(allow: Arc<AllowList>, resolver: Arc<dyn Resolver>, proxy: Option<ProxyAddress>) -> Self {
        let look_ups = Arc::new(Semaphore::new(LOOK_UPS));
        Connector { direct: Direct { allow, resolver, look_ups }, proxy }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, BoxError> {
        let Some(proxy) = self.proxy else {
            return Ok(Stream { tcp: TokioIo::new(self.direct.connect(uri).await?), by_proxy: false });
        };
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Ok(Stream { tcp: ToProxy.call(proxy.uri().clone()).await?, by_proxy: true });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), ToProxy);
        if let Some(authorization) = proxy.authorization() {
            tunnel = tunnel.with_auth(authorization);
        }
        // Inside a tunnel, requests look as if there was no proxy.
        Ok(Stream { tcp: tunnel.call(uri).await?, by_proxy: false })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Stream, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.clone().connect(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectError::Timeout.into()),
            }
        })
    }
}

/// A connection.
pub(super) struct Stream {
    tcp: TokioIo<TcpStream>,
    /// Whether requests on it name their host in full, for a proxy to read.
    by_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.by_proxy)
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }
}
