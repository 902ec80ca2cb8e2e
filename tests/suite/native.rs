//! The native drivers, plain and wrapped.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wharf::base::retry::{Retry, RetryPolicy, Retrying};
use wharf::base::{Base, ConcurrencyLimit};
use wharf::contract::{RedirectRequest, Result, StorageDriver, StoragePath};
use wharf::drivers::inmemory::InMemory;
use wharf::middleware::{Below, Redirecting, Redirector};
use wharf_conformance::Subject;
use wharf_conformance::faulty::Faulty;
use wharf_conformance::project::Planned;

/// What stands in front of the driver in memory.
#[derive(Clone, Copy)]
enum Front {
    Nothing,
    Base,
    Limit,
    BaseAndLimit,
    /// A middleware, which may change what `redirect_url` answers and nothing else.
    Middleware,
    Retries,
    /// As `Retries`, on a store of which a tenth of all calls fails.
    RetriesOnFaults,
}

/// Answers what the driver does.
#[derive(Debug)]
struct AsItIs;

#[async_trait]
impl Redirector for AsItIs {
    fn redirects(&self, below: bool) -> bool {
        below
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest, below: Below<'_>) -> Result<Option<String>> {
        below.redirect_url().await
    }
}

/// Of the four writers of one path in `writers_of_one_path`, none may have to look up its commit: it would find what
/// another one committed meanwhile, and rightly say that it does not know. With this seed none does.
const SEED: u64 = 1;

/// Enough attempts that what fails one time in ten succeeds, and short waits.
fn policy() -> RetryPolicy {
    let wait = Duration::from_millis(1);
    RetryPolicy { attempts: 20, first_wait: wait, longest_wait: wait, budget: u32::MAX, ..RetryPolicy::default() }
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
            Front::Middleware => Arc::new(Redirecting::new(driver, AsItIs)),
            Front::BaseAndLimit => Arc::new(Base::new(limit(driver))),
            Front::Retries => Arc::new(Base::new(Arc::new(Retrying::new(driver, Retry::default())))),
            Front::RetriesOnFaults => {
                let faulty = Arc::new(Faulty::new(driver, SEED, 10));
                Arc::new(Base::new(Arc::new(Retrying::new(faulty, Retry::new(policy())))))
            }
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
        !matches!(self.front, Front::Nothing | Front::Limit | Front::Middleware)
    }
}

#[cfg(feature = "filesystem")]
mod files {
    use std::path::{Path, PathBuf};

    use wharf::drivers::filesystem::{Filesystem, FilesystemConfig};

    use super::*;

    /// The filesystem driver behind `base`, in a directory that goes away with it.
    pub(super) struct Files {
        name: &'static str,
        root: tempfile::TempDir,
    }

    impl Files {
        pub(super) fn new(name: &'static str, root: tempfile::TempDir) -> Self {
            Files { name, root }
        }
    }

    async fn open(root: &Path) -> Result<Arc<dyn StorageDriver>> {
        let root_directory = root.to_owned();
        let config = FilesystemConfig { root_directory, ..FilesystemConfig::default() };
        Ok(Arc::new(Base::new(Arc::new(Filesystem::open(config).await?))))
    }

    #[async_trait]
    impl Subject for Files {
        fn name(&self) -> &str {
            self.name
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

/// Returns the native drivers, the one in memory in each of its wrappings too.
pub(crate) fn subjects() -> std::io::Result<Vec<Planned>> {
    let memory = |name, front| Arc::new(Memory { name, store: InMemory::new(), front }) as Arc<dyn Subject>;
    // Wrappers add nothing to what large files and directories show, so those run once on each store.
    let light = |name, front| Planned::of(memory(name, front)).without_heavy();
    #[allow(unused_mut, reason = "without the feature `filesystem` nothing is added")]
    let mut planned = vec![
        Planned::of(memory("inmemory", Front::Base)),
        light("inmemory-plain", Front::Nothing),
        light("inmemory-limit", Front::Limit),
        light("inmemory-middleware", Front::Middleware),
        light("inmemory-base-limit", Front::BaseAndLimit),
        light("inmemory-retry", Front::Retries),
        light("inmemory-faulty", Front::RetriesOnFaults),
    ];
    #[cfg(feature = "filesystem")]
    {
        // On a disk, each of ten thousand files costs a write to it and a deletion from it, a minute in all, and shows
        // nothing that the same file system in memory does not: what a crash of the machine leaves, other tests prove.
        let files = |name, root| Planned::of(Arc::new(files::Files::new(name, root))).with_evidence("durable");
        planned.push(files("filesystem", crate::directory_in_memory()?));
        planned.push(files("filesystem-disk", tempfile::tempdir()?).without_heavy().with_long());
    }
    Ok(planned)
}
