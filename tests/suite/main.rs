//! The suite on every driver of the project: native, wrapped, and as a component.

#[cfg(feature = "wasm")]
mod components;
mod native;

use std::process::ExitCode;

use wharf_conformance::project;

#[tokio::main]
async fn main() -> ExitCode {
    let long = std::env::args().any(|argument| argument == "--long");
    #[allow(unused_mut, reason = "without the feature `wasm` nothing is added")]
    let mut planned = match native::subjects() {
        Ok(planned) => planned,
        Err(error) => return failed(&error),
    };
    #[cfg(feature = "wasm")]
    match components::subjects(long) {
        Ok(components) => planned.extend(components),
        Err(error) => return failed(&*error),
    }
    if project::run_all(planned, long).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the cases store at a time, and as much again.
#[cfg(any(feature = "filesystem", feature = "wasm"))]
const ROOM: u64 = 2 << 30;

/// Makes a directory in memory, where the system has one with enough room, that goes away when it is dropped.
#[cfg(any(feature = "filesystem", feature = "wasm"))]
fn directory_in_memory() -> std::io::Result<tempfile::TempDir> {
    const MEMORY: &str = "/dev/shm";
    match rustix::fs::statvfs(MEMORY) {
        Ok(found) if found.f_bavail.saturating_mul(found.f_frsize) >= ROOM => tempfile::tempdir_in(MEMORY),
        _ => tempfile::tempdir(),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("FAILED: {error}");
    ExitCode::FAILURE
}
