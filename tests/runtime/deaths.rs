//! An instance that dies: what its callers are told, who else notices, and what comes after.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use wharf::contract::{Error, ErrorKind, Operation, StorageDriver, WriteMode};

use super::support::{faulty, path, pattern, read};

#[tokio::test]
async fn a_trap_in_a_download_fails_that_download_and_nothing_else() {
    let trapping =
        json!({ "operation": "reader", "fault": "trap", "path": "/pattern-8000000", "after_bytes": 3_000_000 });
    let driver = faulty(trapping, json!({})).await.unwrap();
    let neighbour = faulty(json!({}), json!({})).await.unwrap();
    let neighbours = tokio::spawn(async move {
        for _ in 0..20 {
            assert_eq!(read(&*neighbour, "/pattern-2000000").await.unwrap(), pattern(2_000_000));
        }
    });

    let (got, error) = read(&*driver, "/pattern-8000000").await.unwrap_err();
    assert!(got <= 3_000_000, "{got} bytes came of a download that trapped after 3000000");
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert_eq!(error.operation(), Some(Operation::Read));
    assert!(error.to_string().contains("died: it trapped"), "{error}");

    // The next call works at once, and so does the next download.
    assert_eq!(driver.stat(&path("/pattern-7")).await.unwrap().size, 7);
    assert_eq!(read(&*driver, "/pattern-2000000").await.unwrap(), pattern(2_000_000));
    neighbours.await.unwrap();
}

#[tokio::test]
async fn a_panic_is_told_with_its_place_and_its_text() {
    let driver = faulty(json!({ "operation": "stat", "fault": "trap" }), json!({})).await.unwrap();
    let error = driver.stat(&path("/a")).await.unwrap_err().to_string();
    for part in ["panicked at ", "fault.rs:", "the fault that the parameters asked for"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(!error.contains("RUST_BACKTRACE"), "{error}");
}

#[tokio::test]
async fn a_trap_without_a_word_is_told_with_the_functions_that_it_was_in() {
    // A stack that overflows says nothing.
    let driver = faulty(json!({ "operation": "stat", "fault": "recurse" }), json!({})).await.unwrap();
    let error = driver.stat(&path("/a")).await.unwrap_err().to_string();
    assert!(error.contains("call stack exhausted") && error.contains("faulty::fault::recurse"), "{error}");
}

#[tokio::test]
async fn a_trap_while_a_change_is_under_way_means_that_its_outcome_is_unknown() {
    for operation in ["put-content", "move", "delete", "delete-files"] {
        let driver = faulty(json!({ "operation": operation, "fault": "trap" }), json!({})).await.unwrap();
        let a = path("/a");
        let result = match operation {
            "put-content" => driver.put_content(&a, Bytes::from_static(b"x")).await,
            "move" => driver.move_file(&a, &path("/b")).await,
            "delete" => driver.delete(&a).await,
            _ => driver.delete_files(&[a]).await,
        };
        assert_eq!(result.unwrap_err().kind(), &ErrorKind::OutcomeUnknown, "{operation}");
    }
}

#[tokio::test]
async fn a_trap_while_something_is_only_read_means_unavailable() {
    for operation in ["stat", "get-content", "list", "walk", "reader", "redirect-url", "uploads"] {
        let driver = faulty(json!({ "operation": operation, "fault": "trap" }), json!({})).await.unwrap();
        let a = path("/pattern-9");
        let request = wharf::contract::RedirectRequest { method: "GET".to_owned(), client_address: None };
        let result = match operation {
            "stat" => driver.stat(&a).await.map(|_| ()),
            "get-content" => driver.get_content(&a).await.map(|_| ()),
            "list" => driver.list(&a, None).await.map(|_| ()),
            "walk" => driver.walk(&a, None).await.map(|_| ()),
            "reader" => driver.reader(&a, Default::default()).await.map(|_| ()),
            "redirect-url" => driver.redirect_url(&a, &request).await.map(|_| ()),
            _ => driver.uploads(&a).await.map(|_| ()),
        };
        assert_eq!(result.unwrap_err().kind(), &ErrorKind::Unavailable, "{operation}");
    }
}

/// Writes until an error comes, and ends the upload otherwise.
async fn upload(driver: &dyn StorageDriver, end: &str) -> Result<(), Error> {
    let mut writer = driver.writer(&path("/upload"), WriteMode::New).await?;
    for _ in 0..50 {
        writer.write(Bytes::from(vec![1; 100_000])).await?;
    }
    match end {
        "close" => writer.close().await.map(|_| ()),
        "cancel" => writer.cancel().await,
        _ => writer.commit().await.map(|_| ()),
    }
}

#[tokio::test]
async fn a_trap_in_an_upload_fails_it_with_outcome_unknown_wherever_it_strikes() {
    for (parameters, end) in [
        (json!({ "operation": "write", "fault": "trap", "after_bytes": 1_000_000 }), "commit"),
        (json!({ "operation": "write", "fault": "trap" }), "commit"),
        (json!({ "operation": "close", "fault": "trap" }), "close"),
        (json!({ "operation": "commit", "fault": "trap" }), "commit"),
        (json!({ "operation": "cancel", "fault": "trap" }), "cancel"),
    ] {
        let driver = faulty(parameters.clone(), json!({})).await.unwrap();
        let error = upload(&*driver, end).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::OutcomeUnknown, "{parameters}: {error}");
        assert_eq!(driver.stat(&path("/pattern-1")).await.unwrap().size, 1, "{parameters}: the next call");
    }
}

#[tokio::test]
async fn a_driver_that_keeps_dying_is_quarantined_with_its_reason() {
    let driver = faulty(json!({ "operation": "delete", "fault": "trap" }), json!({ "deaths": 3 })).await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..12 {
        let error = driver.delete(&path("/a")).await.unwrap_err();
        let quarantined = error.kind() == &ErrorKind::Quarantined;
        kinds.push(error);
        if quarantined {
            break;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let last = kinds.last().unwrap();
    assert_eq!(last.kind(), &ErrorKind::Quarantined, "{kinds:?}");
    assert!(last.to_string().contains("it trapped"), "{last}");
    // The state holds for every operation, and tells until when.
    let stat = driver.stat(&path("/pattern-1")).await.unwrap_err();
    assert!(stat.to_string().contains("tried again in"), "{stat}");
}

#[tokio::test]
async fn an_open_that_traps_is_an_error_of_open() {
    let error = faulty(json!({ "operation": "open", "fault": "trap" }), json!({})).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (&ErrorKind::Unavailable, Some(Operation::Open)), "{error}");
}

#[tokio::test]
async fn a_commit_that_its_caller_gave_up_leaves_the_instance_alive() {
    let waiting = json!({ "operation": "write", "fault": "wait", "wait_ms": 200, "after_bytes": 1 });
    let driver = faulty(waiting, json!({ "workers": 1 })).await.unwrap();
    driver.put_content(&path("/kept"), Bytes::from_static(b"kept")).await.unwrap();
    for _ in 0..5 {
        let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
        writer.write(Bytes::from_static(b"bytes")).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), writer.commit()).await.is_err());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Its memory, and so the file in it, would be gone with the instance.
    assert_eq!(&driver.get_content(&path("/kept")).await.unwrap()[..], b"kept");
}

#[tokio::test]
async fn operations_that_are_dropped_half_way_leave_the_instance_alive() {
    let driver = faulty(json!({ "operation": "stat", "fault": "wait", "wait_ms": 100 }), json!({ "workers": 1 })).await;
    let driver = driver.unwrap();
    driver.put_content(&path("/kept"), Bytes::from_static(b"kept")).await.unwrap();
    for _ in 0..50 {
        let kept = path("/kept");
        assert!(tokio::time::timeout(Duration::from_millis(2), driver.stat(&kept)).await.is_err());
        let mut reader = driver.reader(&path("/pattern-9000000"), Default::default()).await.unwrap();
        futures::StreamExt::next(&mut reader).await.unwrap().unwrap();
        drop(reader);
        let mut writer = driver.writer(&path("/dropped"), WriteMode::New).await.unwrap();
        writer.write(Bytes::from(vec![0; 300_000])).await.unwrap();
        drop(writer);
    }
    assert_eq!(&driver.get_content(&path("/kept")).await.unwrap()[..], b"kept");
}
