#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_service::Service;

use super::probe::PROBES;
use super::*;
use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Position, Reader,
    RedirectRequest, Result, StorageDriverExt, WriteMode,
};
use crate::drivers::inmemory::InMemory;

/// What a driver does to whoever asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Empty,
    Fails,
    Hangs,
    FailsToPut,
    HangsInPut,
}

#[derive(Debug)]
struct Moody {
    inner: InMemory,
    mood: Mutex<Mood>,
    /// How often it was asked for its root.
    asked: AtomicUsize,
}

impl Moody {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Moody { inner: InMemory::new(), mood: Mutex::new(mood), asked: AtomicUsize::new(0) })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, "connection refused").with_driver("moody")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for Moody {
    fn name(&self) -> &str {
        "moody"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        self.inner.get_content(path).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        self.inner.put_content(path, content).await?;
        match self.mood() {
            Mood::FailsToPut => Err(broken()),
            Mood::HangsInPut => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.inner.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        self.inner.writer(path, mode).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.mood() {
            Mood::Fails => Err(broken()),
            Mood::Hangs => std::future::pending().await,
            Mood::Empty => Err(Error::path_not_found(path)),
            _ => self.inner.stat(path).await,
        }
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        self.inner.list(path, start_after).await
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        self.inner.walk(path, start).await
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        self.inner.move_file(source, destination).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.inner.delete(path).await
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        self.inner.delete_files(paths).await
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        self.inner.redirect_url(path, request).await
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        self.inner.uploads(path).await
    }
}

fn start(driver: &Arc<Moody>) -> Health {
    Health::start(driver.clone(), HealthSettings { threshold: 2, ..HealthSettings::default() })
}

/// Lets checks happen for a time that the paused clock skips.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn ask(mut router: Router, method: &str, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.call(request).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn get(health: &Health, path: &str) -> (u16, String) {
    ask(health.router(), "GET", path).await
}

async fn files(driver: &Moody) -> usize {
    driver.inner.list_all(&StoragePath::parse(PROBES).unwrap()).await.map_or(0, |entries| entries.len())
}

#[tokio::test(start_paused = true)]
async fn so_many_failures_in_a_row_are_told_with_503_and_a_success_ends_them() {
    let driver = Moody::new(Mood::Well);
    let health = start(&driver);
    pass(1).await;
    assert_eq!(get(&health, "/debug/health").await, (200, "{}".to_owned()));
    driver.set(Mood::Fails);
    pass(10).await;
    assert_eq!(get(&health, "/debug/health").await.0, 200, "one failure is below the threshold");
    pass(10).await;
    let (status, body) = get(&health, "/debug/health").await;
    let expected = json!({ "storagedriver_moody": "moody: unavailable: connection refused" });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (503, expected));
    driver.set(Mood::Well);
    pass(10).await;
    assert_eq!(get(&health, "/debug/health").await, (200, "{}".to_owned()));
    driver.set(Mood::Fails);
    pass(10).await;
    assert_eq!(get(&health, "/debug/health").await.0, 200, "failures are counted in a row");
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_is_healthy() {
    let health = start(&Moody::new(Mood::Empty));
    pass(60).await;
    assert!(health.failing().is_empty() && health.is_ready().await);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_unhealthy() {
    let health = start(&Moody::new(Mood::Hangs));
    pass(31).await;
    let failing = health.failing();
    assert_eq!(failing, [("storagedriver_moody".to_owned(), "moody: no answer within 10s".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn readiness_looks_at_the_driver_whenever_it_is_asked_and_ends_with_the_shutdown() {
    let driver = Moody::new(Mood::Well);
    let health = start(&driver);
    assert_eq!(get(&health, "/readyz").await, (200, "ok\n".to_owned()), "the first one who asks waits for it");
    driver.set(Mood::Fails);
    pass(2).await;
    assert_eq!(get(&health, "/readyz").await, (503, "driver: moody: unavailable: connection refused\n".to_owned()));
    driver.set(Mood::Well);
    pass(2).await;
    assert_eq!(get(&health, "/readyz").await.0, 200);
    health.begin_shutdown();
    assert_eq!(get(&health, "/readyz").await, (503, "shutdown: the registry is shutting down\n".to_owned()));
    assert_eq!(get(&health, "/debug/health").await.0, 200, "what is under way goes on");
}

/// Without a background check, which would ask too.
fn unwatched(driver: &Arc<Moody>) -> Health {
    Health::start(driver.clone(), HealthSettings { enabled: false, ..HealthSettings::default() })
}

#[tokio::test(start_paused = true)]
async fn readiness_looks_at_the_driver_even_where_nobody_checks_it_in_the_background() {
    let driver = Moody::new(Mood::Fails);
    let health = unwatched(&driver);
    assert_eq!(get(&health, "/readyz").await.0, 503);
    assert_eq!(get(&health, "/debug/health").await.0, 200);
    driver.set(Mood::Well);
    pass(1).await;
    assert_eq!(get(&health, "/readyz").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_probes_ask_the_driver_once_a_second() {
    let driver = Moody::new(Mood::Well);
    let health = unwatched(&driver);
    for second in 1..=3 {
        let asking = (0..1000).map(|_| health.missing());
        assert!(futures::future::join_all(asking).await.into_iter().all(|missing| missing.is_empty()));
        assert_eq!(driver.asked(), second);
        pass(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_driver_answered_counts_for_a_second_for_whoever_asks_next() {
    let driver = Moody::new(Mood::Well);
    let health = unwatched(&driver);
    for _ in 0..10 {
        assert!(health.is_ready().await);
    }
    assert_eq!(driver.asked(), 1);
    pass(1).await;
    assert!(health.is_ready().await);
    assert_eq!(driver.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_asked_once_and_every_probe_has_its_answer_within_a_second() {
    let driver = Moody::new(Mood::Well);
    let health = unwatched(&driver);
    assert!(health.is_ready().await);
    driver.set(Mood::Hangs);
    pass(1).await;
    let hangs_since = tokio::time::Instant::now();
    let mut not_ready_after = None;
    for _ in 0..300 {
        let asked = tokio::time::Instant::now();
        let missing = health.missing().await;
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        match missing.first() {
            None => assert!(not_ready_after.is_none(), "it hangs still"),
            Some(missing) => {
                assert!(missing.why.starts_with("no answer for "), "{missing}");
                not_ready_after.get_or_insert(hangs_since.elapsed());
            }
        }
    }
    // What was known counts as long as a check may take.
    let after = not_ready_after.unwrap();
    assert!(after >= Duration::from_secs(10) && after < Duration::from_secs(12), "{after:?}");
    assert_eq!(driver.asked(), 2, "the one that answered and the one that hangs");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_asked_again_by_the_background_check_either() {
    let driver = Moody::new(Mood::Hangs);
    let health = start(&driver);
    pass(300).await;
    assert_eq!((health.failing().len(), driver.asked()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_anybody_adds_is_looked_at_and_every_failure_has_its_line() {
    let health = unwatched(&Moody::new(Mood::Fails));
    health.add_check("writable", || async { Err("the disk is full".to_owned()) });
    health.add_check("capacity", || async { Ok(()) });
    health.add_check("broken", || async { panic!("of the check, not of whoever asks") });
    let (status, body) = get(&health, "/readyz").await;
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!((status, lines.len()), (503, 3), "{body}");
    assert_eq!(lines[..2], ["driver: moody: unavailable: connection refused", "writable: the disk is full"]);
    assert!(lines[2].starts_with("broken: the check failed: "), "{body}");
}

#[tokio::test(start_paused = true)]
async fn what_a_check_tells_is_a_line() {
    let health = unwatched(&Moody::new(Mood::Well));
    health.add_check("odd", || async { Err("a\nok\u{1b}[2J\u{202e}".to_owned()) });
    assert_eq!(get(&health, "/readyz").await, (503, "odd: a ok [2J \n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_program_lives_whatever_the_store_does() {
    let health = start(&Moody::new(Mood::Fails));
    health.begin_shutdown();
    pass(60).await;
    assert_eq!(get(&health, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn without_a_check_in_the_background_the_registry_is_healthy() {
    let health = unwatched(&Moody::new(Mood::Fails));
    pass(60).await;
    assert!(health.failing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_registry_answers_nothing_but_503_while_a_check_fails() {
    let driver = Moody::new(Mood::Fails);
    let health = start(&driver);
    let guarded = || health.guard(Router::new().route("/v2/", axum::routing::get(|| async { "{}" })));
    pass(1).await;
    assert_eq!(ask(guarded(), "GET", "/v2/").await, (200, "{}".to_owned()));
    pass(10).await;
    let (status, body) = ask(guarded(), "GET", "/v2/").await;
    let expected = json!({ "errors": [{
        "code": "UNAVAILABLE", "message": "service unavailable",
        "detail": "health check failed: please see /debug/health",
    }] });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (503, expected));
    driver.set(Mood::Well);
    pass(10).await;
    assert_eq!(ask(guarded(), "GET", "/v2/").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_hand_can_take_the_registry_out_and_put_it_back() {
    let health = start(&Moody::new(Mood::Well));
    pass(1).await;
    assert_eq!(ask(health.router(), "POST", "/debug/health/down").await.0, 200);
    let expected = (503, r#"{"manual_http_status":"manual check"}"#.to_owned());
    assert_eq!(get(&health, "/debug/health").await, expected);
    assert_eq!(get(&health, "/readyz").await.0, 503);
    assert_eq!(ask(health.router(), "POST", "/debug/health/up").await.0, 200);
    assert!(health.failing().is_empty() && health.is_ready().await);
}

#[tokio::test]
async fn a_write_probe_writes_reads_and_leaves_nothing() {
    let driver = Moody::new(Mood::Well);
    let health = start(&driver);
    let (status, body) = ask(health.router(), "POST", "/debug/health/write").await;
    let steps: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(["put_ms", "get_ms", "delete_ms"].iter().all(|step| steps[step].is_f64()), "{body}");
    assert_eq!(files(&driver).await, 0);
    assert_eq!(get(&health, "/debug/health/write").await.0, 405, "a crawler must not write");
}

#[tokio::test]
async fn a_write_probe_says_which_step_failed_and_leaves_nothing() {
    let driver = Moody::new(Mood::FailsToPut);
    let (status, body) = ask(start(&driver).router(), "POST", "/debug/health/write").await;
    let expected = json!({ "step": "put", "error": "moody: unavailable: connection refused" });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (503, expected));
    assert_eq!(files(&driver).await, 0, "it may have been stored all the same");
}

#[tokio::test(start_paused = true)]
async fn a_write_probe_has_an_end_and_only_one_runs_at_a_time() {
    let driver = Moody::new(Mood::HangsInPut);
    let health = start(&driver);
    let first = tokio::spawn(ask(health.router(), "POST", "/debug/health/write"));
    pass(1).await;
    assert_eq!(ask(health.router(), "POST", "/debug/health/write").await.0, 429);
    let (status, body) = first.await.unwrap();
    assert_eq!((status, body.contains("not done within 30s")), (503, true), "{body}");
    assert_eq!(files(&driver).await, 0);
    driver.set(Mood::Well);
    assert_eq!(ask(health.router(), "POST", "/debug/health/write").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_write_probe_that_nobody_waits_for_leaves_nothing() {
    let driver = Moody::new(Mood::HangsInPut);
    let health = start(&driver);
    let asked = tokio::spawn(ask(health.router(), "POST", "/debug/health/write"));
    pass(1).await;
    assert_eq!(files(&driver).await, 1);
    asked.abort();
    pass(40).await;
    assert_eq!(files(&driver).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_check_ends_with_the_last_clone() {
    let driver = Moody::new(Mood::Well);
    let health = start(&driver);
    let clone = health.clone();
    drop(health);
    pass(1).await;
    assert!(clone.is_ready().await, "a clone keeps it");
    drop(clone);
    pass(1).await;
    assert_eq!(Arc::strong_count(&driver), 1, "nobody holds it any more");
}
