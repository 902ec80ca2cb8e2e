//! The suite on the components, opened through the factory as anybody would.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use wharf::contract::{Error, ErrorKind, Result, StorageDriver};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, DirectoryGrant, Grants, Runtime, RuntimeConfig};
use wharf_conformance::{Selection, Subject, components, expected, run};

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
        self.factory.create("guest", root).await
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

fn factory(runtime: &Runtime, file: &Path, allow: Grants) -> Result<Factory> {
    let mut factory = Factory::native();
    let config = ComponentConfig { component: Some(file.to_owned()), allow, ..ComponentConfig::default() };
    factory.register_component(runtime, "guest", config)?;
    Ok(factory)
}

fn subjects() -> Result<Vec<Arc<dyn Subject>>> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let runtime = Runtime::new(RuntimeConfig { cache: Some(cache) })?;
    let missing = |message: String| Error::new(ErrorKind::Other, message);
    let mut subjects: Vec<Arc<dyn Subject>> = Vec::new();
    for name in ["inmemory", "whole-driver"] {
        let file = components::component(name).map_err(missing)?;
        let factory = factory(&runtime, &file, Grants::default())?;
        subjects.push(Arc::new(InMemory { name: format!("{name}.wasm"), factory, opened: OnceCell::new() }));
    }
    let root = tempfile::tempdir().map_err(|error| missing(format!("no temporary directory: {error}")))?;
    let data = DirectoryGrant { host: root.path().to_owned(), guest: "/data".to_owned(), write: true };
    let allow = Grants { directories: vec![data], ..Grants::default() };
    let factory = factory(&runtime, &components::component("filesystem").map_err(missing)?, allow)?;
    subjects.push(Arc::new(Files { root, factory }));
    Ok(subjects)
}

#[tokio::main]
async fn main() -> ExitCode {
    let long = std::env::args().any(|argument| argument == "--long");
    let subjects = match subjects() {
        Ok(subjects) => subjects,
        Err(error) => {
            eprintln!("FAILED: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut good = true;
    for subject in subjects {
        let files = subject.name() == "filesystem.wasm";
        // The order of the system calls is the evidence that `tests/durable` gives.
        let evidence = if files { vec!["durable".to_owned()] } else { Vec::new() };
        let heavy = subject.name() != "whole-driver.wasm";
        let selection = Selection { heavy, long: long && files, evidence, ..Selection::default() };
        let report = match run(subject.clone(), &selection).await {
            Ok(report) => report,
            Err(error) => {
                eprintln!("FAILED: {} could not be opened: {error}", subject.name());
                good = false;
                continue;
            }
        };
        println!("{report}");
        good &= report.is_success();
        if let Some(fault) = expected::count_fault(&report).filter(|_| !selection.long) {
            eprintln!("FAILED: {fault}");
            good = false;
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
