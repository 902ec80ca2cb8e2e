//! Uploads: what becomes of them when answers are lost, when others interfere, and when there are very many.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{Entry, ErrorKind, StorageDriver, StorageDriverExt, WriteMode};
use wharf_conformance::proxy::{Fault, Seen};

use crate::support::Bucket;
use crate::{path, watched};

const MIB: usize = 1024 * 1024;

/// Bytes that differ from place to place.
fn pattern(size: usize) -> Bytes {
    (0..size).map(|at| (at * 31 + at / 257) as u8).collect::<Vec<u8>>().into()
}

async fn uploads_of(driver: &dyn StorageDriver, below: &str) -> Vec<Entry> {
    driver.uploads(&path(below)).await.unwrap().try_collect().await.unwrap()
}

fn completes(request: &Seen) -> bool {
    request.method == "POST" && request.has_query("uploadId")
}

fn begins(request: &Seen) -> bool {
    request.method == "POST" && request.has_query("uploads")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_succeeds() {
    let (bucket, proxy) = watched();
    let driver = bucket.open("/lost").await.unwrap();
    for fault in [Fault::ResetAfter, Fault::ErrorAfter, Fault::Twice, Fault::Cut] {
        let file = path(&format!("/commit-{fault}"));
        let content = pattern(6 * MIB);
        let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
        writer.write(content.clone()).await.unwrap();
        proxy.fail_next(fault, completes);
        assert_eq!(writer.commit().await.unwrap(), content.len() as u64, "{fault}");
        assert_eq!(proxy.pending(), 0, "{fault} did not strike");
        assert_eq!(driver.get_content(&file).await.unwrap(), content, "{fault}");
    }
    assert!(uploads_of(&*driver, "/").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_beginning_was_lost_leaves_no_other_to_be_continued_instead() {
    let (bucket, proxy) = watched();
    let driver = bucket.open("/begin").await.unwrap();
    let file = path("/file");
    let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
    proxy.fail_next(Fault::ResetAfter, begins);
    writer.write(pattern(5 * MIB)).await.unwrap();
    writer.close().await.unwrap();
    assert_eq!(proxy.pending(), 0);
    assert_eq!(uploads_of(&*driver, "/file").await.len(), 1);
    assert_eq!(driver.writer(&file, WriteMode::Append).await.unwrap().size(), 5 * MIB as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_completed_is_kept_and_can_be_continued() {
    let (bucket, proxy) = watched();
    let driver = bucket.open("/kept").await.unwrap();
    let (file, content) = (path("/file"), pattern(6 * MIB));
    let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
    writer.write(content.clone()).await.unwrap();
    // Six attempts of the driver's, and six when `base` has looked and found the upload still there.
    proxy.fail_times(12, Fault::ErrorBefore, completes);
    let error = writer.commit().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::OutcomeUnknown, "{error}");
    assert_eq!(error.attempts(), Some(6), "{error}");
    assert!(error.to_string().contains("request id"), "{error}");
    let aborts = proxy.count_where(|request| request.method == "DELETE" && request.has_query("uploadId"));
    assert_eq!(aborts, 0, "a completion that failed is no reason to abort");
    let writer = driver.writer(&file, WriteMode::Append).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), content.len() as u64);
    assert!(driver.get_content(&file).await.unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_upload_whose_first_part_fails_is_kept_and_can_be_continued() {
    let (bucket, proxy) = watched();
    let driver = bucket.open("/empty").await.unwrap();
    let file = path("/file");
    driver.writer(&file, WriteMode::New).await.unwrap().close().await.unwrap();
    let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
    proxy.fail_times(6, Fault::ErrorBefore, |request| request.has_query("partNumber"));
    writer.write(pattern(5 * MIB)).await.unwrap_err();
    drop(writer);
    assert_eq!(proxy.pending(), 0);
    let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
    assert_eq!(writer.size(), 0);
    writer.write(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_upload_aborts_the_older_ones_of_its_path_and_no_others() {
    let driver = Bucket::new("RGW").unwrap().open("/older").await.unwrap();
    for file in ["/a", "/a-b", "/a/b", "/ab"] {
        driver.writer(&path(file), WriteMode::New).await.unwrap().close().await.unwrap();
    }
    let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
    let names = |entries: Vec<Entry>| entries.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>();
    assert_eq!(names(uploads_of(&*driver, "/").await), ["/a-b", "/a/b", "/ab"]);
    writer.write(Bytes::from_static(b"x")).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(driver.get_content(&path("/a")).await.unwrap(), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_somebody_else_aborted_is_a_conflict() {
    let driver = Bucket::new("RGW").unwrap().open("/aborted").await.unwrap();
    let file = path("/file");
    let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
    writer.write(pattern(5 * MIB)).await.unwrap();
    let aborted = driver.abort_uploads(&file, SystemTime::now() + Duration::from_secs(60)).await.unwrap();
    assert_eq!(aborted, 1);
    let error = writer.write(pattern(5 * MIB)).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict, "{error}");
}

/// Distribution reads one page of 1,000 uploads and so misses those behind them.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_behind_a_thousand_others_is_found_and_all_are_told_and_deleted() {
    use futures::{StreamExt, stream};
    let driver = Bucket::new("RGW").unwrap().open("/crowd").await.unwrap();
    let begin = |name: String| {
        let driver = driver.clone();
        async move { driver.writer(&path(&name), WriteMode::New).await?.close().await }
    };
    stream::iter((0..1100).map(|index| begin(format!("/d/u-{index:04}"))))
        .buffer_unordered(32)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    let mut writer = driver.writer(&path("/d/u-1099"), WriteMode::Append).await.unwrap();
    writer.write(Bytes::from_static(b"found")).await.unwrap();
    writer.close().await.unwrap();
    assert_eq!(uploads_of(&*driver, "/d").await.len(), 1100);
    assert_eq!(driver.writer(&path("/d/u-1099"), WriteMode::Append).await.unwrap().size(), 5);
    driver.delete(&path("/d")).await.unwrap();
    assert!(uploads_of(&*driver, "/d").await.is_empty());
}

/// Distribution reads one page of 1,000 parts. These have one byte each, which S3 takes until the completion.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_more_than_a_thousand_parts_is_found_with_all_of_them() {
    for server in ["RGW", "SEAWEED"] {
        let bucket = Bucket::new(server).unwrap();
        let driver = bucket.open("/parts").await.unwrap();
        let file = path("/file");
        driver.writer(&file, WriteMode::New).await.unwrap().close().await.unwrap();
        bucket.add_tiny_parts("parts/file", 1003).unwrap();
        let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
        assert_eq!(writer.size(), 1003, "{server}");
        let error = writer.write(Bytes::from_static(b"tail")).await.unwrap_err();
        assert!(error.to_string().contains("a part below 5 MiB that is not its last"), "{error}");
        // And it is still there.
        drop(writer);
        assert_eq!(driver.writer(&file, WriteMode::Append).await.unwrap().size(), 1003, "{server}");
    }
}

/// The long form of both: more than a thousand parts, and more than the 5 GiB that one copy takes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: 5 GiB; runs with --long only"]
async fn an_upload_above_five_gib_with_a_short_last_part_is_continued() {
    let driver = Bucket::new("RGW").unwrap().open("/long").await.unwrap();
    let (file, part) = (path("/file"), pattern(5 * MIB));
    let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
    for _ in 0..1030 {
        writer.write(part.clone()).await.unwrap();
    }
    writer.write(Bytes::from_static(b"short")).await.unwrap();
    let size = writer.close().await.unwrap();
    let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
    assert_eq!(writer.size(), size);
    writer.write(Bytes::from_static(b"tail")).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), size + 4);
    let tail = driver.read_range(&file, wharf::contract::ByteRange::from(size - 5)).await.unwrap();
    assert_eq!(tail, "shorttail");
    driver.delete(&file).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_fails_half_way_leaves_the_source_and_no_upload() {
    let (bucket, proxy) = watched();
    let driver = bucket.open("/move").await.unwrap();
    let (from, to, content) = (path("/from"), path("/to"), pattern(12 * MIB));
    let mut writer = driver.writer(&from, WriteMode::New).await.unwrap();
    writer.write(content.clone()).await.unwrap();
    writer.commit().await.unwrap();
    proxy.fail_times(6, Fault::ErrorBefore, |request| request.query_value("partNumber") == Some("2"));
    driver.move_file(&from, &to).await.unwrap_err();
    assert_eq!(driver.get_content(&from).await.unwrap(), content);
    assert!(!driver.exists(&to).await.unwrap());
    assert!(uploads_of(&*driver, "/").await.is_empty());
    driver.move_file(&from, &to).await.unwrap();
    assert_eq!(driver.get_content(&to).await.unwrap(), content);
}

/// What is copied in ranges are those of a small `multipartcopychunksize`; the arithmetic of large ones is a unit test of the
/// driver, and the long form copies 5 GiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_continued_upload_is_the_bytes_that_were_written_whatever_the_pieces() {
    let driver = Bucket::new("RGW").unwrap().open("/pieces").await.unwrap();
    let content = pattern(23 * MIB + 17);
    for pieces in
        [vec![1], vec![4 * MIB], vec![5 * MIB, 1], vec![5 * MIB - 1, 5 * MIB + 1, 12 * MIB], vec![0, 7, 11 * MIB]]
    {
        let file = path(&format!("/file-{}", pieces.len()));
        driver.writer(&file, WriteMode::New).await.unwrap().close().await.unwrap();
        let mut at = 0;
        for size in pieces {
            let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
            assert_eq!(writer.size(), at as u64);
            writer.write(content.slice(at..at + size)).await.unwrap();
            at += size;
            assert_eq!(writer.close().await.unwrap(), at as u64);
        }
        let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
        writer.write(content.slice(at..)).await.unwrap();
        assert_eq!(writer.commit().await.unwrap(), content.len() as u64);
        let read = driver.read_range(&file, wharf::contract::ByteRange::ALL).await.unwrap();
        assert!(read == content);
    }
}
