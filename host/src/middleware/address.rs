//! Addresses taken apart and put together, without changing what is not meant to change: a signature may cover it.

use std::fmt;
use std::fmt::Write as _;

/// `scheme://[user@]host[:port][/path][?query][#fragment]`, as it was written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub(super) scheme: &'a str,
    /// With its `@`; empty where there is none.
    pub(super) user: &'a str,
    /// With the port, if there is one.
    pub(super) host: &'a str,
    /// From its `/` on; empty where there is none.
    pub(super) path: &'a str,
    /// Query and fragment, from the `?` or `#` on.
    pub(super) rest: &'a str,
}

impl<'a> Address<'a> {
    /// Takes an address apart; none if it has no scheme or no host, or a character that no address has.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, after) = text.split_once("://")?;
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, after) = after.split_at(end);
        let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let (path, rest) = after.split_at(after.find(['?', '#']).unwrap_or(after.len()));
        let printable = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        (is_scheme(scheme) && is_host(host) && printable).then_some(Address { scheme, user, host, path, rest })
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { scheme, user, host, path, rest } = self;
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        write!(f, "{scheme}://{user}{host}{slash}{path}{rest}")
    }
}

/// Returns whether a text can be a scheme.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Returns whether a text can be a host, with or without a port.
pub(super) fn is_host(text: &str) -> bool {
    let port_only = text.starts_with(':');
    let foreign =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#' | '@' | '\\' | '"' | '<' | '>');
    !text.is_empty() && !port_only && !text.contains(foreign)
}

/// Writes a path as it stands in an address: what is not a letter, a digit or one of `/-._~` becomes `%` and two hex
/// digits. `%` itself is left where `escaped` says that the text has such escapes already.
pub(super) fn encode_path(path: &str, escaped: bool) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            b'%' if escaped => encoded.push('%'),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// Returns what follows a prefix, which is plain, in a path, which may have escapes; none where it does not begin so.
pub(super) fn strip_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = path.as_bytes();
    for expected in prefix.bytes() {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', &rest[1..]),
            },
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        if byte != expected {
            return None;
        }
        rest = after;
    }
    path.get(path.len() - rest.len()..)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_apart_is_put_together_as_it_was() {
        for text in [
            "https://example.com",
            "http://user:pass@example.com:8080/a%20b/c?x=%2F&y=a/b#f?g",
            "https://[::1]:5000/a",
            "https://example.com?q=http://other/",
            "https://example.com#f",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_has_no_scheme_or_host_is_no_address() {
        for text in [
            "",
            "example.com/a",
            "/a",
            "https://",
            "https:///a",
            "://a",
            "1a://b",
            "https://:80/",
            "https://a b/",
            "https://a/\n",
        ] {
            assert!(Address::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_is_found_however_the_path_spells_it() {
        assert_eq!(strip_prefix("/my%20bucket/a%2Fb", "/my bucket"), Some("/a%2Fb"));
        assert_eq!(strip_prefix("/b%C3%BCcket/a", "/bücket/"), Some("a"));
        assert_eq!(strip_prefix("/bücket/a", "/bücket/"), Some("a"));
        assert_eq!(strip_prefix("/bucket", "/bucket/"), None);
        assert_eq!(strip_prefix("/%zz", "/%"), Some("zz"));
    }

    #[test]
    fn a_path_is_escaped_once() {
        assert_eq!(encode_path("/a b/\"ü%20", false), "/a%20b/%22%C3%BC%2520");
        assert_eq!(encode_path("/a%20b c", true), "/a%20b%20c");
    }
}
