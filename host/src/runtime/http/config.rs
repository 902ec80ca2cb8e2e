//! How a component's requests travel: certificates, and a proxy.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::HeaderValue;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use crate::contract::{Error, ErrorKind, Result};

/// How a component's requests travel, beside where they may go: `http:` under the component's name.
///
/// Files are read when a driver is opened. The component never sees what is in them.
///
/// ```
/// use wharf::runtime::HttpConfig;
///
/// let config: HttpConfig = serde_json::from_str(r#"{ "ca": "/etc/wharf/ca.pem", "proxy": "http://proxy.internal:3128" }"#)?;
/// assert!(config.client_certificate.is_none());
/// assert!(serde_json::from_str::<HttpConfig>(r#"{ "proxy": "socks5://proxy.internal" }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// A file of certificates, in PEM, of authorities that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// A file with the certificate, in PEM and with its chain, that servers who ask for one are shown. Needs
    /// `client_key`.
    pub client_certificate: Option<PathBuf>,
    /// A file with the private key of `client_certificate`, in PEM.
    pub client_key: Option<PathBuf>,
    /// A proxy that every request goes through: `http://[USER:PASSWORD@]HOST:PORT`. It is connected to wherever it is.
    /// Names are then resolved by the proxy, so that only the proxy can keep a name from leading to a private address.
    pub proxy: Option<ProxyAddress>,
}

/// The address of an HTTP proxy. Prints without its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyAddress {
    uri: http::Uri,
    credentials: Option<String>,
}

impl ProxyAddress {
    pub(super) fn uri(&self) -> &http::Uri {
        &self.uri
    }

    /// Returns the header that tells the proxy who asks.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        use base64::Engine;
        let encoded = base64::engine::general_purpose::STANDARD.encode(self.credentials.as_ref()?);
        // Base64 is text of a header by its alphabet.
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl TryFrom<String> for ProxyAddress {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, &'static str> {
        // Not printed: it may hold a password.
        const WRONG: &str = "a proxy is http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; its connection cannot be \
                             encrypted, what goes through it to https:// addresses is";
        let rest = text.strip_prefix("http://").ok_or(WRONG)?.trim_end_matches('/');
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials.to_owned()), address),
            None => (None, rest),
        };
        let uri: http::Uri = format!("http://{address}/").parse().map_err(|_| WRONG)?;
        match (uri.host(), uri.port_u16(), uri.path()) {
            (Some(_), Some(_), "/") => Ok(ProxyAddress { uri, credentials }),
            _ => Err(WRONG),
        }
    }
}

impl From<ProxyAddress> for String {
    fn from(proxy: ProxyAddress) -> String {
        proxy.to_string()
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        match &self.credentials {
            Some(credentials) => {
                let user = credentials.split(':').next().unwrap_or_default();
                write!(f, "http://{user}:***@{authority}")
            }
            None => write!(f, "http://{authority}"),
        }
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl HttpConfig {
    /// Reads the files and returns how TLS is spoken.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`], with the line of the configuration, if a file cannot be used. A machine
    /// without any authority of its own is no error: then every https request fails, and says why.
    pub(super) fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        for error in system.errors {
            tracing::warn!(%error, "certificates of the system's authorities cannot be read");
        }
        if let Some(file) = &self.ca {
            for certificate in certificates("ca", file)? {
                roots.add(certificate).map_err(|error| unusable("ca", file, error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(ErrorKind::Other, format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots);
        match (&self.client_certificate, &self.client_key) {
            (None, None) => Ok(config.with_no_client_auth()),
            (Some(certificate), Some(key_file)) => {
                let chain = certificates("client_certificate", certificate)?;
                let key =
                    PrivateKeyDer::from_pem_file(key_file).map_err(|error| unusable("client_key", key_file, error))?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unusable("client_certificate", certificate, error))
            }
            (Some(_), None) => Err(incomplete("client_certificate", "client_key")),
            (None, Some(_)) => Err(incomplete("client_key", "client_certificate")),
        }
    }
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(unusable(key, file, "it holds no certificate in PEM")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(key, file, error)),
    }
}

fn unusable(key: &str, file: &Path, error: impl fmt::Display) -> Error {
    let message = format!("`http: {{ {key}: {} }}` cannot be used: {error}", file.display());
    Error::new(ErrorKind::InvalidParameters, message)
}

fn incomplete(given: &str, missing: &str) -> Error {
    Error::new(ErrorKind::InvalidParameters, format!("`http: {{ {given}: .. }}` needs `{missing}` beside it"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_password_of_a_proxy_is_never_printed() {
        let proxy = ProxyAddress::try_from("http://user:s3cret@proxy.example:3128".to_owned()).unwrap();
        let config = HttpConfig { proxy: Some(proxy), ..HttpConfig::default() };
        for printed in [format!("{config:?}"), serde_json::to_string(&config).unwrap()] {
            assert!(printed.contains("proxy.example:3128") && !printed.contains("s3cret"), "{printed}");
        }
        assert!(!ProxyAddress::try_from("http://user:s3cret@".to_owned()).unwrap_err().contains("s3cret"));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = HttpConfig { ca: Some(file.path().to_owned()), ..HttpConfig::default() };
        let error = config.tls().unwrap_err();
        assert!(error.message().contains("`http: { ca: ") && error.message().contains("no certificate"), "{error}");
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let config = HttpConfig { client_certificate: Some("a.pem".into()), ..HttpConfig::default() };
        assert!(config.tls().unwrap_err().message().contains("`client_key`"));
    }
}
