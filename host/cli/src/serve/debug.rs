//! The address for operators: metrics, health, drivers. It tells more than clients may know: bind it to loopback.

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use serde_json::Value;
use wharf::contract::escape_json;
use wharf::registry::health::Health;
use wharf::registry::metrics::Metrics;

/// What the address offers.
pub(crate) struct Debug {
    /// Metrics, and the path that they are at: Distribution's `http: debug: prometheus`.
    pub(crate) metrics: Option<(String, Metrics)>,
    /// Health.
    pub(crate) health: Health,
    /// Asked for the drivers whenever somebody wants to know them.
    pub(crate) drivers: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl Debug {
    /// Returns the routes: the metrics' path, `/livez`, `/readyz`, `/debug/health` and those below it, `/debug/drivers`.
    ///
    /// # Errors
    ///
    /// Where the metrics' path is none, or is taken.
    pub(crate) fn router(self) -> anyhow::Result<Router> {
        let drivers = self.drivers;
        let drivers = get(move || {
            let text = escape_json(drivers().to_string());
            async move { ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text) }
        });
        let router = self.health.router().route("/debug/drivers", drivers);
        let Some((path, metrics)) = self.metrics else { return Ok(router) };
        let taken = path == "/livez" || path == "/readyz" || path == "/debug" || path.starts_with("/debug/");
        // Axum takes braces for parameters, and panics at what it does not understand.
        if !path.starts_with('/') || path.contains(['{', '}', '*', '?', '#']) || taken {
            anyhow::bail!("the metrics cannot be at {path:?}: give a path such as /metrics that nothing else is at");
        }
        let text = get(move || async move {
            ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.encode()).into_response()
        });
        Ok(router.route(&path, text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower_service::Service;
    use wharf::drivers::inmemory::InMemory;
    use wharf::registry::health::HealthSettings;

    use super::*;

    fn debug(path: &str) -> Debug {
        Debug {
            metrics: Some((path.to_owned(), Metrics::new())),
            health: Health::start(Arc::new(InMemory::new()), HealthSettings::default()),
            drivers: Arc::new(|| json!([{ "name": "mine", "state": { "is": "serving" } }])),
        }
    }

    async fn ask(router: &mut Router, path: &str) -> (u16, String, String) {
        let response = router.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn metrics_health_and_drivers_are_told() {
        let mut router = debug("/metrics").router().unwrap();
        let (status, kind, text) = ask(&mut router, "/metrics").await;
        assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
        assert!(text.contains("registry_http_in_flight_requests{handler=\"base\"} 0\n"), "{text}");
        let (status, kind, text) = ask(&mut router, "/debug/drivers").await;
        let expected = r#"[{"name":"mine","state":{"is":"serving"}}]"#;
        assert_eq!((status, kind.as_str(), text.as_str()), (200, "application/json", expected));
        assert_eq!(ask(&mut router, "/debug/health").await.0, 200);
        assert_eq!(ask(&mut router, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn a_path_for_metrics_that_cannot_be_is_refused() {
        for path in ["", "metrics", "/livez", "/debug/health", "/{all}", "/*all", "/a?b"] {
            let error = debug(path).router().unwrap_err().to_string();
            assert!(error.contains(&format!("{path:?}")), "{error}");
        }
        assert!(debug("/internal/prometheus").router().is_ok());
    }
}
