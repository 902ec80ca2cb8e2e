//! What `base` does with drivers that the suite cannot be given: drivers that break the contract below it.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::timeout;

use super::*;
use crate::contract::{Entry, Error, ErrorKind, StorageDriverExt, WalkStep};
use crate::drivers::inmemory::InMemory;

/// What a driver gets wrong. All else it leaves to the driver in memory.
#[derive(Clone, Debug)]
enum Odd {
    /// These chunks, whatever is stored, of a file of so many bytes.
    Bytes(u64, Vec<Result<&'static str, ErrorKind>>),
    /// These entries, whatever is stored.
    Entries(Vec<Entry>),
    /// Writes fail, commits succeed.
    FailingWrite,
    /// Writes never end.
    HangingWrite,
    /// Commit tells a size one byte off.
    WrongSize,
    /// Stat tells of another path.
    OtherPath,
    /// Nothing.
    Nothing,
    /// It declares that it only reads, and takes every change.
    OnlyReads,
}

#[derive(Debug)]
struct OddDriver(InMemory, Odd);

struct OddWriter(Box<dyn FileWriter>, Odd);

#[async_trait]
impl StorageDriver for OddDriver {
    fn name(&self) -> &str {
        "odd"
    }
    fn capabilities(&self) -> Capabilities {
        match self.1 {
            Odd::Nothing => Capabilities::default(),
            Odd::OnlyReads => Capabilities { read_only: true, ..self.0.capabilities() },
            _ => self.0.capabilities(),
        }
    }
    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.0.get_content(path).await
    }
    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.0.put_content(path, content).await
    }
    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let Odd::Bytes(size, chunks) = &self.1 else { return self.0.reader(path, range).await };
        let info = FileInfo { size: *size, is_dir: false, ..FileInfo::directory(path.clone()) };
        let chunks =
            chunks.clone().into_iter().map(|chunk| chunk.map(Bytes::from).map_err(|kind| Error::new(kind, "odd")));
        Ok(Reader::new(info, stream::iter(chunks).boxed()))
    }
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(OddWriter(self.0.writer(path, mode).await?, self.1.clone())))
    }
    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        match self.1 {
            Odd::OtherPath => Ok(FileInfo::directory(path.join("other")?)),
            _ => self.0.stat(path).await,
        }
    }
    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        match &self.1 {
            Odd::Entries(entries) => Ok(stream::iter(entries.clone().into_iter().map(Ok)).boxed()),
            _ => self.0.list(path, start_after).await,
        }
    }
    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        match &self.1 {
            Odd::Entries(entries) => Ok(stream::iter(entries.clone().into_iter().map(Ok)).boxed()),
            _ => self.0.walk(path, start).await,
        }
    }
    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.0.move_file(source, destination).await
    }
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.0.delete(path).await
    }
    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.0.delete_files(paths).await
    }
    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest) -> Result<Option<String>> {
        Ok(Some("http://localhost/".to_owned()))
    }
    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.0.uploads(path).await
    }
}

#[async_trait]
impl FileWriter for OddWriter {
    fn size(&self) -> u64 {
        self.0.size()
    }
    async fn write(&mut self, data: Bytes) -> Result<()> {
        match self.1 {
            Odd::FailingWrite => Err(Error::new(ErrorKind::Unavailable, "odd")),
            Odd::HangingWrite => std::future::pending().await,
            _ => self.0.write(data).await,
        }
    }
    async fn close(self: Box<Self>) -> Result<u64> {
        self.0.close().await
    }
    async fn commit(self: Box<Self>) -> Result<u64> {
        let size = self.0.commit().await?;
        Ok(if matches!(self.1, Odd::WrongSize) { size + 1 } else { size })
    }
    async fn cancel(self: Box<Self>) -> Result<()> {
        self.0.cancel().await
    }
}

fn odd(odd: Odd) -> Base {
    Base::new(Arc::new(OddDriver(InMemory::new(), odd)))
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// What a reader of `/a` gives, and how it ends.
async fn read(size: u64, range: ByteRange, chunks: &[Result<&'static str, ErrorKind>]) -> (String, Option<Error>) {
    let mut reader = odd(Odd::Bytes(size, chunks.to_vec())).reader(&path("/a"), range).await.unwrap();
    let mut content = String::new();
    let mut end = None;
    while let Some(chunk) = reader.next().await {
        match chunk {
            Ok(chunk) => content.push_str(std::str::from_utf8(&chunk).unwrap()),
            Err(error) => assert!(end.replace(error).is_none(), "a stream went on after its error"),
        }
    }
    (content, end)
}

#[tokio::test]
async fn a_stream_that_ends_early_ends_with_an_error() {
    let (content, end) = read(10, ByteRange::ALL, &[Ok("123"), Ok("456")]).await;
    let end = end.expect("a truncated stream ended cleanly");
    assert_eq!((content.as_str(), end.kind()), ("123456", &ErrorKind::Unavailable));
    assert!(end.to_string().starts_with("odd: read /a: unavailable: the stream ended after 6 of 10 bytes"), "{end}");
    // Half of a range is early too.
    assert!(read(10, ByteRange::new(2, 7), &[Ok("345678")]).await.1.is_some());
    assert!(read(10, ByteRange::new(2, 6), &[Ok("345678")]).await.1.is_none());
}

#[tokio::test]
async fn a_stream_that_goes_on_is_cut() {
    let (content, end) = read(4, ByteRange::ALL, &[Ok("123"), Ok(""), Ok("456"), Ok("7")]).await;
    assert_eq!((content.as_str(), end.is_none()), ("1234", true));
    assert_eq!(read(4, ByteRange::from(4), &[Ok("1")]).await.0, "");
}

#[tokio::test]
async fn an_error_after_the_last_byte_counts() {
    let (content, end) = read(3, ByteRange::ALL, &[Ok("123"), Err(ErrorKind::Corrupt)]).await;
    assert_eq!((content.as_str(), end.unwrap().kind()), ("123", &ErrorKind::Corrupt));
    let driver = odd(Odd::Bytes(3, vec![Ok("123"), Err(ErrorKind::Corrupt)]));
    let error = driver.read_range(&path("/a"), ByteRange::ALL).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_error_in_a_stream_is_stamped_and_ends_it() {
    let (content, end) = read(9, ByteRange::ALL, &[Ok("123"), Err(ErrorKind::Corrupt), Ok("456")]).await;
    assert_eq!((content.as_str(), end.unwrap().to_string().as_str()), ("123", "odd: read /a: corrupt: odd"));
}

#[tokio::test]
async fn a_reader_of_less_than_its_offset_is_an_invalid_offset() {
    let base = odd(Odd::Bytes(4, vec![]));
    let error = base.reader(&path("/a"), ByteRange::from(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "odd: invalid offset: 5 for path: /a");
}

async fn listed(entries: &[Entry], start_after: Option<Position>) -> Result<Vec<Entry>> {
    odd(Odd::Entries(entries.to_vec())).list(&path("/d"), start_after.as_ref()).await?.try_collect().await
}

#[tokio::test]
async fn a_listing_out_of_bounds_or_order_is_an_error() {
    let file = |text: &str| Entry { is_dir: false, ..Entry::directory(path(text)) };
    assert_eq!(listed(&[file("/d/a"), file("/d/b")], None).await.unwrap().len(), 2);
    let after = Some(Position::file(path("/d/b")));
    let faults = [
        (vec![file("/d/b"), file("/d/a")], None),
        (vec![file("/d/a"), file("/d/a")], None),
        (vec![file("/d/a/b")], None),
        (vec![file("/da")], None),
        (vec![file("/d")], None),
        (vec![file("/d/b"), file("/d/c")], after),
        // The order of paths, in which `/d/a-b` comes before what lies below `/d/a`.
        (vec![Entry::directory(path("/d/a")), file("/d/a-b")], None),
    ];
    for (entries, after) in faults {
        let error = listed(&entries, after).await.expect_err(&format!("{entries:?} passed"));
        assert_eq!(error.kind(), &ErrorKind::Other, "{error}");
        assert_eq!((error.driver(), error.operation()), (Some("odd"), Some(Operation::List)));
        let walk = odd(Odd::Entries(vec![file("/e")])).walk(&path("/d"), None).await.unwrap();
        assert!(walk.try_collect::<Vec<_>>().await.is_err());
    }
}

#[tokio::test]
async fn an_upload_with_a_hole_cannot_be_committed() {
    for fault in [Odd::FailingWrite, Odd::HangingWrite] {
        let base = odd(fault);
        for end in ["commit", "write", "close", "cancel"] {
            let mut writer = base.writer(&path("/a"), WriteMode::New).await.unwrap();
            // A write of nothing does not reach the driver.
            writer.write(Bytes::new()).await.unwrap();
            match timeout(Duration::from_millis(20), writer.write(Bytes::from("x"))).await {
                Ok(result) => assert_eq!(result.unwrap_err().to_string(), "odd: write /a: unavailable: odd"),
                Err(_elapsed) => {}
            }
            match end {
                "commit" => assert_eq!(writer.commit().await.unwrap_err().kind(), &ErrorKind::WriterEnded),
                "write" => {
                    assert_eq!(writer.write(Bytes::from("y")).await.unwrap_err().kind(), &ErrorKind::WriterEnded);
                }
                "close" => assert_eq!(writer.close().await.unwrap(), 0),
                _ => writer.cancel().await.unwrap(),
            }
            assert!(base.stat(&path("/a")).await.unwrap_err().is_path_not_found(), "{end}");
        }
    }
}

#[tokio::test]
async fn wrong_answers_are_the_drivers_fault() {
    let mut writer = odd(Odd::WrongSize).writer(&path("/a"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from("x")).await.unwrap();
    let error = writer.commit().await.unwrap_err();
    assert!(error.to_string().contains("should have 1 bytes, and it says 2"), "{error}");
    let error = odd(Odd::OtherPath).stat(&path("/a")).await.unwrap_err();
    assert!(error.to_string().contains("the driver broke the contract"), "{error}");
}

#[tokio::test]
async fn what_is_not_declared_is_not_asked_for() {
    let base = odd(Odd::Nothing);
    let request = RedirectRequest { method: "GET".to_owned(), client_address: None };
    assert_eq!(base.redirect_url(&path("/a"), &request).await.unwrap(), None);
    assert_eq!(base.uploads(&path("/a")).await.map(|_| ()).unwrap_err().kind(), &ErrorKind::Unsupported);
    base.put_content(&path("/a"), Bytes::new()).await.unwrap();
    let append = base.writer(&path("/a"), WriteMode::Append).await.map(|_| ());
    assert_eq!(append.unwrap_err().to_string().split(": ").take(2).collect::<Vec<_>>(), ["odd", "unsupported method"]);
}

#[tokio::test]
async fn too_many_files_are_refused_and_none_are_nothing_to_do() {
    let base = odd(Odd::Nothing);
    let many = vec![path("/a"); crate::contract::MAX_DELETE_FILES + 1];
    let error = base.delete_files(&many).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::LimitExceeded { limit: "delete-files" });
    base.delete_files(&many[1..]).await.unwrap();
    base.delete_files(&[]).await.unwrap();
}

#[tokio::test]
async fn a_move_names_its_source_unless_the_driver_knows_better() {
    let base = odd(Odd::Nothing);
    base.put_content(&path("/d/a"), Bytes::new()).await.unwrap();
    let error = base.move_file(&path("/missing"), &path("/b")).await.unwrap_err();
    assert_eq!(error.path(), Some("/missing"));
    let error = base.move_file(&path("/d/a"), &path("/d")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (&ErrorKind::InvalidPath, Some("/d")));
    for missing in ["/missing", "/d"] {
        let error = base.move_file(&path(missing), &path(missing)).await.unwrap_err();
        assert!(error.is_path_not_found(), "{error}");
    }
}

fn one_at_a_time() -> ConcurrencyLimit {
    ConcurrencyLimit::new(Arc::new(InMemory::new()), NonZeroUsize::MIN)
}

#[tokio::test]
async fn a_walk_needs_one_permit_however_deep_it_goes() {
    let base = Base::new(Arc::new(one_at_a_time()));
    for text in ["/a/b/c/d", "/a/skip/x", "/e"] {
        base.put_content(&path(text), Bytes::new()).await.unwrap();
    }
    let walk = async { base.walk(&StoragePath::root(), None).await?.try_collect::<Vec<_>>().await };
    assert_eq!(timeout(Duration::from_secs(5), walk).await.expect("a walk waits for itself").unwrap().len(), 7);
    // Enough below the skipped directory that the walk begins again behind it.
    for index in 0..1500 {
        base.put_content(&path(&format!("/a/skip/{index}")), Bytes::new()).await.unwrap();
    }
    let (root, mut seen) = (StoragePath::root(), 0);
    let walk = base.walk_with(&root, None, async |entry| {
        seen += 1;
        let skip = entry.path.file_name() == Some("skip");
        Ok(if skip { WalkStep::SkipDirectory } else { WalkStep::Continue })
    });
    assert!(timeout(Duration::from_secs(5), walk).await.expect("a walk waits for itself").unwrap());
    assert_eq!(seen, 6);
}

/// A subscriber that keeps the fields of the events that it is told of.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() != "elapsed_us" {
            self.0.push_str(&format!("{}={value:?} ", field.name()));
        }
    }
}

impl tracing::Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "wharf::driver"
    }
    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut fields = Fields("span ".to_owned());
        attributes.record(&mut fields);
        let mut told = self.0.lock().unwrap();
        told.push(fields.0);
        tracing::span::Id::from_u64(told.len() as u64)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields("event ".to_owned());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn every_operation_is_measured_to_the_end_of_its_stream() {
    let events = Events::default();
    let _guard = tracing::subscriber::set_default(events.clone());
    let base = Base::new(Arc::new(InMemory::new()));
    let told = |what: &str| {
        let told = std::mem::take(&mut *events.0.lock().unwrap()).join("| ");
        assert!(told.contains(what), "expected {what:?} in {told:?}");
        told
    };

    // Another test's thread, which has no subscriber, may have been the first to ask whether anyone listens.
    assert!(base.stat(&path("/a")).await.is_err());
    tracing::callsite::rebuild_interest_cache();
    events.0.lock().unwrap().clear();

    assert!(base.stat(&path("/a")).await.is_err());
    told(
        "span driver=inmemory operation=\"stat\" path=/a | event message=storage operation outcome=\"path-not-found\"",
    );
    let mut writer = base.writer(&path("/a"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from("12345")).await.unwrap();
    assert!(!told("operation=\"writer\"").contains("event"), "a writer's measurement ended before the writer");
    writer.commit().await.unwrap();
    told("operation=\"commit\"");
    let reader = base.reader(&path("/a"), ByteRange::ALL).await.unwrap();
    assert!(!told("operation=\"reader\"").contains("event"), "a reader's measurement ended before the reader");
    drop(reader);
    told("bytes=0 outcome=\"dropped\"");
    base.read_range(&path("/a"), ByteRange::ALL).await.unwrap();
    told("bytes=5 outcome=\"ok\"");
    base.list_all(&StoragePath::root()).await.unwrap();
    told("entries=1 outcome=\"ok\"");
}

#[tokio::test]
async fn a_driver_that_only_reads_is_asked_for_no_change() {
    let store = InMemory::new();
    let (file, other) = (StoragePath::parse("/d/file").unwrap(), StoragePath::parse("/d/other").unwrap());
    store.put_content(&file, Bytes::from_static(b"stored")).await.unwrap();
    let driver = Base::new(Arc::new(OddDriver(store, Odd::OnlyReads)));
    let refused = [
        driver.put_content(&file, Bytes::from_static(b"new")).await.unwrap_err(),
        driver.writer(&file, WriteMode::New).await.map(|_| ()).unwrap_err(),
        driver.writer(&file, WriteMode::Append).await.map(|_| ()).unwrap_err(),
        driver.move_file(&file, &other).await.unwrap_err(),
        driver.delete(&file).await.unwrap_err(),
        driver.delete_files(std::slice::from_ref(&file)).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(driver.get_content(&file).await.unwrap(), "stored");
}
