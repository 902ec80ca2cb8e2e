#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::sign::tests::{key, verify};
use super::*;
use crate::middleware::tests::{ask, over};

const BUCKET: &str = "https://bucket.s3.amazonaws.com/a/b?X-Amz-Signature=1";

/// A server on this machine that answers each connection with a text, by how many came before.
pub(super) struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(usize) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { port: listener.local_addr().unwrap().port(), requests: Arc::default() };
        let requests = server.requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && connection.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                let answer = answer(requests.fetch_add(1, Ordering::SeqCst));
                // A client that has seen enough goes away.
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    /// Answers a document, whose end is told by its length or by the connection's.
    pub(super) fn document(text: &str, sized: bool) -> String {
        let length = if sized { format!("content-length: {}\r\n", text.len()) } else { String::new() };
        format!("HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n{text}")
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ip-ranges.json", self.port)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn ranges(prefix: &str) -> String {
    Server::document(&format!(r#"{{ "prefixes": [{{ "ip_prefix": "{prefix}", "region": "us-east-1" }}] }}"#), true)
}

fn options() -> Parameters {
    let options = Parameters::new().with("baseurl", "cdn.example.com").with("keypairid", "K2TEST");
    options.with("privatekey", key("rsa.pkcs1.pem").to_str().unwrap())
}

fn filtered(server: &Server) -> Parameters {
    options().with("ipfilteredby", "aws").with("iprangesurl", server.url()).with("updatefrequency", "20ms")
}

fn s3(root_directory: Option<&str>) -> Under {
    Under { name: "s3aws".to_owned(), root_directory: root_directory.map(str::to_owned), ..over(Some(BUCKET)) }
}

async fn address(driver: &Arc<dyn StorageDriver>, client: &str) -> String {
    ask(&**driver, "GET", Some(client)).await.unwrap().unwrap()
}

/// Asks until the client is sent to the bucket or to CloudFront, as `near` says.
async fn until(driver: &Arc<dyn StorageDriver>, client: &str, near: bool) {
    let asked = async {
        while (address(driver, client).await == BUCKET) != near {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
}

#[tokio::test]
async fn an_address_is_signed_for_the_key_and_the_duration() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (root, url) in [
        (None, "https://cdn.example.com/a/b"),
        (Some(""), "https://cdn.example.com/a/b"),
        (Some("/"), "https://cdn.example.com/a/b"),
        (Some("/my root/"), "https://cdn.example.com/my%20root/a/b"),
        (Some("x/y"), "https://cdn.example.com/x/y/a/b"),
    ] {
        let driver = open(options().with("duration", "1h30m"), s3(root)).await.unwrap();
        let before = now();
        let (signed, until) = verify(&address(&driver, "192.0.2.1").await).unwrap();
        assert_eq!(signed, url, "{root:?}");
        assert!((before + 5400..=now() + 5400).contains(&until));
    }
}

#[tokio::test]
async fn only_reading_is_redirected() {
    let driver = open(options(), s3(None)).await.unwrap();
    for (method, redirected) in [("GET", true), ("HEAD", true), ("PUT", false), ("POST", false), ("DELETE", false)] {
        assert_eq!(ask(&*driver, method, None).await.unwrap().is_some(), redirected, "{method}");
    }
}

#[tokio::test]
async fn it_promises_addresses_over_a_driver_that_has_none() {
    let driver = open(options(), Under { name: "s3aws".to_owned(), ..over(None) }).await.unwrap();
    assert!(driver.capabilities().redirect);
    assert!(verify(&address(&driver, "192.0.2.1").await).is_ok());
}

#[tokio::test]
async fn over_another_driver_it_changes_nothing_and_fetches_nothing() {
    let server = Server::start(|_| ranges("192.0.2.0/24")).await;
    let driver = open(filtered(&server), over(Some(BUCKET))).await.unwrap();
    assert_eq!(address(&driver, "203.0.113.1").await, BUCKET);
    assert!(!open(filtered(&server), over(None)).await.unwrap().capabilities().redirect);
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_client_in_the_ranges_is_sent_to_the_bucket_and_others_to_cloudfront() {
    let server = Server::start(|_| ranges("192.0.2.0/24")).await;
    let driver = open(filtered(&server), s3(None)).await.unwrap();
    for near in ["192.0.2.1", "192.0.2.1:40000", "[::ffff:192.0.2.1]:40000"] {
        assert_eq!(address(&driver, near).await, BUCKET, "{near}");
    }
    for far in ["203.0.113.1", "192.0.3.0:1", "2001:db8::1", "unknown"] {
        assert!(verify(&address(&driver, far).await).is_ok(), "{far}");
    }
    assert!(verify(&ask(&*driver, "GET", None).await.unwrap().unwrap()).is_ok(), "a client that is not known");
}

#[tokio::test]
async fn a_client_in_another_region_is_sent_to_cloudfront() {
    let server = Server::start(|_| ranges("192.0.2.0/24")).await;
    for (region, near) in [("US-EAST-1", true), ("eu-west-1", false)] {
        let options = filtered(&server).with("ipfilteredby", "AWSRegion").with("awsregion", region);
        let driver = open(options, s3(None)).await.unwrap();
        assert_eq!(address(&driver, "192.0.2.1").await == BUCKET, near, "{region}");
    }
}

#[tokio::test]
async fn until_there_are_ranges_everyone_is_sent_to_cloudfront() {
    let well = Arc::new(AtomicBool::new(false));
    let failure = "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let state = well.clone();
    let answer = move |_| if state.load(Ordering::SeqCst) { ranges("192.0.2.0/24") } else { failure.to_owned() };
    let server = Server::start(answer).await;
    let driver = open(filtered(&server), s3(None)).await.unwrap();
    assert!(verify(&address(&driver, "192.0.2.1").await).is_ok());
    well.store(true, Ordering::SeqCst);
    until(&driver, "192.0.2.1", true).await;
}

#[tokio::test]
async fn ranges_are_fetched_again_and_replace_the_older_ones() {
    let moved = Arc::new(AtomicBool::new(false));
    let state = moved.clone();
    let answer = move |_| ranges(if state.load(Ordering::SeqCst) { "203.0.113.0/24" } else { "192.0.2.0/24" });
    let server = Server::start(answer).await;
    let driver = open(filtered(&server), s3(None)).await.unwrap();
    assert_eq!(address(&driver, "192.0.2.1").await, BUCKET);
    moved.store(true, Ordering::SeqCst);
    until(&driver, "192.0.2.1", false).await;
    assert_eq!(address(&driver, "203.0.113.1").await, BUCKET);
}

#[tokio::test]
async fn ranges_that_are_known_outlast_a_failure() {
    let server =
        Server::start(|before| if before == 0 { ranges("192.0.2.0/24") } else { "nonsense\r\n\r\n".to_owned() });
    let server = server.await;
    let driver = open(filtered(&server), s3(None)).await.unwrap();
    while server.requests() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(address(&driver, "192.0.2.1").await, BUCKET);
}

#[tokio::test]
async fn fetching_ends_with_the_driver() {
    let server = Server::start(|_| ranges("192.0.2.0/24")).await;
    let driver = open(filtered(&server), s3(None)).await.unwrap();
    while server.requests() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(driver);
    // One may be under way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let then = server.requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.requests(), then);
}

#[tokio::test]
async fn debug_shows_no_key() {
    let driver = open(options(), s3(None)).await.unwrap();
    let text = format!("{driver:?}");
    assert!(text.contains("K2TEST") && !text.contains("MII") && !text.contains("modulus"), "{text}");
}
