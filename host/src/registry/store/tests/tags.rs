use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use http::StatusCode;

use super::*;
use crate::contract::{Error, ErrorKind, Operation, StoragePath};
use crate::registry::{Reference, layout};

/// A store with so many tags on the first manifest: `t00`, `t01` and so on.
async fn tagged(count: usize) -> (Arc<Interposed>, Store, Digest) {
    let driver = Arc::new(Interposed::default());
    let store = Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>);
    for number in 0..count {
        tag(&store, 1, &format!("t{number:02}")).await;
    }
    (driver, store, manifest(1).0)
}

/// Returns the manifest that a tag names.
async fn named(store: &Store, tag: &str) -> Option<Digest> {
    store.resolve(&name(), &Reference::Tag(tag.parse().unwrap())).await.unwrap()
}

/// Has something happen once, before the first tag is deleted.
fn before_the_first_deletion(driver: &Interposed, happens: impl Future<Output = ()> + Send + 'static) {
    let happens = Arc::new(Mutex::new(Some(happens.boxed())));
    driver.before(move |operation, path| {
        let is_tag = operation == Operation::Delete && path.as_str().contains("/tags/");
        let happens = is_tag.then(|| happens.lock().unwrap().take()).flatten();
        async move {
            if let Some(happens) = happens {
                happens.await;
            }
            Ok(())
        }
        .boxed()
    });
}

#[tokio::test]
async fn a_tag_that_names_another_manifest_by_the_time_it_would_go_stays() {
    let (driver, store, digest) = tagged(40).await;
    let pushing = store.clone();
    before_the_first_deletion(&driver, async move { drop(tag(&pushing, 2, "t39").await) });
    assert!(store.delete_manifest(&name(), &digest).await.unwrap());
    assert_eq!(named(&store, "t39").await, Some(manifest(2).0), "acknowledged, and gone");
    assert_eq!(store.tags(&name(), None, 100).await.unwrap().items, ["t39"]);
    assert!(store.manifest(&name(), &digest).await.unwrap().is_none());
}

#[tokio::test]
async fn a_push_of_a_tag_waits_for_its_deletion_and_is_not_undone_by_it() {
    let (driver, store, digest) = tagged(1).await;
    let (pushing, pushed) = (store.clone(), Arc::new(Mutex::new(None)));
    let begun = Arc::clone(&pushed);
    before_the_first_deletion(&driver, async move {
        *begun.lock().unwrap() = Some(tokio::spawn(async move { tag(&pushing, 2, "t00").await }));
        // As long as a push without a lock takes, and longer.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    });
    assert!(store.delete_manifest(&name(), &digest).await.unwrap());
    let pushed = pushed.lock().unwrap().take().unwrap();
    pushed.await.unwrap();
    assert_eq!(named(&store, "t00").await, Some(manifest(2).0));
}

#[tokio::test]
async fn a_manifest_that_is_pushed_again_while_it_is_deleted_stays_with_its_tag_and_the_deletion_says_so() {
    let (driver, store, digest) = tagged(40).await;
    let pushing = store.clone();
    before_the_first_deletion(&driver, async move { drop(tag(&pushing, 1, "new").await) });
    let deleted = store.delete_manifest(&name(), &digest).await;
    assert!(deleted.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Conflict), "{deleted:?}");
    assert_eq!(named(&store, "new").await, Some(digest.clone()));
    assert!(store.manifest(&name(), &digest).await.unwrap().is_some());
    driver.undisturbed();
    assert!(store.delete_manifest(&name(), &digest).await.unwrap());
    assert!(store.tags(&name(), None, 100).await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_tags_of_a_deleted_manifest_go_several_at_a_time() {
    let (driver, store, digest) = tagged(64).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    driver.before(move |operation, path| {
        let is_tag = operation == Operation::Delete && path.as_str().contains("/tags/");
        let (now, most) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            if is_tag {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                now.fetch_sub(1, Ordering::Relaxed);
            }
            Ok(())
        }
        .boxed()
    });
    assert!(store.delete_manifest(&name(), &digest).await.unwrap());
    assert_eq!(most.load(Ordering::Relaxed), super::super::PARALLEL);
}

#[tokio::test]
async fn a_tag_is_listed_only_if_its_link_can_be_read_and_pages_stay_whole() {
    let driver = Arc::new(Interposed::default());
    let store = Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>);
    let whole = ["a-1", "a.1", "b", "b-1", "d", "e-1-1"];
    for whole in whole {
        tag(&store, 1, whole).await;
    }
    // What a push leaves that is stopped, and what a registry that does not sync its files leaves after a crash.
    for half in ["a", "a-1-1", "c", "e", "e-1", "zz"] {
        let half = half.parse().unwrap();
        store.put_link(&layout::tag_index_link(&name(), &half, &manifest(1).0), &manifest(1).0).await.unwrap();
    }
    driver.inner.put_content(&layout::tag_link(&name(), &"zz".parse().unwrap()), Bytes::new()).await.unwrap();
    for limit in 1..8 {
        let (mut last, mut seen): (Option<String>, Vec<String>) = (None, Vec::new());
        loop {
            let page = store.tags(&name(), last.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit, "{page:?}");
            seen.extend(page.items.clone());
            last = page.items.last().cloned();
            if !page.has_more {
                break;
            }
            assert_eq!(page.items.len(), limit, "a page that is cut is full");
        }
        assert_eq!(seen, whole, "by {limit}");
    }
}

#[tokio::test]
async fn a_listing_of_tags_fails_where_a_tag_cannot_be_looked_at() {
    let (driver, store, _) = tagged(3).await;
    driver.before(|operation, path| {
        let fails = operation == Operation::GetContent && path.as_str().contains("/t01/");
        let error = || Error::new(ErrorKind::Unavailable, "a test");
        async move { if fails { Err(error()) } else { Ok(()) } }.boxed()
    });
    assert!(store.tags(&name(), None, 10).await.is_err());
}

/// Stops everything that changes the store once so many changes were made.
fn stop_after(driver: &Interposed, changes: usize) {
    let made = Arc::new(AtomicUsize::new(0));
    driver.before(move |operation, _| {
        let is_change = matches!(
            operation,
            Operation::PutContent | Operation::Writer | Operation::Move | Operation::Delete | Operation::DeleteFiles
        );
        let is_over = is_change && made.fetch_add(1, Ordering::Relaxed) >= changes;
        async move { if is_over { Err(Error::new(ErrorKind::Unavailable, "killed")) } else { Ok(()) } }.boxed()
    });
}

/// Pushes a blob, and a manifest that names it and another one as its subject, under a tag. Returns whether all was taken.
async fn push(registry: &Registry) -> bool {
    let blob = Digest::sha256(b"blob");
    let (subject, subject_bytes) = manifest(7);
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"subject":{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{subject}","size":{}}}}}"#,
        subject_bytes.len()
    );
    let pushed = [
        send(registry, "POST", &format!("/v2/a/b/blobs/uploads/?digest={blob}"), "blob").await,
        send(registry, "PUT", &format!("/v2/a/b/manifests/{subject}"), subject_bytes).await,
        send(registry, "PUT", "/v2/a/b/manifests/tag", text).await,
    ];
    pushed.iter().all(|answer| answer.status == StatusCode::CREATED)
}

#[tokio::test]
async fn a_push_that_is_stopped_between_any_two_writes_leaves_only_what_can_be_pulled() {
    for changes in 0.. {
        let driver = Arc::new(Interposed::default());
        let registry = registry(&driver);
        stop_after(&driver, changes);
        let is_whole = push(&registry).await;
        driver.undisturbed();
        let list = send(&registry, "GET", "/v2/a/b/tags/list", "").await;
        let tags = if list.status == StatusCode::OK { list.json()["tags"].clone() } else { serde_json::json!([]) };
        for tag in tags.as_array().unwrap() {
            let pulled = send(&registry, "GET", &format!("/v2/a/b/manifests/{}", tag.as_str().unwrap()), "").await;
            assert_eq!(pulled.status, StatusCode::OK, "a tag after {changes} changes: {pulled:?}");
        }
        let referrers = send(&registry, "GET", &format!("/v2/a/b/referrers/{}", manifest(7).0), "").await.json();
        for referrer in referrers["manifests"].as_array().unwrap() {
            let digest = referrer["digest"].as_str().unwrap();
            let pulled = send(&registry, "GET", &format!("/v2/a/b/manifests/{digest}"), "").await;
            assert_eq!(pulled.status, StatusCode::OK, "a referrer after {changes} changes");
        }
        if is_whole {
            assert!(changes > 5 && tags == serde_json::json!(["tag"]), "{changes} changes: {tags}");
            return;
        }
        assert!(push(&registry).await, "after {changes} changes it cannot be pushed again");
    }
}

/// A path of a store that is no tag's.
#[tokio::test]
async fn an_empty_repository_that_somebody_else_made_has_no_tags() {
    let driver = Arc::new(Interposed::default());
    let path = StoragePath::parse("/docker/registry/v2/repositories/a/b/_manifests/tags/x/file").unwrap();
    driver.inner.put_content(&path, Bytes::new()).await.unwrap();
    let list = send(&registry(&driver), "GET", "/v2/a/b/tags/list", "").await;
    assert_eq!((list.status, list.json()["tags"].clone()), (StatusCode::OK, serde_json::json!([])));
}
