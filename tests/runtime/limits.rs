//! Limits that fire: the caller is told which, and the driver serves again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use wharf::contract::{ErrorKind, WriteMode};

use super::support::{faulty, path, read};

#[tokio::test]
async fn an_operation_that_never_answers_fails_at_its_limit_and_the_next_one_works() {
    for fault in ["never", "spin"] {
        let parameters = json!({ "operation": "stat", "fault": fault, "path": "/stuck" });
        let driver = faulty(parameters, json!({ "operation": "300ms" })).await.unwrap();
        let started = Instant::now();
        let error = driver.stat(&path("/stuck")).await.unwrap_err();
        let took = started.elapsed();
        assert_eq!(error.kind(), &ErrorKind::LimitExceeded { limit: "operation" }, "{fault}: {error}");
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{fault}: after {took:?}");
        assert_eq!(driver.stat(&path("/pattern-5")).await.unwrap().size, 5, "{fault}");
    }
}

#[tokio::test]
async fn an_open_that_never_answers_fails_at_its_limit() {
    for fault in ["never", "spin"] {
        let error =
            faulty(json!({ "operation": "open", "fault": fault }), json!({ "open": "300ms" })).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::LimitExceeded { limit: "open" }, "{fault}: {error}");
    }
}

#[tokio::test]
async fn a_stream_that_brings_nothing_fails_at_the_idle_limit() {
    let stuck = json!({ "operation": "reader", "fault": "never", "after_bytes": 300_000, "path": "/pattern-900000" });
    let driver = faulty(stuck, json!({ "stream_idle": "300ms" })).await.unwrap();
    let (got, error) = read(&*driver, "/pattern-900000").await.unwrap_err();
    assert_eq!((got, error.kind()), (300_000, &ErrorKind::LimitExceeded { limit: "stream_idle" }), "{error}");
    assert_eq!(read(&*driver, "/pattern-5").await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_slow_caller_is_no_idle_stream() {
    let driver = faulty(json!({}), json!({ "stream_idle": "200ms" })).await.unwrap();
    let mut reader = driver.reader(&path("/pattern-3000000"), Default::default()).await.unwrap();
    let mut got = 0;
    while let Some(chunk) = futures::StreamExt::next(&mut reader).await {
        got += chunk.unwrap().len();
        if got < 1_000_000 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    assert_eq!(got, 3_000_000);
}

#[tokio::test]
async fn an_upload_that_takes_no_bytes_fails_at_its_limit() {
    let stuck = json!({ "operation": "write", "fault": "never" });
    let driver = faulty(stuck, json!({ "operation": "300ms" })).await.unwrap();
    let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
    let mut written = Ok(());
    for _ in 0..20 {
        written = writer.write(Bytes::from(vec![0; 1 << 20])).await;
        if written.is_err() {
            break;
        }
    }
    let error = written.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::OutcomeUnknown, "{error}");
    assert!(error.to_string().contains("took no bytes"), "{error}");
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_the_instance_and_nothing_else() {
    let hungry = json!({ "operation": "stat", "fault": "allocate", "path": "/hungry" });
    let driver = faulty(hungry, json!({ "memory": "32MiB" })).await.unwrap();
    let error = driver.stat(&path("/hungry")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::LimitExceeded { limit: "memory" }, "{error}");
    assert_eq!(driver.stat(&path("/pattern-5")).await.unwrap().size, 5);
}
