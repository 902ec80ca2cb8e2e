//! The suite has teeth: each wrong driver fails the case that names its promise, and the right driver passes it.
//!
//! With `--whole` each wrong driver runs every case that is not heavy, for the table of all that it fails.

use std::process::ExitCode;
use std::sync::Arc;

use wharf::base::Base;
use wharf::contract::StorageDriver;
use wharf::drivers::inmemory::InMemory;
use wharf_conformance::wrong::{self, MakeDriver, Matrix};

#[tokio::main]
async fn main() -> ExitCode {
    let make: MakeDriver = Arc::new(|| Arc::new(Base::new(Arc::new(InMemory::new()))) as Arc<dyn StorageDriver>);
    let whole = std::env::args().any(|argument| argument == "--whole");
    let matrix = match Matrix::run(make, 64, whole).await {
        Ok(matrix) => matrix,
        Err(error) => {
            eprintln!("inmemory could not be opened: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{matrix}");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("teeth.json");
    match serde_json::to_vec_pretty(&matrix).map_err(std::io::Error::from).and_then(|json| std::fs::write(&file, json))
    {
        Ok(()) => println!("written to {}", file.display()),
        Err(error) => {
            eprintln!("the matrix could not be written to {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    let mut faults = matrix.faults();
    let caught = matrix.rows.iter().filter(|row| row.caught).count();
    match wrong::only_reads().await {
        Ok((drivers, of_reading)) => {
            println!("of {drivers} wrong drivers that only read, {} were not caught", of_reading.len());
            println!("  {} passed, {} failed, 0 ignored", caught + drivers, faults.len() + of_reading.len());
            faults.extend(of_reading);
        }
        Err(error) => faults.push(format!("a driver that only reads could not be opened: {error}")),
    }
    for fault in &faults {
        eprintln!("FAILED: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
