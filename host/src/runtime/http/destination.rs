//! Where a request wants to go, in the one notation that decisions are made on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a request wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) host: Host,
    pub(super) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// In lower case, without a dot at its end.
    Name(String),
    /// Without the notations that hide one in another: see [`canonical`].
    Address(IpAddr),
}

impl Destination {
    /// Reads the host and port of a URI; none if they are nothing that can be decided on.
    ///
    /// Addresses are taken in their usual notation only. What the C library's resolver would take for one besides
    /// (`127.1`, `0x7f.0.0.1`, `2130706433`) ends in a number, as no name on the Internet does, and is refused.
    pub(super) fn of(uri: &http::Uri) -> Option<Self> {
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok().filter(|port| *port != 0)?,
            None if uri.scheme() == Some(&http::uri::Scheme::HTTPS) => 443,
            None => 80,
        };
        let host = authority.host();
        let host = match host.strip_prefix('[') {
            Some(rest) => Host::Address(canonical(IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?))),
            None => match host.parse::<Ipv4Addr>() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) => Host::Name(name(host)?),
            },
        };
        Some(Destination { host, port })
    }

    /// Reads the host and port of an address that a client would be sent to; none if they are nothing that can be decided
    /// on.
    pub(super) fn of_address(address: &url::Url) -> Option<Self> {
        let host = match address.host()? {
            url::Host::Domain(host) => Host::Name(name(host)?),
            url::Host::Ipv4(address) => Host::Address(IpAddr::V4(address)),
            url::Host::Ipv6(address) => Host::Address(canonical(IpAddr::V6(address))),
        };
        Some(Destination { host, port: address.port_or_known_default().filter(|port| *port != 0)? })
    }
}

impl fmt::Display for Destination {
    /// As a grant for it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(address) => write!(f, "{}", SocketAddr::new(*address, self.port)),
        }
    }
}

/// Returns a host's name as it is compared; none if it is no name, or one that a resolver may take for an address.
pub(super) fn name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let ends_in_a_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (name.len() <= 253 && name.split('.').all(is_label) && !ends_in_a_number).then_some(name)
}

/// Returns the IPv4 address that an IPv6 one stands for, where the system or a gateway would send it there: mapped and
/// compatible addresses (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => embedded(g, h),
        [0, 0, 0, 0, 0, 0] if v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => embedded(g, h),
        [0x2002, ..] => embedded(b, c),
        _ => address,
    }
}

/// Returns whether anybody on the Internet could be at an address: whether it is in none of the ranges that IANA's
/// registries of special-purpose addresses (RFC 6890) keep from being global.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a, b, c) == (192, 0, 0))
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Global unicast is 2000::/3; of it 2001::/23 (Teredo and other protocols), documentation and what
            // `canonical` resolves are not.
            (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && !(a == 0x3fff && b < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn odd_notations_of_addresses_are_no_destination() {
        for odd in [
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://127.0.0.0x1/",
            "http://a.1/",
        ] {
            assert_eq!(Destination::of(&odd.parse().unwrap()), None, "{odd}");
        }
    }
}
