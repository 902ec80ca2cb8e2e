//! Uploads, and commits of which nobody knows whether they happened.

use super::*;

/// Writes an upload at `/a`, and leaves the writer open.
async fn upload(driver: &Base, content: &'static str) -> Box<dyn FileWriter> {
    let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from(content)).await.unwrap();
    writer
}

async fn stored(scripted: &Scripted) -> Option<Bytes> {
    scripted.store.get_content(&path("/a")).await.ok()
}

/// The calls after the upload was opened and written.
fn after_the_write(scripted: &Scripted) -> Vec<String> {
    let calls = scripted.calls();
    let write = calls.iter().rposition(|call| call.starts_with("write")).unwrap();
    calls[write + 1..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_failed_is_made_again_with_the_upload_that_is_still_there() {
    for fault in [Fault::Fails(UNKNOWN), Fault::Fails(UNAVAILABLE), Fault::Fails(THROTTLED), Fault::TriedOften(UNKNOWN)]
    {
        let (scripted, driver) = wrapped(&[("/a", "old")]).await;
        let writer = upload(&driver, "content").await;
        scripted.script("commit", [fault]);
        assert_eq!(writer.commit().await.unwrap(), 7);
        assert_eq!(stored(&scripted).await.unwrap(), "content");
        assert_eq!(after_the_write(&scripted), ["commit", "stat /a", "append /a", "commit"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_done_again_without_harm_where_append_continues_what_is_committed() {
    let (scripted, driver) = wrapped(&[("/a", "older!!")]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", [Fault::Lost, Fault::Lost]);
    assert_eq!(writer.commit().await.unwrap(), 7);
    assert_eq!(stored(&scripted).await.unwrap(), "content");
    assert_eq!(
        after_the_write(&scripted),
        ["commit", "stat /a", "append /a", "commit", "stat /a", "append /a", "commit"]
    );
    let left: Vec<_> = futures::TryStreamExt::try_collect(driver.uploads(&path("/a")).await.unwrap()).await.unwrap();
    assert_eq!(left, [], "an upload is left");
}

#[cfg(feature = "filesystem")]
#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_harmless_on_files_too() {
    use crate::drivers::filesystem::{Filesystem, FilesystemConfig};
    /// Answers the first commit with a lost answer.
    struct Loses(Box<dyn FileWriter>);
    #[async_trait]
    impl FileWriter for Loses {
        fn size(&self) -> u64 {
            self.0.size()
        }
        async fn write(&mut self, data: Bytes) -> Result<()> {
            self.0.write(data).await
        }
        async fn close(self: Box<Self>) -> Result<u64> {
            self.0.close().await
        }
        async fn commit(self: Box<Self>) -> Result<u64> {
            self.0.commit().await?;
            Err(Error::new(UNKNOWN, "lost"))
        }
        async fn cancel(self: Box<Self>) -> Result<()> {
            self.0.cancel().await
        }
    }
    let root = tempfile::tempdir().unwrap();
    let config = FilesystemConfig { root_directory: root.path().to_owned(), ..FilesystemConfig::default() };
    let files: Arc<dyn StorageDriver> = Arc::new(Filesystem::open(config).await.unwrap());
    files.put_content(&path("/a"), Bytes::from("older!!")).await.unwrap();
    let mut inner = files.writer(&path("/a"), WriteMode::New).await.unwrap();
    inner.write(Bytes::from("content")).await.unwrap();
    let upload = commit::Upload {
        driver: Retrying::new(files.clone(), Retry::default()),
        path: path("/a"),
        opened: std::time::SystemTime::now(),
    };
    assert_eq!(upload.commit(Box::new(Loses(inner))).await.unwrap(), 7);
    assert_eq!(files.get_content(&path("/a")).await.unwrap(), "content");
    assert_eq!(files.list_all(&StoragePath::root()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_another_size_is_left_as_it_is_and_the_error_says_what_was_seen() {
    let (scripted, driver) = wrapped(&[]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", [Fault::Fails(UNKNOWN)]);
    // Somebody else begins there meanwhile, and what is continued is theirs.
    let theirs = async {
        scripted.store.delete(&path("/a")).await.unwrap();
        let mut theirs = scripted.store.writer(&path("/a"), WriteMode::New).await.unwrap();
        theirs.write(Bytes::from("their upload")).await.unwrap();
        theirs.close().await.unwrap();
    };
    let (committed, ()) = tokio::join!(writer.commit(), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        theirs.await;
    });
    let error = committed.unwrap_err();
    assert_eq!(error.kind(), &UNKNOWN);
    assert!(error.message().ends_with("an upload of 12 bytes is there, not of 7"), "{error}");
    let left: Vec<_> = futures::TryStreamExt::try_collect(driver.uploads(&path("/a")).await.unwrap()).await.unwrap();
    assert_eq!(left.len(), 1, "their upload is gone");
    assert_eq!(scripted.store.writer(&path("/a"), WriteMode::Append).await.unwrap().size(), 12);
}

/// A driver that does not continue uploads.
async fn not_resumable(files: &[(&str, &'static str)]) -> (Scripted, Base) {
    let (mut scripted, _) = wrapped(files).await;
    scripted.capabilities.resumable = false;
    let driver = wrap(&scripted);
    (scripted, driver)
}

#[tokio::test(start_paused = true)]
async fn a_new_file_of_the_right_size_is_the_commit_where_no_upload_can_be_continued() {
    let (scripted, driver) = not_resumable(&[]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", [Fault::Lost]);
    assert_eq!(writer.commit().await.unwrap(), 7);
    assert_eq!(after_the_write(&scripted), ["commit", "stat /a"]);
    // One that says that it can, and has nothing left to continue.
    let (scripted, driver) = wrapped(&[]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", [Fault::Lost]);
    scripted.script("append", [Fault::Fails(ErrorKind::Unsupported)]);
    assert_eq!(writer.commit().await.unwrap(), 7);
    assert_eq!(after_the_write(&scripted), ["commit", "stat /a", "append /a", "stat /a"]);
}

#[tokio::test(start_paused = true)]
async fn anything_else_at_the_path_is_no_commit_and_the_error_says_what_was_seen() {
    let old = std::time::SystemTime::now() + Duration::from_secs(60);
    for (files, seen) in [
        (&[][..], "nothing is at its path"),
        (&[("/a/b", "")][..], "a directory is at its path"),
        (&[("/a", "short")][..], "a file of 5 bytes is at its path, not of 7"),
        (&[("/a", "older!!")][..], "a file of the same size is at its path, and nothing says that it is a new one"),
    ] {
        let (scripted, _) = not_resumable(files).await;
        let upload = commit::Upload {
            driver: Retrying::new(Arc::new(scripted.clone()), Retry::default()),
            path: path("/a"),
            opened: old,
        };
        let mut writer = scripted.writer(&path("/other"), WriteMode::New).await.unwrap();
        writer.write(Bytes::from("content")).await.unwrap();
        scripted.script("commit", [Fault::Fails(UNKNOWN)]);
        let error = upload.commit(writer).await.unwrap_err();
        assert_eq!(error.kind(), &UNKNOWN);
        assert!(error.message().ends_with(seen), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_tells_no_times_cannot_prove_a_commit() {
    let (mut scripted, _) = not_resumable(&[]).await;
    scripted.modified = false;
    let driver = wrap(&scripted);
    let writer = upload(&driver, "content").await;
    scripted.script("commit", [Fault::Lost]);
    assert_eq!(writer.commit().await.unwrap_err().kind(), &UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_never_began_is_not_found_done() {
    let (scripted, driver) = not_resumable(&[("/a", "older!!")]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", [Fault::Fails(THROTTLED)]);
    writer.commit().await.unwrap_err();
    assert_eq!(stored(&scripted).await.unwrap(), "older!!");
}

/// An upload that is lost, beside a file of the same size that was there long before.
async fn lost_beside_an_old_file(scripted: &Scripted) -> Result<u64> {
    let upload = commit::Upload {
        driver: Retrying::new(Arc::new(scripted.clone()), Retry::default()),
        path: path("/a"),
        opened: std::time::SystemTime::now() + Duration::from_secs(60),
    };
    let mut writer = scripted.writer(&path("/other"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from("content")).await.unwrap();
    scripted.script("commit", [Fault::Fails(UNKNOWN)]);
    upload.commit(writer).await
}

#[tokio::test(start_paused = true)]
async fn an_old_file_of_the_same_size_is_never_taken_for_the_upload() {
    let (mut scripted, _) = wrapped(&[("/a", "older!!")]).await;
    for uploads in [true, false] {
        scripted.capabilities.uploads = uploads;
        let error = lost_beside_an_old_file(&scripted).await.unwrap_err();
        assert!(error.message().ends_with("a file of the same size was there before"), "{error}");
        assert!(!scripted.calls().iter().any(|call| call.starts_with("append")));
    }
    // Unless the driver tells that an upload is there.
    let mut writer = scripted.store.writer(&path("/a"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from("content")).await.unwrap();
    writer.close().await.unwrap();
    scripted.capabilities.uploads = true;
    assert_eq!(lost_beside_an_old_file(&scripted).await.unwrap(), 7);
    assert_eq!(stored(&scripted).await.unwrap(), "content");
}

#[tokio::test(start_paused = true)]
async fn a_commit_ends_when_the_attempts_are_used_up_and_the_last_is_looked_at_too() {
    let (scripted, driver) = wrapped(&[]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", vec![Fault::Fails(UNKNOWN); 6]);
    let error = writer.commit().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (&UNKNOWN, Some(6)));
    assert_eq!(after_the_write(&scripted).len(), 6 * 3 - 1);
    let writer = upload(&driver, "content").await;
    scripted.script("commit", vec![Fault::Fails(UNKNOWN); 5]);
    scripted.script("commit", [Fault::Lost]);
    assert_eq!(writer.commit().await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_kills_instances_is_made_twice() {
    let (scripted, driver) = wrapped(&[]).await;
    let writer = upload(&driver, "content").await;
    scripted.script("commit", vec![Fault::Dies(UNKNOWN); 6]);
    writer.commit().await.unwrap_err();
    assert_eq!(after_the_write(&scripted).iter().filter(|call| *call == "commit").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_ends_a_commit_at_once() {
    let (scripted, driver) = wrapped(&[]).await;
    for fault in [Fault::Fails(ErrorKind::QuotaExceeded), Fault::TriedOften(ErrorKind::QuotaExceeded)] {
        let writer = upload(&driver, "content").await;
        scripted.script("commit", [fault]);
        assert_eq!(writer.commit().await.unwrap_err().kind(), &ErrorKind::QuotaExceeded);
        assert_eq!(after_the_write(&scripted), ["commit"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_a_close_and_a_cancel_are_never_repeated() {
    for operation in ["write", "close", "cancel"] {
        let (scripted, driver) = wrapped(&[]).await;
        let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
        scripted.script(operation, [Fault::Fails(UNAVAILABLE)]);
        scripted.calls();
        match operation {
            "write" => writer.write(Bytes::from("x")).await.unwrap_err(),
            "close" => writer.close().await.unwrap_err(),
            _ => writer.cancel().await.unwrap_err(),
        };
        assert_eq!(scripted.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_with_a_hole_is_not_looked_up() {
    let (scripted, _) = wrapped(&[]).await;
    let driver = Retrying::new(Arc::new(scripted.clone()), Retry::default());
    let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
    scripted.script("write", [Fault::Fails(UNAVAILABLE)]);
    writer.write(Bytes::from("x")).await.unwrap_err();
    scripted.script("commit", [Fault::Fails(UNAVAILABLE)]);
    writer.commit().await.unwrap_err();
    assert_eq!(after_the_write(&scripted), ["commit"]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_somebody_may_have_opened_is_not_opened_again() {
    let (scripted, driver) = wrapped(&[("/a", "")]).await;
    scripted.script("append", [Fault::Fails(UNAVAILABLE), Fault::Lost]);
    let error = driver.writer(&path("/a"), WriteMode::Append).await.map(drop).unwrap_err();
    assert_eq!((error.kind(), scripted.calls().len()), (&UNKNOWN, 2));
}
