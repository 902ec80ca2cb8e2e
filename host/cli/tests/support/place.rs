//! A place for the stores of two drivers that are opened by the same words.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use wharf_conformance::components::component;

/// The native driver, and the component of the same kind under a name of its own.
pub(crate) const DRIVERS: [&str; 2] = ["filesystem", "archive"];

/// A directory of drivers with the component in it, and beside it the stores `native` and `component`.
pub(crate) struct Place {
    directory: TempDir,
    options: Vec<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["drivers", "native", "component"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::copy(component("filesystem").unwrap(), path("drivers/archive.wasm")).unwrap();
        let options = vec![
            format!("--drivers={}", path("drivers").display()),
            format!("--grant=dir:{}=/data:rw", path("component").display()),
            format!("--params=filesystem={}", json!({ "rootdirectory": path("native") })),
            format!("--params=archive={}", json!({ "rootdirectory": "/data" })),
        ];
        Place { directory, options }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the directory of this machine that holds a driver's store.
    pub(crate) fn store(&self, driver: &str) -> PathBuf {
        self.path(if driver == "archive" { "component" } else { "native" })
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.options.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        super::command(&self.arguments(more))
    }

    pub(crate) fn succeed(&self, more: &[&str]) -> String {
        super::succeed(&self.arguments(more))
    }

    pub(crate) fn fail(&self, more: &[&str]) -> String {
        super::fail(&self.arguments(more))
    }
}

/// Bytes that differ from place to place, so that a shifted or repeated piece is seen.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
