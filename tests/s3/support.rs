//! Buckets on the servers, and drivers on them.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use wharf::base::retry::RetryPolicy;
use wharf::contract::{Result, StorageDriver};
use wharf::factory::{Factory, Parameters};
use wharf_conformance::presign::presign;
use wharf_conformance::servers::{ACCESS_KEY, SECRET_KEY, server};

/// A place of its own on a server: a bucket for each server and process, since SeaweedFS keeps volumes for each bucket, and a
/// directory in it. It stays until the server goes, which `cargo xtask test` ends.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// The server, or a proxy before it.
    pub(crate) endpoint: String,
    name: String,
    directory: u32,
}

impl Bucket {
    /// Makes a place.
    pub(crate) fn new(server_name: &str) -> std::result::Result<Self, String> {
        static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static STARTED: LazyLock<u128> = LazyLock::new(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis()
        });
        let endpoint = server(server_name)?;
        let name = format!("wharf-{}-{}", *STARTED, std::process::id());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains(&endpoint) {
            curl(&["--request", "PUT", &presign("PUT", &endpoint, &name, &[])])?;
            made.push(endpoint.clone());
        }
        Ok(Bucket { endpoint, name, directory: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// Adds so many parts of one byte to the upload of a key, as another client.
    pub(crate) fn add_tiny_parts(&self, key: &str, count: u32) -> std::result::Result<(), String> {
        let query = [("prefix", format!("{}%2F", self.directory)), ("uploads", String::new())];
        let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
        let listing = curl(&[&presign("GET", &self.endpoint, &self.name, &query)])?;
        let id = listing.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).ok_or("no upload")?;
        let path = format!("{}/{}/{key}", self.name, self.directory);
        // All of them to one curl, which then needs one connection.
        let requests = (1..=count).map(|number| {
            let query = [("partNumber", number.to_string()), ("uploadId", id.to_owned())];
            let query = query.each_ref().map(|(name, value)| (*name, value.as_str()));
            format!("url = \"{}\"\n", presign("PUT", &self.endpoint, &path, &query))
        });
        let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        std::fs::write(file.path(), requests.collect::<String>()).map_err(|error| error.to_string())?;
        let config = file.path().display().to_string();
        curl(&["--request", "PUT", "--data-binary", "x", "--config", &config]).map(|_| ())
    }

    /// The same bucket by way of a proxy.
    pub(crate) fn through(&self, endpoint: &str) -> Self {
        Bucket { endpoint: endpoint.to_owned(), ..self.clone() }
    }

    /// The parameters of a driver that keeps its files below `root`.
    pub(crate) fn parameters(&self, root: &str) -> Parameters {
        Parameters::new()
            .with("accesskey", ACCESS_KEY)
            .with("secretkey", SECRET_KEY)
            .with("regionendpoint", self.endpoint.as_str())
            .with("forcepathstyle", true)
            .with("bucket", self.name.as_str())
            .with("rootdirectory", format!("/{}{root}", self.directory))
            // The smallest, so that files of some megabytes have several parts.
            .with("chunksize", 5 * 1024 * 1024)
            .with("multipartcopychunksize", 5 * 1024 * 1024)
            .with("multipartcopythresholdsize", 6 * 1024 * 1024)
    }

    /// Opens the driver by the factory, with a policy that waits a little only before it tries again.
    pub(crate) async fn open(&self, root: &str) -> Result<Arc<dyn StorageDriver>> {
        self.open_with(self.parameters(root)).await
    }

    /// The same with other parameters.
    pub(crate) async fn open_with(&self, parameters: Parameters) -> Result<Arc<dyn StorageDriver>> {
        Factory::native().with_retries(impatient()).create("s3", parameters).await
    }
}

/// Runs curl and returns what it was answered.
fn curl(arguments: &[&str]) -> std::result::Result<String, String> {
    let output =
        Command::new("curl").args(["--silent", "--show-error", "--fail-early", "--fail"]).args(arguments).output();
    let output = output.map_err(|error| format!("curl could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("curl failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A policy for servers that are faulted on purpose: as often as the default, with a tenth of its waits.
fn impatient() -> RetryPolicy {
    RetryPolicy { first_wait: Duration::from_millis(10), ..RetryPolicy::default() }
}
