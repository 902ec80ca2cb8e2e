//! Variables that begin with `REGISTRY_` and are none of the registry's: those that a container finds about services and
//! containers that are called `registry` or `registry-…`, and a few that other programs read.

use std::net::{IpAddr, SocketAddr};

/// Where containers' tools look for credentials.
const AUTH_FILE: &str = "REGISTRY_AUTH_FILE";

/// Is the version of the registry in an image, or of the file's format, which nothing overrides.
const VERSION: &str = "REGISTRY_VERSION";

/// Says what sets a variable that is certainly no key of the configuration; none if it may be meant as one. The name and the
/// value must both have the form: a `REGISTRY_PORT` of `5000` was set by somebody who wants another port.
pub(super) fn is_of_another(name: &str, value: &str) -> Option<&'static str> {
    match name {
        AUTH_FILE => return Some("names the credentials of container tools"),
        VERSION => return Some("names the version of a registry's image"),
        _ => {}
    }
    let rest = name.strip_prefix("REGISTRY_")?;
    if is_service(rest, value) {
        return Some("is what a container finds about a service called `registry`");
    }
    // What Docker's links make of a container: its alias, and all of its environment.
    let is_alias = value.strip_prefix('/').is_some_and(|alias| alias.split('/').count() == 2 && !alias.contains(' '));
    let is_link = rest.starts_with("ENV_") || rest == "NAME" && is_alias;
    is_link.then_some("is what a container finds about a container that is linked as `registry`")
}

/// Whether a variable is one of those that Kubernetes makes of a service, and Docker of a link. Before the parts that are
/// compared, the rest of the service's name may stand: `AUTH_SERVICE_HOST` of `registry-auth`.
fn is_service(rest: &str, value: &str) -> bool {
    let parts: Vec<&str> = rest.split('_').collect();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_protocol = |text: &str| matches!(text, "tcp" | "udp" | "sctp");
    let is_url = || {
        let (protocol, address) = value.split_once("://").unwrap_or_default();
        is_protocol(protocol) && address.parse::<SocketAddr>().is_ok()
    };
    let is_transport = |text: &str| matches!(text, "TCP" | "UDP" | "SCTP");
    match &parts[..] {
        [.., "SERVICE", "HOST"] => value.parse::<IpAddr>().is_ok(),
        [.., "PORT", port, transport] if is_transport(transport) && is_port(port) => is_url(),
        [.., "PORT", port, transport, "PROTO"] if is_transport(transport) && is_port(port) => is_protocol(value),
        [.., "PORT", port, transport, "PORT"] if is_transport(transport) && is_port(port) => is_port(value),
        [.., "PORT", port, transport, "ADDR"] if is_transport(transport) && is_port(port) => {
            value.parse::<IpAddr>().is_ok()
        }
        // A port of a service may have a name, of any number of parts.
        _ if parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"]) => is_port(value),
        [.., "PORT"] => is_url(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_and_docker_set_is_told_from_what_a_person_sets() {
        for (name, value) in [
            ("REGISTRY_SERVICE_HOST", "10.96.3.7"),
            ("REGISTRY_SERVICE_PORT", "5000"),
            ("REGISTRY_SERVICE_PORT_HTTP", "5000"),
            ("REGISTRY_SERVICE_PORT_HTTP_METRICS", "5001"),
            ("REGISTRY_PORT", "tcp://10.96.3.7:5000"),
            ("REGISTRY_PORT", "tcp://[fd00::7]:5000"),
            ("REGISTRY_PORT_5000_TCP", "tcp://10.96.3.7:5000"),
            ("REGISTRY_PORT_5000_TCP_PROTO", "tcp"),
            ("REGISTRY_PORT_5000_TCP_PORT", "5000"),
            ("REGISTRY_PORT_5000_TCP_ADDR", "10.96.3.7"),
            ("REGISTRY_PORT_53_UDP_ADDR", "fd00::7"),
            ("REGISTRY_AUTH_PORT", "tcp://10.96.3.8:5001"),
            ("REGISTRY_AUTH_SERVICE_PORT_HTTPS", "5001"),
            ("REGISTRY_AUTH_SERVICE_HOST", "10.96.3.8"),
            ("REGISTRY_AUTH_PORT_5001_TCP_ADDR", "10.96.3.8"),
            ("REGISTRY_HTTP_PORT", "tcp://10.96.3.9:80"),
            ("REGISTRY_NAME", "/app/registry"),
            ("REGISTRY_ENV_PATH", "/usr/bin"),
            ("REGISTRY_AUTH_FILE", "/run/auth.json"),
            ("REGISTRY_VERSION", "2.8.3"),
        ] {
            assert!(is_of_another(name, value).is_some(), "{name}={value}");
        }
        for (name, value) in [
            ("REGISTRY_PORT", "5000"),
            ("REGISTRY_PORT", ":5000"),
            ("REGISTRY_HTTP_PORT", "8080"),
            ("REGISTRY_SERVICE_HOST", "registry.example.com"),
            ("REGISTRY_HOST", "10.96.3.7"),
            ("REGISTRY_ADDR", "10.96.3.7:5000"),
            ("REGISTRY_PORT_TCP_ADDR", "10.96.3.7"),
            ("REGISTRY_NAME", "images"),
            ("REGISTRY_PASSWORD", "x"),
            ("REGISTRY_STORAGE_S3_BUCKET", "5000"),
            ("REGISTRY_AUTH_TOKEN_SERVICE", "5000"),
        ] {
            assert_eq!(is_of_another(name, value), None, "{name}={value}");
        }
    }
}
