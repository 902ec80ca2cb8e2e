//! Streams that break, and go on.

use futures::{StreamExt, TryStreamExt};

use super::*;
use crate::contract::Entry;

const DIGITS: &str = "0123456789";

async fn digits() -> (Scripted, Base) {
    wrapped(&[("/a", DIGITS)]).await
}

/// What a reader gives, and how it ends.
async fn read(driver: &Base, range: ByteRange) -> (String, Option<Error>) {
    let mut reader = driver.reader(&path("/a"), range).await.unwrap();
    let mut content = String::new();
    while let Some(chunk) = reader.next().await {
        match chunk {
            Ok(chunk) => content.push_str(std::str::from_utf8(&chunk).unwrap()),
            Err(error) => {
                assert!(reader.next().await.is_none(), "a stream went on after its error");
                return (content, Some(error));
            }
        }
    }
    (content, None)
}

async fn read_well(driver: &Base, range: ByteRange) -> String {
    let (content, error) = read(driver, range).await;
    assert!(error.is_none(), "{error:?} after {content}");
    content
}

#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_off_goes_on_from_there_and_gives_each_byte_once() {
    for end in [End::Fails(UNAVAILABLE), End::Fails(THROTTLED), End::Ends, End::Stalls] {
        for broken_at in 0..=4 {
            let (scripted, driver) = digits().await;
            scripted.script("reader", [Fault::Breaks(broken_at, end.clone())]);
            assert_eq!(read_well(&driver, ByteRange::ALL).await, DIGITS, "{end:?} after {broken_at} chunks");
            assert_eq!(scripted.calls(), ["reader 0..".to_owned(), format!("reader {}..", broken_at * 2)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_file_keeps_its_end_when_it_is_resumed() {
    let (scripted, driver) = digits().await;
    scripted.script("reader", [Fault::Breaks(1, End::Ends), Fault::Breaks(1, End::Fails(UNAVAILABLE))]);
    assert_eq!(read_well(&driver, ByteRange::new(3, 6)).await, "345678");
    assert_eq!(scripted.calls(), ["reader 3..9", "reader 5..9", "reader 7..9"]);
    // One that reaches past the end too.
    scripted.script("reader", [Fault::Breaks(1, End::Ends)]);
    assert_eq!(read_well(&driver, ByteRange::new(6, 100)).await, "6789");
    assert_eq!(scripted.calls(), ["reader 6..106", "reader 8..106"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_last_byte_is_made_good_too() {
    let (scripted, driver) = digits().await;
    scripted.script("reader", [Fault::Breaks(5, End::Fails(UNAVAILABLE))]);
    assert_eq!(read_well(&driver, ByteRange::ALL).await, DIGITS);
    scripted.script("reader", [Fault::Breaks(5, End::Fails(ErrorKind::Corrupt))]);
    let (content, error) = read(&driver, ByteRange::ALL).await;
    assert_eq!((content.as_str(), error.unwrap().kind()), (DIGITS, &ErrorKind::Corrupt));
}

#[tokio::test(start_paused = true)]
async fn a_download_that_comes_forward_is_resumed_as_often_as_it_breaks() {
    let (scripted, driver) = wrapped(&[]).await;
    let content = "x".repeat(200);
    scripted.store.put_content(&path("/a"), Bytes::from(content.clone())).await.unwrap();
    scripted.script("reader", vec![Fault::Breaks(1, End::Fails(UNAVAILABLE)); 99]);
    assert_eq!(read_well(&driver, ByteRange::ALL).await, content);
    assert_eq!(scripted.calls().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_does_not_come_forward_ends_and_says_how_often_it_was_tried() {
    let (scripted, driver) = digits().await;
    scripted.script("reader", vec![Fault::Breaks(2, End::Fails(UNAVAILABLE))]);
    scripted.script("reader", vec![Fault::Breaks(0, End::Ends), Fault::Fails(UNAVAILABLE), Fault::Fails(THROTTLED)]);
    scripted.script("reader", vec![Fault::Fails(UNAVAILABLE); 10]);
    let (content, error) = read(&driver, ByteRange::ALL).await;
    assert_eq!((content.as_str(), error.unwrap().attempts()), ("0123", Some(6)));
    assert_eq!(scripted.calls().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_kills_instances_is_resumed_once() {
    let (scripted, driver) = digits().await;
    scripted.script("reader", vec![Fault::Breaks(1, End::Dies); 10]);
    let (content, error) = read(&driver, ByteRange::ALL).await;
    assert_eq!((content.as_str(), error.unwrap().is_death()), ("0123", true));
    scripted.script("list", vec![Fault::Breaks(0, End::Dies); 10]);
    driver.list_all(&StoragePath::root()).await.unwrap_err();
    assert_eq!(scripted.calls(), ["reader 0..", "reader 2..", "list", "list"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_without_a_version_is_not_resumed_and_the_error_says_why() {
    let (mut scripted, _) = digits().await;
    scripted.version = false;
    let driver = wrap(&scripted);
    scripted.script("reader", [Fault::Breaks(2, End::Ends)]);
    let (content, error) = read(&driver, ByteRange::ALL).await;
    let error = error.unwrap();
    assert_eq!((content.as_str(), error.kind()), ("0123", &UNAVAILABLE));
    assert!(error.message().contains("4 of 10 bytes; it was not resumed: the store gives files no version"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_while_it_is_read_is_a_conflict_and_never_a_mix() {
    let meanwhile = [Fault::Breaks(2, End::Fails(UNAVAILABLE)), Fault::Meanwhile("/a", "abcdefghij")];
    let (scripted, driver) = digits().await;
    scripted.script("reader", meanwhile);
    let (content, error) = read(&driver, ByteRange::ALL).await;
    let error = error.unwrap();
    assert_eq!((content.as_str(), error.kind()), ("0123", &ErrorKind::Conflict));
    assert!(error.message().starts_with("the file changed while it was read, after 4 bytes"), "{error}");
    // Shorter, and gone.
    scripted.store.put_content(&path("/a"), Bytes::from(DIGITS)).await.unwrap();
    scripted.script("reader", [Fault::Breaks(2, End::Ends), Fault::Meanwhile("/a", "abc")]);
    assert_eq!(read(&driver, ByteRange::ALL).await.1.unwrap().kind(), &ErrorKind::Conflict);
    scripted.store.put_content(&path("/a"), Bytes::from(DIGITS)).await.unwrap();
    scripted.script("reader", [Fault::Breaks(2, End::Ends)]);
    let mut reader = driver.reader(&path("/a"), ByteRange::ALL).await.unwrap();
    reader.next().await.unwrap().unwrap();
    scripted.store.delete(&path("/a")).await.unwrap();
    let error = reader.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.kind() == &ErrorKind::Conflict && error.message().contains("was deleted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_ends_a_stream_at_once() {
    let (scripted, driver) = digits().await;
    scripted.script("reader", [Fault::Breaks(1, End::Fails(ErrorKind::AccessDenied))]);
    let (content, error) = read(&driver, ByteRange::ALL).await;
    assert_eq!((content.as_str(), error.unwrap().kind()), ("01", &ErrorKind::AccessDenied));
    assert_eq!(scripted.calls().len(), 1);
    // And nobody is told that it could have been resumed.
    let (mut scripted, _) = digits().await;
    scripted.version = false;
    scripted.script("reader", [Fault::Breaks(1, End::Fails(ErrorKind::AccessDenied))]);
    assert_eq!(read(&wrap(&scripted), ByteRange::ALL).await.1.unwrap().message(), "scripted");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_over_after_its_error() {
    let (scripted, _) = digits().await;
    let bare = Retrying::new(Arc::new(scripted.clone()), Retry::default());
    scripted.script("reader", [Fault::Breaks(1, End::Fails(ErrorKind::Corrupt))]);
    let ends: Vec<_> = bare.reader(&path("/a"), ByteRange::ALL).await.unwrap().map(|step| step.is_ok()).collect().await;
    assert_eq!(ends, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_stall_without_a_limit_is_waited_for() {
    let (scripted, _) = digits().await;
    let driver = wrap_with(&scripted, RetryPolicy { stall: Duration::MAX, ..RetryPolicy::default() });
    scripted.script("reader", [Fault::Breaks(1, End::Stalls)]);
    let year = Duration::from_secs(365 * 24 * 3600);
    assert!(tokio::time::timeout(year, read(&driver, ByteRange::ALL)).await.is_err());
    assert_eq!(scripted.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_stalls_while_somebody_waits_for_it_and_not_while_the_caller_is_slow() {
    let minute = Duration::from_secs(60);
    let (scripted, driver) = digits().await;
    scripted.script("reader", [Fault::Breaks(1, End::Stalls)]);
    let began = Instant::now();
    let mut reader = driver.reader(&path("/a"), ByteRange::ALL).await.unwrap();
    reader.next().await.unwrap().unwrap();
    tokio::time::sleep(3 * minute).await;
    assert_eq!(scripted.calls().len(), 1, "resumed while the caller was slow");
    // Asked, left waiting, and away for long: nobody knows whether a byte would have come meanwhile.
    assert!(futures::poll!(reader.next()).is_pending());
    tokio::time::sleep(3 * minute).await;
    assert!(futures::poll!(reader.next()).is_pending());
    assert_eq!(scripted.calls().len(), 0, "resumed while nobody asked");
    let before = began.elapsed();
    let rest: Vec<Bytes> = reader.try_collect().await.unwrap();
    assert_eq!(rest.concat(), DIGITS.as_bytes()[2..]);
    let waited = began.elapsed() - before;
    assert!(waited >= minute && waited < minute + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_bytes_ended_does_not_count_for_the_next() {
    let (scripted, driver) = digits().await;
    let policy = RetryPolicy { stall: Duration::from_secs(10), ..RetryPolicy::default() };
    scripted.script("reader", [Fault::Breaks(0, End::Stalls)]);
    drop(driver);
    // A byte every 9 seconds, for longer than the limit.
    let slow = Box::pin(futures::stream::unfold(0u8, |at| async move {
        tokio::time::sleep(Duration::from_secs(9)).await;
        (at < 10).then(|| (Ok(Bytes::from(vec![at])), at + 1))
    }));
    let info = scripted.store.stat(&path("/a")).await.unwrap();
    let retrying = Retrying::new(Arc::new(scripted.clone()), Retry::new(policy));
    let reader = reader::resume(&retrying, &path("/a"), ByteRange::ALL, Reader::new(info, slow));
    let bytes: Vec<Bytes> = reader.try_collect().await.unwrap();
    assert_eq!((bytes.len(), scripted.calls().len()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn chunks_go_through_without_a_copy() {
    let content = Bytes::from(vec![7; 100_000]);
    let store = crate::drivers::inmemory::InMemory::new();
    store.put_content(&path("/a"), content.clone()).await.unwrap();
    let driver = Retrying::new(Arc::new(store), Retry::default());
    let chunk = driver.reader(&path("/a"), ByteRange::ALL).await.unwrap().next().await.unwrap().unwrap();
    assert_eq!(chunk.as_ptr(), content.as_ptr());
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_lets_go_of_its_permit_before_it_is_opened_again() {
    let (scripted, _) = digits().await;
    scripted.script("reader", [Fault::Breaks(1, End::Fails(UNAVAILABLE))]);
    let limited = crate::base::ConcurrencyLimit::new(Arc::new(scripted), std::num::NonZeroUsize::MIN);
    let driver = Base::new(Arc::new(Retrying::new(Arc::new(limited), Retry::default())));
    assert_eq!(read_well(&driver, ByteRange::ALL).await, DIGITS);
}

const TREE: [(&str, &str); 5] = [("/d/a", ""), ("/d/b/x", ""), ("/d/b/y", ""), ("/d/b-c", ""), ("/e", "")];

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_breaks_off_goes_on_after_the_last_entry() {
    let (scripted, driver) = wrapped(&TREE).await;
    for broken_at in 0..=3 {
        scripted.script("list", [Fault::Breaks(broken_at, End::Fails(UNAVAILABLE)), Fault::Fails(THROTTLED)]);
        let entries = driver.list_all(&path("/d")).await.unwrap();
        assert_eq!(names(&entries), ["/d/a", "/d/b-c", "/d/b"], "broken after {broken_at}");
    }
    let calls = scripted.calls();
    assert_eq!(calls[..3], ["list", "list", "list"]);
    assert_eq!(calls[3..6], ["list", "list after /d/a", "list after /d/a"]);
    assert_eq!(calls[9..12], ["list", "list after /d/b/", "list after /d/b/"]);
}

#[tokio::test(start_paused = true)]
async fn a_walk_that_breaks_off_goes_on_after_the_last_entry_and_from_where_it_was_to_begin() {
    let (scripted, driver) = wrapped(&TREE).await;
    let all = ["/d", "/d/a", "/d/b-c", "/d/b", "/d/b/x", "/d/b/y", "/e"];
    for broken_at in 0..=7 {
        scripted.script("walk", [Fault::Breaks(broken_at, End::Fails(UNAVAILABLE))]);
        let walk = driver.walk(&StoragePath::root(), None).await.unwrap();
        assert_eq!(names(&walk.try_collect::<Vec<_>>().await.unwrap()), all, "broken after {broken_at}");
    }
    let past = Cursor { after: Position::directory(path("/d/b")), below: false };
    for broken_at in 0..=1 {
        scripted.script("walk", [Fault::Breaks(broken_at, End::Fails(UNAVAILABLE))]);
        let walk = driver.walk(&StoragePath::root(), Some(&past)).await.unwrap();
        assert_eq!(names(&walk.try_collect::<Vec<_>>().await.unwrap()), ["/e"], "broken after {broken_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_deleted_while_it_is_listed_has_no_more_entries() {
    let (scripted, driver) = wrapped(&TREE).await;
    scripted.script("list", [Fault::Breaks(1, End::Fails(UNAVAILABLE))]);
    let mut listing = driver.list(&path("/d"), None).await.unwrap();
    listing.next().await.unwrap().unwrap();
    scripted.store.delete(&path("/d")).await.unwrap();
    assert!(listing.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn uploads_are_listed_again_only_while_none_was_given() {
    let (scripted, driver) = wrapped(&[]).await;
    for name in ["/u/a", "/u/b"] {
        scripted.store.writer(&path(name), WriteMode::New).await.unwrap().close().await.unwrap();
    }
    scripted.script("uploads", [Fault::Breaks(0, End::Fails(UNAVAILABLE))]);
    let uploads: Vec<_> = driver.uploads(&path("/u")).await.unwrap().try_collect().await.unwrap();
    assert_eq!(names(&uploads), ["/u/a", "/u/b"]);
    scripted.script("uploads", [Fault::Breaks(1, End::Fails(UNAVAILABLE))]);
    let mut uploads = driver.uploads(&path("/u")).await.unwrap();
    uploads.next().await.unwrap().unwrap();
    let error = uploads.next().await.unwrap().unwrap_err();
    assert!(error.message().contains("it was not resumed: uploads have no order"), "{error}");
}
