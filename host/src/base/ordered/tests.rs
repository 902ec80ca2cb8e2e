//! Callers that go away, on a driver that does everything a second later.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::contract::StorageDriverExt;
use crate::drivers::inmemory::InMemory;

/// How long a change takes before it takes effect.
const LATE: Duration = Duration::from_secs(1);

/// When a caller goes: the change has begun, and has not taken effect.
const SOON: Duration = Duration::from_millis(100);

/// A driver whose changes take effect late, even if nobody waits for them: as a store at the other end of a network.
#[derive(Debug)]
struct Late(InMemory);

async fn late<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let sent = tokio::spawn(async move {
        sleep(LATE).await;
        work.await
    });
    sent.await.unwrap()
}

#[async_trait]
impl StorageDriver for Late {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.0.get_content(path).await
    }
    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let (inner, path) = (self.0.clone(), path.clone());
        late(async move { inner.put_content(&path, content).await }).await
    }
    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.0.reader(path, range).await
    }
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(LateWriter(self.0.writer(path, mode).await?)))
    }
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.0.stat(path).await
    }
    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.0.list(path, start_after).await
    }
    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.0.walk(path, start).await
    }
    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let (inner, source, destination) = (self.0.clone(), source.clone(), destination.clone());
        late(async move { inner.move_file(&source, &destination).await }).await
    }
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let (inner, path) = (self.0.clone(), path.clone());
        late(async move { inner.delete(&path).await }).await
    }
    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let (inner, paths) = (self.0.clone(), paths.to_vec());
        late(async move { inner.delete_files(&paths).await }).await
    }
    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.0.redirect_url(path, request).await
    }
    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.0.uploads(path).await
    }
}

struct LateWriter(Box<dyn FileWriter>);

#[async_trait]
impl FileWriter for LateWriter {
    fn size(&self) -> u64 {
        self.0.size()
    }
    async fn write(&mut self, data: Bytes) -> Result<()> {
        sleep(LATE).await;
        self.0.write(data).await
    }
    async fn close(self: Box<Self>) -> Result<u64> {
        late(self.0.close()).await
    }
    async fn commit(self: Box<Self>) -> Result<u64> {
        late(self.0.commit()).await
    }
    async fn cancel(self: Box<Self>) -> Result<()> {
        late(self.0.cancel()).await
    }
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn driver() -> OrderedChanges {
    OrderedChanges::new(Arc::new(Late(InMemory::new())))
}

/// The content of a file, now and when everything that was begun has ended.
async fn content(driver: &OrderedChanges, file: &str) -> [Option<Bytes>; 2] {
    let now = driver.get_content(&path(file)).await.ok();
    sleep(LATE * 10).await;
    [now, driver.get_content(&path(file)).await.ok()]
}

fn always(text: &'static str) -> [Option<Bytes>; 2] {
    [Some(Bytes::from_static(text.as_bytes())), Some(Bytes::from_static(text.as_bytes()))]
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_caller_has_gone_does_not_undo_the_next() {
    let driver = driver();
    assert!(timeout(SOON, driver.put_content(&path("/file"), "old".into())).await.is_err());
    driver.put_content(&path("/file"), "new".into()).await.unwrap();
    assert_eq!(content(&driver, "/file").await, always("new"));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_after_a_dropped_put_does_not_change_later() {
    let driver = driver();
    assert!(timeout(SOON, driver.put_content(&path("/a/file"), "put".into())).await.is_err());
    assert_eq!(driver.list_all(&path("/a")).await.unwrap().len(), 1);
    assert_eq!(content(&driver, "/a/file").await, always("put"));
}

#[tokio::test(start_paused = true)]
async fn a_delete_whose_caller_has_gone_does_not_take_what_is_put_below() {
    let driver = driver();
    driver.put_content(&path("/a/old"), "old".into()).await.unwrap();
    assert!(timeout(SOON, driver.delete(&path("/a"))).await.is_err());
    driver.put_content(&path("/a/new"), "new".into()).await.unwrap();
    assert_eq!(content(&driver, "/a/new").await, always("new"));
    assert!(driver.get_content(&path("/a/old")).await.unwrap_err().is_path_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_delete_waits_for_a_dropped_put_below_it() {
    let driver = driver();
    assert!(timeout(SOON, driver.put_content(&path("/a/b/file"), "put".into())).await.is_err());
    driver.delete(&path("/a")).await.unwrap();
    assert_eq!(content(&driver, "/a/b/file").await, [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_move_whose_caller_has_gone_ends_before_either_of_its_paths_is_used() {
    let driver = driver();
    driver.put_content(&path("/from"), "moved".into()).await.unwrap();
    assert!(timeout(SOON, driver.move_file(&path("/from"), &path("/to"))).await.is_err());
    driver.put_content(&path("/to"), "new".into()).await.unwrap();
    assert_eq!(content(&driver, "/to").await, always("new"));
    assert_eq!(content(&driver, "/from").await, [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_writer_is_closed_before_the_next_one_is_opened() {
    let driver = driver();
    for in_a_write in [false, true] {
        let file = path(if in_a_write { "/one" } else { "/two" });
        let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
        if in_a_write {
            assert!(timeout(SOON, writer.write("half".into())).await.is_err());
        } else {
            writer.write("half".into()).await.unwrap();
        }
        drop(writer);
        let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
        assert_eq!(writer.size(), 4, "the closed upload is there with all that was written");
        writer.write(", whole".into()).await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(content(&driver, file.as_str()).await, always("half, whole"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_caller_has_gone_does_not_undo_the_next() {
    let driver = driver();
    let mut writer = driver.writer(&path("/file"), WriteMode::New).await.unwrap();
    writer.write("old".into()).await.unwrap();
    assert!(timeout(SOON, writer.commit()).await.is_err());
    let mut writer = driver.writer(&path("/file"), WriteMode::New).await.unwrap();
    writer.write("new".into()).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(content(&driver, "/file").await, always("new"));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_was_opened_before_commits_after_what_a_dropped_one_still_does() {
    let driver = driver();
    let mut right = driver.writer(&path("/file"), WriteMode::New).await.unwrap();
    right.write("right".into()).await.unwrap();
    let mut dropped = driver.writer(&path("/file"), WriteMode::New).await.unwrap();
    dropped.write("dropped".into()).await.unwrap();
    assert!(timeout(SOON, dropped.commit()).await.is_err());
    right.commit().await.unwrap();
    assert_eq!(content(&driver, "/file").await, always("right"));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_change_elsewhere() {
    let driver = driver();
    assert!(timeout(SOON, driver.put_content(&path("/a/file"), "put".into())).await.is_err());
    let began = Instant::now();
    for beside in ["/a/file-2", "/a-b", "/a", "/"] {
        // Whether a directory above is there, a file below it does not change.
        let _ = driver.stat(&path(beside)).await;
    }
    let _ = driver.list(&path("/b"), None).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    driver.put_content(&path("/b/file"), "b".into()).await.unwrap();
    assert_eq!(began.elapsed(), LATE);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_waits_and_is_dropped_never_happens() {
    let driver = driver();
    assert!(timeout(SOON, driver.put_content(&path("/file"), "first".into())).await.is_err());
    assert!(timeout(SOON, driver.put_content(&path("/file"), "second".into())).await.is_err());
    assert_eq!(content(&driver, "/file").await, always("first"));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_dropped_changes_makes_new_ones_wait() {
    let driver = driver();
    for number in 0..64 {
        assert!(timeout(Duration::ZERO, driver.put_content(&path(&format!("/{number}")), "x".into())).await.is_err());
    }
    assert!(timeout(SOON, driver.put_content(&path("/another"), "x".into())).await.is_err(), "it did not wait");
    driver.stat(&path("/")).await.unwrap();
    driver.put_content(&path("/another"), "x".into()).await.unwrap();
    assert_eq!(driver.list_all(&path("/")).await.unwrap().len(), 65);
}
