//! Where attacks take place: directories, one granted and one not, servers, and a runtime.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures::future::BoxFuture;
use tempfile::TempDir;
use wharf::runtime::{Resolver, Runtime, RuntimeConfig};

use crate::server::Server;

/// What must not be read.
pub(crate) const SECRET: &str = "the secret that nobody granted";

/// The size of the file `large`, which is longer than what a stream holds.
const LARGE: u64 = 8 << 20;

/// An environment variable with it.
pub(crate) const VARIABLE: &str = "WHARF_TEST_SECRET";

/// Resolves every name that ends in `.test` to loopback.
struct TestNames;

impl Resolver for TestNames {
    fn resolve(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let found = match name.ends_with(".test") {
            true => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
            false => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such name")),
        };
        Box::pin(async move { found })
    }
}

pub(crate) struct Lab {
    pub(crate) runtime: Runtime,
    directory: TempDir,
    /// A server that no attack is granted; in their controls, it is.
    pub(crate) forbidden: Server,
    /// A server that attacks on the network are granted.
    pub(crate) granted: Server,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
        let config = RuntimeConfig { cache, resolver: Arc::new(TestNames), ..RuntimeConfig::default() };
        let lab = Lab {
            runtime: Runtime::new(config).unwrap(),
            directory: TempDir::new().unwrap(),
            forbidden: Server::plain().await,
            granted: Server::plain().await,
        };
        std::fs::create_dir(lab.inside()).unwrap();
        std::fs::create_dir(lab.outside()).unwrap();
        lab.tidy();
        lab
    }

    /// The directory that is granted, as `/data`.
    pub(crate) fn inside(&self) -> PathBuf {
        self.directory.path().join("inside")
    }

    /// The directory beside it, that is not.
    pub(crate) fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    /// Where files of components are put.
    pub(crate) fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the granted directory as it was: two files, a FIFO, and links that somebody else left there, which lead outside.
    pub(crate) fn tidy(&self) {
        let (inside, outside) = (self.inside(), self.outside());
        std::fs::remove_dir_all(&inside).unwrap();
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("file"), "inside").unwrap();
        std::fs::File::create(inside.join("large")).unwrap().set_len(LARGE).unwrap();
        assert!(Command::new("mkfifo").arg(inside.join("fifo")).status().unwrap().success());
        std::os::unix::fs::symlink(outside.join("secret"), inside.join("left-absolute")).unwrap();
        std::os::unix::fs::symlink("../outside/secret", inside.join("left-relative")).unwrap();
        std::os::unix::fs::symlink("../outside", inside.join("left-directory")).unwrap();
        std::fs::write(outside.join("secret"), SECRET).unwrap();
    }

    /// Returns what is wrong with what must not have been touched.
    pub(crate) fn touched(&self) -> Option<String> {
        let names: Vec<_> =
            std::fs::read_dir(self.outside()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        if names != ["secret"] {
            return Some(format!("outside there are {names:?}"));
        }
        if std::fs::read_to_string(self.outside().join("secret")).unwrap() != SECRET {
            return Some("the file outside was changed".to_owned());
        }
        None
    }
}
