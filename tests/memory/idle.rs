//! What a thousand drivers cost that are open and have nothing to do.

use std::path::Path;

use wharf::contract::{Error, ErrorKind, Result, StoragePath};
use wharf::factory::Parameters;
use wharf::runtime::Runtime;
use wharf_conformance::components::with_filesystem;

use super::{MIB, peak, reset_peak};

const DRIVERS: usize = 1000;

/// How much they may take, in bytes.
const LIMIT: u64 = 300 * MIB;

/// Opens them, each on a directory of its own, asks each once, and measures. Returns whether it was little enough.
pub(crate) async fn measure(runtime: &Runtime, root: &Path) -> Result<bool> {
    let factory = with_filesystem(runtime, root).map_err(|error| Error::new(ErrorKind::Other, error.to_string()))?;
    let mut open = Vec::new();
    // The first brings the component's code, which all share.
    let before = reset_peak()?;
    for number in 0..DRIVERS {
        let parameters = Parameters::new().with("rootdirectory", format!("/data/idle/{number}"));
        let driver = factory.create("filesystem.wasm", parameters).await?;
        driver.stat(&StoragePath::root()).await?;
        open.push(driver);
    }
    let taken = peak()?.saturating_sub(before);
    let instances = runtime.instances();
    println!("  {DRIVERS} idle drivers, {instances} instances: {} MiB, wanted under {} MiB", taken / MIB, LIMIT / MIB);
    if taken > LIMIT {
        eprintln!("FAILED: {DRIVERS} idle drivers take more than {} MiB", LIMIT / MIB);
    }
    Ok(taken <= LIMIT)
}
