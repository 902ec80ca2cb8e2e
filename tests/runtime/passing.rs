//! Bytes that pass a component by, and bytes that go through it.

use bytes::Bytes;
use serde_json::json;
use wharf::contract::{ByteRange, StorageDriverExt, WriteMode};

use super::support::{faulty, faulty_in, files, new_runtime, path, pattern, read};

#[tokio::test]
async fn a_files_bytes_never_enter_the_component_in_either_direction() {
    let (runtime, root) = (new_runtime(), tempfile::tempdir().unwrap());
    let driver = files(&runtime, root.path()).await.unwrap();
    let content = pattern(9_000_001);

    let mut writer = driver.writer(&path("/a/b"), WriteMode::New).await.unwrap();
    for at in (0..content.len()).step_by(300_000) {
        writer.write(content.slice(at..content.len().min(at + 300_000))).await.unwrap();
    }
    writer.commit().await.unwrap();
    assert_eq!(read(&*driver, "/a/b").await.unwrap(), content);
    let part = driver.read_range(&path("/a/b"), ByteRange::new(1_000_000, 777_777)).await.unwrap();
    assert_eq!(part, content.slice(1_000_000..1_777_777));

    let counters = runtime.counters();
    assert_eq!((counters.copied_from_guests(), counters.copied_to_guests()), (0, 0));
    assert_eq!(counters.passed_through(), 2 * 9_000_001 + 777_777);
    assert_eq!(std::fs::read(root.path().join("a/b")).unwrap(), content, "the file is where Distribution has it");
}

#[tokio::test]
async fn bytes_that_a_component_makes_are_counted_as_copied() {
    // Of its own: what other tests copy meanwhile would pass for this one's.
    let runtime = new_runtime();
    let driver = faulty_in(&runtime, json!({}), json!({})).await.unwrap();
    assert_eq!(read(&*driver, "/pattern-1234567").await.unwrap(), pattern(1_234_567));
    let counters = runtime.counters();
    assert_eq!((counters.copied_from_guests(), counters.passed_through()), (1_234_567, 0));
}

#[tokio::test]
async fn a_file_that_was_shortened_meanwhile_ends_with_an_error() {
    let (runtime, root) = (new_runtime(), tempfile::tempdir().unwrap());
    let driver = files(&runtime, root.path()).await.unwrap();
    driver.put_content(&path("/file"), Bytes::from(vec![7; 4_000_000])).await.unwrap();
    let mut reader = driver.reader(&path("/file"), ByteRange::ALL).await.unwrap();
    futures::StreamExt::next(&mut reader).await.unwrap().unwrap();
    std::fs::File::options().write(true).open(root.path().join("file")).unwrap().set_len(1000).unwrap();
    let mut last = Ok(Bytes::new());
    while let Some(chunk) = futures::StreamExt::next(&mut reader).await {
        last = chunk;
    }
    assert!(last.is_err(), "a shortened file ended cleanly");
}

#[tokio::test]
async fn an_upload_waits_for_the_store_and_holds_little() {
    // A guest that takes nothing for a while: the caller's writes wait, instead of piling up.
    let slow = json!({ "operation": "write", "fault": "wait", "wait_ms": 300 });
    let driver = faulty(slow, json!({})).await.unwrap();
    let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
    let mut taken = 0;
    let piled = tokio::time::timeout(std::time::Duration::from_millis(150), async {
        loop {
            writer.write(Bytes::from(vec![0; 1 << 20])).await.unwrap();
            taken += 1;
        }
    });
    assert!(piled.await.is_err());
    assert!(taken <= 3, "{taken} MiB were taken by a guest that reads nothing");
}
