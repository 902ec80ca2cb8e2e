//! The suite on the native drivers, plain and wrapped.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use wharf::base::{Base, ConcurrencyLimit};
use wharf::contract::{Result, StorageDriver};
use wharf::drivers::inmemory::InMemory;
use wharf_conformance::{Selection, Subject, expected, run};

/// What stands in front of the driver in memory.
#[derive(Clone, Copy)]
enum Front {
    Nothing,
    Base,
    Limit,
    BaseAndLimit,
}

struct Memory {
    name: &'static str,
    store: InMemory,
    front: Front,
}

impl Memory {
    fn wrap(&self, store: InMemory) -> Arc<dyn StorageDriver> {
        let driver: Arc<dyn StorageDriver> = Arc::new(store);
        // Small enough that the cases which do many things at once have to wait, and as large as a case which holds
        // writers while it reads needs.
        let limit = |driver| Arc::new(ConcurrencyLimit::new(driver, NonZeroUsize::MIN.saturating_add(3)));
        match self.front {
            Front::Nothing => driver,
            Front::Base => Arc::new(Base::new(driver)),
            Front::Limit => limit(driver),
            Front::BaseAndLimit => Arc::new(Base::new(limit(driver))),
        }
    }
}

#[async_trait]
impl Subject for Memory {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        Ok(self.wrap(self.store.clone()))
    }

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        Some(Ok(self.wrap(InMemory::new())))
    }

    fn behind_base(&self) -> bool {
        matches!(self.front, Front::Base | Front::BaseAndLimit)
    }
}

#[cfg(feature = "filesystem")]
mod files {
    use std::path::{Path, PathBuf};

    use serde_json::json;
    use wharf::drivers::filesystem::{Filesystem, FilesystemConfig};

    use super::*;

    /// The filesystem driver behind `base`, in a directory that goes away with it.
    pub(super) struct Files {
        root: tempfile::TempDir,
    }

    impl Files {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Files { root: tempfile::tempdir()? })
        }
    }

    async fn open(root: &Path) -> Result<Arc<dyn StorageDriver>> {
        let config: FilesystemConfig = serde_json::from_value(json!({ "rootdirectory": root })).map_err(|error| {
            wharf::contract::Error::new(wharf::contract::ErrorKind::InvalidParameters, error.to_string())
        })?;
        Ok(Arc::new(Base::new(Arc::new(Filesystem::open(config).await?))))
    }

    #[async_trait]
    impl Subject for Files {
        fn name(&self) -> &str {
            "filesystem"
        }

        async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
            open(&self.root.path().join("store")).await
        }

        async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
            let root: PathBuf = self.root.path().join("empty");
            Some(open(&root).await)
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let memory = |name, front| Arc::new(Memory { name, store: InMemory::new(), front }) as Arc<dyn Subject>;
    #[allow(unused_mut, reason = "without the feature `filesystem` nothing is added")]
    let mut subjects = vec![
        memory("inmemory", Front::Base),
        memory("inmemory-plain", Front::Nothing),
        memory("inmemory-limit", Front::Limit),
        memory("inmemory-base-limit", Front::BaseAndLimit),
    ];
    #[cfg(feature = "filesystem")]
    match files::Files::new() {
        Ok(files) => subjects.push(Arc::new(files)),
        Err(error) => {
            eprintln!("no temporary directory for the filesystem driver: {error}");
            return ExitCode::FAILURE;
        }
    }

    let long = std::env::args().any(|argument| argument == "--long");
    let mut good = true;
    for subject in subjects {
        // The system calls' order is the evidence that the filesystem driver's own tests give.
        let evidence = if subject.name() == "filesystem" { vec!["durable".to_owned()] } else { Vec::new() };
        let files = subject.name() == "filesystem";
        // Wrappers add nothing to what large files and directories show, so those run once on each store.
        let heavy = files || subject.name() == "inmemory";
        let selection = Selection { heavy, long: long && files, evidence, ..Selection::default() };
        let report = match run(subject.clone(), &selection).await {
            Ok(report) => report,
            Err(error) => {
                eprintln!("{} could not be opened: {error}", subject.name());
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
