//! The section `http: tls:`.

use std::path::PathBuf;

use serde::Deserialize;

use super::document::Document;
use super::unsupported::Notice;

/// How connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// A file of PEM certificates: the server's own, then those that lead to an authority.
    pub(crate) certificate: PathBuf,
    /// A file with the private key, in PEM.
    pub(crate) key: PathBuf,
    /// The oldest version that is spoken.
    pub(crate) minimum: MinimumTls,
    /// Which certificates clients show; none if they are not asked.
    pub(crate) clients: Option<ClientCertificates>,
}

/// Certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificates {
    /// Files of PEM certificates: the authorities that vouch for clients. Not empty.
    pub(crate) authorities: Vec<PathBuf>,
    /// Whether there has to be one.
    pub(crate) auth: ClientAuth,
}

/// Whether a client has to show a certificate. One that it shows is verified in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// `verify-client-cert-if-given`.
    Optional,
    /// `require-and-verify-client-cert`, which is the default where there are authorities.
    Required,
}

/// The oldest version of TLS; 1.2 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MinimumTls {
    /// `tls1.2`.
    Tls12,
    /// `tls1.3`.
    Tls13,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    clientcas: Vec<PathBuf>,
    clientauth: Option<String>,
    minimumtls: Option<String>,
}

impl Tls {
    /// Returns none if connections are not encrypted. What would be less secure than it reads is refused.
    pub(super) fn new(
        document: &Document,
        section: Section,
        notices: &mut Vec<Notice>,
    ) -> anyhow::Result<Option<Self>> {
        let Section { certificate, key, clientcas, clientauth, minimumtls } = section;
        let fault = |key: &str, what: &str| document.fault(&format!("http.tls.{key}"), what);
        let minimum = match minimumtls.as_deref() {
            None | Some("tls1.2") => MinimumTls::Tls12,
            Some("tls1.3") => MinimumTls::Tls13,
            Some("tls1.0" | "tls1.1") => {
                notices.push(Notice::missing("http.tls.minimumtls", "Wharf speaks nothing older than TLS 1.2"));
                MinimumTls::Tls12
            }
            Some(_) => return Err(fault("minimumtls", "expected one of `tls1.2`, `tls1.3`")),
        };
        let (certificate, key) = match (certificate, key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return Err(fault("key", "is missing beside `certificate`; name the file of its key")),
            // Distribution would listen without TLS here.
            (None, Some(_)) => {
                return Err(fault("certificate", "is missing beside `key`; name the file, or remove both"));
            }
            (None, None) if !clientcas.is_empty() || clientauth.is_some() => {
                let what = "is missing: without TLS no client shows a certificate, and everybody would be let in; name the \
                            file, or remove `clientcas` and `clientauth`";
                return Err(fault("certificate", what));
            }
            (None, None) => return Ok(None),
        };
        let auth = match clientauth.as_deref() {
            None | Some("require-and-verify-client-cert") => Some(ClientAuth::Required),
            Some("verify-client-cert-if-given") => Some(ClientAuth::Optional),
            // Asked for, never verified, and shown to nobody: not to ask comes to the same.
            Some("request-client-cert") => {
                let what = "what clients show then is not verified: Wharf does not ask for it";
                notices.push(Notice::missing("http.tls.clientauth", what));
                None
            }
            Some("require-any-client-cert") => {
                let what =
                    "Wharf lets no certificate pass that nobody vouches for; write `require-and-verify-client-cert`";
                return Err(fault("clientauth", what));
            }
            Some(_) => {
                let what = "expected one of `request-client-cert`, `require-any-client-cert`, \
                            `verify-client-cert-if-given`, `require-and-verify-client-cert`";
                return Err(fault("clientauth", what));
            }
        };
        let clients = match auth {
            Some(auth) if !clientcas.is_empty() => Some(ClientCertificates { authorities: clientcas, auth }),
            // Distribution would let everybody in here.
            Some(_) if clientauth.is_some() => {
                return Err(fault(
                    "clientcas",
                    "is missing beside `clientauth`; name the authorities that vouch for clients",
                ));
            }
            _ => None,
        };
        Ok(Some(Tls { certificate, key, minimum, clients }))
    }
}
