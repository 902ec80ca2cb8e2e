//! TLS: certificates from files, which may be replaced while the server runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// The oldest version of TLS that a client may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MinimumVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What a client without a certificate may do, where client authorities are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    /// Nothing: Distribution's default.
    #[default]
    Required,
    /// Connect. A certificate that is given must be good.
    Optional,
}

/// The files, and what is asked of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// The server's certificate and those that sign it, in PEM, the server's own first.
    pub(crate) certificate: PathBuf,
    /// The server's key, in PEM.
    pub(crate) key: PathBuf,
    /// The oldest version.
    pub(crate) minimum: MinimumVersion,
    /// Names of the cipher suites that may be used, as Go and IANA write them; all good ones by default. Those of TLS 1.3
    /// are not chosen: none of them is bad.
    pub(crate) cipher_suites: Vec<String>,
    /// Files of authorities, in PEM. Where there are any, clients show certificates that one of them signed.
    pub(crate) client_authorities: Vec<PathBuf>,
    /// Whether every client must.
    pub(crate) client_certificate: ClientCertificate,
    /// Whether HTTP/2 is not offered.
    pub(crate) http1_only: bool,
}

impl TlsSettings {
    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_authorities).map(PathBuf::as_path)
    }
}

/// TLS for one address. New connections use what was loaded last; those that are open keep what they began with.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    config: RwLock<Arc<ServerConfig>>,
    loaded: Mutex<Vec<Stamp>>,
}

/// What tells that a file was replaced or written. None if it cannot be looked at.
type Stamp = Option<(u64, u64, SystemTime)>;

fn stamp(file: &Path) -> Stamp {
    // Follows links: an orchestrator replaces the directory that a link names.
    let found = fs::metadata(file).ok()?;
    Some((found.ino(), found.len(), found.modified().ok()?))
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read, holds nothing of what it should, or does not fit the others.
    pub(crate) fn load(settings: TlsSettings) -> Result<Arc<Self>> {
        let loaded = settings.files().map(stamp).collect();
        let config = RwLock::new(configure(&settings)?);
        Ok(Arc::new(Tls { settings, config, loaded: Mutex::new(loaded) }))
    }

    /// Returns what makes a connection one of TLS, by what was loaded last.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// As [`load`](Tls::load). What was loaded before stays in use.
    pub(crate) fn reload(&self) -> Result<()> {
        // Looked at before they are read: what is written meanwhile counts as new.
        let stamps = self.stamps();
        let config = configure(&self.settings)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = stamps;
        Ok(())
    }

    /// Looks at the files every so often, for ever, and reads them again when one has changed. What cannot be used is told
    /// once, and tried again: a certificate and its key are replaced one after the other.
    pub(crate) async fn watch(self: Arc<Self>, interval: Duration) {
        let mut told = None;
        loop {
            tokio::time::sleep(interval).await;
            let stamps = self.stamps();
            if stamps == *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) {
                continue;
            }
            match self.reload() {
                Ok(()) => {
                    let certificate = self.settings.certificate.display();
                    tracing::info!(target: "wharf::server", %certificate, "the certificate was read again");
                    told = None;
                }
                Err(error) if told.as_ref() != Some(&stamps) => {
                    let error = format!("{error:#}");
                    tracing::error!(target: "wharf::server", error, "the new certificate cannot be used; the old one stays");
                    told = Some(stamps);
                }
                Err(_) => {}
            }
        }
    }

    fn stamps(&self) -> Vec<Stamp> {
        self.settings.files().map(stamp).collect()
    }
}

fn configure(settings: &TlsSettings) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(provider(&settings.cipher_suites)?);
    let versions: &[&SupportedProtocolVersion] = match settings.minimum {
        MinimumVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinimumVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .context("no cipher suite is left for the versions of TLS")?;
    let builder = if settings.client_authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut authorities = RootCertStore::empty();
        for file in &settings.client_authorities {
            for certificate in certificates(file)? {
                authorities
                    .add(certificate)
                    .with_context(|| format!("{} holds a certificate that no authority has", file.display()))?;
            }
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider);
        let verifier = match settings.client_certificate {
            ClientCertificate::Required => verifier,
            ClientCertificate::Optional => verifier.allow_unauthenticated(),
        };
        builder.with_client_cert_verifier(verifier.build().context("the client authorities cannot be used")?)
    };
    let key = PrivateKeyDer::from_pem_slice(&read(&settings.key)?)
        .map_err(|error| anyhow::anyhow!("{} holds no private key in PEM: {error}", settings.key.display()))?;
    let mut config = builder
        .with_single_cert(certificates(&settings.certificate)?, key)
        .with_context(|| format!("{} and {} do not fit", settings.certificate.display(), settings.key.display()))?;
    config.alpn_protocols =
        if settings.http1_only { vec![b"http/1.1".to_vec()] } else { vec![b"h2".to_vec(), b"http/1.1".to_vec()] };
    // Clients that come back need no new handshake, and the server remembers none of them.
    config.ticketer = rustls::crypto::ring::Ticketer::new().context("the system has no randomness")?;
    Ok(Arc::new(config))
}

fn provider(names: &[String]) -> Result<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    if names.is_empty() {
        return Ok(provider);
    }
    let chosen = |suite: &rustls::SupportedCipherSuite| {
        suite.tls13().is_some() || names.iter().any(|name| suite.suite().as_str() == Some(name))
    };
    for name in names {
        // Those of TLS 1.3 have another name here, and are all on.
        let known = provider.cipher_suites.iter().filter_map(|suite| suite.suite().as_str());
        let of_tls13 = known.clone().filter_map(|known| known.strip_prefix("TLS13_"));
        if !known.clone().any(|known| known == name)
            && !of_tls13.clone().any(|known| Some(known) == name.strip_prefix("TLS_"))
        {
            let known: Vec<_> = known.filter(|known| !known.starts_with("TLS13_")).collect();
            bail!("the cipher suite {name} is unknown or not safe; there are {}", known.join(", "));
        }
    }
    provider.cipher_suites.retain(chosen);
    Ok(provider)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("could not read {}", file.display()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| anyhow::anyhow!("{} is no PEM: {error}", file.display()))?;
    if certificates.is_empty() {
        bail!("{} holds no certificate in PEM", file.display());
    }
    Ok(certificates)
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
