//! What does not leave: each with the grant that would let it, as the proof that it is the grant that decides.

use serde_json::{Value, json};
use wharf::contract::ErrorKind;

use super::server::Server;
use super::support::{open, path};

/// Fetches with these grants, and tells what the component saw.
async fn fetch(grants: &[&str], parameters: Value) -> Result<usize, ErrorKind> {
    let driver = open(json!({ "allow": { "http": grants } }), parameters).await.unwrap();
    driver.get_content(&path("/bytes-5")).await.map(|content| content.len()).map_err(|error| error.kind().clone())
}

#[tokio::test]
async fn a_component_that_wants_http_is_refused_at_load_without_a_grant_with_the_line_that_would_help() {
    let error = open(json!({}), json!({ "url": "http://a.test/" })).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
    assert!(error.message().contains("wasi:http/") && error.message().contains("allow: { http:"), "{error}");
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_not_connected_to() {
    let server = Server::plain().await;
    let (other, granted) = (format!("127.0.0.1:{}", server.port().wrapping_add(1)), server.address.to_string());
    assert_eq!(fetch(&[&other], json!({ "url": server.url() })).await, Err(ErrorKind::AccessDenied));
    assert_eq!(server.connections(), 0);
    assert_eq!(fetch(&[&granted], json!({ "url": server.url() })).await, Ok(5));
}

#[tokio::test]
async fn a_redirect_to_a_host_that_is_not_granted_ends_there() {
    let (server, other) = (Server::plain().await, Server::plain().await);
    let url = format!("{}?to=http://{}/bytes-5", server.url().trim_end_matches('/'), other.address);
    let parameters = json!({ "url": url, "follow": true });
    let (first, second) = (server.address.to_string(), other.address.to_string());
    assert_eq!(fetch(&[&first], parameters.clone()).await, Err(ErrorKind::AccessDenied));
    assert_eq!(other.connections(), 0);
    assert_eq!(fetch(&[&first, &second], parameters).await, Ok(5));
}

#[tokio::test]
async fn a_granted_name_that_resolves_to_loopback_is_not_connected_to_unless_loopback_is_named() {
    let server = Server::plain().await;
    let name = format!("rebound.test:{}", server.port());
    let parameters = json!({ "url": format!("http://{name}/") });
    let address = server.address.to_string();
    for grants in [vec![&*name], vec!["*:*"], vec!["*.test:*"]] {
        assert_eq!(fetch(&grants, parameters.clone()).await, Err(ErrorKind::AccessDenied), "{grants:?}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(fetch(&[&name, &address], parameters).await, Ok(5));
}

#[tokio::test]
async fn localhost_is_reached_where_it_is_named() {
    let server = Server::plain().await;
    let name = format!("localhost:{}", server.port());
    assert_eq!(fetch(&[&name], json!({ "url": format!("http://{name}/") })).await, Ok(5));
}

#[tokio::test]
async fn other_notations_of_an_address_do_not_get_past_the_list() {
    let server = Server::plain().await;
    let port = server.port();
    let everything_public = ["*:*"];
    for host in ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "0"] {
        let parameters = json!({ "url": format!("http://{host}:{port}/") });
        let denied = fetch(&everything_public, parameters).await.unwrap_err();
        assert!(matches!(denied, ErrorKind::AccessDenied | ErrorKind::Other | ErrorKind::InvalidParameters), "{host}");
    }
    assert_eq!(server.connections(), 0);
    // The one that is only another way to write a granted address is that address.
    let parameters = json!({ "url": format!("http://[::ffff:127.0.0.1]:{port}/") });
    assert_eq!(fetch(&["127.0.0.0/8:*"], parameters).await, Ok(5));
}

#[tokio::test]
async fn a_connect_through_a_granted_host_is_refused() {
    let server = Server::plain().await;
    let granted = server.address.to_string();
    let refused = fetch(&[&granted], json!({ "url": server.url(), "method": "CONNECT" })).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_header_that_would_be_two_is_refused() {
    let server = Server::plain().await;
    let granted = server.address.to_string();
    for header in ["x: a\r\ny: b", "x\r\ny: b", "host: elsewhere.test", "transfer-encoding: chunked"] {
        let parameters = json!({ "url": server.url(), "raw_header": header });
        assert_eq!(fetch(&[&granted], parameters).await, Err(ErrorKind::AccessDenied), "{header:?}");
    }
    let parameters = json!({ "url": server.url(), "raw_header": "x: a" });
    assert!(fetch(&[&granted], parameters).await.is_ok());
}

#[tokio::test]
async fn requests_beyond_the_limit_fail_in_the_component_and_are_free_again_afterwards() {
    let server = Server::plain().await;
    let config = |requests: u32| json!({ "allow": { "http": [server.address.to_string()] }, "limits": { "requests": requests } });
    let keeps = json!({ "url": server.url(), "keep": 5 });
    let driver = open(config(3), keeps.clone()).await.unwrap();
    for _ in 0..3 {
        let error = driver.get_content(&path("/bytes-100000")).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
    }
    let driver = open(config(6), keeps).await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-100000")).await.unwrap().len(), 100_000);
}
