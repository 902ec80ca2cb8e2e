//! Whether the registry can do its work, for load balancers, orchestrators and people.
//!
//! | address | asks the store | 200 means |
//! |---|---|---|
//! | `GET /livez` | no | the program answers; otherwise start it again |
//! | `GET /readyz` | no: the last background check counts | send requests here |
//! | `GET /debug/health` | no: Distribution's, so many failures in a row count | `{}`; the checks that fail with 503 |
//! | `POST /debug/health/write` | puts, gets and deletes a file of 36 bytes | the store can be written |
//! | `POST /debug/health/down`, `/up` | no | Distribution's switch: fails, or no longer fails, by hand |
//!
//! The background check reads the root: one request to the store, which costs next to nothing and is refused where
//! credentials or the network are. It writes nothing, so that a registry that is only read needs no right to write.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::contract::{Error, StorageDriver, StoragePath};

/// How the store is checked in the background: Distribution's `health: storagedriver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Whether it is checked at all. Without, the registry counts as healthy.
    pub enabled: bool,
    /// The time between two checks; 10 s by default.
    pub interval: Duration,
    /// How long a check may take before it has failed; 10 s by default. Distribution waits for ever.
    pub timeout: Duration,
    /// After how many failures in a row `/debug/health` says so; 3 by default. 0 is as 1.
    pub threshold: u32,
    /// How long a write probe may take, all three steps together; 30 s by default.
    pub write_timeout: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        HealthSettings {
            enabled: true,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            threshold: 3,
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// The health of one registry. Cheap to clone. The background check ends when the last clone is dropped.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::drivers::inmemory::InMemory;
/// use wharf::registry::health::{Health, HealthSettings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let health = Health::start(Arc::new(InMemory::new()), HealthSettings::default());
/// assert!(health.failing().is_empty());
/// health.begin_shutdown();
/// assert!(!health.is_ready());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Health(Arc<Checked>);

/// What is known, and the task that finds it out.
#[derive(Debug)]
struct Checked {
    state: Arc<CheckState>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Checked {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct CheckState {
    driver: Arc<dyn StorageDriver>,
    settings: HealthSettings,
    /// The key of the check in `/debug/health`.
    name: String,
    last: Mutex<Last>,
    /// Whether the background check has failed often enough. Apart, because every request asks.
    failing: AtomicBool,
    shutting_down: AtomicBool,
    down_by_hand: AtomicBool,
    write_probe: Arc<Semaphore>,
}

/// What the checks so far have told.
#[derive(Debug, Default)]
struct Last {
    /// None while no check has ended.
    outcome: Option<Result<(), String>>,
    failures_in_row: u32,
}

/// The key of the switch in `/debug/health`, and what stands there: Distribution's.
const BY_HAND: (&str, &str) = ("manual_http_status", "manual check");

/// Where a write probe writes. Distribution reads nothing outside of `/docker`, and neither do we.
const PROBES: &str = "/.wharf-probe";

impl Health {
    /// Begins to check a driver, the first time at once. Give it the driver as the registry uses it.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn start(driver: Arc<dyn StorageDriver>, settings: HealthSettings) -> Self {
        let state = Arc::new(CheckState {
            name: format!("storagedriver_{}", driver.name()),
            driver,
            last: Mutex::default(),
            failing: AtomicBool::new(false),
            shutting_down: AtomicBool::new(false),
            down_by_hand: AtomicBool::new(false),
            write_probe: Arc::new(Semaphore::new(1)),
            settings,
        });
        let task = state.settings.enabled.then(|| tokio::spawn(state.clone().check_for_ever()));
        Health(Arc::new(Checked { state, task }))
    }

    /// Returns the checks that fail, and why: nothing while all is well, or while no check has ended.
    pub fn failing(&self) -> Vec<(String, String)> {
        self.0.state.failing()
    }

    /// Returns whether requests should be sent here: the last check succeeded, and nobody has begun to shut down.
    pub fn is_ready(&self) -> bool {
        self.not_ready().is_none()
    }

    /// Says that requests should no longer be sent here. What is under way goes on.
    pub fn begin_shutdown(&self) {
        self.0.state.shutting_down.store(true, Ordering::Relaxed);
    }

    /// Returns the routes of the table [above](self), to be served where operators are, not clients.
    pub fn router(&self) -> Router {
        let switch = |down: bool| {
            move |State(health): State<Health>| async move {
                health.0.state.down_by_hand.store(down, Ordering::Relaxed);
                StatusCode::OK
            }
        };
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readiness))
            .route("/debug/health", get(checks))
            .route("/debug/health/write", post(write))
            .route("/debug/health/down", post(switch(true)))
            .route("/debug/health/up", post(switch(false)))
            .with_state(self.clone())
    }

    /// Answers every request with 503 while a check fails, as Distribution does.
    pub fn guard(&self, router: Router) -> Router {
        router.layer(axum::middleware::from_fn_with_state(self.clone(), refuse_while_failing))
    }

    /// Writes a small file, reads it and deletes it. One at a time.
    ///
    /// Goes on when its future is dropped, so that the file does not stay.
    async fn probe_write(&self) -> Probe {
        let Ok(permit) = self.0.state.write_probe.clone().try_acquire_owned() else { return Probe::Busy };
        let state = self.0.state.clone();
        let probe = tokio::spawn(async move {
            let _permit = permit;
            state.probe().await
        });
        match probe.await {
            Ok(probe) => probe,
            Err(error) => Probe::Failed { step: "put", error: error.to_string() },
        }
    }

    fn not_ready(&self) -> Option<String> {
        let state = &self.0.state;
        if state.shutting_down.load(Ordering::Relaxed) {
            return Some("shutting down".to_owned());
        }
        if state.down_by_hand.load(Ordering::Relaxed) {
            return Some(BY_HAND.1.to_owned());
        }
        if !state.settings.enabled {
            return None;
        }
        match &state.last().outcome {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.clone()),
            None => Some("the store was not checked yet".to_owned()),
        }
    }
}

impl CheckState {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a check fails.
    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.down_by_hand.load(Ordering::Relaxed)
    }

    fn failing(&self) -> Vec<(String, String)> {
        let mut failing = Vec::new();
        if self.failing.load(Ordering::Relaxed)
            && let Some(Err(error)) = &self.last().outcome
        {
            failing.push((self.name.clone(), error.clone()));
        }
        if self.down_by_hand.load(Ordering::Relaxed) {
            failing.push((BY_HAND.0.to_owned(), BY_HAND.1.to_owned()));
        }
        failing
    }

    async fn check_for_ever(self: Arc<Self>) {
        loop {
            let outcome = self.check().await;
            if let Err(error) = &outcome {
                tracing::error!(target: "wharf::health", check = %self.name, %error, "the store does not answer");
            }
            self.note(outcome);
            tokio::time::sleep(self.settings.interval).await;
        }
    }

    fn note(&self, outcome: Result<(), String>) {
        let mut last = self.last();
        last.failures_in_row = if outcome.is_ok() { 0 } else { last.failures_in_row.saturating_add(1) };
        last.outcome = Some(outcome);
        self.failing.store(last.failures_in_row >= self.settings.threshold.max(1), Ordering::Relaxed);
    }

    async fn check(&self) -> Result<(), String> {
        let root = StoragePath::root();
        match tokio::time::timeout(self.settings.timeout, self.driver.stat(&root)).await {
            Ok(Ok(_)) => Ok(()),
            // An empty store answers too.
            Ok(Err(error)) if error.is_path_not_found() => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("{}: no answer within {:?}", self.driver.name(), self.settings.timeout)),
        }
    }

    async fn probe(&self) -> Probe {
        let id = uuid::Uuid::new_v4().to_string();
        let path = match StoragePath::parse(format!("{PROBES}/{id}")) {
            Ok(path) => path,
            Err(error) => return Probe::failed("put", &error),
        };
        let limit = self.settings.write_timeout;
        let probe = match tokio::time::timeout(limit, self.put_get_delete(&path, id.into())).await {
            Ok(probe) => probe,
            Err(_) => {
                let error = format!("{}: not done within {limit:?}", self.driver.name());
                Probe::Failed { step: "timeout", error }
            }
        };
        if !matches!(probe, Probe::Ok { .. }) {
            // What was put, or may have been, does not stay. That it cannot be deleted either is no news.
            let _ = tokio::time::timeout(self.settings.timeout, self.driver.delete(&path)).await;
        }
        probe
    }

    async fn put_get_delete(&self, path: &StoragePath, content: Bytes) -> Probe {
        let mut steps = [Duration::ZERO; 3];
        let started = Instant::now();
        if let Err(error) = self.driver.put_content(path, content.clone()).await {
            return Probe::failed("put", &error);
        }
        steps[0] = started.elapsed();
        match self.driver.get_content(path).await {
            Ok(found) if found == content => {}
            Ok(found) => {
                let error = format!("{} bytes were put and {} others read", content.len(), found.len());
                return Probe::Failed { step: "get", error };
            }
            Err(error) => return Probe::failed("get", &error),
        }
        steps[1] = started.elapsed() - steps[0];
        if let Err(error) = self.driver.delete(path).await {
            return Probe::failed("delete", &error);
        }
        steps[2] = started.elapsed() - steps[0] - steps[1];
        Probe::Ok { steps }
    }
}

impl fmt::Debug for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckState").field("name", &self.name).field("last", &self.last).finish_non_exhaustive()
    }
}

/// What a write probe found.
enum Probe {
    /// How long putting, getting and deleting took.
    Ok {
        steps: [Duration; 3],
    },
    /// Another one is under way.
    Busy,
    Failed {
        step: &'static str,
        error: String,
    },
}

impl Probe {
    fn failed(step: &'static str, error: &Error) -> Self {
        Probe::Failed { step, error: error.to_string() }
    }
}

async fn readiness(State(health): State<Health>) -> Response {
    match health.not_ready() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn checks(State(health): State<Health>) -> Response {
    let failing = health.failing();
    let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &failing.into_iter().map(|(name, error)| (name, error.into())).collect::<Map<_, _>>().into())
}

async fn write(State(health): State<Health>) -> Response {
    match health.probe_write().await {
        Probe::Ok { steps: [put, get, delete] } => {
            let milliseconds = |step: Duration| step.as_secs_f64() * 1e3;
            let steps = json!({
                "put_ms": milliseconds(put), "get_ms": milliseconds(get), "delete_ms": milliseconds(delete),
            });
            answer(StatusCode::OK, &steps)
        }
        Probe::Failed { step, error } => {
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "step": step, "error": error }))
        }
        Probe::Busy => {
            let error = json!({ "error": "a write probe is under way; try again when it is over" });
            let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &error);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

/// Answers with JSON, under Distribution's content type.
fn answer(status: StatusCode, body: &Value) -> Response {
    let content_type = (header::CONTENT_TYPE, "application/json; charset=utf-8");
    (status, [content_type, (header::CACHE_CONTROL, "no-store")], body.to_string()).into_response()
}

async fn refuse_while_failing(State(health): State<Health>, request: Request<Body>, next: Next) -> Response {
    if !health.0.state.is_failing() {
        return next.run(request).await;
    }
    // To the byte what Distribution answers. Why is for operators, and stands at the address that it names.
    let body = concat!(
        r#"{"errors":[{"code":"UNAVAILABLE","message":"service unavailable","#,
        r#""detail":"health check failed: please see /debug/health"}]}"#,
        "\n"
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use async_trait::async_trait;
    use http_body_util::BodyExt;
    use tower_service::Service;

    use super::*;
    use crate::contract::{
        ByteRange, Capabilities, Cursor, EntryStream, ErrorKind, FileInfo, FileWriter, Position, Reader,
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
    }

    impl Moody {
        fn new(mood: Mood) -> Arc<Self> {
            Arc::new(Moody { inner: InMemory::new(), mood: Mutex::new(mood) })
        }

        fn set(&self, mood: Mood) {
            *self.mood.lock().unwrap() = mood;
        }

        fn mood(&self) -> Mood {
            *self.mood.lock().unwrap()
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
        assert!(health.failing().is_empty() && health.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_unhealthy() {
        let health = start(&Moody::new(Mood::Hangs));
        pass(31).await;
        let failing = health.failing();
        assert_eq!(failing, [("storagedriver_moody".to_owned(), "moody: no answer within 10s".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_is_the_last_check_and_ends_with_the_shutdown() {
        let driver = Moody::new(Mood::Well);
        let health = start(&driver);
        assert_eq!(get(&health, "/readyz").await.0, 503, "nothing is known yet");
        pass(1).await;
        assert_eq!(get(&health, "/readyz").await, (200, "ok\n".to_owned()));
        driver.set(Mood::Fails);
        pass(10).await;
        assert_eq!(get(&health, "/readyz").await, (503, "moody: unavailable: connection refused\n".to_owned()));
        driver.set(Mood::Well);
        pass(10).await;
        assert_eq!(get(&health, "/readyz").await.0, 200);
        health.begin_shutdown();
        assert_eq!(get(&health, "/readyz").await, (503, "shutting down\n".to_owned()));
        assert_eq!(get(&health, "/debug/health").await.0, 200, "what is under way goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn the_program_lives_whatever_the_store_does() {
        let health = start(&Moody::new(Mood::Fails));
        health.begin_shutdown();
        pass(60).await;
        assert_eq!(get(&health, "/livez").await, (200, "ok\n".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_check_the_registry_is_ready_at_once() {
        let settings = HealthSettings { enabled: false, ..HealthSettings::default() };
        let health = Health::start(Moody::new(Mood::Fails), settings);
        pass(60).await;
        assert!(health.failing().is_empty() && health.is_ready());
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
        assert!(health.failing().is_empty() && health.is_ready());
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
        assert!(clone.is_ready(), "a clone keeps it");
        drop(clone);
        pass(1).await;
        assert_eq!(Arc::strong_count(&driver), 1);
    }
}
