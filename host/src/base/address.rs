//! What an address must be for a client to be sent to it, whoever made it: a driver, a component or a middleware.

use std::net::Ipv6Addr;

use url::{Host, Url};

/// The longest address that a client is sent to, in bytes. Signed ones with a session's token have some 4 KiB; clients and
/// proxies bound what a header may hold.
pub(crate) const MAX_ADDRESS: usize = 16 * 1024;

/// Reads an address that a client may be sent to: `http` or `https`, with a host, without a user, in printable ASCII.
///
/// The text goes to the client as it is, since a signature may cover it. So it must not be one that two programs read in two
/// ways: the host stands in it as every program writes it, and nothing is left to be tidied (tabs, backslashes, `127.1`).
///
/// # Errors
///
/// What is wrong with it, without repeating it: its query may be a credential.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_ADDRESS {
        return Err("is longer than 16 KiB");
    }
    // What stands in no address (RFC 3986, appendix A), and what lenient programs take for something else.
    let foreign = |byte: u8| !byte.is_ascii_graphic() || br#"\"<>^`{|}"#.contains(&byte);
    if text.bytes().any(foreign) {
        return Err("holds characters that stand in no address; they must be percent-encoded");
    }
    let after_scheme = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| text.get(..scheme.len())?.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..]))
        .ok_or("is neither http:// nor https://")?;
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user in it");
    }
    let url = Url::parse(text).map_err(|_| "has no host, or a port that is none")?;
    let (host, port) = split_port(authority).ok_or("has a port that is none")?;
    let is_canonical = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case(host),
        Some(Host::Ipv4(address)) => address.to_string() == host,
        Some(Host::Ipv6(address)) => in_brackets(host).and_then(|host| host.parse::<Ipv6Addr>().ok()) == Some(address),
        None => false,
    };
    if !is_canonical || port.is_some_and(|port| url.port_or_known_default() != Some(port)) {
        return Err("has a host that is not written as hosts are");
    }
    Ok(url)
}

/// Returns the host and the port of an authority without a user; none if there is a colon without a port behind it.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let begins = authority.rfind(']').unwrap_or(0);
    match authority[begins..].find(':') {
        None => Some((authority, None)),
        Some(at) => Some((&authority[..begins + at], Some(authority[begins + at + 1..].parse().ok()?))),
    }
}

fn in_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_of_the_web_is_one_whatever_is_signed_in_it() {
        for text in [
            "https://example.com",
            "http://example.com:8080/a%20b/c?x=%2F&y=a/b@c#f?g",
            "HTTPS://Example.COM/A",
            "https://[2001:db8::1]:5000/a",
            "http://127.0.0.1:9000/bucket/a?X-Amz-Signature=0f",
            "https://bucket.s3.us-east-1.amazonaws.com/a?X-Amz-Credential=AK%2F20261127&X-Amz-Expires=1200",
            "https://minio/a",
            "https://under_score.example/a",
            "https://example.com./a",
            "https://example.com:443/a",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn what_is_no_address_of_the_web_is_refused() {
        let long = format!("https://example.com/{}", "x".repeat(MAX_ADDRESS));
        for text in [
            "",
            "example.com/a",
            "//example.com/a",
            "/a",
            "javascript:alert(1)",
            "javascript://example.com/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "ftp://example.com/",
            "http:/example.com/",
            "http:example.com",
            "http:\\\\example.com\\",
            "http://",
            "http:///a",
            "http://?a",
            "http://:80/",
            "http://user@example.com/",
            "http://user:secret@example.com/",
            "http://@example.com/",
            "http://example.com:/",
            "http://example.com:x/",
            "http://example.com:65536/",
            "http://exa mple.com/",
            "http://example.com/a b",
            " http://example.com/",
            "http://example.com/\r\nset-cookie: a",
            "http://example.com/\t",
            "http://exa\tmple.com/",
            "http://example.com\\@evil.example/",
            "http://ex\u{e4}mple.com/",
            "http://example.com/\u{202e}",
            "http://example.com/\u{7f}",
            "http://example.com/<script>",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://[::1/",
            "http://[fe80::1%25eth0]/",
            "http://[v1.a]/",
            long.as_str(),
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_the_address() {
        for text in ["ftp://secret/", "http://secret:x@h/", "http://secret:99999/", "http://h/ secret"] {
            assert!(!parse(text).unwrap_err().contains("secret"), "{text}");
        }
    }

    proptest! {
        /// Whoever reads what was let through finds the same scheme, host and port, and nobody's name.
        #[test]
        fn what_is_let_through_reads_the_same_to_a_strict_and_to_a_lenient_program(
            scheme in "https?|HTTP|javascript|file",
            slashes in "://|:/|:|:\\\\\\\\",
            host in "[a-zA-Z0-9.:@%_\\[\\]\\-]{0,24}",
            rest in "([/?#][ -~]{0,16})?",
        ) {
            let text = format!("{scheme}{slashes}{host}{rest}");
            if let Ok(lenient) = parse(&text) {
                prop_assert!(matches!(lenient.scheme(), "http" | "https"));
                prop_assert!(lenient.username().is_empty() && lenient.password().is_none());
                let strict: &str = text.split_once("://").unwrap().1;
                let strict = strict.split(['/', '?', '#']).next().unwrap().to_ascii_lowercase();
                let host = lenient.host_str().unwrap();
                prop_assert!(strict.starts_with(host) || strict.starts_with('['), "{text}: {host}");
            }
        }
    }
}
