#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::contract::{Error, ErrorKind, RedirectRequest, Result, StoragePath};
use crate::drivers::inmemory::InMemory;
use async_trait::async_trait;

/// Answers one address for every file; an empty one is none.
#[derive(Debug)]
pub(super) struct Fixed(pub(super) &'static str);

#[async_trait]
impl Redirector for Fixed {
    fn redirects(&self, _: bool) -> bool {
        true
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest, _: Below<'_>) -> Result<Option<String>> {
        Ok(Some(self.0.to_owned()).filter(|address| !address.is_empty()))
    }
}

/// A driver in memory that has the address given, or promises none.
pub(super) fn over(address: Option<&'static str>) -> Under {
    let memory = Arc::new(InMemory::new());
    let driver: Arc<dyn StorageDriver> = match address {
        Some(address) => Arc::new(Redirecting::new(memory, Fixed(address))),
        None => memory,
    };
    Under { driver, name: "inmemory".to_owned(), root_directory: None }
}

/// Asks for the address of `/a/b`.
pub(super) async fn ask(driver: &dyn StorageDriver, method: &str, client: Option<&str>) -> Result<Option<String>> {
    let request = RedirectRequest { method: method.to_owned(), client_address: client.map(str::to_owned) };
    driver.redirect_url(&StoragePath::parse("/a/b").unwrap(), &request).await
}

fn entries(json: &str) -> Vec<MiddlewareConfig> {
    serde_json::from_str(json).unwrap()
}

async fn wrapped(json: &str) -> Result<Option<String>> {
    let driver = over(Some("http://s3.internal/bucket/a/b")).driver;
    let driver = Middlewares::native().wrap(driver, None, &entries(json)).await?;
    ask(&*driver, "GET", None).await
}

#[tokio::test]
async fn each_middleware_wraps_the_one_before() {
    let redirect = r#"{ "name": "redirect", "options": { "baseurl": "https://cdn.example.com" } }"#;
    let rewrite = r#"{ "name": "rewrite", "options": { "scheme": "http", "host": "other.example.com" } }"#;
    let address = wrapped(&format!("[{redirect}, {rewrite}]")).await.unwrap().unwrap();
    assert_eq!(address, "http://other.example.com/a/b");
    let address = wrapped(&format!("[{rewrite}, {redirect}]")).await.unwrap().unwrap();
    assert_eq!(address, "https://cdn.example.com/a/b");
}

#[tokio::test]
async fn a_disabled_entry_is_passed_over_whatever_it_says() {
    let address = wrapped(r#"[{ "name": "redirect", "disabled": true }, { "name": "nonsense", "disabled": true }]"#);
    assert_eq!(address.await.unwrap().unwrap(), "http://s3.internal/bucket/a/b");
}

#[tokio::test]
async fn options_may_be_left_empty() {
    for json in [r#"[{ "name": "rewrite", "options": null }]"#, r#"[{ "name": "rewrite" }]"#] {
        assert_eq!(wrapped(json).await.unwrap().unwrap(), "http://s3.internal/bucket/a/b", "{json}");
    }
}

#[test]
fn an_unknown_name_is_refused_in_distributions_words_with_the_known() {
    let error = Middlewares::native().check(&entries(r#"[{ "name": "cloudfornt" }]"#)).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
    let names = if cfg!(feature = "s3") { "cloudfront, redirect, rewrite" } else { "redirect, rewrite" };
    assert_eq!(error.message(), format!("no storage middleware registered with name: cloudfornt; registered: {names}"));
}

#[test]
fn an_unknown_key_of_an_entry_is_refused() {
    let result = serde_json::from_str::<MiddlewareConfig>(r#"{ "name": "rewrite", "option": {} }"#);
    assert!(result.unwrap_err().to_string().contains("option"));
}

#[tokio::test]
async fn an_error_names_the_middleware_and_the_option() {
    let error = wrapped(r#"[{ "name": "rewrite", "options": { "hots": "a" } }]"#).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("rewrite: open: invalid-parameters: unknown parameter `hots`"), "{text}");
}

#[tokio::test]
async fn a_middleware_of_ones_own_sees_what_it_is_put_over() {
    let mut middlewares = Middlewares::native();
    let own = |options: Parameters, under: Under| async move {
        let seen = format!("{options:?} over {under:?}");
        Err::<Arc<dyn StorageDriver>, _>(Error::new(ErrorKind::Other, seen))
    };
    middlewares.register("own", own).unwrap();
    let wrap = async |json: &str| {
        let driver = over(None).driver;
        middlewares.wrap(driver, Some("/root".to_owned()), &entries(json)).await.unwrap_err().message().to_owned()
    };
    assert_eq!(
        wrap(r#"[{ "name": "own", "options": { "a": 1 } }]"#).await,
        r#"["a"] over Under { name: "inmemory", root_directory: Some("/root") }"#
    );
    assert_eq!(
        wrap(r#"[{ "name": "rewrite" }, { "name": "own" }]"#).await,
        r#"[] over Under { name: "rewrite", root_directory: None }"#
    );
}

#[test]
fn a_name_is_registered_once() {
    let mut middlewares = Middlewares::native();
    let error = middlewares.register("rewrite", |_, under: Under| async { Ok(under.driver) }).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict);
}

#[tokio::test]
async fn a_driver_that_promises_no_address_is_not_asked_for_one() {
    /// Asks below.
    #[derive(Debug)]
    struct Ask;

    #[async_trait]
    impl Redirector for Ask {
        fn redirects(&self, _: bool) -> bool {
            true
        }

        async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest, below: Below<'_>) -> Result<Option<String>> {
            below.redirect_url().await
        }
    }

    /// Has an address and does not promise it.
    #[derive(Debug)]
    struct Unpromised;

    #[async_trait]
    impl Redirector for Unpromised {
        fn redirects(&self, _: bool) -> bool {
            false
        }

        async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest, _: Below<'_>) -> Result<Option<String>> {
            Err(Error::new(ErrorKind::Other, "was asked"))
        }
    }

    let driver = Redirecting::new(Arc::new(Redirecting::new(over(None).driver, Unpromised)), Ask);
    assert_eq!(ask(&driver, "GET", None).await.unwrap(), None);
}
