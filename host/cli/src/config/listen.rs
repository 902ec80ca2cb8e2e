//! Addresses to listen at.

use std::path::PathBuf;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At an address of the network.
    Tcp(TcpAddress),
    /// At a socket in the filesystem.
    Unix(PathBuf),
}

/// A host and a port to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcpAddress {
    /// A name, or an address without brackets. None, as in `:5000`, is all addresses of this machine, as in Distribution.
    pub(crate) host: Option<String>,
    /// 0 is one that is free.
    pub(crate) port: u16,
}

impl TcpAddress {
    /// The address that is listened at if none is given: this machine alone can reach it.
    pub(crate) fn loopback(port: u16) -> Self {
        TcpAddress { host: Some("127.0.0.1".to_owned()), port }
    }

    /// Reads `HOST:PORT`, `:PORT` or `[IPV6]:PORT`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and how it is written.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("has no port; write HOST:PORT, or :PORT for all addresses")?;
        let port = port.parse().map_err(|_| "has no port between 0 and 65535 after the last `:`")?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or("has a `[` that is not closed")?,
            None if host.contains(':') => return Err("has an IPv6 address without brackets; write [ADDRESS]:PORT"),
            None => host,
        };
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == '[' || c == ']') {
            return Err("is no HOST:PORT; an address to listen at has no scheme and no path");
        }
        Ok(TcpAddress { host: (!host.is_empty()).then(|| host.to_owned()), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_distribution_writes_them() {
        let address = |host: Option<&str>, port| TcpAddress { host: host.map(str::to_owned), port };
        for (text, expected) in [
            (":5000", address(None, 5000)),
            ("localhost:5001", address(Some("localhost"), 5001)),
            ("0.0.0.0:80", address(Some("0.0.0.0"), 80)),
            ("[::1]:0", address(Some("::1"), 0)),
            ("[::]:5000", address(Some("::"), 5000)),
        ] {
            assert_eq!(TcpAddress::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in
            ["5000", "localhost", "::1:5000", "http://localhost:5000", "localhost:http", "a b:1", ":65536", "[::1:5"]
        {
            assert!(TcpAddress::parse(text).is_err(), "{text}");
        }
    }
}
