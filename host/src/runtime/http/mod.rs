//! Outgoing HTTP for components: `wasi:http/client`.
//!
//! ```text
//!  guest ── request ──► Hooks ── is the host granted? ──► HttpClient ── one for the driver: keep-alive, HTTP/1.1 and 2
//!                                                            │ a new connection
//!                                                         Connector ── is the address granted? ── straight, or by proxy
//!                                                            │
//!  guest ◄─ response ── body: unwrapped where the guest hands it on, so that its bytes pass it by
//! ```
//!
//! Nothing follows a redirect: the component sees the answer, and a request for the other place is decided on like any.

mod body;
mod client;
mod config;
mod connect;
mod destination;
mod grant;
mod texts;

use std::future::Future;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};

use super::state::State;

pub(super) use body::BodyProducer;
pub(super) use client::HttpClient;
pub use config::{HttpConfig, ProxyAddress};
pub use connect::Resolver;
pub(super) use connect::SystemResolver;
pub(super) use grant::check_redirect;
pub use grant::{HttpGrant, HttpGrantError};

/// The interface whose functions are partly the host's own.
const TYPES: &str = "wasi:http/types@0.3.0";

/// How much the headers of one message may take that a component makes, in the host's memory. Servers take no more.
pub(super) const FIELDS: usize = 16 * 1024;

/// Replaces functions in a linker that has wasmtime's own.
///
/// # Errors
///
/// If wasmtime's own are not there.
pub(super) fn shadow(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    body::shadow(linker)?;
    texts::shadow(linker)
}

/// What answers a component's requests.
pub(super) struct Hooks {
    /// None: no host is granted, and every request is denied.
    client: Option<Arc<HttpClient>>,
}

impl Hooks {
    pub(super) fn new(client: Option<Arc<HttpClient>>) -> Self {
        Hooks { client }
    }
}

type Sent = std::result::Result<
    (http::Response<WasiBody>, Box<dyn Future<Output = std::result::Result<(), HttpError>> + Send>),
    HttpError,
>;

impl WasiHttpHooks for Hooks {
    /// The client sets it, in the way of the connection's version.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p3_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        tracing::debug!(%error, "a component's response was cut short");
        ErrorCode::HttpResponseIncomplete
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = std::result::Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let client = self.client.clone();
        Box::new(async move {
            let client = client.ok_or(HttpError::HttpRequestDenied)?;
            let response = client.send(request, options.unwrap_or_default()).await?;
            let sent: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, sent))
        })
    }
}
