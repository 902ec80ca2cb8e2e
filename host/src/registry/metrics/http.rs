//! Requests: how many, how long, how large.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body::{Body as _, Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::Metrics;
use crate::registry::Handled;

/// The values of the label `handler`: Distribution's names of routes, and ours.
const HANDLERS: [&str; 9] =
    ["base", "manifest", "tags", "blob", "blob_upload", "blob_upload_chunk", "catalog", "referrers", OTHER];
/// What is no part of the API.
const OTHER: &str = "other";

/// The values of the label `method`. The last stands for whatever else a client makes up: a label must not grow.
const METHODS: [&str; 10] = ["get", "head", "put", "post", "patch", "delete", "options", "connect", "trace", "unknown"];

/// The codes that a registry answers. Any other is looked up.
const CODES: [u16; 28] = [
    200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 416, 429, 431,
    499, 500, 501, 503, 507,
];

/// The code of a request whose client went away before it was answered.
const CLIENT_WENT_AWAY: u16 = 499;

/// The bounds of Distribution's histogram of durations, in seconds.
const DURATIONS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0];

/// The bounds of Distribution's histograms of sizes: 1 KiB to 2 GiB.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1024.0, 2.0, 22))
}

fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CountLabels {
    code: u32,
    handler: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    handler: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HandlerLabels {
    handler: &'static str,
}

/// The families of requests, and a handle of each member that was ever used.
pub(super) struct Requests {
    counts: Family<CountLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    request_sizes: Family<HandlerLabels, Histogram>,
    response_sizes: Family<HandlerLabels, Histogram>,
    handlers: [Handler; HANDLERS.len()],
}

struct Handler {
    in_flight: Gauge,
    request_size: OnceLock<Histogram>,
    response_size: OnceLock<Histogram>,
    methods: [Route; METHODS.len()],
}

#[derive(Default)]
struct Route {
    duration: OnceLock<Histogram>,
    counts: [OnceLock<Counter>; CODES.len()],
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let in_flight = Family::<HandlerLabels, Gauge>::default();
        let requests = Requests {
            counts: Family::default(),
            durations: Family::new_with_constructor(durations),
            request_sizes: Family::new_with_constructor(sizes),
            response_sizes: Family::new_with_constructor(sizes),
            // As in Distribution, the gauges stand there from the start.
            handlers: HANDLERS.map(|handler| Handler {
                in_flight: in_flight.get_or_create_owned(&HandlerLabels { handler }),
                request_size: OnceLock::new(),
                response_size: OnceLock::new(),
                methods: Default::default(),
            }),
        };
        let prefix = registry.sub_registry_with_prefix("registry_http");
        prefix.register("in_flight_requests", "The in-flight HTTP requests", in_flight);
        let duration = requests.durations.clone();
        prefix.register("request_duration_seconds", "The HTTP request latencies in seconds", duration);
        let size = requests.request_sizes.clone();
        prefix.register("request_size_bytes", "The HTTP request sizes in bytes", size);
        // The encoder adds `_total`.
        prefix.register("requests", "Total number of HTTP requests made", requests.counts.clone());
        let size = requests.response_sizes.clone();
        prefix.register("response_size_bytes", "The HTTP response sizes in bytes", size);
        requests
    }

    /// Counts a request that is over.
    fn record(&self, handler: usize, method: usize, code: u16, seconds: f64, request: u64, response: u64) {
        let labels = HandlerLabels { handler: HANDLERS[handler] };
        let of_handler = &self.handlers[handler];
        let route = &of_handler.methods[method];
        route
            .duration
            .get_or_init(|| {
                self.durations.get_or_create_owned(&RouteLabels { handler: HANDLERS[handler], method: METHODS[method] })
            })
            .observe(seconds);
        of_handler.request_size.get_or_init(|| self.request_sizes.get_or_create_owned(&labels)).observe(request as f64);
        of_handler
            .response_size
            .get_or_init(|| self.response_sizes.get_or_create_owned(&labels))
            .observe(response as f64);
        let labels = CountLabels { code: code.into(), handler: HANDLERS[handler], method: METHODS[method] };
        match CODES.binary_search(&code) {
            Ok(known) => {
                route.counts[known].get_or_init(|| self.counts.get_or_create_owned(&labels)).inc();
            }
            Err(_) => {
                self.counts.get_or_create(&labels).inc();
            }
        }
    }
}

/// Returns which handler a path is for, as far as its shape tells. The registry itself knows better, but only once it has
/// answered, and an upload in flight must be seen before.
fn handler_of_path(path: &str) -> &'static str {
    let Some(rest) = path.strip_prefix("/v2") else { return OTHER };
    match rest {
        "" | "/" => return "base",
        "/_catalog" => return "catalog",
        _ => {}
    }
    let mut parts = rest.rsplit('/');
    match (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or("")) {
        ("", "uploads", "blobs") | ("uploads", "blobs", _) => "blob_upload",
        (_, "uploads", "blobs") => "blob_upload_chunk",
        ("list", "tags", _) => "tags",
        (_, "manifests", _) => "manifest",
        (_, "blobs", _) => "blob",
        (_, "referrers", _) => "referrers",
        _ => OTHER,
    }
}

fn handler_index(handler: &str) -> usize {
    HANDLERS.iter().position(|known| *known == handler).unwrap_or(HANDLERS.len() - 1)
}

fn method_index(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::PUT => 2,
        Method::POST => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        Method::CONNECT => 7,
        Method::TRACE => 8,
        _ => METHODS.len() - 1,
    }
}

/// Returns about how many bytes the head of a request has. HTTP/2 packs it, so that there is no exact number.
fn head_size(method: &Method, uri: &Uri, headers: &HeaderMap) -> u64 {
    let line = method.as_str().len() + uri.path().len() + uri.query().map_or(0, |query| query.len() + 1) + 10;
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + fields) as u64
}

/// The middleware.
pub(super) async fn measure(State(metrics): State<Metrics>, request: Request<Body>, next: Next) -> Response {
    let handler = handler_index(handler_of_path(request.uri().path()));
    let mut measurement = Measurement {
        handler,
        in_flight: handler,
        method: method_index(request.method()),
        started: Instant::now(),
        code: CLIENT_WENT_AWAY,
        request: head_size(request.method(), request.uri(), request.headers()),
        request_body: None,
        response: 0,
        metrics,
    };
    measurement.requests().handlers[handler].in_flight.inc();
    let request = if request.body().is_end_stream() {
        request
    } else {
        let count = Arc::new(AtomicU64::new(0));
        measurement.request_body = Some(count.clone());
        request.map(|body| Body::new(RequestBody { body, count }))
    };

    let response = next.run(request).await;

    measurement.code = response.status().as_u16();
    if let Some(handled) = response.extensions().get::<Handled>()
        && !handled.handler.is_empty()
    {
        measurement.handler = handler_index(handled.handler);
    }
    // Without a body the answer is over, and needs no box that would be dropped at once.
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(ResponseBody { body, measurement: Some(measurement) }))
}

/// A request under way. It is counted when this is dropped.
struct Measurement {
    metrics: Metrics,
    handler: usize,
    /// The handler under which it counts as in flight, which is known before the one above.
    in_flight: usize,
    method: usize,
    started: Instant,
    code: u16,
    request: u64,
    request_body: Option<Arc<AtomicU64>>,
    response: u64,
}

impl Measurement {
    fn requests(&self) -> &Requests {
        &self.metrics.0.http
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let body = self.request_body.as_ref().map_or(0, |count| count.load(Ordering::Relaxed));
        let requests = self.requests();
        requests.handlers[self.in_flight].in_flight.dec();
        requests.record(self.handler, self.method, self.code, seconds, self.request + body, self.response);
    }
}

/// A request's body, of which the bytes are counted.
struct RequestBody {
    body: Body,
    count: Arc<AtomicU64>,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let step = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &step {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        step
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body, with the measurement that ends when it does.
struct ResponseBody {
    body: Body,
    /// None once the body has ended.
    measurement: Option<Measurement>,
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let step = Pin::new(&mut self.body).poll_frame(cx);
        match &step {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(measurement) = &mut self.measurement {
                    measurement.response += frame.data_ref().map_or(0, Bytes::len) as u64;
                }
            }
            Poll::Ready(_) => self.measurement = None,
            Poll::Pending => {}
        }
        step
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use axum::Router;
    use axum::routing::any;
    use futures::StreamExt;
    use futures::channel::mpsc;
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tower_service::Service;

    use super::*;

    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.encode();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Answers as the registry does: with `Handled`, and what the request's body says.
    fn routes(metrics: &Metrics) -> Router {
        let answer = |request: Request<Body>| async move {
            let read_first = request.method() == Method::PUT;
            let body = request.into_body();
            let body = if read_first { Body::from(body.collect().await.unwrap().to_bytes()) } else { body };
            let mut response = Response::new(body);
            response.extensions_mut().insert(Handled { handler: "manifest", ..Handled::default() });
            response
        };
        metrics.router(Router::new().route("/v2/{*path}", any(answer)))
    }

    fn request(method: &str, path: &str, body: Body) -> Request<Body> {
        Request::builder().method(method).uri(path).body(body).unwrap()
    }

    #[tokio::test]
    async fn a_request_counts_under_distributions_names() {
        let metrics = Metrics::new();
        let response =
            routes(&metrics).call(request("PUT", "/v2/a/manifests/b", Body::from("x".repeat(2000)))).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 2000);

        let labels = r#"{handler="manifest",method="put"}"#;
        let one = Some(1.0);
        let count = r#"registry_http_requests_total{code="200",handler="manifest",method="put"}"#;
        assert_eq!(value(&metrics, count), one, "{}", metrics.encode());
        assert_eq!(value(&metrics, &format!("registry_http_request_duration_seconds_count{labels}")), one);
        let bucket = r#"registry_http_request_duration_seconds_bucket{handler="manifest",method="put",le="60"}"#;
        assert_eq!(value(&metrics, bucket), one, "{}", metrics.encode());
        assert_eq!(value(&metrics, r#"registry_http_response_size_bytes_sum{handler="manifest"}"#), Some(2000.0));
        let came = value(&metrics, r#"registry_http_request_size_bytes_sum{handler="manifest"}"#).unwrap();
        assert!((2020.0..2100.0).contains(&came), "{came}");
        assert_eq!(value(&metrics, r#"registry_http_in_flight_requests{handler="manifest"}"#), Some(0.0));
        let text = metrics.encode();
        assert!(text.contains("# TYPE registry_http_requests_total counter\n"), "{text}");
        assert!(text.contains("# TYPE registry_http_request_duration_seconds histogram\n"), "{text}");
    }

    #[tokio::test]
    async fn a_request_is_in_flight_until_its_answer_has_ended() {
        let metrics = Metrics::new();
        let (sender, receiver) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let body = Body::from_stream(receiver);
        let mut response = routes(&metrics).call(request("GET", "/v2/a/manifests/b", body)).await.unwrap();
        sender.unbounded_send(Ok(Bytes::from("abc"))).unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
        let gauge = r#"registry_http_in_flight_requests{handler="manifest"}"#;
        let count = r#"registry_http_requests_total{code="200",handler="manifest",method="get"}"#;
        assert_eq!((value(&metrics, gauge), value(&metrics, count)), (Some(1.0), None));
        drop(sender);
        assert!(response.body_mut().frame().await.is_none());
        assert_eq!((value(&metrics, gauge), value(&metrics, count)), (Some(0.0), Some(1.0)));
        drop(response);
        assert_eq!(value(&metrics, count), Some(1.0), "counted twice");
    }

    #[tokio::test]
    async fn an_answer_that_is_given_up_counts_with_what_was_sent() {
        let metrics = Metrics::new();
        let (sender, receiver) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let mut response =
            routes(&metrics).call(request("GET", "/v2/a/manifests/b", Body::from_stream(receiver))).await.unwrap();
        sender.unbounded_send(Ok(Bytes::from("abc"))).unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
        drop(response);
        assert_eq!(value(&metrics, r#"registry_http_response_size_bytes_sum{handler="manifest"}"#), Some(3.0));
        assert_eq!(value(&metrics, r#"registry_http_in_flight_requests{handler="manifest"}"#), Some(0.0));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_before_the_answer_counts_as_499() {
        let metrics = Metrics::new();
        let (sender, receiver) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let mut router = routes(&metrics);
        let pending = router.call(request("PUT", "/v2/a/blobs/uploads/1", Body::from_stream(receiver)));
        let mut pending = Box::pin(pending);
        assert!(futures::poll!(&mut pending).is_pending());
        let gauge = r#"registry_http_in_flight_requests{handler="blob_upload_chunk"}"#;
        assert_eq!(value(&metrics, gauge), Some(1.0));
        drop(pending);
        drop(sender);
        assert_eq!(value(&metrics, gauge), Some(0.0));
        let count = r#"registry_http_requests_total{code="499",handler="blob_upload_chunk",method="put"}"#;
        assert_eq!(value(&metrics, count), Some(1.0), "{}", metrics.encode());
    }

    #[tokio::test]
    async fn what_a_client_makes_up_makes_no_new_label() {
        let metrics = Metrics::new();
        for (method, path) in [("BREW", "/coffee"), ("WHEN", "/milk")] {
            let response = routes(&metrics).call(request(method, path, Body::empty())).await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
        }
        let count = r#"registry_http_requests_total{code="404",handler="other",method="unknown"}"#;
        assert_eq!(value(&metrics, count), Some(2.0), "{}", metrics.encode());
    }

    #[tokio::test]
    async fn a_code_outside_the_table_counts_too() {
        let metrics = Metrics::new();
        let teapot = || async { StatusCode::IM_A_TEAPOT };
        let mut router = metrics.router(Router::new().route("/v2/", any(teapot)));
        router.call(request("GET", "/v2/", Body::empty())).await.unwrap();
        let count = r#"registry_http_requests_total{code="418",handler="base",method="get"}"#;
        assert_eq!(value(&metrics, count), Some(1.0), "{}", metrics.encode());
    }

    #[tokio::test]
    async fn the_length_of_an_answer_stays_known() {
        let metrics = Metrics::new();
        let response = routes(&metrics).call(request("PUT", "/v2/a/manifests/b", Body::from("abc"))).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(3));
        let mut body = response.into_body().into_data_stream();
        while body.next().await.is_some() {}
    }

    #[test]
    fn the_table_of_codes_can_be_searched() {
        assert!(CODES.is_sorted());
    }

    #[test]
    fn each_path_of_the_api_has_its_handler() {
        for (path, handler) in [
            ("/v2", "base"),
            ("/v2/", "base"),
            ("/v2/_catalog", "catalog"),
            ("/v2/a/b/manifests/latest", "manifest"),
            ("/v2/manifests/manifests/manifests", "manifest"),
            ("/v2/a/tags/list", "tags"),
            ("/v2/a/blobs/sha256:1", "blob"),
            ("/v2/a/blobs/uploads/", "blob_upload"),
            ("/v2/a/blobs/uploads", "blob_upload"),
            ("/v2/a/blobs/uploads/1-2", "blob_upload_chunk"),
            ("/v2/a/referrers/sha256:1", "referrers"),
            ("/v2/a", "other"),
            ("/v3/", "other"),
            ("/", "other"),
            ("", "other"),
        ] {
            assert_eq!(handler_of_path(path), handler, "{path}");
        }
    }
}
