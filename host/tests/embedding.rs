//! The example of embedding, `examples/registry.rs`, served and asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../examples/registry.rs"]
#[allow(dead_code, reason = "its main is the program's")]
mod example;

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wharf::factory::Parameters;
use wharf::registry::Digest;

/// Serves the example on a free port.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = example::app("inmemory", Parameters::new()).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Sends a request, and returns the status and all that came.
async fn ask(address: SocketAddr, request: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

const TOKEN: &str = "Authorization: Basic Y2k6b3Blbg==\r\n";

#[tokio::test]
async fn ones_own_routes_stand_beside_the_registrys() {
    let address = serve().await;
    let (status, answer) = ask(address, "GET /", "", "").await;
    assert!(status == 200 && answer.ends_with("my registry\n"), "{answer}");
    assert_eq!(ask(address, "GET /v2/", TOKEN, "").await.0, 200);
}

#[tokio::test]
async fn ones_own_rule_lets_everybody_pull_and_only_the_token_push() {
    let address = serve().await;
    let push = format!("POST /v2/a/b/blobs/uploads/?digest={}", Digest::sha256(b"hello"));
    let (status, answer) = ask(address, &push, "", "hello").await;
    assert!(status == 401 && answer.contains("www-authenticate: Basic realm=\"push\""), "{answer}");
    assert_eq!(ask(address, &push, TOKEN, "hello").await.0, 201);
    let pull = format!("GET /v2/a/b/blobs/{}", Digest::sha256(b"hello"));
    let (status, answer) = ask(address, &pull, "", "").await;
    assert!(status == 200 && answer.ends_with("hello"), "{answer}");
}
