//! Operations of a driver: how long, how many bytes, how many failures of which kind.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::contract::{
    ByteRange, ByteStream, Capabilities, Cursor, EntryStream, FileInfo, FileWriter, Position, Reader, RedirectRequest,
    Result, StorageDriver, StoragePath, WriteMode,
};

/// The bounds that Go's client has by default, in seconds: Distribution's for storage.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DriverLabels {
    driver: Cow<'static, str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
    driver: Cow<'static, str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabels {
    action: &'static str,
    driver: Cow<'static, str>,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabels {
    driver: Cow<'static, str>,
    limit: &'static str,
}

/// The families of all drivers.
pub(super) struct Families {
    /// What Distribution times, and under its names.
    actions: Family<ActionLabels, Histogram>,
    /// What it does not. Apart, so that a sum over Distribution's actions stays what it was.
    more_actions: Family<ActionLabels, Histogram>,
    errors: Family<ErrorLabels, Counter>,
    limits: Family<LimitLabels, Counter>,
    read: Family<DriverLabels, Counter>,
    written: Family<DriverLabels, Counter>,
    readers: Family<DriverLabels, Gauge>,
    writers: Family<DriverLabels, Gauge>,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Families {
            actions: Family::new_with_constructor(seconds),
            more_actions: Family::new_with_constructor(seconds),
            errors: Family::default(),
            limits: Family::default(),
            read: Family::default(),
            written: Family::default(),
            readers: Family::default(),
            writers: Family::default(),
        };
        let help = "The number of seconds that the storage action takes";
        registry.register("registry_storage_action_seconds", help, families.actions.clone());
        let prefix = registry.sub_registry_with_prefix("wharf_storage");
        let help = "The number of seconds that a storage action takes which Distribution does not time";
        prefix.register("action_seconds", help, families.more_actions.clone());
        // The encoder adds `_total` to counters.
        prefix.register("errors", "Storage actions that failed, by kind of error", families.errors.clone());
        let help = "Storage actions that failed since a limit of the configuration was reached, by its name";
        prefix.register("limits_reached", help, families.limits.clone());
        prefix.register("read_bytes", "Bytes of files read from the store", families.read.clone());
        prefix.register("written_bytes", "Bytes of files given to the store", families.written.clone());
        prefix.register("open_readers", "Files being read", families.readers.clone());
        prefix.register("open_writers", "Uploads being written", families.writers.clone());
        families
    }
}

/// One action of one driver.
#[derive(Clone, Debug)]
struct Action {
    name: &'static str,
    seconds: Histogram,
}

impl Action {
    /// Measures until the timer is dropped: an action that was given up took its time too.
    fn start(&self) -> Timer<'_> {
        Timer { seconds: &self.seconds, started: Instant::now() }
    }
}

struct Timer<'a> {
    seconds: &'a Histogram,
    started: Instant,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.seconds.observe(self.started.elapsed().as_secs_f64());
    }
}

/// A gauge that counts this, while it lives.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Open(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts failures of one driver. Only they look labels up.
#[derive(Clone, Debug)]
struct Failures {
    driver: Cow<'static, str>,
    family: Family<ErrorLabels, Counter>,
    limits: Family<LimitLabels, Counter>,
}

impl Failures {
    fn count<T>(&self, action: &'static str, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            let labels = ErrorLabels { driver: self.driver.clone(), action, kind: error.kind().name() };
            self.family.get_or_create(&labels).inc();
            if let Some(limit) = error.limit() {
                self.limits.get_or_create(&LimitLabels { driver: self.driver.clone(), limit }).inc();
            }
        }
        result
    }
}

/// A driver whose operations are measured.
#[derive(Debug)]
pub(super) struct Measured {
    inner: Arc<dyn StorageDriver>,
    failures: Failures,
    read: Counter,
    written: Counter,
    readers: Gauge,
    writers: Gauge,
    get_content: Action,
    put_content: Action,
    stat: Action,
    list: Action,
    move_file: Action,
    delete: Action,
    redirect_url: Action,
    reader: Action,
    writer: Action,
    close: Action,
    commit: Action,
    cancel: Action,
    walk: Action,
    delete_files: Action,
    uploads: Action,
}

impl Measured {
    pub(super) fn new(inner: Arc<dyn StorageDriver>, families: &Families) -> Self {
        let driver: Cow<'static, str> = inner.name().to_owned().into();
        let labels = DriverLabels { driver: driver.clone() };
        let timed = |family: &Family<ActionLabels, Histogram>, name: &'static str| {
            let seconds = family.get_or_create_owned(&ActionLabels { driver: driver.clone(), action: name });
            Action { name, seconds }
        };
        let known = |name| timed(&families.actions, name);
        let more = |name| timed(&families.more_actions, name);
        Measured {
            read: families.read.get_or_create_owned(&labels),
            written: families.written.get_or_create_owned(&labels),
            readers: families.readers.get_or_create_owned(&labels),
            writers: families.writers.get_or_create_owned(&labels),
            get_content: known("GetContent"),
            put_content: known("PutContent"),
            stat: known("Stat"),
            list: known("List"),
            move_file: known("Move"),
            delete: known("Delete"),
            redirect_url: known("RedirectURL"),
            reader: more("Reader"),
            writer: more("Writer"),
            close: more("Close"),
            commit: more("Commit"),
            cancel: more("Cancel"),
            walk: more("Walk"),
            delete_files: more("DeleteFiles"),
            uploads: more("Uploads"),
            failures: Failures {
                driver: driver.clone(),
                family: families.errors.clone(),
                limits: families.limits.clone(),
            },
            inner,
        }
    }

    /// Measures an operation that is over when it returns.
    async fn run<T>(&self, action: &Action, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let _timer = action.start();
        self.failures.count(action.name, work.await)
    }

    /// Measures a listing until it ends or is dropped.
    async fn entries(
        &self,
        action: &Action,
        work: impl Future<Output = Result<EntryStream>> + Send,
    ) -> Result<EntryStream> {
        let started = Instant::now();
        let mut held = Entries {
            stream: None,
            waited: Waited::default(),
            action: action.clone(),
            failures: self.failures.clone(),
        };
        let result = work.await;
        held.waited.total = started.elapsed();
        held.stream = Some(self.failures.count(action.name, result)?);
        Ok(held.boxed())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for Measured {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let content = self.run(&self.get_content, self.inner.get_content(path)).await?;
        self.read.inc_by(content.len() as u64);
        Ok(content)
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let bytes = content.len() as u64;
        self.run(&self.put_content, self.inner.put_content(path, content)).await?;
        self.written.inc_by(bytes);
        Ok(())
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let (info, stream) = self.run(&self.reader, self.inner.reader(path, range)).await?.into_parts();
        let open = Some((stream, Open::new(&self.readers)));
        let content = Content { open, bytes: self.read.clone(), failures: self.failures.clone() };
        Ok(Reader::new(info, content.boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let inner = self.run(&self.writer, self.inner.writer(path, mode)).await?;
        Ok(Box::new(Writer {
            inner,
            _open: Open::new(&self.writers),
            bytes: self.written.clone(),
            failures: self.failures.clone(),
            close: self.close.clone(),
            commit: self.commit.clone(),
            cancel: self.cancel.clone(),
        }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.run(&self.stat, self.inner.stat(path)).await
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.entries(&self.list, self.inner.list(path, start_after)).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.entries(&self.walk, self.inner.walk(path, start)).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.run(&self.move_file, self.inner.move_file(source, destination)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.run(&self.delete, self.inner.delete(path)).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.run(&self.delete_files, self.inner.delete_files(paths)).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.run(&self.redirect_url, self.inner.redirect_url(path, request)).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.entries(&self.uploads, self.inner.uploads(path)).await
    }
}

/// For how long the caller has waited for a stream. What it does between two entries is its own time.
#[derive(Default)]
struct Waited {
    total: Duration,
    /// Since when it waits now.
    since: Option<Instant>,
}

impl Waited {
    fn step<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let step = poll();
        if step.is_ready() {
            self.total += since.elapsed();
            self.since = None;
        }
        step
    }
}

/// A listing. It is measured when this is dropped.
struct Entries {
    /// None once it is over.
    stream: Option<EntryStream>,
    waited: Waited,
    action: Action,
    failures: Failures,
}

impl Stream for Entries {
    type Item = Result<crate::contract::Entry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        let step = ready!(this.waited.step(|| stream.as_mut().poll_next(cx)));
        if matches!(step, None | Some(Err(_))) {
            this.stream = None;
        }
        Poll::Ready(step.map(|entry| this.failures.count(this.action.name, entry)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), |stream| stream.size_hint())
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        let waiting = self.waited.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.action.seconds.observe((self.waited.total + waiting).as_secs_f64());
    }
}

/// The bytes of a file.
struct Content {
    /// None once they are over.
    open: Option<(ByteStream, Open)>,
    bytes: Counter,
    failures: Failures,
}

impl Stream for Content {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        let Some((stream, _)) = &mut this.open else { return Poll::Ready(None) };
        let step = ready!(stream.as_mut().poll_next(cx));
        match &step {
            Some(Ok(bytes)) => {
                this.bytes.inc_by(bytes.len() as u64);
            }
            None | Some(Err(_)) => this.open = None,
        }
        Poll::Ready(step.map(|bytes| this.failures.count("Read", bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.open.as_ref().map_or((0, Some(0)), |(stream, _)| stream.size_hint())
    }
}

/// An upload being written.
struct Writer {
    inner: Box<dyn FileWriter>,
    _open: Open,
    bytes: Counter,
    failures: Failures,
    close: Action,
    commit: Action,
    cancel: Action,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        let bytes = data.len() as u64;
        self.failures.count("Write", self.inner.write(data).await)?;
        self.bytes.inc_by(bytes);
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        let Writer { inner, _open, failures, close, .. } = *self;
        let _timer = close.start();
        failures.count(close.name, inner.close().await)
    }

    async fn commit(self: Box<Self>) -> Result<u64> {
        let Writer { inner, _open, failures, commit, .. } = *self;
        let _timer = commit.start();
        failures.count(commit.name, inner.commit().await)
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Writer { inner, _open, failures, cancel, .. } = *self;
        let _timer = cancel.start();
        failures.count(cancel.name, inner.cancel().await)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use futures::TryStreamExt;

    use super::*;
    use crate::base::ConcurrencyLimit;
    use crate::contract::StorageDriverExt;
    use crate::drivers::inmemory::InMemory;
    use crate::registry::metrics::Metrics;

    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.encode();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    fn path(path: &str) -> StoragePath {
        StoragePath::parse(path).unwrap()
    }

    #[tokio::test]
    async fn each_action_of_distribution_is_timed_under_its_name() {
        let metrics = Metrics::new();
        let driver = metrics.driver(Arc::new(InMemory::new()));
        driver.put_content(&path("/a/b"), Bytes::from("abc")).await.unwrap();
        driver.get_content(&path("/a/b")).await.unwrap();
        driver.stat(&path("/a")).await.unwrap();
        driver.list_all(&path("/a")).await.unwrap();
        driver.move_file(&path("/a/b"), &path("/a/c")).await.unwrap();
        let request = RedirectRequest { method: "GET".to_owned(), client_address: None };
        driver.redirect_url(&path("/a/c"), &request).await.unwrap();
        driver.delete(&path("/a/c")).await.unwrap();
        for action in ["GetContent", "PutContent", "Stat", "List", "Move", "RedirectURL", "Delete"] {
            let labels = format!(r#"{{action="{action}",driver="inmemory"}}"#);
            let count = value(&metrics, &format!("registry_storage_action_seconds_count{labels}"));
            assert_eq!(count, Some(1.0), "{action}: {}", metrics.encode());
        }
        let text = metrics.encode();
        assert!(text.contains("# TYPE registry_storage_action_seconds histogram\n"), "{text}");
        let actions = text.lines().filter(|line| line.starts_with("registry_storage_action_seconds_count")).count();
        assert_eq!(actions, 7, "an action that Distribution does not have: {text}");
    }

    #[tokio::test]
    async fn bytes_are_counted_both_ways() {
        let metrics = Metrics::new();
        let driver = metrics.driver(Arc::new(InMemory::new()));
        let mut writer = driver.writer(&path("/a"), WriteMode::New).await.unwrap();
        writer.write(Bytes::from("12345")).await.unwrap();
        writer.commit().await.unwrap();
        driver.put_content(&path("/b"), Bytes::from("678")).await.unwrap();
        assert_eq!(driver.get_content(&path("/b")).await.unwrap(), "678");
        let reader = driver.reader(&path("/a"), ByteRange::from(1)).await.unwrap();
        let bytes: Vec<Bytes> = reader.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), b"2345");
        let labels = r#"{driver="inmemory"}"#;
        assert_eq!(value(&metrics, &format!("wharf_storage_written_bytes_total{labels}")), Some(8.0));
        assert_eq!(value(&metrics, &format!("wharf_storage_read_bytes_total{labels}")), Some(7.0));
        let commit = r#"wharf_storage_action_seconds_count{action="Commit",driver="inmemory"}"#;
        assert_eq!(value(&metrics, commit), Some(1.0));
    }

    #[tokio::test]
    async fn what_is_open_is_told_until_it_is_not() {
        let metrics = Metrics::new();
        let driver = metrics.driver(Arc::new(InMemory::new()));
        let open = || {
            let readers = value(&metrics, r#"wharf_storage_open_readers{driver="inmemory"}"#).unwrap();
            (readers, value(&metrics, r#"wharf_storage_open_writers{driver="inmemory"}"#).unwrap())
        };
        driver.put_content(&path("/a"), Bytes::from("abc")).await.unwrap();
        let mut reader = driver.reader(&path("/a"), ByteRange::from(0)).await.unwrap();
        let writer = driver.writer(&path("/b"), WriteMode::New).await.unwrap();
        let dropped = driver.writer(&path("/c"), WriteMode::New).await.unwrap();
        assert_eq!(open(), (1.0, 2.0));
        while reader.try_next().await.unwrap().is_some() {}
        assert_eq!(open(), (0.0, 2.0), "a reader at its end is not open, even while it is kept");
        writer.close().await.unwrap();
        drop(dropped);
        assert_eq!(open(), (0.0, 0.0));
    }

    #[tokio::test]
    async fn failures_are_counted_by_kind() {
        let metrics = Metrics::new();
        let driver = metrics.driver(Arc::new(InMemory::new()));
        for _ in 0..2 {
            driver.stat(&path("/nothing")).await.unwrap_err();
        }
        let Err(_) = driver.list(&path("/nothing"), None).await else { panic!("listed nothing") };
        let failed = |action| {
            let labels = format!(r#"{{action="{action}",driver="inmemory",kind="path-not-found"}}"#);
            value(&metrics, &format!("wharf_storage_errors_total{labels}"))
        };
        assert_eq!((failed("Stat"), failed("List"), failed("Delete")), (Some(2.0), Some(1.0), None));
        let count = value(&metrics, r#"registry_storage_action_seconds_count{action="List",driver="inmemory"}"#);
        assert_eq!(count, Some(1.0), "what failed took its time too");
    }

    #[tokio::test]
    async fn a_limit_that_was_reached_is_counted_by_its_name() {
        let metrics = Metrics::new();
        let one = std::num::NonZeroUsize::MIN;
        let limited = ConcurrencyLimit::new(Arc::new(InMemory::new()), one).with_open_streams(one);
        let driver = metrics.driver(Arc::new(limited));
        driver.put_content(&path("/a"), Bytes::from("abc")).await.unwrap();
        let _open = driver.reader(&path("/a"), ByteRange::ALL).await.unwrap();
        for _ in 0..2 {
            assert!(driver.reader(&path("/a"), ByteRange::ALL).await.is_err());
        }
        let labels = r#"{driver="inmemory",limit="open-streams"}"#;
        assert_eq!(value(&metrics, &format!("wharf_storage_limits_reached_total{labels}")), Some(2.0));
    }

    #[test]
    fn a_listing_counts_the_wait_for_it_and_not_what_is_done_between() {
        let mut waited = Waited::default();
        assert!(waited.step(|| Poll::<()>::Pending).is_pending());
        std::thread::sleep(Duration::from_millis(20));
        assert!(waited.step(|| Poll::Ready(())).is_ready());
        let total = waited.total;
        assert!(total >= Duration::from_millis(20), "{total:?}");
        std::thread::sleep(Duration::from_millis(20));
        assert!(waited.step(|| Poll::Ready(())).is_ready());
        assert!(waited.total - total < Duration::from_millis(15), "{:?}", waited.total - total);
    }
}
