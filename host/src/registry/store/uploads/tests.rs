#![allow(clippy::unwrap_used, reason = "tests")]
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{StatusCode, header};

use super::super::tests::{Interposed, registry, send};
use super::*;
use crate::contract::{Operation, StorageDriver};
use crate::drivers::inmemory::InMemory;
use crate::registry::Registry;

/// What a client sends, with what happens elsewhere before each piece comes.
struct Script(VecDeque<(BoxFuture<'static, ()>, Option<&'static [u8]>)>);

impl Script {
    /// One piece, and something that happens before its end.
    fn with(meanwhile: impl Future<Output = ()> + Send + 'static) -> Self {
        let piece: (BoxFuture<'static, ()>, _) = (Box::pin(async {}), Some(&b"0123456789"[..]));
        Script([piece, (Box::pin(meanwhile), None)].into())
    }
}

#[async_trait]
impl Incoming for Script {
    async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        let Some((before, piece)) = self.0.pop_front() else { return Ok(None) };
        before.await;
        Ok(piece.map(Bytes::from_static))
    }

    fn client(&self) -> Client {
        Client::Unknown
    }

    fn at_most(&self) -> Option<u64> {
        None
    }
}

fn two_processes() -> (Arc<InMemory>, Uploads, Uploads) {
    let driver = Arc::new(InMemory::new());
    let uploads = || Uploads::new(Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>), 0);
    (Arc::clone(&driver), uploads(), uploads())
}

#[tokio::test]
async fn an_upload_that_another_process_deletes_while_bytes_come_is_not_brought_back() {
    let name: RepositoryName = "a/b".parse().unwrap();
    // As far as it came before the bytes were there: all, or what it had listed.
    for whole in [true, false] {
        let (driver, ours, others) = two_processes();
        let id = ours.begin(&name).await.unwrap();
        let (deleting, store, of) = (others.clone(), Arc::clone(&driver), name.clone());
        let script = Script::with(async move {
            match whole {
                true => deleting.cancel(&of, id).await.unwrap(),
                false => store.delete(&layout::upload_started(&of, id)).await.unwrap(),
            }
        });
        let added = ours.append(&name, id, None, script).await;
        assert!(matches!(added, Err(UploadError::Unknown)), "{added:?}");
        let left = driver.stat(&layout::upload(&name, id)).await;
        assert!(left.is_err_and(|error| is_missing(&error)), "something is left of it");
        assert!(matches!(others.size(&name, id).await, Err(UploadError::Unknown)));
    }
}

#[tokio::test]
async fn what_is_left_of_an_upload_without_its_beginning_is_purged_by_when_it_was_written() {
    let (driver, ours, _) = two_processes();
    let name: RepositoryName = "a/b".parse().unwrap();
    let id = ours.begin(&name).await.unwrap();
    ours.append(&name, id, None, Script::with(async {})).await.unwrap();
    driver.delete(&layout::upload_started(&name, id)).await.unwrap();
    let store = Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>);
    let (earlier, later) = (SystemTime::now() - Duration::from_secs(60), SystemTime::now() + Duration::from_secs(60));
    assert_eq!(store.purge(earlier, false).await.unwrap().uploads, 0);
    assert_eq!(store.purge(later, true).await.unwrap().uploads, 1);
    assert!(driver.stat(&layout::upload(&name, id)).await.is_ok(), "a dry run deletes nothing");
    assert_eq!(store.purge(later, false).await.unwrap().uploads, 1);
    assert!(driver.stat(&layout::upload(&name, id)).await.is_err_and(|error| is_missing(&error)));
}

/// A driver that shows uploads as no files, as S3 does, and finds none as often as the number says that is returned.
fn lying() -> (Arc<Interposed>, Arc<AtomicUsize>) {
    let (driver, left) = (Arc::new(Interposed::default()), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&left);
    driver.before(move |operation, path| {
        let is_data = path.as_str().ends_with("/data") && path.as_str().contains("/_uploads/");
        let is_asked = operation == Operation::Writer && is_data;
        let lies =
            is_asked && told.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let error = lies.then(|| Error::path_not_found(path));
        async move { error.map_or(Ok(()), Err) }.boxed()
    });
    (driver, left)
}

/// Begins an upload and adds bytes to it, without a state in the address from then on. Returns the bare address.
async fn begun(registry: &Registry, bytes: &'static str) -> String {
    let begun = send(registry, "POST", "/v2/a/b/blobs/uploads/", "").await;
    let bare = begun.location().split('?').next().unwrap().to_owned();
    assert_eq!(send(registry, "PATCH", &bare, bytes).await.status, StatusCode::ACCEPTED);
    bare
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_though_the_store_says_once_that_it_has_no_bytes() {
    for request in ["PATCH", "GET", "PUT"] {
        let (driver, left) = lying();
        let registry = registry(&driver);
        let bare = begun(&registry, "first ").await;
        left.store(1, Ordering::Relaxed);
        let digest = Digest::sha256(b"first second");
        let (target, body) = match request {
            "PUT" => (format!("{bare}?digest={digest}"), "second"),
            "PATCH" => (bare.clone(), "second"),
            _ => (bare.clone(), ""),
        };
        let answer = send(&registry, request, &target, body).await;
        let expected = match request {
            "PUT" => (StatusCode::CREATED, None),
            "PATCH" => (StatusCode::ACCEPTED, Some("0-11")),
            _ => (StatusCode::NO_CONTENT, Some("0-5")),
        };
        let range = answer.headers.get(header::RANGE).map(|range| range.to_str().unwrap());
        assert_eq!((answer.status, range), expected, "{request}");
        if request == "PATCH" {
            let ended = send(&registry, "PUT", &format!("{bare}?digest={digest}"), "").await;
            assert_eq!(ended.status, StatusCode::CREATED);
        }
    }
}

#[tokio::test]
async fn an_upload_whose_acknowledged_bytes_the_store_does_not_show_is_never_restarted_and_never_thrown_away() {
    let digest = Digest::sha256(b"first second");
    let (driver, left) = lying();
    let registry = registry(&driver);
    let bare = begun(&registry, "first ").await;
    for (request, query, body) in [
        ("GET", String::new(), ""),
        ("PATCH", String::new(), "second"),
        ("PUT", format!("?digest={digest}"), ""),
        ("PUT", format!("?digest={digest}"), "first second"),
    ] {
        left.store(2, Ordering::Relaxed);
        let answer = send(&registry, request, &format!("{bare}{query}"), body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{request} {answer:?}");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        left.store(0, Ordering::Relaxed);
    }
    // What was acknowledged is still there.
    let ended = send(&registry, "PUT", &format!("{bare}?digest={digest}"), "second").await;
    assert_eq!(ended.status, StatusCode::CREATED, "{ended:?}");
}

#[tokio::test]
async fn a_crash_after_the_bytes_were_moved_leaves_no_upload_that_is_stuck() {
    let digest = Digest::sha256(b"first second");
    let driver = Arc::new(Interposed::default());
    let registry = registry(&driver);
    let bare = begun(&registry, "first ").await;
    // Nothing comes after the move: the process is gone.
    let moved = Arc::new(std::sync::atomic::AtomicBool::new(false));
    driver.before(move |operation, _| {
        let gone = moved.load(Ordering::Relaxed);
        moved.fetch_or(operation == Operation::Move, Ordering::Relaxed);
        async move { if gone { Err(Error::new(ErrorKind::Unavailable, "the process is gone")) } else { Ok(()) } }
            .boxed()
    });
    let ended = send(&registry, "PUT", &format!("{bare}?digest={digest}"), "second").await;
    assert_eq!(ended.status, StatusCode::SERVICE_UNAVAILABLE);
    driver.undisturbed();
    let asked = send(&registry, "GET", &bare, "").await;
    assert_eq!(asked.status, StatusCode::NO_CONTENT, "{asked:?}");
    let ended = send(&registry, "PUT", &format!("{bare}?digest={digest}"), "first second").await;
    assert_eq!(ended.status, StatusCode::CREATED, "{ended:?}");
}

#[tokio::test]
async fn an_upload_of_which_the_store_shows_an_earlier_state_is_not_continued_from_there() {
    let name: RepositoryName = "a/b".parse().unwrap();
    let (driver, ours, others) = two_processes();
    let id = ours.begin(&name).await.unwrap();
    ours.append(&name, id, None, Script::with(async {})).await.unwrap();
    // As if ten bytes more had been acknowledged, which the store does not show.
    let later = layout::hash_state(&name, id, Algorithm::Sha256, 20);
    driver.put_content(&later, Bytes::new()).await.unwrap();
    let behind =
        |error: UploadError| matches!(error, UploadError::Store(error) if *error.kind() == ErrorKind::Unavailable);
    assert!(others.append(&name, id, None, Script::with(async {})).await.is_err_and(behind));
    assert!(others.size(&name, id).await.is_err_and(behind));
    driver.delete(&later).await.unwrap();
    assert_eq!(others.size(&name, id).await.unwrap(), 10);
}

#[tokio::test]
async fn the_size_of_an_upload_is_told_while_bytes_come_once_it_is_known_and_never_as_nothing() {
    let name: RepositoryName = "a/b".parse().unwrap();
    let driver = Arc::new(Interposed::default());
    let ours = Uploads::new(Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>), 0);
    let id = ours.begin(&name).await.unwrap();
    ours.append(&name, id, None, Script::with(async {})).await.unwrap();
    // A request that is opening the upload when another asks for its size.
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (opening, opens) = (Arc::new(tokio::sync::Notify::new()), Arc::clone(&gate));
    let begins = Arc::clone(&opening);
    driver.before(move |operation, _| {
        let (opens, begins) = (Arc::clone(&opens), Arc::clone(&begins));
        async move {
            if operation == Operation::Writer {
                begins.notify_one();
                opens.acquire().await.unwrap().forget();
            }
            Ok(())
        }
        .boxed()
    });
    let (appending, of) = (ours.clone(), name.clone());
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let script = Script::with(async move { ended.await.unwrap() });
    let append = tokio::spawn(async move { appending.append(&of, id, None, script).await });
    opening.notified().await;
    let (asking, of) = (ours.clone(), name.clone());
    let asked = tokio::spawn(async move { asking.size(&of, id).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished(), "it answered before anybody knew");
    gate.add_permits(1);
    assert_eq!(asked.await.unwrap().unwrap(), 10);
    gate.add_permits(10);
    end.send(()).unwrap();
    assert_eq!(append.await.unwrap().unwrap(), 20);
}

/// Without the capability to continue uploads, one lives in the process that took its bytes.
#[tokio::test]
async fn an_upload_whose_writer_is_lost_is_unknown_and_not_empty() {
    let name: RepositoryName = "a/b".parse().unwrap();
    let driver = Arc::new(InMemory::new());
    let process =
        || Uploads { resumable: false, ..Uploads::new(Store::new(driver.clone() as Arc<dyn StorageDriver>), 0) };
    let (ours, others) = (process(), process());
    let id = ours.begin(&name).await.unwrap();
    assert_eq!(others.size(&name, id).await.unwrap(), 0, "nobody has taken bytes yet");
    assert_eq!(ours.append(&name, id, None, Script::with(async {})).await.unwrap(), 10);
    assert!(matches!(others.size(&name, id).await, Err(UploadError::Unknown)));
    let added = others.append(&name, id, None, Script::with(async {})).await;
    assert!(matches!(added, Err(UploadError::Unknown)), "{added:?}");
    assert_eq!(ours.append(&name, id, None, Script::with(async {})).await.unwrap(), 20);
    ours.cancel(&name, id).await.unwrap();
    assert!(matches!(ours.size(&name, id).await, Err(UploadError::Unknown)));
}
