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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:5000".to_owned());
    let driver = arguments.next().unwrap_or("inmemory".to_owned());
    let parameters: Parameters = serde_json::from_str(&arguments.next().unwrap_or("{}".to_owned()))?;

    let driver = Factory::native().create(&driver, parameters).await?;
    let registry = Registry::builder(driver).delete(true).access(Arc::new(PushToken)).build();
    let app = Router::new().route("/", routing::get(async || "my registry\n")).merge(registry.router());

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
