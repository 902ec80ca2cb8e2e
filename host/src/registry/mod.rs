//! A container registry over a storage driver: the OCI distribution API 1.1 and Docker's registry API v2, to be mounted in
//! any axum or hyper server.
//!
//! ```
//! use wharf::factory::{Factory, Parameters};
//! use wharf::registry::Registry;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), wharf::contract::Error> {
//! let driver = Factory::native().create("inmemory", Parameters::new()).await?;
//! let app: axum::Router = Registry::builder(driver).delete(true).build().router();
//! // axum::serve(tokio::net::TcpListener::bind("127.0.0.1:5000").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What is stored lies where Distribution keeps it, and either registry works on the other's store, in the middle of an
//! upload too. Nothing is cached and no lock is held in memory that another process would have to know of: several
//! registries on one store behave as one. What a request acknowledges is as durable as the driver's
//! [`durable`](crate::contract::Capabilities::durable) says.
//!
//! # How it is built
//!
//! `api` reads requests and writes answers, one file for each resource; `store` knows what is kept where, and calls the
//! driver; [`auth`] decides who may do what. The rest is vocabulary: digests, names, manifests, ranges, the layout.
//!
//! # Limits
//!
//! Manifests have at most 4 MiB. Names have at most 255 characters. Uploads together hold at most
//! [`buffers`](RegistryBuilder::buffers) bytes, and [`downloads`](RegistryBuilder::downloads) are so many at a time; of both
//! one client has at most its [share](RegistryBuilder::client_share), and an upload is not slower than
//! [`min_rate`](RegistryBuilder::min_rate). Redirects, deletion and who may do what are switched by the builder.
//! Garbage collection is not here: bytes that no repository links stay.

mod admission;
mod api;
pub mod auth;
mod builder;
mod digest;
mod error;
mod hasher;
pub mod health;
mod layout;
mod manifest;
mod members;
pub mod metrics;
mod name;
mod pace;
mod range;
mod store;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;

use crate::contract::{Result, StorageDriver};

use admission::Admission;
use api::address::Addresses;
use api::incoming::Buffers;
use store::{Store, Uploads};

pub use api::address::{PathPrefix, Tls};
pub use api::authority::TrustedProxies;
pub use api::{ClientAddress, refuse_malformed};
pub use builder::RegistryBuilder;
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use name::{InvalidName, MAX_NAME, MAX_TAG, Reference, RepositoryName, Tag};
pub use pace::{MinRate, Pace};
pub use store::Purged;

/// A container registry. Cheap to clone; every clone is the same registry.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: RegistryBuilder,
    store: Store,
    uploads: Uploads,
    addresses: Addresses,
    buffers: Buffers,
    downloads: Admission,
    redirects: bool,
}

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

    fn from_builder(mut settings: RegistryBuilder) -> Self {
        settings.read_only |= settings.driver.capabilities().read_only;
        let store = Store::new(Arc::clone(&settings.driver));
        let small = settings.at_once.min(settings.upload_buffer).min(crate::contract::MAX_CONTENT);
        let secret = settings.secret.as_ref().map(|key| key.0.clone()).unwrap_or_else(|| {
            // Two random identifiers: 244 bits.
            [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat()
        });
        Registry(Arc::new(Inner {
            uploads: Uploads::new(store.clone(), small),
            addresses: Addresses::new(
                settings.relative_urls,
                settings.host.clone(),
                settings.trusted_proxies.clone(),
                secret,
            ),
            buffers: Buffers::new(settings.buffers, settings.upload_buffer, settings.uploads, settings.client_share),
            downloads: Admission::new("downloads", settings.downloads, settings.client_share),
            redirects: settings.redirect && settings.driver.capabilities().redirect,
            store,
            settings,
        }))
    }

    /// Returns the routes `/v2` and all below it, to be merged into any axum server's, or served as they are.
    ///
    /// A server that knows them adds extensions to each request: [`ClientAddress`], [`Tls`] and [`PathPrefix`].
    pub fn router(&self) -> Router {
        let registry = self.clone();
        let answer = move |request: Request<Body>| async move { registry.handle(request).await };
        Router::new()
            .route("/v2", axum::routing::any(answer.clone()))
            .route("/v2/", axum::routing::any(answer.clone()))
            .route("/v2/{*path}", axum::routing::any(answer))
    }

    /// Answers one request. The response has the extension [`Handled`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request has happened or not, as if its answer had been lost; of an upload, some bytes may have been
    /// added.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        api::answer(self, request).await
    }

    /// Deletes the uploads of every repository that began before a time: Distribution's `uploadpurging`. With `dry_run` it
    /// only counts them.
    ///
    /// # Errors
    ///
    /// Those of listing the store. An upload that cannot be deleted is counted and logged, and stops nothing.
    pub async fn purge_uploads(&self, began_before: SystemTime, dry_run: bool) -> Result<Purged> {
        self.0.store.purge(began_before, dry_run).await
    }

    /// Returns how many bytes of memory the uploads under way may use now, and how many all may use at a time: see
    /// [`RegistryBuilder::buffers`]. Others wait while the two are close.
    pub fn upload_buffers(&self) -> (u64, u64) {
        self.0.buffers.lent()
    }

    fn settings(&self) -> &RegistryBuilder {
        &self.0.settings
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    fn addresses(&self) -> &Addresses {
        &self.0.addresses
    }

    fn buffers(&self) -> &Buffers {
        &self.0.buffers
    }

    fn downloads(&self) -> &Admission {
        &self.0.downloads
    }

    fn redirects(&self) -> bool {
        self.0.redirects
    }
}
