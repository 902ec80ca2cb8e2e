//! The components, opened through the factory as anybody would.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use wharf::contract::{Result, StorageDriver};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, DirectoryGrant, Grants, Runtime, RuntimeConfig};
use wharf_conformance::project::Planned;
use wharf_conformance::{OneOpening, Provided, Subject, components};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A component of which all openings are one: another would see another store, in its memory, or may not be.
struct Single {
    name: String,
    factory: Factory,
    parameters: Parameters,
    opened: OneOpening,
    is_in_memory: bool,
    #[expect(dead_code, reason = "the directory goes away with it")]
    root: TempDir,
}

impl Single {
    fn new(runtime: &Runtime, name: &str, is_in_memory: bool) -> std::result::Result<Self, Fault> {
        let root = crate::directory_in_memory()?;
        let (allow, parameters) = if is_in_memory {
            (Grants::default(), Parameters::new())
        } else {
            (granted(root.path(), true), Parameters::new().with("directory", "/data"))
        };
        let mut factory = Factory::native();
        let component = Some(components::component(name)?);
        factory.register_component(
            runtime,
            "guest",
            ComponentConfig { component, allow, ..ComponentConfig::default() },
        )?;
        Ok(Single {
            name: format!("{name}.wasm"),
            factory,
            parameters,
            opened: OneOpening::default(),
            is_in_memory,
            root,
        })
    }
}

#[async_trait]
impl Subject for Single {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        self.opened.get(self.factory.create("guest", self.parameters.clone())).await
    }

    async fn reopen(&self) -> Result<Arc<dyn StorageDriver>> {
        self.opened.close().await;
        self.open().await
    }

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        if self.is_in_memory { Some(self.factory.create("guest", self.parameters.clone()).await) } else { None }
    }

    fn loses_all(&self) -> bool {
        self.is_in_memory
    }
}

/// The archive, and what is in it.
struct Archive {
    provided: Provided,
    factory: Factory,
    #[expect(dead_code, reason = "the directory goes away with it")]
    root: TempDir,
}

impl Archive {
    fn new(runtime: &Runtime) -> std::result::Result<Self, Fault> {
        let root = tempfile::tempdir()?;
        let content = root.path().join("content");
        let files = [("a", 5), ("a-b", 0), ("d/x", 70_000), ("d/e/f/g", 1), ("d.e", 512), ("large", 20 << 20)];
        let files = files.into_iter().map(|(name, size)| (name.to_owned(), size));
        let many = (0..1100).map(|index| (format!("many/{index:04}"), index));
        for (name, size) in files.chain(many).chain([("l".repeat(120), 513)]) {
            let file = content.join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(&content))?;
            std::fs::write(file, (0..size).map(|index| (index % 251) as u8).collect::<Vec<u8>>())?;
        }
        let mut archive = tar::Builder::new(std::fs::File::create(root.path().join("files.tar"))?);
        archive.append_dir_all(".", &content)?;
        archive.finish()?;
        let mut factory = Factory::native();
        let component = Some(components::component("archive")?);
        let config = ComponentConfig { component, allow: granted(root.path(), false), ..ComponentConfig::default() };
        factory.register_component(runtime, "guest", config)?;
        Ok(Archive { provided: Provided::from_directory(&content)?, factory, root })
    }
}

#[async_trait]
impl Subject for Archive {
    fn name(&self) -> &str {
        "archive.wasm"
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        self.factory.create("guest", Parameters::new().with("file", "/data/files.tar")).await
    }

    fn provided(&self) -> Option<&Provided> {
        Some(&self.provided)
    }
}

fn granted(host: &Path, write: bool) -> Grants {
    let directory = DirectoryGrant { host: host.to_owned(), guest: "/data".to_owned(), write };
    Grants { directories: vec![directory], ..Grants::default() }
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
pub(crate) fn subjects(long: bool) -> std::result::Result<Vec<Planned>, Fault> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let runtime = Runtime::new(RuntimeConfig { cache: Some(cache), ..RuntimeConfig::default() })?;
    let mut planned = Vec::new();
    for (name, is_in_memory) in [("inmemory", true), ("whole-driver", true), ("log-store", false)] {
        planned.push(Planned::of(Arc::new(Single::new(&runtime, name, is_in_memory)?)));
    }
    planned.push(Planned::of(Arc::new(Archive::new(&runtime)?)));
    // What the long cases store would fill the memory.
    let root = if long { tempfile::tempdir()? } else { crate::directory_in_memory()? };
    let factory = components::with_filesystem(&runtime, root.path())?;
    planned.push(Planned::of(Arc::new(Files { root, factory })).with_long().with_evidence("durable"));
    Ok(planned)
}
