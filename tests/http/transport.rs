//! How requests travel: connections that are kept, HTTP/2, certificates, a proxy.

use serde_json::{Value, json};
use wharf::contract::{ErrorKind, StorageDriver};

use super::certificates::Authority;
use super::server::{Server, proxy};
use super::support::{open, path};

/// What grants a server of that name on loopback.
fn granted(name: &str, server: &Server) -> Value {
    json!({ "http": [format!("{name}:{}", server.port()), server.address.to_string()] })
}

async fn fetch_at_once(driver: &std::sync::Arc<dyn StorageDriver>, count: usize) {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let driver = std::sync::Arc::clone(driver);
            tokio::spawn(async move { driver.get_content(&path("/bytes-1000")).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().len(), 1000);
    }
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let server = Server::plain().await;
    let config = json!({ "allow": { "http": [server.address.to_string()] } });
    let driver = open(config, json!({ "url": server.url() })).await.unwrap();
    for _ in 0..50 {
        driver.get_content(&path("/bytes-1000")).await.unwrap();
    }
    assert_eq!((server.requests().len(), server.connections()), (50, 1));
    assert_eq!(server.requests()[0].version, http::Version::HTTP_11);
}

#[tokio::test]
async fn an_encrypted_connection_carries_requests_side_by_side_in_http_2() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("store.test", false)).await;
    let config = json!({ "allow": granted("store.test", &server), "http": { "ca": authority.ca() } });
    let url = format!("https://store.test:{}/", server.port());
    let driver = open(config, json!({ "url": url })).await.unwrap();
    driver.get_content(&path("/bytes-1000")).await.unwrap();
    fetch_at_once(&driver, 50).await;
    assert!(server.requests().iter().all(|request| request.version == http::Version::HTTP_2));
    assert_eq!((server.requests().len(), server.connections()), (51, 1));
}

#[tokio::test]
async fn a_server_whose_authority_is_not_trusted_gets_no_request() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("store.test", false)).await;
    let url = format!("https://store.test:{}/", server.port());
    let driver = open(json!({ "allow": granted("store.test", &server) }), json!({ "url": url })).await.unwrap();
    let error = driver.get_content(&path("/bytes-5")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::AccessDenied, "{error}");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_server_with_another_name_than_was_asked_for_gets_no_request() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("other.test", false)).await;
    let config = json!({ "allow": granted("store.test", &server), "http": { "ca": authority.ca() } });
    let url = format!("https://store.test:{}/", server.port());
    let driver = open(config, json!({ "url": url })).await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-5")).await.unwrap_err().kind(), &ErrorKind::AccessDenied);
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_the_configured_one() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("store.test", true)).await;
    let url = format!("https://store.test:{}/", server.port());
    let (certificate, key) = authority.client();
    let without = json!({ "allow": granted("store.test", &server), "http": { "ca": authority.ca() } });
    let driver = open(without, json!({ "url": url })).await.unwrap();
    driver.get_content(&path("/bytes-5")).await.unwrap_err();
    assert_eq!(server.requests().len(), 0);
    let with = json!({
        "allow": granted("store.test", &server),
        "http": { "ca": authority.ca(), "client_certificate": certificate, "client_key": key }
    });
    let driver = open(with, json!({ "url": url })).await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-5")).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_proxy_is_asked_with_its_password_and_sees_names_and_not_addresses() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("store.test", false)).await;
    let (address, heads) = proxy(server.address).await;
    // The proxy resolves the name: neither it nor the server needs a grant of its address.
    let config = json!({
        "allow": { "http": ["store.test:443"] },
        "http": { "ca": authority.ca(), "proxy": format!("http://user:s3cret@{address}") }
    });
    let driver = open(config, json!({ "url": "https://store.test/" })).await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-1000")).await.unwrap().len(), 1000);
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("CONNECT store.test:443 HTTP/1.1\r\n"), "{head}");
    // user:s3cret
    assert!(head.to_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="), "{head}");
}

#[tokio::test]
async fn a_request_without_encryption_names_its_host_to_the_proxy() {
    let server = Server::plain().await;
    let (address, heads) = proxy(server.address).await;
    let config = json!({
        "allow": { "http": ["store.test:80"] }, "http": { "proxy": format!("http://user:s3cret@{address}") }
    });
    let driver = open(config, json!({ "url": "http://store.test/" })).await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-1000")).await.unwrap().len(), 1000);
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET http://store.test/bytes-1000 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="), "{head}");
}

#[tokio::test]
async fn a_proxy_does_not_widen_the_list() {
    let server = Server::plain().await;
    let (address, heads) = proxy(server.address).await;
    let config = json!({ "allow": { "http": ["store.test:80"] }, "http": { "proxy": format!("http://{address}") } });
    let driver = open(config, json!({ "url": "http://other.test/" })).await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-5")).await.unwrap_err().kind(), &ErrorKind::AccessDenied);
    assert_eq!(heads.lock().unwrap().len(), 0);
}
