//! Opening the component that sends requests.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use wharf::base::retry::RetryPolicy;
use wharf::contract::{ByteRange, Error, StorageDriver, StoragePath};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, Resolver, Runtime, RuntimeConfig};
use wharf_conformance::components::component;

/// Resolves every name that ends in `.test` to loopback, as whoever runs a name can let it, and no other.
struct TestNames;

impl Resolver for TestNames {
    fn resolve(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let found = if name.ends_with(".test") || name == "localhost" {
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        } else {
            Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such name"))
        };
        Box::pin(async move { found })
    }
}

pub(crate) fn new_runtime() -> Runtime {
    let cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
    Runtime::new(RuntimeConfig { cache, resolver: Arc::new(TestNames), ..RuntimeConfig::default() }).unwrap()
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(new_runtime);

/// Opens `hostile-http` with a configuration and parameters, both JSON objects.
pub(crate) async fn open(config: Value, parameters: Value) -> Result<Arc<dyn StorageDriver>, Error> {
    open_in(&RUNTIME, config, parameters).await
}

pub(crate) async fn open_in(
    runtime: &Runtime,
    config: Value,
    parameters: Value,
) -> Result<Arc<dyn StorageDriver>, Error> {
    let mut config: ComponentConfig = serde_json::from_value(config).unwrap();
    config.component = Some(component("hostile-http").unwrap());
    // What is tested is what the runtime says, and each failure of it.
    let mut factory = Factory::new().with_retries(RetryPolicy::never());
    factory.register_component(runtime, "web", config).unwrap();
    let parameters: Map<String, Value> = serde_json::from_value(parameters).unwrap();
    factory.create("web", Parameters::from(parameters)).await
}

pub(crate) fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// Reads a whole file, or says how far it came and what ended it.
pub(crate) async fn read(driver: &dyn StorageDriver, file: &str) -> Result<Vec<u8>, (usize, Error)> {
    let mut stream = driver.reader(&path(file), ByteRange::ALL).await.map_err(|error| (0, error))?;
    let mut content: Vec<u8> = Vec::new();
    loop {
        match stream.try_next().await {
            Ok(Some(chunk)) => content.extend_from_slice(&chunk),
            Ok(None) => return Ok(content),
            Err(error) => return Err((content.len(), error)),
        }
    }
}
