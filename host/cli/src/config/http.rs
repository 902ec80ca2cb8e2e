//! The section `http:`: where and how the registry is reached.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use wharf::base::Secret;
use wharf::registry::TrustedProxies;

use super::document::Document;
use super::listen::{Listen, TcpAddress};
use super::nanoseconds::Nanoseconds;
use super::report::{Notice, Report};
use super::tls::{self, Tls};

/// Where and how the registry is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Http {
    /// Where it listens; 127.0.0.1:5000 by default.
    pub(crate) listen: Listen,
    /// The path before `/v2/`; begins and ends with `/`, and is `/` by default.
    pub(crate) prefix: String,
    /// What addresses begin with, such as `https://registry.example.com`, without a `/` at the end.
    pub(crate) host: Option<String>,
    /// Whose forwarded headers are believed; everybody's if nothing is said of it, as in Distribution.
    pub(crate) trusted_proxies: TrustedProxies,
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
    trustedproxies: Option<Vec<String>>,
    relativeurls: bool,
    draintimeout: Nanoseconds,
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
    pub(super) fn from_document(document: &Document, report: &mut Report) -> Self {
        let section: Section = document.parse("http", report);
        let mut address = |key: &str, text: &str| {
            TcpAddress::parse(text).unwrap_or_else(|what| {
                report.refuse(document, key, what);
                TcpAddress::loopback(5000)
            })
        };
        let debug_listen = section.debug.addr.map(|addr| address("http.debug.addr", &addr));
        let listen = match (section.net, section.addr) {
            (Net::Tcp, None) => Listen::Tcp(TcpAddress::loopback(5000)),
            (Net::Tcp, Some(addr)) => Listen::Tcp(address("http.addr", &addr)),
            (Net::Unix, Some(addr)) => Listen::Unix(PathBuf::from(addr)),
            (Net::Unix, None) => {
                report.refuse(document, "http.addr", "is missing beside `net: unix`; name the socket's path");
                Listen::Tcp(TcpAddress::loopback(5000))
            }
        };
        let Prometheus { enabled, path } = section.debug.prometheus;
        let metrics = enabled.then(|| path.unwrap_or_else(|| "/metrics".to_owned()));
        if metrics.as_ref().is_some_and(|path| !path.starts_with('/')) {
            report.refuse(document, "http.debug.prometheus.path", "does not begin with `/`");
        }
        if debug_listen.is_none() && metrics.is_some() {
            report.notices.push(Notice::missing(
                "http.debug.prometheus.enabled",
                "there is no `http.debug.addr` at which the metrics could be fetched",
            ));
        }
        for (name, values) in &section.headers {
            let what = match () {
                () if !is_name(name) => "is no name of a header",
                () if !values.iter().all(|value| is_value(value)) => "has a value that no header can have",
                () => continue,
            };
            report.refuse(document, &format!("http.headers.{name}"), what);
        }
        Http {
            listen,
            prefix: prefix(document, section.prefix.as_deref(), report),
            host: section.host.and_then(|host| self::host(document, &host, report)),
            trusted_proxies: trusted_proxies(document, section.trustedproxies, report),
            relative_urls: section.relativeurls,
            drain_timeout: section.draintimeout.at("http.draintimeout", report),
            secret: section.secret,
            headers: section.headers,
            tls: Tls::new(document, section.tls, report),
            debug: debug_listen.map(|listen| Debugging { listen, metrics }),
            http2: !section.http2.disabled,
            h2c: section.h2c.enabled,
        }
    }
}

/// Reads networks, each as `ADDRESS/BITS` or as one address, and `unix` for who connects to a Unix socket.
fn trusted_proxies(document: &Document, texts: Option<Vec<String>>, report: &mut Report) -> TrustedProxies {
    let Some(texts) = texts else { return TrustedProxies::Everybody };
    let (mut networks, mut local) = (Vec::new(), false);
    for text in texts {
        if text == "unix" {
            local = true;
        } else if let Some(network) = network(&text) {
            networks.push(network);
        } else {
            let what = "has an element that is neither a network such as 10.0.0.0/8, nor an address, nor `unix`";
            report.refuse(document, "http.trustedproxies", what);
        }
    }
    TrustedProxies::Networks { networks, local }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((address, bits))
}

/// Gives a prefix a `/` at either end.
fn prefix(document: &Document, prefix: Option<&str>, report: &mut Report) -> String {
    let inner = prefix.unwrap_or_default().trim_matches('/');
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if !inner.chars().all(fits) || inner.split('/').any(|part| part == "." || part == "..") || inner.contains("//") {
        let what = "is no path such as /my/registry/, of letters, digits and -._~";
        report.refuse(document, "http.prefix", what);
    }
    if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") }
}

fn host(document: &Document, host: &str, report: &mut Report) -> Option<String> {
    let rest = host.strip_prefix("https://").or_else(|| host.strip_prefix("http://"));
    let trimmed = host.trim_end_matches('/');
    match rest {
        Some(rest) if !rest.starts_with('/') && !rest.is_empty() && !rest.contains(is_outside_url) => {
            Some(trimmed.to_owned())
        }
        _ => {
            report.refuse(document, "http.host", "is no address such as https://registry.example.com:5000");
            None
        }
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
