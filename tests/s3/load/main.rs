//! How much memory 16 uploads at a time take: at most a chunk each, and 100 MiB.

#[path = "../support.rs"]
#[allow(dead_code, reason = "what all tests of the driver share")]
mod support;

use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use futures::future::try_join_all;
use wharf::contract::{StoragePath, WriteMode};

use support::Bucket;

/// The program's, which gives back what is freed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MIB: u64 = 1024 * 1024;
const UPLOADS: u64 = 16;
const SIZE: u64 = 128 * MIB;
const CHUNK: u64 = 10 * MIB;
const LIMIT: u64 = UPLOADS * CHUNK + 100 * MIB;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let bucket = Bucket::new("RGW")?;
    let parameters = bucket.parameters("/load").with("chunksize", CHUNK);
    let driver = bucket.open_with(parameters).await.map_err(|error| error.to_string())?;
    let before = peak()?;
    let began = Instant::now();
    // What a registry holds of each upload while it writes; the same memory for all, which is not the driver's.
    let piece = Bytes::from(vec![42; 256 * 1024]);
    let uploads = (0..UPLOADS).map(|number| {
        let (driver, piece) = (driver.clone(), piece.clone());
        tokio::spawn(async move {
            let path = StoragePath::parse(format!("/upload-{number}"))?;
            let mut writer = driver.writer(&path, WriteMode::New).await?;
            for _ in 0..SIZE / piece.len() as u64 {
                writer.write(piece.clone()).await?;
            }
            writer.commit().await
        })
    });
    let sizes = try_join_all(uploads).await.map_err(|error| error.to_string())?;
    for size in sizes {
        let size = size.map_err(|error| error.to_string())?;
        if size != SIZE {
            return Err(format!("an upload has {size} bytes"));
        }
    }
    let (peak, seconds) = (peak()?, began.elapsed().as_secs_f64());
    driver.delete_files(&paths()?).await.map_err(|error| error.to_string())?;
    println!(
        "{UPLOADS} uploads of {} MiB at a time: {} MiB at most ({} MiB before), {} MiB allowed; {:.0} MB/s",
        SIZE / MIB,
        peak / MIB,
        before / MIB,
        LIMIT / MIB,
        (UPLOADS * SIZE) as f64 / 1e6 / seconds
    );
    if peak > LIMIT { Err("too much memory".to_owned()) } else { Ok(()) }
}

fn paths() -> Result<Vec<StoragePath>, String> {
    let path = |number| StoragePath::parse(format!("/upload-{number}")).map_err(|error| error.to_string());
    (0..UPLOADS).map(path).collect()
}

/// The most memory that this process has had, in bytes.
fn peak() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().map_err(|_| format!("VmHWM is {line}"))?;
    Ok(kib * 1024)
}
