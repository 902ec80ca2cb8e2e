//! Opening components for the tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::{Map, Value};
use wharf::base::retry::RetryPolicy;
use wharf::contract::{ByteRange, Error, StorageDriver, StoragePath};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, Limits, Runtime, RuntimeConfig};
use wharf_conformance::components::{component, with_filesystem};

/// One runtime for all tests of the binary, except those that read its counters.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(new_runtime);

pub(crate) fn new_runtime() -> Runtime {
    Runtime::new(RuntimeConfig { cache: Some(cache()), ..RuntimeConfig::default() }).unwrap()
}

pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

pub(crate) fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// Opens `faulty` with parameters and limits, both JSON objects.
pub(crate) async fn faulty(parameters: Value, limits: Value) -> Result<Arc<dyn StorageDriver>, Error> {
    faulty_in(runtime(), parameters, limits).await
}

/// The same, in a runtime of one's own.
pub(crate) async fn faulty_in(
    runtime: &Runtime,
    parameters: Value,
    limits: Value,
) -> Result<Arc<dyn StorageDriver>, Error> {
    let limits: Limits = serde_json::from_value(limits).unwrap();
    let mut config = ComponentConfig { component: Some(component("faulty").unwrap()), limits, ..Default::default() };
    // Otherwise nobody would ask it for an address.
    config.allow.redirect = vec!["cdn.example.com:443".parse().unwrap()];
    // What is tested is what the runtime says, and each failure of it.
    let mut factory = Factory::new().with_retries(RetryPolicy::never());
    factory.register_component(runtime, "faulty", config).unwrap();
    let parameters: Map<String, Value> = serde_json::from_value(parameters).unwrap();
    factory.create("faulty", Parameters::from(parameters)).await
}

/// Opens the filesystem component on a directory.
pub(crate) async fn files(runtime: &Runtime, root: &Path) -> Result<Arc<dyn StorageDriver>, Error> {
    let factory = with_filesystem(runtime, root).unwrap();
    factory.create("filesystem.wasm", Parameters::new().with("rootdirectory", "/data")).await
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

/// The bytes of `faulty`'s files `/pattern-N`.
pub(crate) fn pattern(size: usize) -> Bytes {
    (0..size).map(|at| (at % 251) as u8).collect()
}
