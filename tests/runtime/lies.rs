//! A driver that says what is not so is found out: a caller never takes a part for the whole.

use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::json;
use wharf::contract::{Entry, Error, ErrorKind, StorageDriver, StoragePath};

use super::support::{faulty, path, read};

#[tokio::test]
async fn a_stream_that_ends_early_is_an_error_even_where_the_guest_says_that_all_is_well() {
    let early = json!({ "operation": "reader", "fault": "end-early", "after_bytes": 1_500_000 });
    let driver = faulty(early, json!({})).await.unwrap();
    let (got, error) = read(&*driver, "/pattern-4000000").await.unwrap_err();
    assert_eq!(got, 1_500_000);
    assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("1500000") && error.to_string().contains("4000000"), "{error}");
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_the_guests_error() {
    let failing = json!({ "operation": "reader", "fault": "fail", "after_bytes": 1_000_000, "kind": "corrupt" });
    let driver = faulty(failing, json!({})).await.unwrap();
    let (got, error) = read(&*driver, "/pattern-4000000").await.unwrap_err();
    assert_eq!((got, error.kind()), (1_000_000, &ErrorKind::Corrupt), "{error}");
}

#[tokio::test]
async fn a_reader_that_tells_a_size_too_large_ends_with_an_error() {
    let driver = faulty(json!({ "operation": "reader", "fault": "wrong-size" }), json!({})).await.unwrap();
    let (got, error) = read(&*driver, "/pattern-1000").await.unwrap_err();
    assert_eq!((got, error.kind()), (1000, &ErrorKind::Unavailable), "{error}");
}

#[tokio::test]
async fn of_a_stream_that_never_ends_the_caller_gets_what_was_promised() {
    let driver = faulty(json!({ "operation": "reader", "fault": "endless", "after_bytes": 500 }), json!({})).await;
    assert_eq!(read(&*driver.unwrap(), "/pattern-1000").await.unwrap().len(), 1000);
}

async fn listed(driver: &dyn StorageDriver) -> Result<Vec<Entry>, Error> {
    for name in ["/d/a", "/d/b", "/d/c"] {
        driver.put_content(&path(name), Bytes::from_static(b"x")).await?;
    }
    driver.list(&path("/d"), None).await?.try_collect().await
}

#[tokio::test]
async fn a_listing_with_what_does_not_belong_there_is_the_drivers_fault() {
    for fault in ["wrong-path", "not-a-path", "out-of-order", "duplicates", "endless"] {
        let driver = faulty(json!({ "operation": "list", "fault": fault }), json!({})).await.unwrap();
        let error = listed(&*driver).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Other, "{fault}: {error}");
        assert!(error.to_string().contains("contract"), "{fault}: {error}");
    }
}

#[tokio::test]
async fn an_answer_about_another_path_is_the_drivers_fault() {
    let driver = faulty(json!({ "operation": "stat", "fault": "wrong-path" }), json!({})).await.unwrap();
    let error = driver.stat(&StoragePath::root()).await.unwrap_err();
    assert!(error.to_string().contains("/nobody/asked"), "{error}");
}

#[tokio::test]
async fn every_kind_of_error_comes_through() {
    for kind in [
        "path-not-found",
        "invalid-path",
        "invalid-offset",
        "unsupported",
        "invalid-parameters",
        "access-denied",
        "quota-exceeded",
        "too-large",
        "conflict",
        "throttled",
        "unavailable",
        "outcome-unknown",
        "corrupt",
        "other",
    ] {
        let driver = faulty(json!({ "operation": "stat", "fault": "fail", "kind": kind }), json!({})).await.unwrap();
        let error = driver.stat(&path("/a")).await.unwrap_err();
        assert_eq!((error.kind().name(), error.driver(), error.path()), (kind, Some("faulty"), Some("/a")));
    }
}
