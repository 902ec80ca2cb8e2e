//! The address of a client, out of the text that a server has for it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Reads `IP`, `IP:PORT` or `[IPv6]:PORT`. An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`, as servers on
/// both see it) is the IPv4 one.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(bracketed)?;
    Some(address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_port() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1 ", "192.0.2.1"),
            ("192.0.2.1:443", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1"),
        ] {
            assert_eq!(address(text), Some(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "",
            "localhost",
            "localhost:80",
            "192.0.2.1:",
            "192.0.2.256",
            "[192.0.2.1]",
            "[2001:db8::1",
            "192.0.2.0/24",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
