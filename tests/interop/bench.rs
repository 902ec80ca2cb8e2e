//! A store with both sides on it: Wharf's driver, and a running `docker-registry`.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use wharf::contract::{Entry, StorageDriver, StorageDriverExt, StoragePath};
use wharf::factory::{Factory, Parameters};
use wharf_conformance::presign::presign;
use wharf_conformance::servers::{ACCESS_KEY, DockerRegistry, SECRET_KEY, server};

use crate::check::{Outcome, during, ensure};
use crate::curl::{Request, run};
use crate::registry::{Client, SECRET};

/// Where the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// In a directory.
    Filesystem,
    /// In a bucket of Ceph's gateway.
    S3,
    /// In a bucket of Ceph's gateway, below a `rootdirectory` with the slashes that people write.
    S3Below,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Filesystem, Kind::S3, Kind::S3Below];

    /// A directory and a bucket.
    pub(crate) const EACH: [Kind; 2] = [Kind::Filesystem, Kind::S3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Filesystem => "filesystem",
            Kind::S3 => "s3",
            Kind::S3Below => "s3-below",
        }
    }

    /// The driver's name, on both sides.
    fn driver(self) -> &'static str {
        match self {
            Kind::Filesystem => "filesystem",
            Kind::S3 | Kind::S3Below => "s3",
        }
    }
}

/// A new store, and both sides on it.
pub(crate) struct Bench {
    pub(crate) kind: Kind,
    pub(crate) driver: Arc<dyn StorageDriver>,
    pub(crate) registry: DockerRegistry,
    pub(crate) client: Client,
    parameters: Map<String, Value>,
    directory: TempDir,
    bucket: Option<Bucket>,
}

impl Bench {
    pub(crate) async fn new(kind: Kind) -> Outcome<Self> {
        let bucket = if kind == Kind::Filesystem { None } else { Some(Bucket::create()?) };
        let bench = Self::on(kind, bucket.clone()).await;
        if let (Err(_), Some(bucket)) = (&bench, bucket) {
            // Nothing is in it yet. What kept the test from beginning is told, not what this says.
            let _ = bucket.remove();
        }
        bench
    }

    async fn on(kind: Kind, bucket: Option<Bucket>) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let parameters = match &bucket {
            None => json!({ "rootdirectory": directory.path().join("registry") }),
            Some(bucket) => bucket.parameters(if kind == Kind::S3Below { "/deep/root/" } else { "" }),
        };
        let Value::Object(parameters) = parameters else { return Err("the parameters are no map".into()) };
        let driver = open(kind, &parameters, &[]).await?;
        let registry = DockerRegistry::start(&configuration(kind, &parameters))?;
        let client = Client::new(registry.url());
        Ok(Bench { kind, driver, registry, client, parameters, directory, bucket })
    }

    /// Returns the registry's address as images name it.
    pub(crate) fn host(&self) -> String {
        self.registry.address().to_string()
    }

    /// Opens another driver on the store, with other values of some parameters.
    pub(crate) async fn open_with(&self, changes: &[(&str, &str)]) -> Outcome<Arc<dyn StorageDriver>> {
        open(self.kind, &self.parameters, changes).await
    }

    /// Returns the address of the S3 server.
    pub(crate) fn endpoint(&self) -> Outcome<&str> {
        Ok(self.bucket.as_ref().map(|bucket| &*bucket.server).ok_or("a directory has no address")?)
    }

    /// Runs the registry's garbage collector on the store.
    pub(crate) fn collect_garbage(&self) -> Outcome {
        let file = self.directory.path().join("garbage.yml");
        std::fs::write(&file, configuration(self.kind, &self.parameters))?;
        let mut command = Command::new("docker-registry");
        let output = run(command.arg("garbage-collect").arg(&file).env_remove("AWS_CA_BUNDLE"))?;
        ensure(output.success, format_args!("docker-registry garbage-collect failed: {}", output.stderr))
    }

    /// Returns everything that the driver shows, in its order.
    pub(crate) async fn walk(&self) -> Outcome<Vec<Entry>> {
        let entries = during("walk", self.driver.walk(&StoragePath::root(), None).await)?;
        during("walk", entries.try_collect().await)
    }

    /// Fails if an upload is left open in the store, where nobody would find it but whoever pays for it.
    pub(crate) async fn expect_no_uploads(&self) -> Outcome {
        if self.driver.capabilities().uploads {
            let uploads = self.driver.uploads(&StoragePath::root()).await?;
            let left: Vec<Entry> = uploads.try_collect().await?;
            ensure(left.is_empty(), format_args!("uploads are left in the store: {left:?}"))?;
        }
        let entries = self.walk().await?;
        let left = entries.iter().find(|entry| !entry.is_dir && entry.path.as_str().contains("/_uploads/"));
        ensure(left.is_none(), format_args!("a file of an upload is left: {left:?}"))
    }

    /// Removes the store. A bucket goes only when nothing is in it.
    pub(crate) async fn remove(self) -> Outcome {
        drop(self.registry);
        let Some(bucket) = self.bucket else { return Ok(()) };
        for entry in during("list", self.driver.list_all(&StoragePath::root()).await)? {
            during("delete", self.driver.delete(&entry.path).await)?;
        }
        bucket.remove()
    }
}

async fn open(
    kind: Kind,
    parameters: &Map<String, Value>,
    changes: &[(&str, &str)],
) -> Outcome<Arc<dyn StorageDriver>> {
    let mut parameters = Parameters::from(parameters.clone());
    for &(name, value) in changes {
        parameters = parameters.with(name, value);
    }
    Ok(Factory::native().create(kind.driver(), parameters).await?)
}

/// Returns the registry's configuration. JSON is YAML too.
fn configuration(kind: Kind, parameters: &Map<String, Value>) -> String {
    let configuration = json!({
        "version": 0.1,
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        "storage": {
            kind.driver(): parameters,
            "delete": { "enabled": true },
            // It would begin within the hour.
            "maintenance": { "uploadpurging": { "enabled": false } },
        },
        "http": { "secret": SECRET },
    });
    configuration.to_string()
}

/// A bucket of a test's own.
#[derive(Clone)]
struct Bucket {
    server: String,
    name: String,
}

impl Bucket {
    fn create() -> Outcome<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server("RGW")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let name = format!("interop-{now}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let bucket = Bucket { server, name };
        during("the server of WHARF_TEST_RGW made no bucket", bucket.ask("PUT", 200))?;
        Ok(bucket)
    }

    fn remove(&self) -> Outcome {
        during("the bucket of this test was not removed", self.ask("DELETE", 204))
    }

    fn ask(&self, method: &str, status: u16) -> Result<(), String> {
        let answer = Request::new(method, presign(method, &self.server, &self.name, &[])).expect(status);
        answer.map(drop).map_err(|failed| failed.message().unwrap_or_default().to_owned())
    }

    /// Returns the parameters for either side, by Distribution's names.
    fn parameters(&self, root: &str) -> Value {
        json!({
            "accesskey": ACCESS_KEY, "secretkey": SECRET_KEY, "region": "us-east-1", "regionendpoint": self.server,
            "forcepathstyle": true, "secure": false, "bucket": self.name, "rootdirectory": root,
        })
    }
}
