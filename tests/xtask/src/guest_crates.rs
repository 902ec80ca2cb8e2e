//! The guests as ordinary crates: their unit tests and lints run on this machine, without WebAssembly.

use std::path::PathBuf;
use std::process::Command;

use crate::project;

/// A `cargo` command on the guests' workspace.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = crate::cargo(command);
    cargo.args(["--manifest-path", "guest-drivers/Cargo.toml"]);
    cargo
}

/// The same, of one that compiles: into a directory apart from the components', whose compiler may be another.
pub(crate) fn native(command: &str) -> Command {
    let mut cargo = cargo(command);
    cargo.arg("--target-dir").arg(target());
    cargo
}

fn target() -> PathBuf {
    project().join("guest-drivers/target/native")
}
