//! The registry under test: which driver it is over, and where it listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wharf::base::Base;
use wharf::contract::StorageDriver;
use wharf::drivers::filesystem::{Filesystem, FilesystemConfig};
use wharf::drivers::inmemory::InMemory;
use wharf::registry::{Registry, RegistryBuilder};

use crate::client::Client;
use crate::requirement::Outcome;
use crate::unresumable::Unresumable;

/// Where the registry is that somebody else started.
const REMOTE: &str = "WHARF_TEST_REGISTRY";

/// What the registry under test is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    InMemory,
    Filesystem,
    /// Memory, without the promise that an upload can be continued.
    Unresumable,
    /// Whatever it is that listens where the variable says.
    Remote,
}

impl Kind {
    /// Returns those that are tried in this run.
    pub(crate) fn all() -> impl Iterator<Item = Kind> {
        let remote = std::env::var_os(REMOTE).map(|_| Kind::Remote);
        [Kind::InMemory, Kind::Filesystem, Kind::Unresumable].into_iter().chain(remote)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::InMemory => "inmemory",
            Kind::Filesystem => "filesystem",
            Kind::Unresumable => "unresumable",
            Kind::Remote => "remote",
        }
    }
}

/// A registry that answers, until it is dropped.
pub(crate) struct Server {
    pub(crate) client: Client,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The registry under test, over a store of its own.
pub(crate) struct Bench {
    pub(crate) kind: Kind,
    pub(crate) client: Client,
    driver: Option<Arc<dyn StorageDriver>>,
    directory: Option<TempDir>,
    _server: Option<Server>,
}

impl Bench {
    pub(crate) async fn new(kind: Kind) -> Outcome<Self> {
        let memory = || Arc::new(Base::new(Arc::new(InMemory::new()))) as Arc<dyn StorageDriver>;
        let mut directory = None;
        let driver: Arc<dyn StorageDriver> = match kind {
            Kind::InMemory => memory(),
            Kind::Unresumable => Arc::new(Unresumable::new(memory())),
            Kind::Filesystem => {
                let root = directory.insert(tempfile::tempdir()?).path().join("store");
                let config = FilesystemConfig { root_directory: root, ..FilesystemConfig::default() };
                Arc::new(Base::new(Arc::new(Filesystem::open(config).await?)))
            }
            Kind::Remote => {
                let client = Client::new(remote()?);
                return Ok(Bench { kind, client, driver: None, directory, _server: None });
            }
        };
        let server = serve(Registry::builder(driver.clone()).delete(true)).await?;
        let client = server.client.clone();
        Ok(Bench { kind, client, driver: Some(driver), directory, _server: Some(server) })
    }

    /// Returns the driver below the registry.
    pub(crate) fn driver(&self) -> Outcome<Arc<dyn StorageDriver>> {
        self.driver.clone().ok_or_else(|| "nobody can look into the store of a remote registry".into())
    }

    /// Starts another registry over the same store, with settings of its own.
    pub(crate) async fn serve(&self, settings: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Outcome<Server> {
        serve(settings(Registry::builder(self.driver()?))).await
    }

    /// Returns a repository's name that no other test has.
    pub(crate) fn repository(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos());
        // The time, since a remote registry remembers the last run.
        format!("require/r{now:x}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns every file and directory beside and below the root of the files, relative to the directory around it.
    pub(crate) fn tree(&self) -> Outcome<Vec<PathBuf>> {
        fn add(root: &Path, directory: &Path, tree: &mut Vec<PathBuf>) -> std::io::Result<()> {
            for entry in directory.read_dir()? {
                let path = entry?.path();
                tree.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
                if path.is_dir() {
                    add(root, &path, tree)?;
                }
            }
            Ok(())
        }
        let directory = self.directory.as_ref().ok_or("the store is not in a directory")?;
        let mut tree = Vec::new();
        add(directory.path(), directory.path(), &mut tree)?;
        tree.sort();
        Ok(tree)
    }
}

async fn serve(builder: RegistryBuilder) -> Outcome<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let client = Client::new(listener.local_addr()?);
    let router = builder.build().router();
    let task = tokio::spawn(async move {
        // It ends with the test; until then only accepting can fail, and that is tried again.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Server { client, task })
}

fn remote() -> Outcome<SocketAddr> {
    let url = std::env::var(REMOTE)?;
    let address = url.strip_prefix("http://").unwrap_or(&url).trim_end_matches('/');
    address.parse().map_err(|error| format!("{REMOTE}={url}: an address such as http://127.0.0.1:5000: {error}").into())
}
