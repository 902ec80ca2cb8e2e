//! The section `http:`: where and how the registry is reached.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use wharf::base::{GoDuration, Secret};

use super::document::Document;
use super::listen::{Listen, TcpAddress};
use super::tls::{self, Tls};
use super::unsupported::Notice;

/// Where and how the registry is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Http {
    /// Where it listens; 127.0.0.1:5000 by default.
    pub(crate) listen: Listen,
    /// The path before `/v2/`; begins and ends with `/`, and is `/` by default.
    pub(crate) prefix: String,
    /// What addresses begin with, such as `https://registry.example.com`, without a `/` at the end.
    pub(crate) host: Option<String>,
    /// Whether addresses have neither scheme nor host.
    pub(crate) relative_urls: bool,
    /// How long requests that are under way may take at the end; zero if nothing is said of it.
    pub(crate) drain_timeout: Duration,
    /// Signs the addresses of uploads.
    pub(crate) secret: Option<Secret>,
    /// What every answer has besides: names of headers, and the values of each.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    /// How connections are encrypted; none if they are not.
    pub(crate) tls: Option<Tls>,
    /// What an operator sees; none if nothing listens for one.
    pub(crate) debug: Option<Debugging>,
    /// Whether HTTP/2 is spoken over TLS: not `http2: disabled`.
    pub(crate) http2: bool,
    /// Whether HTTP/2 is asked for without TLS: `h2c: enabled`.
    pub(crate) h2c: bool,
}

/// The address for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Debugging {
    /// Where it listens.
    pub(crate) listen: TcpAddress,
    /// The path of the metrics for Prometheus; none if they are not asked for.
    pub(crate) metrics: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    addr: Option<String>,
    net: Net,
    prefix: Option<String>,
    host: Option<String>,
    relativeurls: bool,
    draintimeout: GoDuration,
    secret: Option<Secret>,
    headers: BTreeMap<String, Vec<String>>,
    tls: tls::Section,
    debug: Debug,
    http2: Http2,
    h2c: H2c,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Net {
    #[default]
    Tcp,
    Unix,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Debug {
    addr: Option<String>,
    prometheus: Prometheus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Prometheus {
    enabled: bool,
    path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Http2 {
    disabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct H2c {
    enabled: bool,
}

impl Http {
    pub(super) fn from_document(document: &Document, notices: &mut Vec<Notice>) -> Result<Self> {
        let section: Section = document.parse("http")?;
        let address = |key: &str, text: &str| TcpAddress::parse(text).map_err(|what| document.fault(key, what));
        let listen = match (section.net, section.addr) {
            (Net::Tcp, None) => Listen::Tcp(TcpAddress::loopback(5000)),
            (Net::Tcp, Some(addr)) => Listen::Tcp(address("http.addr", &addr)?),
            (Net::Unix, Some(addr)) => Listen::Unix(PathBuf::from(addr)),
            (Net::Unix, None) => {
                return Err(document.fault("http.addr", "is missing beside `net: unix`; name the socket's path"));
            }
        };
        let Prometheus { enabled, path } = section.debug.prometheus;
        let metrics = enabled.then(|| path.unwrap_or_else(|| "/metrics".to_owned()));
        if metrics.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(document.fault("http.debug.prometheus.path", "does not begin with `/`"));
        }
        let debug = match section.debug.addr {
            Some(addr) => Some(Debugging { listen: address("http.debug.addr", &addr)?, metrics }),
            None if metrics.is_some() => {
                notices.push(Notice::missing(
                    "http.debug.prometheus.enabled",
                    "there is no `http.debug.addr` at which the metrics could be fetched",
                ));
                None
            }
            None => None,
        };
        for (name, values) in &section.headers {
            let what = match () {
                () if !is_name(name) => "is no name of a header",
                () if !values.iter().all(|value| is_value(value)) => "has a value that no header can have",
                () => continue,
            };
            return Err(document.fault(&format!("http.headers.{name}"), what));
        }
        Ok(Http {
            listen,
            prefix: prefix(document, section.prefix.as_deref())?,
            host: section.host.map(|host| self::host(document, &host)).transpose()?,
            relative_urls: section.relativeurls,
            drain_timeout: section.draintimeout.0,
            secret: section.secret,
            headers: section.headers,
            tls: Tls::new(document, section.tls, notices)?,
            debug,
            http2: !section.http2.disabled,
            h2c: section.h2c.enabled,
        })
    }
}

/// Gives a prefix a `/` at either end.
fn prefix(document: &Document, prefix: Option<&str>) -> Result<String> {
    let inner = prefix.unwrap_or_default().trim_matches('/');
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if !inner.chars().all(fits) || inner.split('/').any(|part| part == "." || part == "..") || inner.contains("//") {
        return Err(document.fault("http.prefix", "is no path such as /my/registry/, of letters, digits and -._~"));
    }
    Ok(if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") })
}

fn host(document: &Document, host: &str) -> Result<String> {
    let rest = host.strip_prefix("https://").or_else(|| host.strip_prefix("http://"));
    let trimmed = host.trim_end_matches('/');
    match rest {
        Some(rest) if !rest.starts_with('/') && !rest.is_empty() && !rest.contains(is_outside_url) => {
            Ok(trimmed.to_owned())
        }
        _ => Err(document.fault("http.host", "is no address such as https://registry.example.com:5000")),
    }
}

/// What would end the host or the path, or would have to be encoded.
fn is_outside_url(c: char) -> bool {
    !c.is_ascii_graphic() || "?#@\"<>\\^`{|}".contains(c)
}

/// A header's name is a token: RFC 9110, section 5.6.2.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A header's value has no control characters but tabs.
fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
