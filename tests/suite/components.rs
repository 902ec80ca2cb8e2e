//! The components, opened through the factory as anybody would.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use wharf::contract::{Result, StorageDriver};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, Runtime, RuntimeConfig};
use wharf_conformance::project::Planned;
use wharf_conformance::{Subject, components};

/// A component that keeps its files in its own memory: all openings are one, since another would see another store.
struct InMemory {
    name: String,
    factory: Factory,
    opened: OnceCell<Arc<dyn StorageDriver>>,
}

#[async_trait]
impl Subject for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        self.opened.get_or_try_init(|| self.factory.create("guest", Parameters::new())).await.cloned()
    }

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        Some(self.factory.create("guest", Parameters::new()).await)
    }
}

/// The filesystem component, with a directory granted that goes away with it.
struct Files {
    #[expect(dead_code, reason = "the directory goes away with it")]
    root: TempDir,
    factory: Factory,
}

impl Files {
    async fn open_at(&self, directory: &str) -> Result<Arc<dyn StorageDriver>> {
        let root = Parameters::new().with("rootdirectory", format!("/data/{directory}"));
        self.factory.create("filesystem.wasm", root).await
    }
}

#[async_trait]
impl Subject for Files {
    fn name(&self) -> &str {
        "filesystem.wasm"
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        self.open_at("store").await
    }

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        Some(self.open_at("empty").await)
    }
}

/// Returns the project's components.
pub(crate) fn subjects() -> std::result::Result<Vec<Planned>, Box<dyn std::error::Error + Send + Sync>> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let runtime = Runtime::new(RuntimeConfig { cache: Some(cache), ..RuntimeConfig::default() })?;
    let mut planned = Vec::new();
    for name in ["inmemory", "whole-driver"] {
        let mut factory = Factory::native();
        let config = ComponentConfig { component: Some(components::component(name)?), ..ComponentConfig::default() };
        factory.register_component(&runtime, "guest", config)?;
        let subject = InMemory { name: format!("{name}.wasm"), factory, opened: OnceCell::new() };
        planned.push(Planned::of(Arc::new(subject)));
    }
    let root = tempfile::tempdir()?;
    let factory = components::with_filesystem(&runtime, root.path())?;
    planned.push(Planned::of(Arc::new(Files { root, factory })).with_long().with_evidence("durable"));
    Ok(planned)
}
