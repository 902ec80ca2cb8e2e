//! The conformance suite on the s3 driver: on Ceph RGW, on SeaweedFS, and on RGW behind a proxy that breaks a tenth of the
//! requests.

#[allow(dead_code, reason = "what all tests of the driver share")]
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wharf::contract::{Result, StorageDriver};
use wharf_conformance::Subject;
use wharf_conformance::project::{self, Planned};
use wharf_conformance::proxy::{Faults, Proxy};

use support::Bucket;

/// For a case where a tenth of the requests is broken: a thousand of ten thousand wait for a second or are sent again.
const PATIENCE: Duration = Duration::from_secs(300);

/// The driver on a bucket of its own.
struct OnServer {
    name: &'static str,
    bucket: Bucket,
}

#[async_trait]
impl Subject for OnServer {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        self.bucket.open("/store").await
    }

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        Some(self.bucket.open("/empty").await)
    }
}

/// A subject of the suite. That S3 keeps what it has answered for is its promise; that the driver answers only then, and
/// what a walk costs, `tests/s3` proves by requests.
fn planned(name: &'static str, bucket: Bucket) -> Planned {
    let planned = Planned::of(Arc::new(OnServer { name, bucket })).with_concurrency(10);
    planned.with_evidence("durable").with_evidence("native-walk")
}

#[tokio::main]
async fn main() -> ExitCode {
    let long = std::env::args().any(|argument| argument == "--long");
    match run(long).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(long: bool) -> std::result::Result<bool, String> {
    let rgw = Bucket::new("RGW")?;
    let seaweed = Bucket::new("SEAWEED")?;
    let proxy = Proxy::start_faulty(&rgw.endpoint, Faults::new(0.1, 1))
        .map_err(|error| format!("the proxy could not be started: {error}"))?;
    let faulty = Bucket::new("RGW")?.through(&proxy.url());
    let subjects = vec![
        planned("s3-rgw", rgw).with_long(),
        planned("s3-seaweed", seaweed),
        planned("s3-rgw-faulty", faulty).with_timeout(PATIENCE),
    ];
    let mut good = project::run_all(subjects, long).await;
    let report = proxy.report();
    println!("\nwhat struck s3-rgw-faulty\n\n{report}\n");
    let idle = report.idle_classes();
    if !idle.is_empty() {
        eprintln!("FAILED: a class of faults that never struck proves nothing: {idle:?}");
        good = false;
    }
    Ok(good)
}
