//! What is tried again and how, by a driver that fails as scripted.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod changes;
mod commits;
pub(crate) mod scripted;
mod streams;

use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use super::*;
use crate::base::Base;
use crate::contract::{Error, ErrorKind, StorageDriverExt};
use scripted::{End, Fault, Scripted};

const UNAVAILABLE: ErrorKind = ErrorKind::Unavailable;
const THROTTLED: ErrorKind = ErrorKind::Throttled { retry_after: None };
const UNKNOWN: ErrorKind = ErrorKind::OutcomeUnknown;

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// A driver on a store with files, as the factory wraps it.
async fn wrapped(files: &[(&str, &'static str)]) -> (Scripted, Base) {
    let scripted = Scripted::new();
    for (at, content) in files {
        scripted.store.put_content(&path(at), Bytes::from(*content)).await.unwrap();
    }
    let driver = wrap(&scripted);
    (scripted, driver)
}

fn wrap(scripted: &Scripted) -> Base {
    wrap_with(scripted, RetryPolicy::default())
}

fn wrap_with(scripted: &Scripted, policy: RetryPolicy) -> Base {
    Base::new(Arc::new(Retrying::new(Arc::new(scripted.clone()), Retry::new(policy))))
}

fn request() -> RedirectRequest {
    RedirectRequest { method: "GET".to_owned(), client_address: None }
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_by_being_repeated_is_repeated() {
    let (scripted, driver) = wrapped(&[("/d/a", "content")]).await;
    let (a, d) = (path("/d/a"), path("/d"));
    for operation in ["get", "put", "stat", "reader", "new", "list", "walk", "delete-files", "uploads"] {
        let faults = [UNAVAILABLE, THROTTLED, UNKNOWN, UNAVAILABLE, UNAVAILABLE].map(Fault::Fails);
        scripted.script(operation, faults);
    }
    assert_eq!(driver.get_content(&a).await.unwrap(), "content");
    driver.put_content(&a, Bytes::from("new")).await.unwrap();
    assert_eq!(driver.stat(&a).await.unwrap().size, 3);
    assert_eq!(driver.read_range(&a, ByteRange::from(1)).await.unwrap(), "ew");
    driver.writer(&a, WriteMode::New).await.unwrap().cancel().await.unwrap();
    assert_eq!(driver.list_all(&d).await.unwrap().len(), 1);
    assert_eq!(driver.walk(&d, None).await.unwrap().count().await, 1);
    assert_eq!(driver.uploads(&d).await.unwrap().count().await, 0);
    driver.delete_files(&[a]).await.unwrap();
    // What `base` does not let through.
    scripted.script("redirect", [Fault::Fails(UNAVAILABLE)]);
    let bare = Retrying::new(Arc::new(scripted.clone()), Retry::default());
    assert_eq!(bare.redirect_url(&d, &request()).await.unwrap(), None);
    let calls = scripted.calls();
    for operation in ["get", "put", "stat", "reader", "new", "list", "walk", "delete-files", "uploads"] {
        let count = calls.iter().filter(|call| call.split(' ').next() == Some(operation)).count();
        assert_eq!(count, 6, "{operation}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_says_how_often_it_was_tried() {
    let (scripted, driver) = wrapped(&[]).await;
    scripted.script("stat", vec![Fault::Fails(UNAVAILABLE); 6]);
    let error = driver.stat(&path("/a")).await.unwrap_err();
    assert_eq!(error.to_string(), "scripted: stat /a: unavailable: scripted (tried 6 times)");
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_one_attempt_does_everything_once_and_looks_at_nothing() {
    let (scripted, _) = wrapped(&[("/a", "0123")]).await;
    let driver = wrap_with(&scripted, RetryPolicy::never());
    scripted.script("stat", [Fault::Fails(UNAVAILABLE)]);
    driver.stat(&path("/a")).await.unwrap_err();
    scripted.script("move", [Fault::Lost]);
    driver.move_file(&path("/a"), &path("/b")).await.unwrap_err();
    scripted.script("reader", [Fault::Breaks(1, End::Fails(UNAVAILABLE))]);
    driver.read_range(&path("/b"), ByteRange::ALL).await.unwrap_err();
    scripted.script("commit", [Fault::Lost]);
    driver.writer(&path("/c"), WriteMode::New).await.unwrap().commit().await.unwrap_err();
    assert_eq!(scripted.calls(), ["stat /a", "move /a", "reader 0..", "new /c", "commit"]);
}

#[tokio::test(start_paused = true)]
async fn what_kills_an_instance_is_tried_twice_and_no_more() {
    let (scripted, driver) = wrapped(&[("/a", "0123")]).await;
    scripted.script("stat", vec![Fault::Dies(UNAVAILABLE); 6]);
    let error = driver.stat(&path("/a")).await.unwrap_err();
    assert_eq!((error.attempts(), scripted.calls().len()), (Some(2), 2));
    // Between other failures too.
    let (dies, fails) = (Fault::Dies(UNAVAILABLE), Fault::Fails(UNAVAILABLE));
    scripted.script("get", [dies.clone(), fails.clone(), fails, dies.clone(), dies]);
    driver.get_content(&path("/a")).await.unwrap_err();
    assert_eq!(scripted.calls().len(), 4);
    for kills in ["put", "delete"] {
        scripted.script(kills, vec![Fault::Dies(UNKNOWN); 6]);
    }
    driver.put_content(&path("/a"), Bytes::new()).await.unwrap_err();
    driver.delete(&path("/a")).await.unwrap_err();
    assert_eq!(scripted.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_limit_or_a_quarantine_refuses_and_what_was_tried_often_below_is_not_tried_again() {
    let (scripted, driver) = wrapped(&[]).await;
    let limit = ErrorKind::LimitExceeded { limit: "operation" };
    for fault in [Fault::Fails(limit), Fault::Fails(ErrorKind::Quarantined), Fault::TriedOften(UNAVAILABLE)] {
        scripted.script("stat", [fault]);
        driver.stat(&path("/a")).await.unwrap_err();
        assert_eq!(scripted.calls().len(), 1);
    }
    // An outcome that is unknown since a limit was reached.
    let retry = Retry::default();
    let mut count = 0;
    let attempt = || {
        count += 1;
        std::future::ready(Err::<(), _>(Error::new(UNKNOWN, "too long").with_limit("operation")))
    };
    retry.run(Repeat::Always, attempt).await.unwrap_err();
    assert_eq!(count, 1);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_never_answers_is_given_up_and_tried_again() {
    let (scripted, driver) = wrapped(&[("/a", "0123")]).await;
    let began = Instant::now();
    scripted.script("stat", [Fault::Hangs]);
    assert_eq!(driver.stat(&path("/a")).await.unwrap().size, 4);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(61), "{took:?}");
    // What may have happened meanwhile is not called undone.
    scripted.script("put", vec![Fault::Hangs; 6]);
    let error = driver.put_content(&path("/a"), Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind(), &UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_because_there_is_much_to_do_is_not_given_up() {
    let (scripted, driver) = wrapped(&[("/a", "0123")]).await;
    for (operation, work) in [
        ("move", Box::pin(driver.move_file(&path("/a"), &path("/b"))) as futures::future::BoxFuture<'_, _>),
        ("delete", Box::pin(driver.delete(&path("/a")))),
        ("delete-files", Box::pin(driver.delete_files(&[path("/a")]))),
    ] {
        scripted.script(operation, [Fault::Hangs]);
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, work).await.is_err(), "{operation} was given up");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_stays_one_when_a_later_attempt_fails_otherwise() {
    let (scripted, driver) = wrapped(&[]).await;
    let policy = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let twice = wrap_with(&scripted, policy);
    scripted.script("put", [Fault::Lost, Fault::Fails(UNAVAILABLE)]);
    let error = twice.put_content(&path("/a"), Bytes::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (&UNKNOWN, Some(2)));
    assert!(error.message().ends_with("the last attempt: unavailable: scripted"), "{error}");
    scripted.script("put", [Fault::Lost, Fault::Fails(ErrorKind::AccessDenied)]);
    let error = driver.put_content(&path("/a"), Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::AccessDenied);
    assert!(error.message().contains("an earlier attempt may have happened"), "{error}");
}
