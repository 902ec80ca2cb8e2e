use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;

use super::*;
use crate::contract::Operation;
use crate::registry::layout;

/// Ways in which a file can be damaged: emptied, cut, changed, and lengthened.
const DAMAGES: [fn(&mut Vec<u8>); 4] =
    [Vec::clear, |bytes| bytes.truncate(bytes.len() / 2), |bytes| bytes[0] ^= 1, |bytes| bytes.push(b'x')];

/// Damages what is stored under a digest.
async fn damage(driver: &Interposed, digest: &Digest, damage: fn(&mut Vec<u8>)) {
    let path = layout::blob(digest);
    let mut bytes = driver.inner.get_content(&path).await.unwrap().to_vec();
    damage(&mut bytes);
    driver.inner.put_content(&path, bytes.into()).await.unwrap();
}

/// Pushes a blob at once.
async fn push_blob(registry: &Registry, bytes: &Bytes) -> Digest {
    let digest = Digest::sha256(bytes);
    let pushed = send(registry, "POST", &format!("/v2/a/b/blobs/uploads/?digest={digest}"), bytes.clone()).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    digest
}

/// Pushes a blob as `docker` does.
async fn upload_blob(registry: &Registry, bytes: &Bytes) -> Digest {
    let digest = Digest::sha256(bytes);
    let begun = send(registry, "POST", "/v2/a/b/blobs/uploads/", "").await;
    let sent = send(registry, "PATCH", &begun.location(), bytes.clone()).await;
    let ended = send(registry, "PUT", &format!("{}&digest={digest}", sent.location()), "").await;
    assert_eq!(ended.status, StatusCode::CREATED, "{ended:?}");
    digest
}

async fn push_manifest(registry: &Registry, number: usize, reference: &str) -> Digest {
    let (digest, bytes) = manifest(number);
    let pushed = send(registry, "PUT", &format!("/v2/a/b/manifests/{reference}"), bytes).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    digest
}

/// Fails unless the answer says that the store is damaged, and what of it.
fn says_damaged(answer: &Answer, digest: &Digest) {
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
    let error = &answer.json()["errors"][0];
    assert_eq!(error["code"], "DIGEST_INVALID");
    assert_eq!(error["detail"]["digest"], digest.as_str());
}

#[tokio::test]
async fn a_damaged_manifest_is_never_served_and_the_error_names_its_digest() {
    for ruin in DAMAGES {
        let driver = Arc::new(Interposed::default());
        let registry = registry(&driver);
        let digest = push_manifest(&registry, 1, "tag").await;
        damage(&driver, &digest, ruin).await;
        for reference in ["tag", digest.as_str()] {
            let target = format!("/v2/a/b/manifests/{reference}");
            says_damaged(&send(&registry, "GET", &target, "").await, &digest);
            let head = send(&registry, "HEAD", &target, "").await;
            assert_eq!(head.status, StatusCode::INTERNAL_SERVER_ERROR);
        }
        push_manifest(&registry, 1, "tag").await;
        let pulled = send(&registry, "GET", "/v2/a/b/manifests/tag", "").await;
        assert_eq!((pulled.status, pulled.body), (StatusCode::OK, manifest(1).1));
    }
}

#[tokio::test]
async fn a_damaged_manifest_can_be_deleted() {
    let driver = Arc::new(Interposed::default());
    let registry = registry(&driver);
    let digest = push_manifest(&registry, 1, "tag").await;
    damage(&driver, &digest, Vec::clear).await;
    let deleted = send(&registry, "DELETE", &format!("/v2/a/b/manifests/{digest}"), "").await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    assert_eq!(send(&registry, "GET", "/v2/a/b/manifests/tag", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_push_of_a_blob_replaces_bytes_that_do_not_have_its_digest() {
    let (small, large) = (Bytes::from("small"), Bytes::from(vec![7; 300_000]));
    for ruin in DAMAGES {
        for (bytes, by_upload) in [(&small, false), (&large, false), (&small, true), (&large, true)] {
            let driver = Arc::new(Interposed::default());
            let registry = registry(&driver);
            let digest = push_blob(&registry, bytes).await;
            damage(&driver, &digest, ruin).await;
            match by_upload {
                true => upload_blob(&registry, bytes).await,
                false => push_blob(&registry, bytes).await,
            };
            let pulled = send(&registry, "GET", &format!("/v2/a/b/blobs/{digest}"), "").await;
            assert!(pulled.status == StatusCode::OK && pulled.body == *bytes, "{} bytes", bytes.len());
        }
    }
}

#[tokio::test]
async fn a_push_of_a_blob_that_is_whole_leaves_its_file_alone() {
    for bytes in [Bytes::from("small"), Bytes::from(vec![7; 300_000])] {
        let driver = Arc::new(Interposed::default());
        let registry = registry(&driver);
        let digest = push_blob(&registry, &bytes).await;
        let (replaced, path) = (Arc::new(AtomicUsize::new(0)), layout::blob(&digest));
        let counted = Arc::clone(&replaced);
        driver.before(move |operation, at| {
            if matches!(operation, Operation::PutContent | Operation::Move) && *at == path {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            async { Ok(()) }.boxed()
        });
        push_blob(&registry, &bytes).await;
        upload_blob(&registry, &bytes).await;
        assert_eq!(replaced.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn a_small_blob_that_is_damaged_is_never_served_whole() {
    for ruin in DAMAGES {
        let driver = Arc::new(Interposed::default());
        let registry = registry(&driver);
        let digest = push_blob(&registry, &Bytes::from("small")).await;
        damage(&driver, &digest, ruin).await;
        says_damaged(&send(&registry, "GET", &format!("/v2/a/b/blobs/{digest}"), "").await, &digest);
    }
}

#[tokio::test]
async fn a_blob_whose_file_was_emptied_is_missing_to_who_asks_for_it_before_pushing() {
    let driver = Arc::new(Interposed::default());
    let registry = registry(&driver);
    let digest = push_blob(&registry, &Bytes::from(vec![7; 300_000])).await;
    let nothing = push_blob(&registry, &Bytes::new()).await;
    damage(&driver, &digest, Vec::clear).await;
    let head = async |digest: &Digest| send(&registry, "HEAD", &format!("/v2/a/b/blobs/{digest}"), "").await.status;
    assert_eq!(head(&digest).await, StatusCode::NOT_FOUND);
    assert_eq!(head(&nothing).await, StatusCode::OK, "the digest of nothing");
    for from in ["&from=a/b", ""] {
        let mounted = send(&registry, "POST", &format!("/v2/c/blobs/uploads/?mount={digest}{from}"), "").await;
        assert_eq!(mounted.status, StatusCode::ACCEPTED, "an upload in place of a mount");
    }
    push_blob(&registry, &Bytes::from(vec![7; 300_000])).await;
    assert_eq!(head(&digest).await, StatusCode::OK);
}

#[tokio::test]
async fn one_damaged_referrer_hides_no_other() {
    let driver = Arc::new(Interposed::default());
    let store = Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>);
    let (subject, _) = manifest(1);
    let mut digests = Vec::new();
    for number in 2..4 {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"subject":{{"mediaType":"a/b","digest":"{subject}","size":1}},"annotations":{{"number":"{number}"}}}}"#
        );
        let digest = Digest::sha256(text.as_bytes());
        let subject = Some(&subject);
        let pushed = Pushed { digest: &digest, bytes: text.into(), media_type: None, subject, tags: &[] };
        store.put_manifest(&name(), pushed).await.unwrap();
        digests.push(digest);
    }
    damage(&driver, &digests[0], |bytes| bytes[0] ^= 1).await;
    let wanted = WantedReferrers { bytes: 1 << 20, ..WantedReferrers::default() };
    let found = store.referrers(&name(), &subject, false, &wanted).await.unwrap();
    assert_eq!(found.items.len(), 1);
}
