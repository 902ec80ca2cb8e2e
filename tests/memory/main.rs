//! Memory is bounded: 16 uploads at once, and one download, by the process's peak above its idle size; and a thousand
//! drivers that are idle.
//!
//! A program of its own, since what other tests hold would be counted. With `--long` the uploads are of 256 MiB each, and
//! one more of 5 GiB follows.

mod idle;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::try_join_all;
use wharf::contract::{ByteRange, Error, ErrorKind, Result, StorageDriver, StoragePath, WriteMode};
use wharf::factory::Parameters;
use wharf::runtime::{Runtime, RuntimeConfig};
use wharf_conformance::components::with_filesystem;

/// What is done: how many uploads at once, and of how many bytes each.
const SHORT: &[(usize, u64)] = &[(16, 64 * MIB)];
const LONG: &[(usize, u64)] = &[(16, 256 * MIB), (1, 5 * 1024 * MIB)];

const CHUNK: usize = 256 * 1024;
const MIB: u64 = 1 << 20;

/// How much the peak may lie above the idle size, in bytes.
const LIMIT: u64 = 200 * MIB;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let long = std::env::args().any(|argument| argument == "--long");
    match measure(if long { LONG } else { SHORT }).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(rounds: &[(usize, u64)]) -> Result<bool> {
    let other = |message: String| Error::new(ErrorKind::Other, message);
    let root = tempfile::tempdir().map_err(|error| other(format!("no temporary directory: {error}")))?;
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let runtime = Runtime::new(RuntimeConfig { cache: Some(cache), ..RuntimeConfig::default() })?;
    let factory = with_filesystem(&runtime, root.path()).map_err(|error| other(error.to_string()))?;

    println!(
        "  {:<18}{:>20}{:>10}{:>16}{:>18}",
        "driver", "uploads at once", "idle", "above, uploads", "above, download"
    );
    let mut good = true;
    for (name, directory) in [
        ("filesystem", root.path().join("native").display().to_string()),
        ("filesystem.wasm", "/data/component".to_owned()),
    ] {
        let driver = factory.create(name, Parameters::new().with("rootdirectory", directory)).await?;
        for &(count, size) in rounds {
            let idle = reset_peak()?;
            uploads(&driver, count, size).await?;
            let uploading = peak()?.saturating_sub(idle);
            let before = reset_peak()?;
            download(&*driver, size).await?;
            let downloading = peak()?.saturating_sub(before);
            let mib = |bytes: u64| format!("{} MiB", bytes / MIB);
            let what = format!("{count} of {}", mib(size));
            println!("  {name:<18}{what:>20}{:>10}{:>16}{:>18}", mib(idle), mib(uploading), mib(downloading));
            if uploading > LIMIT || downloading > LIMIT {
                eprintln!("FAILED: {name} took more than {} MiB above idle", LIMIT / MIB);
                good = false;
            }
            driver.delete(&StoragePath::parse("/uploads")?).await?;
        }
    }
    Ok(good & idle::measure(&runtime, root.path()).await?)
}

async fn uploads(driver: &Arc<dyn StorageDriver>, count: usize, size: u64) -> Result<()> {
    let uploads = (0..count).map(|index| {
        let driver = Arc::clone(driver);
        tokio::spawn(async move {
            let mut writer = driver.writer(&StoragePath::parse(format!("/uploads/{index}"))?, WriteMode::New).await?;
            for _ in 0..size / CHUNK as u64 {
                // A chunk of its own each time, as from a network: a shared one would hide what is held.
                writer.write(Bytes::from(vec![index as u8 + 1; CHUNK])).await?;
            }
            writer.commit().await
        })
    });
    for stored in try_join_all(uploads).await.map_err(|error| Error::new(ErrorKind::Other, error.to_string()))? {
        if stored? != size {
            return Err(Error::new(ErrorKind::Corrupt, "an upload has another size than was written"));
        }
    }
    Ok(())
}

async fn download(driver: &dyn StorageDriver, size: u64) -> Result<()> {
    let mut reader = driver.reader(&StoragePath::parse("/uploads/0")?, ByteRange::ALL).await?;
    let mut got = 0;
    while let Some(chunk) = reader.next().await {
        let chunk = chunk?;
        if chunk.iter().any(|byte| *byte != 1) {
            return Err(Error::new(ErrorKind::Corrupt, "a download has other bytes than were written"));
        }
        got += chunk.len() as u64;
    }
    if got == size { Ok(()) } else { Err(Error::new(ErrorKind::Corrupt, format!("{got} of {size} bytes came"))) }
}

/// Makes the present size the peak, and returns it in bytes.
fn reset_peak() -> Result<u64> {
    std::fs::write("/proc/self/clear_refs", "5").map_err(cannot_measure)?;
    peak()
}

/// Returns the most that was resident since the last reset, in bytes.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(cannot_measure)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| Error::new(ErrorKind::Other, "/proc/self/status does not tell the peak of resident memory"))
}

fn cannot_measure(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Other, "the peak of resident memory cannot be measured here: it needs Linux's /proc")
        .with_source(error)
}
