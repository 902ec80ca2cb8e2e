//! Which hosts a component may reach: what `allow: { http: [..] }` says.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::destination::{Destination, Host, canonical, is_public, name};

/// Hosts on the network that a component may reach, with a port: `HOST:PORT`.
///
/// | written | grants |
/// |---|---|
/// | `dav.example.com:443` | this name, this port |
/// | `*.example.net:443` | every name below `example.net`, at any depth; not `example.net` itself |
/// | `*:443` | every public name and address |
/// | `192.0.2.7:80`, `[2001:db8::1]:80` | this address, and names that resolve to it, where the name is granted too |
/// | `10.0.0.0/8:9000`, `[fd00::]/8:9000` | the addresses of a network, likewise |
/// | `localhost:5000` | the name `localhost`, and the loopback addresses that it resolves to |
/// | `dav.example.com:*` | this name, at every port |
///
/// A name is not enough to reach an address that is not public: loopback, link-local, private and reserved ranges are
/// reached only where an entry names the address or its network with that port, since whoever runs a name decides
/// where it points. `minio.internal:9000` on `10.1.2.3` needs `10.1.2.3:9000` beside it.
///
/// ```
/// use wharf::runtime::HttpGrant;
///
/// let grant: HttpGrant = "*.Example.net:443".parse()?;
/// assert_eq!(grant.to_string(), "*.example.net:443");
/// assert!("example.net".parse::<HttpGrant>().unwrap_err().to_string().contains("HOST:PORT"));
/// # Ok::<(), wharf::runtime::HttpGrantError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpGrant {
    host: Hosts,
    /// None: every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Name(String),
    /// The names below this one.
    Below(String),
    Network(IpNet),
}

/// A text that is no [`HttpGrant`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not HOST:PORT: {reason}; write for instance dav.example.com:443, *.example.net:443, 10.0.0.0/8:9000 or \
     [fd00::]/8:9000"
)]
pub struct HttpGrantError {
    text: String,
    reason: &'static str,
}

impl FromStr for HttpGrant {
    type Err = HttpGrantError;

    fn from_str(text: &str) -> Result<Self, HttpGrantError> {
        let refuse = |reason| HttpGrantError { text: text.to_owned(), reason };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| refuse("it has no port"))?;
        let port = match port {
            "*" => None,
            port => match port.parse() {
                Ok(0) | Err(_) => return Err(refuse("its port is neither 1 to 65535 nor *")),
                Ok(port) => Some(port),
            },
        };
        Ok(HttpGrant { host: Hosts::parse(host).map_err(refuse)?, port })
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Hosts::All);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: Option<IpAddr> = match address.strip_prefix('[') {
            Some(rest) => {
                let inside = rest.strip_suffix(']').ok_or("its bracket is not closed")?;
                Some(IpAddr::V6(inside.parse().map_err(|_| "what is in brackets is no IPv6 address")?))
            }
            None => address.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        };
        match (address, prefix) {
            (Some(address), prefix) => {
                let widest = if address.is_ipv4() { 32 } else { 128 };
                let prefix = prefix.map_or(Ok(widest), str::parse).map_err(|_| "its prefix is no number")?;
                let network = IpNet::new(address, prefix).map_err(|_| "its prefix is too long")?;
                if network.network() != address {
                    return Err("its address has bits beyond the prefix");
                }
                Ok(Hosts::Network(network))
            }
            (None, Some(_)) => Err("only an address can have a prefix"),
            (None, None) => match text.strip_prefix("*.") {
                Some(below) => Ok(Hosts::Below(name(below).ok_or("the rest after *. is no name")?)),
                None => Ok(Hosts::Name(name(text).ok_or("its host is no name and no address")?)),
            },
        }
    }
}

impl HttpGrant {
    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }

    /// Returns whether it grants a request for this destination. Where it resolves to is another question.
    fn grants(&self, destination: &Destination) -> bool {
        self.has_port(destination.port)
            && match (&self.host, &destination.host) {
                (Hosts::All, Host::Name(_)) => true,
                (Hosts::All, Host::Address(address)) => is_public(*address),
                (Hosts::Name(name), Host::Name(asked)) => name == asked,
                (Hosts::Below(parent), Host::Name(asked)) => {
                    asked.strip_suffix(parent.as_str()).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
                }
                (Hosts::Network(network), Host::Address(address)) => network.contains(address),
                _ => false,
            }
    }

    /// Returns whether a client may be sent to this destination. Where a name resolves to is the client's to decide: so
    /// `*` is neither an address nor the client's own machine.
    fn grants_redirect(&self, destination: &Destination) -> bool {
        match (&self.host, &destination.host) {
            (Hosts::All, Host::Name(name)) => {
                self.has_port(destination.port) && name != "localhost" && !name.ends_with(".localhost")
            }
            (Hosts::All, Host::Address(_)) => false,
            _ => self.grants(destination),
        }
    }

    /// Returns whether it names this address, for a request for `host`.
    fn names(&self, address: IpAddr, port: u16, host: &Host) -> bool {
        self.has_port(port)
            && match &self.host {
                Hosts::Network(network) => network.contains(&address),
                // The one name that nobody but this machine decides (RFC 6761, section 6.3).
                Hosts::Name(name) => {
                    name == "localhost" && *host == Host::Name("localhost".to_owned()) && address.is_loopback()
                }
                Hosts::All | Hosts::Below(_) => false,
            }
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Hosts::All => f.write_str("*")?,
            Hosts::Name(name) => f.write_str(name)?,
            Hosts::Below(name) => write!(f, "*.{name}")?,
            Hosts::Network(network) => {
                match network.addr() {
                    IpAddr::V4(address) => write!(f, "{address}")?,
                    IpAddr::V6(address) => write!(f, "[{address}]")?,
                }
                if network.prefix_len() < network.max_prefix_len() {
                    write!(f, "/{}", network.prefix_len())?;
                }
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

impl TryFrom<String> for HttpGrant {
    type Error = HttpGrantError;
    fn try_from(text: String) -> Result<Self, HttpGrantError> {
        text.parse()
    }
}

impl From<HttpGrant> for String {
    fn from(grant: HttpGrant) -> String {
        grant.to_string()
    }
}

/// Who may be reached.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowList(Vec<HttpGrant>);

impl AllowList {
    pub(super) fn new(grants: &[HttpGrant]) -> Self {
        AllowList(grants.to_vec())
    }

    /// Returns whether a request for this destination may be sent.
    pub(super) fn grants(&self, destination: &Destination) -> bool {
        self.0.iter().any(|grant| grant.grants(destination))
    }

    /// Returns whether a request for this destination, if it is granted, may be sent to this address.
    pub(super) fn grants_address(&self, destination: &Destination, address: IpAddr) -> bool {
        let address = canonical(address);
        is_public(address) || self.0.iter().any(|grant| grant.names(address, destination.port, &destination.host))
    }
}

/// Returns whether one of the grants lets a client be sent to an address; what a grant for it would be, where none does.
///
/// # Errors
///
/// The pattern that would grant it; none if nothing would, since its host is nothing that can be decided on.
pub(in crate::runtime) fn check_redirect(grants: &[HttpGrant], address: &url::Url) -> Result<(), Option<String>> {
    let destination = Destination::of_address(address).ok_or(None)?;
    let is_granted = grants.iter().any(|grant| grant.grants_redirect(&destination));
    if is_granted { Ok(()) } else { Err(Some(destination.to_string())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn redirects(grants: &[&str], address: &str) -> bool {
        let grants: Vec<HttpGrant> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        check_redirect(&grants, &address.parse().unwrap()).is_ok()
    }

    #[test]
    fn clients_are_sent_only_to_hosts_that_are_granted() {
        let grants = ["cdn.example.com:443", "*.example.net:*", "192.0.2.0/24:80", "10.1.2.3:9000", "localhost:5000"];
        for granted in [
            "https://cdn.example.com/a?b",
            "https://CDN.example.com./a",
            "http://a.b.example.net:8080/",
            "http://192.0.2.7/",
            "http://10.1.2.3:9000/",
            "http://[::ffff:10.1.2.3]:9000/",
            "http://localhost:5000/",
        ] {
            assert!(redirects(&grants, granted), "{granted}");
        }
        for other in [
            "http://cdn.example.com/",
            "https://cdn.example.com:444/",
            "https://cdn.example.com.evil.example/",
            "https://example.net/",
            "http://192.0.3.7/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.1.2.3/",
            "http://127.0.0.1:5000/",
            "http://[::1]:5000/",
        ] {
            assert!(!redirects(&grants, other), "{other}");
            assert!(!redirects(&[], other), "{other}");
        }
    }

    #[test]
    fn every_name_is_neither_an_address_nor_the_clients_own_machine() {
        assert!(redirects(&["*:443"], "https://anything.example/"));
        for other in [
            "https://93.184.215.14/",
            "https://127.0.0.1/",
            "https://[2600::1]/",
            "https://localhost/",
            "https://a.localhost/",
            "https://LOCALHOST./",
            "http://anything.example/",
        ] {
            assert!(!redirects(&["*:443"], other), "{other}");
        }
    }

    #[test]
    fn a_refusal_has_the_pattern_that_would_grant_it() {
        for (address, pattern) in [
            ("https://cdn.example.com/a", "cdn.example.com:443"),
            ("http://[2001:db8::1]/a", "[2001:db8::1]:80"),
            ("http://10.0.0.1:9000/a", "10.0.0.1:9000"),
        ] {
            assert_eq!(check_redirect(&[], &address.parse().unwrap()), Err(Some(pattern.to_owned())));
            assert!(redirects(&[pattern], address), "{pattern}");
        }
    }

    fn list(grants: &[&str]) -> AllowList {
        AllowList(grants.iter().map(|grant| grant.parse().unwrap()).collect())
    }

    fn destination(uri: &str) -> Option<Destination> {
        Destination::of(&uri.parse().unwrap())
    }

    fn granted(grants: &[&str], uri: &str) -> bool {
        destination(uri).is_some_and(|destination| list(grants).grants(&destination))
    }

    fn reaches(grants: &[&str], uri: &str, address: &str) -> bool {
        list(grants).grants_address(&destination(uri).unwrap(), address.parse().unwrap())
    }

    #[test]
    fn a_grant_prints_as_it_is_written() {
        for text in
            ["a.example:443", "*.a.example:*", "*:80", "10.0.0.0/8:9000", "192.0.2.1:80", "[fd00::]/8:1", "[::1]:5"]
        {
            assert_eq!(text.parse::<HttpGrant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_grant_is_refused_with_words() {
        for text in [
            "",
            "a",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a b:80",
            "http://a:80",
            "*.:80",
            "*a:80",
            "a/8:80",
            "10.1.0.0/8:80",
            "10.0.0.0/33:80",
            "[::1:80",
            "::1:80",
            "127.1:80",
            "0x7f000001:80",
            "user@a:80",
        ] {
            let error = text.parse::<HttpGrant>().unwrap_err().to_string();
            assert!(error.contains("is not HOST:PORT"), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_grants_itself_at_its_port_and_nothing_else() {
        let grants = ["dav.example.com:443"];
        assert!(granted(&grants, "https://dav.example.com/a"));
        assert!(granted(&grants, "https://DAV.example.com.:443/a"));
        for other in [
            "http://dav.example.com/",
            "https://dav.example.com:444/",
            "https://example.com/",
            "https://a.dav.example.com/",
            "https://dav.example.com.evil.example/",
            "https://evildav.example.com/",
            "https://user@dav.example.com/",
        ] {
            assert!(!granted(&grants, other), "{other}");
        }
    }

    #[test]
    fn a_star_grants_names_below_it_and_not_the_name_itself() {
        let grants = ["*.example.net:443"];
        assert!(granted(&grants, "https://a.example.net/") && granted(&grants, "https://a.b.example.net/"));
        assert!(!granted(&grants, "https://example.net/") && !granted(&grants, "https://badexample.net/"));
    }

    #[test]
    fn nothing_is_granted_by_an_empty_list() {
        assert!(!granted(&[], "https://example.com/"));
    }

    #[test]
    fn every_name_is_not_every_address() {
        assert!(granted(&["*:80"], "http://93.184.215.14/"));
        for private in
            ["http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://[fe80::1]/", "http://0.0.0.0/"]
        {
            assert!(!granted(&["*:80"], private), "{private}");
        }
    }

    #[test]
    fn addresses_in_addresses_count_as_what_they_stand_for() {
        for hidden in ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "::ffff:10.0.0.1"] {
            assert!(!reaches(&["a.example:80"], "http://a.example/", hidden), "{hidden}");
            assert!(!granted(&["*:80"], &format!("http://[{hidden}]/")), "{hidden}");
        }
        assert!(granted(&["127.0.0.0/8:80"], "http://[::ffff:127.0.0.1]/"));
    }

    #[test]
    fn a_name_that_resolves_to_an_address_that_is_not_public_reaches_it_only_where_it_is_named() {
        for (address, named) in [
            ("127.0.0.1", "127.0.0.0/8:80"),
            ("10.1.2.3", "10.1.2.3:80"),
            ("192.168.0.1", "192.168.0.0/16:*"),
            ("169.254.169.254", "169.254.169.254:80"),
            ("100.64.0.1", "100.64.0.0/10:80"),
            ("::1", "[::1]:80"),
            ("fe80::1", "[fe80::]/10:80"),
            ("fd00::1", "[fd00::]/8:80"),
            ("0.0.0.0", "0.0.0.0:80"),
        ] {
            assert!(!reaches(&["a.example:80"], "http://a.example/", address), "{address}");
            assert!(!reaches(&["a.example:80", "*:80"], "http://a.example/", address), "{address}");
            assert!(reaches(&["a.example:80", named], "http://a.example/", address), "{address}");
        }
        assert!(!reaches(&["a.example:80", "10.0.0.0/8:81"], "http://a.example/", "10.0.0.1"), "another port");
        assert!(reaches(&["a.example:80"], "http://a.example/", "93.184.215.14"), "a public one");
    }

    #[test]
    fn localhost_names_loopback_for_itself_alone() {
        let grants = ["localhost:80", "a.example:80"];
        assert!(reaches(&grants, "http://localhost/", "127.0.0.1") && reaches(&grants, "http://localhost/", "::1"));
        assert!(
            !reaches(&grants, "http://a.example/", "127.0.0.1") && !reaches(&grants, "http://localhost/", "10.0.0.1")
        );
    }
}
