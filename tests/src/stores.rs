//! Stores of a test's own for registries that run as processes, and the configuration that opens them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::components::component;
use crate::http1::Connection;
use crate::presign::presign;
use crate::servers::{ACCESS_KEY, SECRET_KEY, server};

/// What `http.secret` is in every configuration, so that registries go on with each other's uploads.
pub const SECRET: &str = "tests of registries";

/// What a registry stores in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory.
    Filesystem,
    /// The registry's memory.
    InMemory,
    /// A bucket of Ceph's gateway.
    S3,
    /// A directory, behind the filesystem component.
    Component,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Filesystem, Kind::InMemory, Kind::S3, Kind::Component];

    /// Returns the name of the driver.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Filesystem => "filesystem",
            Kind::InMemory => "inmemory",
            Kind::S3 => "s3",
            Kind::Component => "filesystem.wasm",
        }
    }
}

/// A store.
#[derive(Debug)]
pub struct Store {
    kind: Kind,
    directory: TempDir,
    storage: Value,
    drivers: Option<Value>,
}

impl Store {
    /// Makes an empty store.
    ///
    /// A bucket is left where it is: its server is the tests' own and forgets it.
    ///
    /// # Errors
    ///
    /// A sentence, if the server or the component is not there.
    pub fn new(kind: Kind) -> Result<Self, String> {
        let directory = TempDir::new().map_err(|error| format!("no temporary directory: {error}"))?;
        let root = directory.path().join("store");
        let mut drivers = None;
        let storage = match kind {
            Kind::Filesystem => json!({ "filesystem": { "rootdirectory": root } }),
            Kind::InMemory => json!({ "inmemory": {} }),
            Kind::S3 => json!({ "s3": bucket()? }),
            Kind::Component => {
                // As an operator does: a copy of the file in the directory of drivers, and a grant for it.
                let offered = directory.path().join("drivers");
                let failed = |error: std::io::Error| format!("{}: {error}", offered.display());
                std::fs::create_dir_all(&offered).map_err(failed)?;
                std::fs::create_dir_all(&root).map_err(failed)?;
                std::fs::copy(component("filesystem")?, offered.join("files.wasm")).map_err(failed)?;
                let directories = json!([{ "host": root, "guest": "/data", "write": true }]);
                drivers = Some(json!({ "directory": offered, "files": { "allow": { "directories": directories } } }));
                json!({ "files": { "rootdirectory": "/data" } })
            }
        };
        Ok(Store { kind, directory, storage, drivers })
    }

    /// Makes a store in a directory that is there, such as one on another file system.
    ///
    /// # Errors
    ///
    /// As [`new`](Store::new).
    pub fn at(root: &Path) -> Result<Self, String> {
        let mut store = Self::new(Kind::Filesystem)?;
        store.storage = json!({ "filesystem": { "rootdirectory": root } });
        Ok(store)
    }

    /// Returns what it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the directory of a store that has one.
    ///
    /// # Errors
    ///
    /// A sentence, if it has none.
    pub fn root(&self) -> Result<PathBuf, String> {
        match self.kind {
            Kind::Filesystem | Kind::Component => {
                let named = self.storage.pointer("/filesystem/rootdirectory").and_then(Value::as_str);
                Ok(named.map_or_else(|| self.directory.path().join("store"), PathBuf::from))
            }
            Kind::InMemory | Kind::S3 => Err(format!("{} has no directory", self.kind.name())),
        }
    }

    /// Returns the configuration of a registry on it, with `changes` laid over it key by key. JSON is YAML too.
    pub fn configuration(&self, changes: &Value) -> String {
        let mut storage = self.storage.clone();
        storage["delete"] = json!({ "enabled": true });
        // It would begin within the hour.
        storage["maintenance"] = json!({ "uploadpurging": { "enabled": false } });
        let mut configuration = json!({
            "version": 0.1,
            "log": { "level": "warn", "accesslog": { "disabled": true } },
            "storage": storage,
            "http": { "secret": SECRET },
        });
        if let Some(drivers) = &self.drivers {
            configuration["drivers"] = drivers.clone();
        }
        lay_over(&mut configuration, changes);
        configuration.to_string()
    }
}

fn lay_over(value: &mut Value, changes: &Value) {
    match (value, changes) {
        (Value::Object(value), Value::Object(changes)) => {
            for (key, change) in changes {
                lay_over(value.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}

/// Makes a bucket and returns the driver's parameters.
fn bucket() -> Result<Value, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = server("RGW")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let name = format!("registry-{now}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let failed = |why: String| format!("the server of WHARF_TEST_RGW made no bucket: {why}");
    let address = server.trim_start_matches("http://");
    let target = presign("PUT", &server, &name, &[]).replacen(&server, "", 1);
    let address = address.parse().map_err(|_| failed(format!("{address} is no address and port")))?;
    let connection = Connection::open(address, Duration::from_secs(30));
    let answer = connection.and_then(|mut connection| connection.request("PUT", &target, &[], Some(b"")));
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    if answer.status != 200 {
        return Err(failed(answer.text()));
    }
    Ok(json!({
        "accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "region": "us-east-1", "regionendpoint": server,
        "forcepathstyle": true, "secure": false, "bucket": name,
    }))
}
