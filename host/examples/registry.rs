//! A registry of one's own: Wharf's API beside one's own routes, over a driver that is opened by name, with one's own rule
//! for who may push.
//!
//! ```sh
//! cargo run --example registry -- 127.0.0.1:5000 filesystem '{"rootdirectory": "/tmp/images"}'
//! ```

use std::error::Error;
use std::sync::Arc;

use axum::{Router, routing};
use http::HeaderValue;
use wharf::factory::{Factory, Parameters};
use wharf::registry::Registry;
use wharf::registry::auth::{AccessController, AccessRequest, Action, Denied, User};

/// Everybody may pull; who knows the token may do the rest.
#[derive(Debug)]
struct PushToken;

#[async_trait::async_trait]
impl AccessController for PushToken {
    async fn authorize(&self, request: AccessRequest<'_>) -> Result<Option<User>, Denied> {
        // Clients ask `/v2/`, which needs nothing, how to log in.
        let only_pulls = request.needed.iter().all(|access| access.action == Action::Pull);
        let has_token = request.authorization.is_some_and(|value| value == "Basic Y2k6b3Blbg=="); // ci:open
        match has_token {
            true => Ok(Some(User { name: "ci".to_owned() })),
            false if only_pulls && !request.needed.is_empty() => Ok(None),
            false => Err(Denied::Unauthenticated {
                challenge: HeaderValue::from_static("Basic realm=\"push\""),
                message: "pushing needs the token".to_owned(),
            }),
        }
    }
}

/// Opens a driver by name, native here, and puts the registry beside one's own routes.
pub(crate) async fn app(driver: &str, parameters: Parameters) -> Result<Router, Box<dyn Error>> {
    let driver = Factory::native().create(driver, parameters).await?;
    let registry = Registry::builder(driver).delete(true).access(Arc::new(PushToken)).build();
    Ok(Router::new().route("/", routing::get(async || "my registry\n")).merge(registry.router()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |otherwise: &str| arguments.next().unwrap_or(otherwise.to_owned());
    let listener = tokio::net::TcpListener::bind(argument("127.0.0.1:5000")).await?;
    let (driver, parameters) = (argument("inmemory"), argument("{}"));
    axum::serve(listener, app(&driver, serde_json::from_str(&parameters)?).await?).await?;
    Ok(())
}
