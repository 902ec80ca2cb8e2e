//! What clients are told where the driver has an address for them, or says that it has.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;

use crate::base::Base;
use crate::contract::{Error, ErrorKind, RedirectRequest, Result, StorageDriver, StoragePath};
use crate::drivers::inmemory::InMemory;
use crate::middleware::{Below, Redirecting, Redirector};
use crate::registry::{ClientAddress, Registry, TrustedProxies};

const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// What the driver answers a client's request for an address.
#[derive(Debug)]
struct Says(Option<&'static str>);

#[async_trait]
impl Redirector for Says {
    fn redirects(&self, _: bool) -> bool {
        true
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest, _: Below<'_>) -> Result<Option<String>> {
        match self.0 {
            Some(address) => Ok(Some(address.to_owned())),
            None => Err(Error::new(ErrorKind::Other, "it cannot sign")),
        }
    }
}

/// Pulls a blob that is there. Returns status, `Location` and content.
async fn pull(method: &str, says: Says) -> (StatusCode, Option<String>, String) {
    let driver: Arc<dyn StorageDriver> = Arc::new(Redirecting::new(Arc::new(InMemory::new()), says));
    let registry = Registry::builder(Arc::new(Base::new(driver))).build();
    let push = Request::post(format!("/v2/a/blobs/uploads/?digest={HELLO}"));
    let push = push.header(header::HOST, "localhost").body(Body::from("hello")).unwrap();
    assert_eq!(registry.handle(push).await.status(), StatusCode::CREATED);
    let pull = Request::builder().method(method).uri(format!("/v2/a/blobs/{HELLO}"));
    let pull = pull.header(header::HOST, "localhost").body(Body::empty()).unwrap();
    let response = registry.handle(pull).await;
    let location = response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let content = response.into_body().collect().await.unwrap().to_bytes();
    (status, location, String::from_utf8(content.to_vec()).unwrap())
}

#[tokio::test]
async fn a_client_is_sent_to_an_address_of_the_web() {
    for method in ["GET", "HEAD"] {
        let (status, location, _) = pull(method, Says(Some("https://cdn.example.com/a?signed"))).await;
        let expected = Some("https://cdn.example.com/a?signed".to_owned());
        assert_eq!((status, location), (StatusCode::TEMPORARY_REDIRECT, expected));
    }
}

#[tokio::test]
async fn a_client_gets_the_blob_itself_where_the_driver_fails_or_names_what_is_no_address_of_the_web() {
    for says in
        [None, Some("javascript:alert(1)"), Some("file:///etc/passwd"), Some("http://a/\r\nset-cookie: b"), Some("")]
    {
        let (status, location, content) = pull("GET", Says(says)).await;
        assert_eq!((status, location, content.as_str()), (StatusCode::OK, None, "hello"), "{says:?}");
        let (status, location, _) = pull("HEAD", Says(says)).await;
        assert_eq!((status, location), (StatusCode::OK, None), "{says:?}");
    }
}

/// Notes for whom an address is asked.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<Option<String>>>>);

#[async_trait]
impl Redirector for Notes {
    fn redirects(&self, _: bool) -> bool {
        true
    }

    async fn redirect_url(&self, _: &StoragePath, request: &RedirectRequest, _: Below<'_>) -> Result<Option<String>> {
        self.0.lock().unwrap().push(request.client_address.clone());
        Ok(None)
    }
}

#[tokio::test]
async fn middlewares_are_told_the_client_that_a_named_proxy_names() {
    let notes = Notes::default();
    let driver: Arc<dyn StorageDriver> = Arc::new(Redirecting::new(Arc::new(InMemory::new()), notes.clone()));
    let proxies = TrustedProxies::Networks { networks: vec![([10, 0, 0, 0].into(), 8)], local: false };
    let registry = Registry::builder(Arc::new(Base::new(driver))).trusted_proxies(proxies).build();
    let push = Request::post(format!("/v2/a/blobs/uploads/?digest={HELLO}"));
    let push = push.header(header::HOST, "localhost").body(Body::from("hello")).unwrap();
    assert_eq!(registry.handle(push).await.status(), StatusCode::CREATED);
    for seen in [[10, 0, 0, 1], [203, 0, 113, 1]] {
        let pull = Request::get(format!("/v2/a/blobs/{HELLO}")).header(header::HOST, "localhost");
        let pull = pull.header("X-Forwarded-For", "192.0.2.1").extension(ClientAddress(seen.into()));
        assert_eq!(registry.handle(pull.body(Body::empty()).unwrap()).await.status(), StatusCode::OK);
    }
    let expected = ["192.0.2.1", "203.0.113.1"].map(|address| Some(address.to_owned()));
    assert_eq!(*notes.0.lock().unwrap(), expected);
}

#[test]
fn a_client_is_told_to_wait_an_hour_at_most() {
    use std::time::Duration;
    for (asked, told) in [(None, "1"), (Some(Duration::from_millis(2500)), "2"), (Some(Duration::MAX), "3600")] {
        let error = Error::new(ErrorKind::Throttled { retry_after: asked }, "slow down");
        let response = crate::registry::error::Failure::from(error).into_response();
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), told);
    }
}

#[tokio::test]
async fn an_error_answer_is_printable_whatever_it_quotes() {
    let failure =
        crate::registry::error::Failure::new(crate::registry::error::Code::Unknown, "a\u{202e}b\u{7f}\u{2028}")
            .with_detail(serde_json::json!({ "name": "\u{200b}" }));
    let body = failure.into_response().into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    assert!(text.chars().all(crate::contract::is_printable), "{text:?}");
}
