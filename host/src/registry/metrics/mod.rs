//! What the registry tells Prometheus: under Distribution's names where Distribution has them, so that its dashboards and
//! alerts go on working.
//!
//! | family | labels | what |
//! |---|---|---|
//! | `registry_http_requests_total` | code, handler, method | requests that are over |
//! | `registry_http_request_duration_seconds` | handler, method | from the head of the request to the end of the answer |
//! | `registry_http_in_flight_requests` | handler | requests that are not over |
//! | `registry_http_request_size_bytes` | handler | what came, head and body |
//! | `registry_http_response_size_bytes` | handler | what went, the body only |
//! | `registry_storage_action_seconds` | action, driver | operations of the driver, by Distribution's names |
//! | `wharf_storage_action_seconds` | action, driver | operations that Distribution does not time |
//! | `wharf_storage_errors_total` | action, driver, kind | operations that failed; `path-not-found` is daily life |
//! | `wharf_storage_limits_reached_total` | driver, limit | operations that failed since a limit was reached, by its name in the configuration |
//! | `wharf_component_instances`, `wharf_component_operations_in_flight` | driver | of components: instances, and what goes on in them |
//! | `wharf_component_crashes_total`, `wharf_component_restarts_total` | driver | instances that crashed, and those that took their places |
//! | `wharf_component_drivers` | driver, state | opened drivers that are serving, recovering, quarantined or lost |
//! | `wharf_storage_read_bytes_total`, `wharf_storage_written_bytes_total` | driver | content that went through |
//! | `wharf_storage_open_readers`, `wharf_storage_open_writers` | driver | files being read, uploads being written |
//! | `wharf_capacity_limit`, `wharf_capacity_used`, `wharf_capacity_waiting`, `wharf_capacity_refused_total` | owner, limit | what is bounded at a time: `operations` and `open-streams` of a native driver, `readers` and `writers` of a component, `downloads`, `uploads` and `small-uploads` of the registry |
//! | `process_*` | | memory, processor time, open files and start of the process, as every Go program has them (Linux) |
//! | `wharf_build_info` | version | 1 |
//!
//! A handle for each set of labels is kept, so that a request costs no lookup and no text.

mod capacity;
#[cfg(feature = "wasm")]
mod components;
mod http;
mod process;
mod storage;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::contract::StorageDriver;

/// The metrics of one registry. Cheap to clone; every clone is the same.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::contract::{StorageDriver, StoragePath};
/// use wharf::drivers::inmemory::InMemory;
/// use wharf::registry::metrics::Metrics;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> wharf::contract::Result<()> {
/// let metrics = Metrics::new();
/// let driver = metrics.driver(Arc::new(InMemory::new()));
/// driver.stat(&StoragePath::root()).await?;
/// let line = r#"registry_storage_action_seconds_count{action="Stat",driver="inmemory"} 1"#;
/// assert!(metrics.encode().contains(line));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: RwLock<Registry>,
    http: http::Requests,
    storage: storage::Families,
}

impl Metrics {
    /// The `Content-Type` of what [`encode`](Metrics::encode) returns: Prometheus's text format, as Distribution answers.
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// Creates the metrics of a registry that has done nothing yet.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let http = http::Requests::register(&mut registry);
        let storage = storage::Families::register(&mut registry);
        registry.register("wharf_build", "The version of Wharf", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register_collector(Box::new(process::Process));
        registry.register_collector(Box::new(capacity::Bounds));
        Metrics(Arc::new(Inner { registry: RwLock::new(registry), http, storage }))
    }

    /// Wraps a driver so that its operations are timed and counted. Put it outermost: what waits for a limit or is tried
    /// again is time that the caller waits.
    pub fn driver(&self, driver: Arc<dyn StorageDriver>) -> Arc<dyn StorageDriver> {
        Arc::new(storage::Measured::new(driver, &self.0.storage))
    }

    /// Wraps the routes so that requests are timed and counted, until their answer has been sent or given up.
    ///
    /// The label `handler` is what [`Handled`](super::Handled) tells; where there is none, what the path looks like;
    /// `other` for what is no part of the API. A request whose client went away before it was answered counts with the code
    /// 499.
    pub fn router(&self, router: Router) -> Router {
        router.layer(axum::middleware::from_fn_with_state(self.clone(), http::measure))
    }

    /// Adds a gauge that is asked for its value whenever the metrics are read. `name` is the whole name; `read` is short
    /// and does not wait.
    pub fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        let mut registry = self.0.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Asked { name, help, read: Box::new(read) }));
    }

    /// Tells how the components are that a runtime has open, whenever the metrics are read.
    #[cfg(feature = "wasm")]
    pub fn components(&self, runtime: &crate::runtime::Runtime) {
        let mut registry = self.0.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(components::Components(runtime.clone())));
    }

    /// Returns every metric in Prometheus's text format.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(64 * 1024);
        let registry = self.0.registry.read().unwrap_or_else(PoisonError::into_inner);
        // A String takes whatever is written to it, and no collector of ours fails: this cannot.
        let _ = prometheus_text::encode(&mut text, &registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A gauge whose value somebody else keeps.
struct Asked {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Collector for Asked {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let value = ConstGauge::new((self.read)());
        value.encode(encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?)
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use super::*;

    #[test]
    fn a_gauge_tells_what_it_is_asked_for() {
        let metrics = Metrics::new();
        metrics.gauge("wharf_buffers_bytes", "Held for uploads", || 42.5);
        let text = metrics.encode();
        assert!(text.contains("# TYPE wharf_buffers_bytes gauge\nwharf_buffers_bytes 42.5\n"), "{text}");
    }

    #[test]
    fn what_is_bounded_and_what_is_used_of_it_are_told_under_one_name_each() {
        let limited = || {
            let (driver, limit) = (crate::drivers::inmemory::InMemory::new(), std::num::NonZeroUsize::MIN);
            crate::base::ConcurrencyLimit::new(Arc::new(driver), limit)
        };
        // Of one name: their numbers are added up.
        let _limited = (limited(), limited());
        let text = Metrics::new().encode();
        let value = |series: &str| -> f64 {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(series)?.trim().parse().ok());
            let value = lines.next().unwrap_or_else(|| panic!("no {series} in\n{text}"));
            assert!(lines.next().is_none(), "{series} stands twice in\n{text}");
            value
        };
        assert!(value(r#"wharf_capacity_limit{owner="inmemory",limit="operations"}"#) >= 2.0);
        assert!(value(r#"wharf_capacity_limit{owner="inmemory",limit="open-streams"}"#) >= 2.0 * 16_384.0);
        value(r#"wharf_capacity_used{owner="inmemory",limit="operations"}"#);
        value(r#"wharf_capacity_waiting{owner="inmemory",limit="operations"}"#);
        value(r#"wharf_capacity_refused_total{owner="inmemory",limit="operations"}"#);
    }

    #[test]
    fn no_family_stands_twice() {
        let metrics = Metrics::new();
        for _ in 0..2 {
            metrics.driver(Arc::new(crate::drivers::inmemory::InMemory::new()));
        }
        let text = metrics.encode();
        let mut types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let before = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), before, "{text}");
        assert!(text.contains(&format!("wharf_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))), "{text}");
    }
}
