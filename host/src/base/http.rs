//! The HTTP client that native drivers and middlewares share: one configuration, one TLS library.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;

use crate::contract::{Error, ErrorKind, Result};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Below the minute after which many servers and balancers close theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Returns a client for a driver: as [`builder`] sets it up, and one that follows no redirect.
pub(crate) fn client(skip_verify: bool) -> Result<reqwest::Client> {
    builder(skip_verify)?.redirect(redirect::Policy::none()).build().map_err(|error| failed(&error))
}

/// Returns the settings of a client that trusts this system's certificates, or with `skip_verify` any, and uses the proxy that
/// the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
///
/// No time is set for an answer: whoever asks knows how long it may take.
pub(crate) fn builder(skip_verify: bool) -> Result<reqwest::ClientBuilder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let tls = if skip_verify {
        let verifier = Arc::new(unverified::AnyCertificate::default());
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    } else {
        let mut roots = rustls::RootCertStore::empty();
        // A certificate that cannot be read is one that nobody will be trusted by.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true))
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, format!("the client for HTTPS cannot be set up: {error}"))
}

/// For `skipverify`, which operators ask for where a store has a certificate of its own making.
mod unverified {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    /// Takes any certificate. Signatures made with it are checked all the same.
    #[derive(Debug)]
    pub(super) struct AnyCertificate(WebPkiSupportedAlgorithms);

    impl Default for AnyCertificate {
        fn default() -> Self {
            AnyCertificate(ring::default_provider().signature_verification_algorithms)
        }
    }

    impl ServerCertVerifier for AnyCertificate {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_schemes()
        }
    }
}
