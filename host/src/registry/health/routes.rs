//! The addresses at which it is asked, and the answer of a registry that is not well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Map, Value, json};

use super::Health;
use super::probe::Probe;
use crate::contract::{escape_json, printable};

impl Health {
    /// Returns the routes of the table [above](super), to be served where operators are, not clients.
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
}

async fn readiness(State(health): State<Health>) -> Response {
    let missing = health.missing().await;
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let lines: String = missing.iter().map(|missing| format!("{}\n", printable(missing.to_string()))).collect();
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CACHE_CONTROL, "no-store")], lines).into_response()
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
    (status, [content_type, (header::CACHE_CONTROL, "no-store")], escape_json(body.to_string())).into_response()
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
