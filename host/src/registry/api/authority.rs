//! Which host a client asked, and by which scheme: what a request says of that, before it stands in an answer.
//!
//! Nothing that a client or a proxy sends is put into an address as it is. A host is one by the grammar of RFC 3986, without a
//! user; a scheme is `http` or `https`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HOST};
use http::uri::Scheme;
use http::{HeaderName, Version, request};

use super::ClientAddress;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The longest host that is read, in bytes: names have at most 253.
const MAX_HOST: usize = 512;

/// Whose `Forwarded` and `X-Forwarded-*` headers are believed.
///
/// They say by which host and scheme clients know the registry, and become part of the addresses that answers name: whoever
/// sends them chooses where the client goes on. So only the proxies in front of the registry should be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustedProxies {
    /// Everybody's, as in Distribution.
    #[default]
    Everybody,
    /// Those of these networks, by [`ClientAddress`]; IPv4 addresses count as such where they come as IPv6.
    Networks {
        /// Networks, as their first address and the number of bits that count.
        networks: Vec<(IpAddr, u8)>,
        /// Whether requests without a [`ClientAddress`], as they come at a Unix socket, count too.
        local: bool,
    },
}

impl TrustedProxies {
    /// Returns whether a proxy at that address is believed; none is one at a Unix socket.
    pub fn contain(&self, address: Option<IpAddr>) -> bool {
        match (self, address.map(|address| address.to_canonical())) {
            (TrustedProxies::Everybody, _) => true,
            (TrustedProxies::Networks { local, .. }, None) => *local,
            (TrustedProxies::Networks { networks, .. }, Some(address)) => {
                networks.iter().any(|(network, bits)| is_within(address, network.to_canonical(), *bits))
            }
        }
    }

    /// Returns whether the address is that of a proxy which is named, so that many clients may come from it.
    pub fn name(&self, address: IpAddr) -> bool {
        *self != TrustedProxies::Everybody && self.contain(Some(address))
    }

    /// Returns the client's address: the one that the server saw; or behind proxies that are named, the last in `X-Forwarded-For`,
    /// or else in `Forwarded`, that is none of theirs. What anybody may have written before it is not looked at, and where
    /// everybody is believed it is not looked at at all: an address by which a client is bounded must not be its own to choose.
    pub fn client(&self, request: &request::Parts) -> Option<IpAddr> {
        let seen = request.extensions.get::<ClientAddress>().map(|address| address.0);
        if *self == TrustedProxies::Everybody || !self.contain(seen) {
            return seen;
        }
        let x_forwarded_for = request.headers.get_all(X_FORWARDED_FOR);
        let is_plain = x_forwarded_for.iter().next().is_some();
        let values = if is_plain { x_forwarded_for } else { request.headers.get_all(FORWARDED) };
        let elements = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let elements: Vec<&str> = elements.collect();
        let mut client = seen;
        for element in elements.into_iter().rev() {
            let text = if is_plain { Some(element.trim()) } else { parameter(element, "for") };
            let Some(address) = text.and_then(address) else { break };
            client = Some(address);
            if !self.contain(client) {
                break;
            }
        }
        client
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |one: u128, other: u128, unused: u32| one.checked_shr(unused) == other.checked_shr(unused);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            same(address.to_bits().into(), network.to_bits().into(), 32u32.saturating_sub(bits.into()))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            same(address.to_bits(), network.to_bits(), 128u32.saturating_sub(bits.into()))
        }
        _ => false,
    }
}

/// A header or target that is not what it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Returns the host that a request is for: of the target, where it names one, or else of `Host`. None if a request of HTTP/1.0
/// names none.
///
/// # Errors
///
/// A request of HTTP/1.1 without `Host`; one with two, or with one that is no host; one of HTTP/2 that names two hosts
/// (RFC 9112, section 3.2; RFC 9113, section 8.3.1); a target with a user, or with a scheme other than `http` and `https`
/// (RFC 9110, section 4.2).
pub(crate) fn host(request: &request::Parts) -> Result<Option<&str>, Malformed> {
    let mut values = request.headers.get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(Malformed("there are two headers Host"));
    }
    let header = header.map(|host| host.to_str().map_err(|_| Malformed("the header Host is no host"))).transpose()?;
    // A client that has no host to name sends an empty one, and is refused where it is needed.
    if header.is_some_and(|host| !host.is_empty() && !is_authority(host)) {
        return Err(Malformed("the header Host is no host"));
    }
    if request.uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Malformed("the target's scheme is neither http nor https"));
    }
    let target = request.uri.authority().map(|authority| authority.as_str());
    if target.is_some_and(|target| !is_authority(target)) {
        return Err(Malformed("the target's host is none"));
    }
    let is_http2 = request.version >= Version::HTTP_2;
    match (target, header) {
        (Some(target), Some(header)) if is_http2 && !target.eq_ignore_ascii_case(header) => {
            Err(Malformed("the headers :authority and Host differ"))
        }
        // Of HTTP/1.1, `Host` does not count beside a target that names the host, but has to be there.
        (_, None) if request.version == Version::HTTP_11 => Err(Malformed("there is no header Host")),
        (None, None) if is_http2 => Err(Malformed("there is no header :authority")),
        (target, header) => Ok(target.or(header).filter(|host| !host.is_empty())),
    }
}

/// The scheme and host by which the client knows the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    /// `http` or `https`; none if nothing says so.
    pub(super) scheme: Option<&'static str>,
    /// None if nothing says so.
    pub(super) host: Option<&'a str>,
}

/// Returns what a request says of its origin: `Forwarded` (RFC 7239), or else `X-Forwarded-Proto` and `X-Forwarded-Host`, if
/// they are believed; and the request's own. Each proxy adds a value to what is there; the first is the client's.
///
/// `X-Forwarded-For`, `-Port` and `-Prefix` have no part in it.
///
/// # Errors
///
/// As [`host`]; and where what is believed is neither a host nor a scheme.
pub(super) fn origin<'a>(request: &'a request::Parts, trusted: &TrustedProxies) -> Result<Origin<'a>, Malformed> {
    let mut origin = Origin { scheme: request.uri.scheme().and_then(|it| scheme(it.as_str())), host: host(request)? };
    if !trusted.contain(request.extensions.get::<ClientAddress>().map(|address| address.0)) {
        return Ok(origin);
    }
    let text = |name: &HeaderName, wrong| match request.headers.get(name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(Malformed(wrong)),
    };
    let (proto, host) = match text(&FORWARDED, "the header Forwarded is not text")? {
        Some(forwarded) => (parameter(forwarded, "proto"), parameter(forwarded, "host")),
        None => {
            let first = |list: &'a str| Some(list.split(',').next().unwrap_or("").trim()).filter(|it| !it.is_empty());
            (
                text(&X_FORWARDED_PROTO, "the header X-Forwarded-Proto is no scheme")?.and_then(first),
                text(&X_FORWARDED_HOST, "the header X-Forwarded-Host is no host")?.and_then(first),
            )
        }
    };
    if let Some(proto) = proto {
        let known = scheme(proto).ok_or(Malformed("the forwarded scheme is neither http nor https"))?;
        origin.scheme = Some(known);
    }
    if let Some(host) = host {
        if !is_authority(host) {
            return Err(Malformed("the forwarded host is none"));
        }
        origin.host = Some(host);
    }
    Ok(origin)
}

/// Reads an address, which may have a port, and of IPv6 brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip())).or_else(bare)
}

fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(text))
}

/// Returns a parameter of the first element of a header `Forwarded`, without its quotes. One with a quoted pair in it is no
/// host and no scheme anyway.
fn parameter<'a>(forwarded: &'a str, name: &str) -> Option<&'a str> {
    let mut quoted = false;
    let mut is_separator = |character: char| {
        quoted ^= character == '"';
        !quoted && matches!(character, ',' | ';')
    };
    let mut rest = forwarded;
    loop {
        let end = rest.find(&mut is_separator).unwrap_or(rest.len());
        let (pair, after) = rest.split_at(end);
        if let Some((key, value)) = pair.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            let value = value.trim();
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            return Some(inner.unwrap_or(value)).filter(|value| !value.is_empty());
        }
        rest = after.strip_prefix(';')?;
    }
}

/// Whether a text is a host with or without a port, by the grammar of RFC 3986, section 3.2, and without a user: a name, an
/// IPv4 address, or an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    if text.len() > MAX_HOST {
        return false;
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            match after.strip_prefix(':') {
                None if after.is_empty() => return true,
                None => return false,
                Some(port) => (None, Some(port)),
            }
        }
        None => match text.split_once(':') {
            None => (Some(text), None),
            Some((host, port)) => (Some(host), Some(port)),
        },
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    host.is_none_or(is_name) && port.is_none_or(is_port)
}

/// Whether a text is a registered name that is not empty: unreserved characters, those that may delimit parts of it, and
/// octets as `%` and two digits.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => [bytes.next(), bytes.next()].into_iter().all(|it| it.is_some_and(|it| it.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use http::Request;

    use super::*;

    fn parts(version: Version, target: &str, headers: &[(&str, &str)]) -> request::Parts {
        let builder = Request::builder().version(version).uri(target);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_host_is_one_by_the_grammar_and_has_no_user() {
        for text in ["a", "A.example.com:5000", "10.0.0.1:80", "[::1]", "[fd00::1]:443", "a_b-c", "a%41", "a:", "x,y"] {
            assert!(is_authority(text), "{text}");
        }
        let long = "a".repeat(MAX_HOST + 1);
        for text in [
            "",
            ":80",
            "a b",
            "a@b",
            "user:pw@a",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:+1",
            "[::1",
            "[::1]x",
            "[a]",
            "[::1]:x",
            "[v1.a]",
            "::1",
            "a%4",
            "a%zz",
            "\u{e4}",
            "a\"b",
            "<a>",
            "a|b",
            &long,
        ] {
            assert!(!is_authority(text), "{text}");
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let one = [("host", "a")];
        for (version, target, headers, expected) in [
            (Version::HTTP_11, "/v2/", &one[..], Ok(Some("a"))),
            (Version::HTTP_11, "/v2/", &[("host", "")], Ok(None)),
            (Version::HTTP_11, "/v2/", &[], Err(Malformed("there is no header Host"))),
            (Version::HTTP_11, "/v2/", &[("host", "a"), ("host", "a")], Err(Malformed("there are two headers Host"))),
            (Version::HTTP_11, "/v2/", &[("host", "a b")], Err(Malformed("the header Host is no host"))),
            (Version::HTTP_11, "/v2/", &[("host", "u@a")], Err(Malformed("the header Host is no host"))),
            // The target's counts, and Host has to be there all the same.
            (Version::HTTP_11, "http://b/v2/", &one, Ok(Some("b"))),
            (Version::HTTP_11, "http://b/v2/", &[], Err(Malformed("there is no header Host"))),
            (Version::HTTP_11, "http://u@b/v2/", &one, Err(Malformed("the target's host is none"))),
            (Version::HTTP_11, "ftp://b/v2/", &one, Err(Malformed("the target's scheme is neither http nor https"))),
            (Version::HTTP_10, "/v2/", &[], Ok(None)),
            (Version::HTTP_10, "/v2/", &[("host", "a"), ("host", "b")], Err(Malformed("there are two headers Host"))),
            (Version::HTTP_2, "https://b/v2/", &[], Ok(Some("b"))),
            (Version::HTTP_2, "https://b/v2/", &[("host", "B")], Ok(Some("b"))),
            (Version::HTTP_2, "https://b/v2/", &one, Err(Malformed("the headers :authority and Host differ"))),
            (Version::HTTP_2, "/v2/", &one, Ok(Some("a"))),
            (Version::HTTP_2, "/v2/", &[], Err(Malformed("there is no header :authority"))),
        ] {
            assert_eq!(host(&parts(version, target, headers)), expected, "{version:?} {target} {headers:?}");
        }
    }

    #[test]
    fn what_is_forwarded_counts_from_those_who_are_believed() {
        let headers = [("host", "a"), ("x-forwarded-host", "b:80, c"), ("x-forwarded-proto", "HTTPS,http")];
        let networks = TrustedProxies::Networks {
            networks: vec![("10.1.0.0".parse().unwrap(), 16), ("fd00::".parse().unwrap(), 8)],
            local: false,
        };
        let local = TrustedProxies::Networks { networks: Vec::new(), local: true };
        for (trusted, client, is_believed) in [
            (&TrustedProxies::Everybody, Some("203.0.113.1"), true),
            (&TrustedProxies::Everybody, None, true),
            (&networks, Some("10.1.255.1"), true),
            (&networks, Some("::ffff:10.1.2.3"), true),
            (&networks, Some("fdff::1"), true),
            (&networks, Some("10.2.0.1"), false),
            (&networks, Some("fe00::1"), false),
            (&networks, None, false),
            (&local, None, true),
            (&local, Some("127.0.0.1"), false),
        ] {
            let mut parts = parts(Version::HTTP_11, "/", &headers);
            if let Some(client) = client {
                parts.extensions.insert(ClientAddress(client.parse().unwrap()));
            }
            let expected = match is_believed {
                true => Origin { scheme: Some("https"), host: Some("b:80") },
                false => Origin { scheme: None, host: Some("a") },
            };
            assert_eq!(origin(&parts, trusted), Ok(expected), "{trusted:?} {client:?}");
        }
    }

    #[test]
    fn the_client_is_the_last_that_is_no_proxy_and_cannot_choose_its_address() {
        let proxies = TrustedProxies::Networks { networks: vec![("10.0.0.0".parse().unwrap(), 8)], local: false };
        for (seen, name, value, expected) in [
            ("10.0.0.1", "x-forwarded-for", "192.0.2.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("10.0.0.1", "x-forwarded-for", "192.0.2.1:1234", "192.0.2.1"),
            ("10.0.0.1", "x-forwarded-for", "[2001:db8::1]:1234", "2001:db8::1"),
            ("10.0.0.1", "x-forwarded-for", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "x-forwarded-for", "10.0.0.3", "10.0.0.3"),
            ("10.0.0.1", "x-forwarded-for", "", "10.0.0.1"),
            ("10.0.0.1", "forwarded", "for=192.0.2.9, for=\"[2001:db8::1]\";proto=http, for=10.0.0.2", "2001:db8::1"),
            ("203.0.113.1", "x-forwarded-for", "192.0.2.1", "203.0.113.1"),
        ] {
            let mut parts = parts(Version::HTTP_11, "/", &[("host", "a"), (name, value)]);
            parts.extensions.insert(ClientAddress(seen.parse().unwrap()));
            assert_eq!(proxies.client(&parts), Some(expected.parse().unwrap()), "{seen} {value}");
            assert_eq!(TrustedProxies::Everybody.client(&parts), Some(seen.parse().unwrap()), "{seen} {value}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it_and_goes_before_the_others() {
        for (value, scheme, host) in [
            ("for=192.0.2.1;proto=https;host=b", Some("https"), "b"),
            ("HOST=\"[fd00::1]:5000\" ; Proto=http, host=c;proto=https", Some("http"), "[fd00::1]:5000"),
            ("for=\"a;host=evil,\";host=b", None, "b"),
            ("for=192.0.2.1, host=c", None, "a"),
            ("", None, "a"),
        ] {
            let parts = parts(Version::HTTP_11, "/", &[("host", "a"), ("forwarded", value), ("x-forwarded-host", "x")]);
            assert_eq!(origin(&parts, &TrustedProxies::Everybody), Ok(Origin { scheme, host: Some(host) }), "{value}");
        }
    }

    #[test]
    fn what_is_believed_and_is_no_host_or_scheme_is_refused() {
        for (name, value) in [
            ("x-forwarded-host", "a b"),
            ("x-forwarded-host", "user@b"),
            ("x-forwarded-host", "b/path"),
            ("x-forwarded-host", "b?query"),
            ("x-forwarded-host", "b:99999"),
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-proto", "file"),
            ("x-forwarded-proto", "https://evil/"),
            ("forwarded", "host=\"a b\""),
            ("forwarded", "host=\"a\\\"b\""),
            ("forwarded", "proto=ftp"),
        ] {
            let parts = parts(Version::HTTP_11, "/", &[("host", "a"), (name, value)]);
            assert!(origin(&parts, &TrustedProxies::Everybody).is_err(), "{name}: {value}");
            let nobody = TrustedProxies::Networks { networks: Vec::new(), local: false };
            assert_eq!(origin(&parts, &nobody), Ok(Origin { scheme: None, host: Some("a") }), "{name}: {value}");
        }
    }
}
