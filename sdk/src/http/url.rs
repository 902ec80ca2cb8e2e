//! Where a request goes.

use crate::{Error, Result};

/// An address, in the parts that a request is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) is_https: bool,
    /// The host, and the port where the URL holds one.
    pub(super) authority: String,
    pub(super) path_with_query: String,
}

impl Url {
    /// Splits a URL. Errors do not repeat it: it may hold a password or a signature.
    pub(super) fn parse(url: &str) -> Result<Self> {
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::other("the URL holds a space or a character that is not ASCII; percent-encode it"));
        }
        let (is_https, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(Error::other("the URL begins with neither `https://` nor `http://`")),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        check_authority(authority)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url { is_https, authority: authority.to_owned(), path_with_query: format!("{slash}{path}") })
    }

    /// Returns host and port, as the host's configuration grants them.
    pub(super) fn place(&self) -> String {
        if port(&self.authority).1.is_some() {
            return self.authority.clone();
        }
        format!("{}:{}", self.authority, if self.is_https { 443 } else { 80 })
    }
}

/// Splits the port off, which follows the last colon outside of brackets.
fn port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn check_authority(authority: &str) -> Result<()> {
    if authority.contains('@') {
        return Err(Error::other("the URL holds a user name or a password; send them in a header"));
    }
    let (host, port) = port(authority);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
    };
    if !is_host {
        return Err(Error::other("the URL's host is neither a name nor an address; IPv6 addresses stand in brackets"));
    }
    // A `u16` is read from "+80" too.
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    if !port.is_none_or(is_port) {
        return Err(Error::other("the URL's port is not a number from 1 to 65535"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    fn parts(url: &str) -> (bool, String, String) {
        let url = Url::parse(url).unwrap();
        (url.is_https, url.authority, url.path_with_query)
    }

    fn refused(url: &str) -> String {
        Url::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn a_url_is_split_into_scheme_authority_and_path_with_query() {
        let expected = (true, "a.example:8443".to_owned(), "/b/c?d=e/f?g".to_owned());
        assert_eq!(parts("https://a.example:8443/b/c?d=e/f?g"), expected);
    }

    #[test]
    fn the_scheme_may_be_in_capitals() {
        assert_eq!(parts("HTTP://a/b"), (false, "a".to_owned(), "/b".to_owned()));
    }

    #[test]
    fn the_path_is_a_slash_where_there_is_none() {
        assert_eq!(parts("http://a").2, "/");
    }

    #[test]
    fn a_query_without_a_path_follows_a_slash() {
        assert_eq!(parts("http://a?b=c").2, "/?b=c");
    }

    #[test]
    fn the_fragment_is_cut_off() {
        assert_eq!(parts("http://a/b?c#d?e/f").2, "/b?c");
        assert_eq!(parts("http://a#b"), (false, "a".to_owned(), "/".to_owned()));
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["", "a.example/b", "ftp://a/b", "//a/b", "http:/a", "file:///a"] {
            assert!(refused(url).contains("https://"), "{url}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let message = refused("https://user:secret@a/b");
        assert!(message.contains("password") && !message.contains("secret"), "{message}");
    }

    #[test]
    fn an_at_sign_in_the_path_is_no_password() {
        assert_eq!(parts("http://a/@b").2, "/@b");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for url in [
            "http://",
            "http:///a",
            "http://:80",
            "http://a%62",
            "http://[::1",
            "http://[a]",
            "http://::1/",
            "http://a\\b",
        ] {
            assert!(refused(url).contains("host"), "{url}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for url in ["http://a:", "http://a:b", "http://a:0", "http://a:65536", "http://a:+80", "http://[::1]:x"] {
            assert!(refused(url).contains("port"), "{url}");
        }
    }

    #[test]
    fn what_would_end_the_request_line_is_refused() {
        for url in ["http://a/b c", "http://a/b\r\nx: y", "http://a/\0", "http://a/ä", " http://a"] {
            assert!(refused(url).contains("percent-encode"), "{url}");
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(parts("http://[::1]:80/").1, "[::1]:80");
        assert_eq!(parts("http://[2001:db8::1]/").1, "[2001:db8::1]");
    }

    #[test]
    fn a_place_always_has_a_port() {
        for (url, place) in
            [("http://a", "a:80"), ("https://a", "a:443"), ("http://a:1", "a:1"), ("http://[::1]", "[::1]:80")]
        {
            assert_eq!(Url::parse(url).unwrap().place(), place);
        }
    }
}
