//! The real program, run as a person would.

#![allow(dead_code, reason = "each file of tests uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

pub(crate) mod fake;
pub(crate) mod place;
pub(crate) mod served;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A command that keeps compiled components among the build's own files, not among the user's.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.args(arguments).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).env_remove("RUST_LOG");
    command
}

/// Runs the program to its end.
pub(crate) fn wharf(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Runs the program, which must succeed, and returns its standard output.
pub(crate) fn succeed(arguments: &[&str]) -> String {
    let output = wharf(arguments);
    assert!(output.status.success(), "wharf {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program, which must fail with 1, and returns what it says on standard error.
pub(crate) fn fail(arguments: &[&str]) -> String {
    let output = wharf(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "wharf {arguments:?}: {error}");
    error
}

/// Reads the last line of an output as JSON.
pub(crate) fn last_json(output: &str) -> Value {
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
