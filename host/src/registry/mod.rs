//! A container registry over a storage driver.

pub mod auth;
mod builder;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;

use crate::contract::StorageDriver;

pub use builder::RegistryBuilder;

/// A container registry: the OCI distribution API 1.1, and Docker's registry API v2, over a storage driver.
#[derive(Clone, Debug)]
pub struct Registry(Arc<RegistryBuilder>);

/// What a request was, for metrics and logs: an extension of every response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// Which part of the API answered, by Distribution's names: `base`, `manifest`, `tags`, `blob`, `blob_upload`,
    /// `blob_upload_chunk`, `catalog`; `referrers`; empty if none did.
    pub handler: &'static str,
    /// The repository.
    pub repository: Option<String>,
    /// As whom the client was let in.
    pub user: Option<String>,
    /// Why the request failed, with what only an operator may see.
    pub error: Option<String>,
}

impl Registry {
    /// Begins a registry over a driver.
    pub fn builder(driver: Arc<dyn StorageDriver>) -> RegistryBuilder {
        RegistryBuilder::new(driver)
    }

    fn from_builder(builder: RegistryBuilder) -> Self {
        Registry(Arc::new(builder))
    }

    /// Returns the routes `/v2` and all below it, to be merged into any axum server's, or served as they are.
    pub fn router(&self) -> Router {
        let registry = self.clone();
        let answer = move |request: Request<Body>| async move { registry.handle(request).await };
        Router::new()
            .route("/v2", axum::routing::any(answer.clone()))
            .route("/v2/", axum::routing::any(answer.clone()))
            .route("/v2/{*path}", axum::routing::any(answer))
    }

    /// Answers one request.
    pub async fn handle(&self, _request: Request<Body>) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    }
}
