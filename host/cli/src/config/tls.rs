//! The section `http: tls:`.

use std::path::PathBuf;

use serde::Deserialize;

use super::document::Document;
use super::report::{Notice, Report};

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
    pub(super) fn new(document: &Document, section: Section, report: &mut Report) -> Option<Self> {
        let Section { certificate, key, clientcas, clientauth, minimumtls } = section;
        let mut refuse = |key: &str, what: &str| report.refuse(document, &format!("http.tls.{key}"), what);
        match (&certificate, &key) {
            (Some(_), None) => refuse("key", "is missing beside `certificate`; name the file of its key"),
            // Distribution would listen without TLS here.
            (None, Some(_)) => refuse("certificate", "is missing beside `key`; name the file, or remove both"),
            (None, None) if !clientcas.is_empty() || clientauth.is_some() => {
                let what = "is missing: without TLS no client shows a certificate, and everybody would be let in; name the \
                            file, or remove `clientcas` and `clientauth`";
                refuse("certificate", what);
            }
            _ => {}
        }
        let is_old = matches!(minimumtls.as_deref(), Some("tls1.0" | "tls1.1"));
        let minimum = match minimumtls.as_deref() {
            Some("tls1.3") => MinimumTls::Tls13,
            None | Some("tls1.2" | "tls1.0" | "tls1.1") => MinimumTls::Tls12,
            Some(_) => {
                refuse("minimumtls", "expected one of `tls1.2`, `tls1.3`");
                MinimumTls::Tls13
            }
        };
        let is_unverified = clientauth.as_deref() == Some("request-client-cert");
        let auth = match clientauth.as_deref() {
            None | Some("require-and-verify-client-cert") => Some(ClientAuth::Required),
            Some("verify-client-cert-if-given") => Some(ClientAuth::Optional),
            // Asked for, never verified, and shown to nobody: not to ask comes to the same.
            Some("request-client-cert") => None,
            Some("require-any-client-cert") => {
                let what =
                    "Wharf lets no certificate pass that nobody vouches for; write `require-and-verify-client-cert`";
                refuse("clientauth", what);
                None
            }
            Some(_) => {
                let what = "expected one of `request-client-cert`, `require-any-client-cert`, \
                            `verify-client-cert-if-given`, `require-and-verify-client-cert`";
                refuse("clientauth", what);
                None
            }
        };
        // Distribution would let everybody in here.
        if certificate.is_some() && auth.is_some() && clientauth.is_some() && clientcas.is_empty() {
            refuse("clientcas", "is missing beside `clientauth`; name the authorities that vouch for clients");
        }
        if is_old {
            report.notices.push(Notice::missing("http.tls.minimumtls", "Wharf speaks nothing older than TLS 1.2"));
        }
        if is_unverified {
            let what = "what clients show then is not verified: Wharf does not ask for it";
            report.notices.push(Notice::missing("http.tls.clientauth", what));
        }
        let clients = auth.filter(|_| !clientcas.is_empty());
        let clients = clients.map(|auth| ClientCertificates { authorities: clientcas, auth });
        Some(Tls { certificate: certificate?, key: key?, minimum, clients })
    }
}
