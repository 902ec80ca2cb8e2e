//! `wharf serve`: the registry.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use clap::Args;
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use wharf::base::capacity;
use wharf::contract::StorageDriver;
use wharf::registry::auth::{AccessController, Htpasswd, TokenAuth, TokenSettings};
use wharf::registry::health::{Health, HealthSettings, Missing};
use wharf::registry::metrics::Metrics;
use wharf::registry::{ClientAddress, PathPrefix, Registry, Tls as Encrypted, TrustedProxies};

use crate::config::{
    self, Auth, ClientAuth, Http, Listen, MinimumTls, Notice, ServeConfig, TcpAddress, Tls, UploadPurging, Weight,
};
use crate::open::Store;
use crate::serve::limits::Limits;
use crate::serve::listen::{Address, Bound, Listener};
use crate::serve::server::{Peer, Server};
use crate::serve::shutdown::Shutdown;
use crate::serve::signals::{Ask, Signals};
use crate::serve::tls::{self, ClientCertificate, MinimumVersion, TlsSettings};
use crate::serve::{access_log, debug, descriptors};

/// Serve a registry: the OCI distribution API, on 127.0.0.1:5000 and from ./wharf-data unless a configuration says
/// otherwise.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Distribution's config.yml. The same as --config.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Only say what is wrong with the configuration and what of it does nothing, all at once. Opens nothing and listens
    /// nowhere. Exit code 0 if a registry would start with it, as far as the configuration goes.
    #[arg(long)]
    pub(crate) check: bool,
}

/// What one upload holds while it goes on, in bytes: pieces on their way to the file, and those that came meanwhile. A few hold
/// more, many less.
const UPLOAD_BUFFER: u64 = 256 * 1024;

/// What is stored by one operation, in bytes: it is held in memory as a whole.
const AT_ONCE: u64 = 64 * 1024;

/// What an upload holds beside them, where the driver gathers parts of its `chunksize`.
const BESIDE_CHUNK: u64 = 4 * 1024 * 1024;

/// The `chunksize` of `s3` if nothing says otherwise.
const S3_CHUNK: u64 = 10 * 1024 * 1024;

/// For how long permits, streams, downloads or uploads may be used up, and none come free, before requests should go elsewhere.
const EXHAUSTED: Duration = Duration::from_secs(10);

/// How often certificates are looked at.
const CERTIFICATES: Duration = Duration::from_secs(60);

/// How long a store may take to answer before the registry does not start.
const START: Duration = Duration::from_secs(30);

/// Runs the registry until it is asked to stop.
///
/// # Errors
///
/// What is wrong with the configuration or missing for the registry, before anything is served.
pub(crate) async fn run(config: ServeConfig, notices: &[Notice], store: &Arc<Store>) -> Result<()> {
    let mut signals = Signals::listen().context("could not listen to signals")?;
    for Notice { key, sentence, weight } in notices {
        match weight {
            Weight::Missing => tracing::warn!(%key, "{sentence}"),
            Weight::Needless => tracing::info!(%key, "{sentence}"),
        }
    }
    let files = descriptors::raise();
    let opened = store.open(&config.storage.driver).await?;
    let metrics = Metrics::new();
    let driver = metrics.driver(opened);
    let read_only = config.storage.read_only || driver.capabilities().read_only;
    if read_only && !config.storage.read_only {
        tracing::info!(driver = %config.storage.driver, "the driver only reads, and so the registry is read-only");
    }
    let tokens = token_auth(&config)?;
    let registry = build(&config, driver.clone(), files, tokens.clone())?;
    let of = registry.clone();
    let help = "Bytes of memory that uploads under way may use now";
    metrics.gauge("wharf_upload_buffer_bytes", help, move || of.upload_buffers().0 as f64);
    let of = registry.clone();
    let help = "Bytes of memory that all uploads may use at a time; others wait";
    metrics.gauge("wharf_upload_buffer_limit_bytes", help, move || of.upload_buffers().1 as f64);
    if let Some(runtime) = store.runtime() {
        metrics.components(runtime);
    }
    let health = Health::start(driver, health_settings(&config));
    health.add_check("capacity", || std::future::ready(capacity::exhausted(EXHAUSTED).map_or(Ok(()), Err)));
    if !read_only {
        let store = Arc::clone(store);
        let name = config.storage.driver.clone();
        health.add_check("writable", move || {
            let (store, name) = (Arc::clone(&store), name.clone());
            async move { store.check_writable(&name).await.map_err(|error| format!("{error:#}")) }
        });
    }
    check_start(&health, &config.storage.driver).await?;
    let mut router = health.guard(metrics.router(routes(&config.http, &registry)?));
    if config.log.access {
        router = access_log::log(router, config.http.trusted_proxies.clone());
    }
    let router = router.layer(axum::middleware::map_request(introduce));

    let shutdown = Shutdown::new();
    // Of the address for operators, which tells that the registry drains, for as long as it does.
    let debug_shutdown = Shutdown::new();
    let mut debug_server = None;
    let tls = config.http.tls.as_ref().map(|tls| tls::Tls::load(tls_settings(tls, &config.http))).transpose()?;
    let listener = Listener::bind(&address(&config.http.listen)).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!(driver = %config.storage.driver, "the registry listens on {scheme}://{}", listener.bound());
    if believes_everybody(&config.http, listener.bound()) {
        tracing::warn!(
            "everybody's `Forwarded` and `X-Forwarded-*` headers are believed, as Distribution does: name the proxies in \
             `http: trustedproxies: [10.0.0.0/8]`, or none with `[]`"
        );
    }
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).watch(CERTIFICATES));
    }
    if let Some(debugging) = &config.http.debug {
        let runtime = store.runtime().cloned();
        let debug = debug::Debug {
            metrics: debugging.metrics.clone().map(|path| (path, metrics.clone())),
            health: health.clone(),
            drivers: Arc::new(move || {
                serde_json::json!(runtime.as_ref().map(|runtime| runtime.drivers()).unwrap_or_default())
            }),
        };
        let listener = Listener::bind(&tcp(&debugging.listen)).await?;
        tracing::info!("metrics, health and drivers are at http://{}", listener.bound());
        let server = Server {
            listener,
            tls: None,
            cleartext_http2: false,
            router: debug.router()?.layer(axum::middleware::from_fn(refuse_malformed)),
            limits: Limits::default(),
            drain_timeout: Duration::from_secs(1),
        };
        let shutdown = debug_shutdown.clone();
        debug_server = Some(tokio::spawn(async move { server.run(&shutdown).await }));
    }
    if let Some(purging) = config.storage.purging.clone().filter(|_| !read_only) {
        tokio::spawn(purge(registry, purging));
    }

    let server = Server {
        listener,
        tls: tls.clone(),
        cleartext_http2: config.http.h2c,
        router,
        limits: Limits {
            min_rate: config.limits.min_rate(),
            connections: (files / 2).max(1),
            client_share: config.limits.client_share,
            proxies: config.http.trusted_proxies.clone(),
            ..Limits::default()
        },
        drain_timeout: config.http.drain_timeout,
    };
    let asked = shutdown.clone();
    let watcher = tokio::spawn(async move {
        loop {
            match signals.next().await {
                Ask::Stop(signal) => {
                    tracing::info!(
                        signal,
                        "the registry stops; requests under way go on. Asked again, it stops at once"
                    );
                    health.begin_shutdown();
                    asked.ask();
                }
                Ask::Reload => reload(tls.as_ref(), tokens.as_ref()).await,
            }
        }
    });
    let ended = server.run(&shutdown).await;
    watcher.abort();
    debug_shutdown.ask();
    if let Some(debug_server) = debug_server {
        // It has a drain timeout of its own; a panic in it was logged.
        let _ = debug_server.await;
    }
    tracing::info!(cut_off = ended.cut, took = ?ended.took, "the registry has stopped");
    Ok(())
}

/// Refuses to serve what could not do its work from the first request on.
async fn check_start(health: &Health, driver: &str) -> Result<()> {
    let missing = health.missing_within(START).await;
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.iter().map(Missing::to_string).collect();
    anyhow::bail!("the registry does not start, since its store `{driver}` is not ready: {}", missing.join("; "))
}

/// Builds the registry as the configuration says, where the process may have so many files open.
fn build(
    config: &ServeConfig,
    driver: Arc<dyn StorageDriver>,
    files: usize,
    tokens: Option<Arc<TokenAuth>>,
) -> Result<Registry> {
    let ServeConfig { storage, http, limits, .. } = config;
    let (downloads, uploads) = streams(limits, driver.name(), files);
    if downloads < limits.downloads.get() {
        tracing::info!(
            downloads,
            files,
            "fewer downloads at a time than `limits: downloads:`, which the driver and the files allow"
        );
    }
    // A store that is asked over the network is asked seldom.
    let (upload_buffer, at_once) = match &*storage.driver {
        "s3" | "s3aws" => {
            let buffer = chunk_size(config).unwrap_or(S3_CHUNK).saturating_add(BESIDE_CHUNK);
            (buffer, buffer)
        }
        _ => (UPLOAD_BUFFER, AT_ONCE),
    };
    let mut builder = Registry::builder(driver)
        .read_only(storage.read_only)
        .delete(storage.delete)
        .redirect(storage.redirect)
        .relative_urls(http.relative_urls)
        .trusted_proxies(http.trusted_proxies.clone())
        .buffers(limits.buffers.as_u64())
        .upload_buffer(upload_buffer)
        .put_at_once(at_once)
        .idle(limits.upload_idle)
        .min_rate(limits.min_rate())
        .downloads(downloads)
        .uploads(uploads)
        .client_share(limits.client_share)
        .verify_index(config.verify_index)
        .catalog_limit(config.catalog_limit.get())
        .tags_limit(config.tags_limit.get());
    if let Some(host) = &http.host {
        builder = builder.host(host.clone());
    }
    if let Some(secret) = &http.secret {
        builder = builder.secret(secret.expose());
    }
    let controller: Option<Arc<dyn AccessController>> = match &config.auth {
        Some(Auth::Htpasswd(htpasswd)) => Some(Arc::new(Htpasswd::open(&htpasswd.path, &htpasswd.realm)?)),
        _ => tokens.map(|tokens| tokens as Arc<dyn AccessController>),
    };
    if let Some(controller) = controller {
        builder = builder.access(controller);
    }
    Ok(builder.build())
}

/// Reads the keys of `auth: token`, if clients have tokens.
fn token_auth(config: &ServeConfig) -> Result<Option<Arc<TokenAuth>>> {
    let Some(Auth::Token(token)) = &config.auth else { return Ok(None) };
    let settings = TokenSettings {
        realm: token.realm.clone(),
        service: token.service.clone(),
        issuer: token.issuer.clone(),
        rootcertbundle: token.rootcertbundle.clone(),
        jwks: token.jwks.clone(),
        autoredirect: token.autoredirect,
        autoredirectpath: token.autoredirectpath.clone(),
        signingalgorithms: token.signingalgorithms.clone(),
    };
    Ok(Some(Arc::new(TokenAuth::open(&settings)?)))
}

/// Reads again what may be replaced while the registry runs. What is wrong stays as it was.
async fn reload(tls: Option<&Arc<tls::Tls>>, tokens: Option<&Arc<TokenAuth>>) {
    match tls.map(|tls| tls.reload()) {
        Some(Err(error)) => tracing::error!("the certificates stay as they were: {error:#}"),
        Some(Ok(())) => tracing::info!("the certificates were read again"),
        None => {}
    }
    let Some(tokens) = tokens.cloned() else { return };
    match tokio::task::spawn_blocking(move || tokens.reload()).await {
        Ok(Err(error)) => tracing::error!(%error, "the keys of tokens stay as they were"),
        Ok(Ok(())) => tracing::info!("the keys of tokens were read again"),
        // The server is shutting down.
        Err(_) => {}
    }
}

/// Returns how many downloads and uploads may be open at a time. Each takes two of the files that the process may have open; and
/// of what the driver has open at a time, an eighth is kept for what is neither.
fn streams(limits: &config::Limits, driver: &str, files: usize) -> (usize, usize) {
    let quarter = (files / 4).max(1);
    let (mut downloads, mut uploads) = (limits.downloads.get().min(quarter), quarter);
    for bound in capacity::capacities().iter().filter(|bound| bound.owner == driver) {
        let eighths = |count: usize| (bound.most / 8 * count).max(1);
        match bound.limit {
            "readers" => downloads = downloads.min(eighths(7)),
            "writers" => uploads = uploads.min(eighths(7)),
            "open-streams" => (downloads, uploads) = (downloads.min(eighths(4)), uploads.min(eighths(3))),
            _ => {}
        }
    }
    (downloads, uploads)
}

/// Returns the driver's parameter `chunksize`, in bytes.
fn chunk_size(config: &ServeConfig) -> Option<u64> {
    let value = config.config.storage.get(&config.storage.driver)?.get("chunksize")?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns the routes of the registry below the prefix, with the headers that the configuration adds.
fn routes(http: &Http, registry: &Registry) -> Result<Router> {
    let mut router = registry.router().route("/", get(async || ([(CACHE_CONTROL, "no-cache")], "")));
    router = router.layer(axum::middleware::from_fn(refuse_malformed));
    let prefix = http.prefix.trim_end_matches('/').to_owned();
    if !prefix.is_empty() {
        let outside = PathPrefix(prefix.clone());
        router = router.layer(axum::middleware::map_request(move |mut request: Request| {
            request.extensions_mut().insert(outside.clone());
            std::future::ready(request)
        }));
        router = Router::new().nest(&prefix, router);
    }
    let mut headers = Vec::new();
    for (name, values) in &http.headers {
        for value in values {
            let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            headers.push(pair.with_context(|| format!("`http: headers: {name}` is no header; correct it"))?);
        }
    }
    if headers.is_empty() {
        return Ok(router);
    }
    let headers = Arc::new(headers);
    Ok(router.layer(axum::middleware::map_response(move |mut response: Response| {
        for (name, value) in &*headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        std::future::ready(response)
    })))
}

/// Whether anybody who reaches the address chooses what answers' addresses begin with.
fn believes_everybody(http: &Http, bound: &Bound) -> bool {
    let is_reached = matches!(bound, Bound::Tcp(address) if !address.ip().to_canonical().is_loopback());
    is_reached && http.trusted_proxies == TrustedProxies::Everybody && http.host.is_none() && !http.relative_urls
}

/// Refuses a request that names no host that can be, whatever it asks for.
async fn refuse_malformed(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match wharf::registry::refuse_malformed(&parts) {
        Some(refused) => refused,
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

/// Tells the registry who asks, and whether the connection is encrypted.
async fn introduce(mut request: Request) -> Request {
    if let Some(Peer { address, tls }) = request.extensions().get::<Peer>().cloned() {
        if let Some(address) = address {
            request.extensions_mut().insert(ClientAddress(address.ip()));
        }
        if tls {
            request.extensions_mut().insert(Encrypted);
        }
    }
    request
}

/// Deletes stale uploads, again and again.
async fn purge(registry: Registry, purging: UploadPurging) {
    let UploadPurging { age, interval, dry_run } = purging;
    // Several processes that start at once do not all list the store at once.
    let spread = u64::from(std::process::id()) % 60;
    tokio::time::sleep(Duration::from_secs(60 + spread)).await;
    loop {
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        match registry.purge_uploads(before, dry_run).await {
            Ok(purged) => {
                tracing::info!(uploads = purged.uploads, failed = purged.failed, dry_run, "stale uploads were removed");
            }
            Err(error) => tracing::error!(%error, "stale uploads could not be looked for"),
        }
        tokio::time::sleep(interval).await;
    }
}

fn health_settings(config: &ServeConfig) -> HealthSettings {
    match &config.health {
        None => HealthSettings { enabled: false, ..HealthSettings::default() },
        Some(health) => {
            HealthSettings { interval: health.interval, threshold: health.threshold.get(), ..HealthSettings::default() }
        }
    }
}

fn tls_settings(tls: &Tls, http: &Http) -> TlsSettings {
    let minimum = match tls.minimum {
        MinimumTls::Tls12 => MinimumVersion::Tls12,
        MinimumTls::Tls13 => MinimumVersion::Tls13,
    };
    let (client_authorities, client_certificate) = match &tls.clients {
        None => (Vec::new(), ClientCertificate::default()),
        Some(clients) => {
            let certificate = match clients.auth {
                ClientAuth::Optional => ClientCertificate::Optional,
                ClientAuth::Required => ClientCertificate::Required,
            };
            (clients.authorities.clone(), certificate)
        }
    };
    TlsSettings {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        minimum,
        cipher_suites: Vec::new(),
        client_authorities,
        client_certificate,
        http1_only: !http.http2,
    }
}

fn address(listen: &Listen) -> Address {
    match listen {
        Listen::Tcp(address) => tcp(address),
        Listen::Unix(path) => Address::Unix(path.clone()),
    }
}

fn tcp(TcpAddress { host, port }: &TcpAddress) -> Address {
    let host = host.as_deref().unwrap_or("");
    Address::Tcp(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use super::*;
    use crate::config::{CommandLine, Config, Environment, Given};

    #[test]
    fn who_can_be_reached_and_believes_everybody_is_told_so() {
        let given = Given::default();
        for (key, value, address, warned) in [
            ("REGISTRY_HTTP_SECRET", "s", "0.0.0.0:5000", true),
            ("REGISTRY_HTTP_SECRET", "s", "[::]:5000", true),
            ("REGISTRY_HTTP_SECRET", "s", "192.0.2.1:5000", true),
            ("REGISTRY_HTTP_SECRET", "s", "127.0.0.1:5000", false),
            ("REGISTRY_HTTP_SECRET", "s", "[::1]:5000", false),
            ("REGISTRY_HTTP_TRUSTEDPROXIES", "[10.0.0.0/8]", "0.0.0.0:5000", false),
            ("REGISTRY_HTTP_TRUSTEDPROXIES", "[]", "0.0.0.0:5000", false),
            ("REGISTRY_HTTP_HOST", "https://images.example.com", "0.0.0.0:5000", false),
            ("REGISTRY_HTTP_RELATIVEURLS", "true", "0.0.0.0:5000", false),
        ] {
            let environment: Environment = [(key, value)].into_iter().collect();
            let line = CommandLine { given: &given, drivers: None };
            let (config, _) = Config::for_serve(None, &environment, line).unwrap();
            let bound = Bound::Tcp(address.parse().unwrap());
            assert_eq!(believes_everybody(&config.http, &bound), warned, "{key}={value} at {address}");
        }
    }

    #[test]
    fn an_eighth_of_what_a_driver_has_open_is_kept_for_what_is_no_download_and_no_upload() {
        let driver: Arc<dyn StorageDriver> = Arc::new(wharf::drivers::inmemory::InMemory::new());
        let one = std::num::NonZeroUsize::MIN;
        let most = std::num::NonZeroUsize::new(80).unwrap();
        let _bounded = wharf::base::ConcurrencyLimit::new(Arc::clone(&driver), one).with_open_streams(most);
        assert_eq!(streams(&config::Limits::default(), driver.name(), 1 << 20), (40, 30));
        assert_eq!(streams(&config::Limits::default(), driver.name(), 40), (10, 10), "of the files, a quarter each");
    }
}
