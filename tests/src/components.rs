//! Where the project's own components lie after `cargo xtask guests`.

use std::path::{Path, PathBuf};

/// The environment variable that names another directory.
const DIRECTORY: &str = "WHARF_COMPONENTS";

/// Returns the directory of the project's components.
pub fn directory() -> PathBuf {
    match std::env::var_os(DIRECTORY) {
        Some(directory) => directory.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-drivers/target/components"),
    }
}

/// Returns the file of one of the project's components.
///
/// # Errors
///
/// A sentence with the command that builds it, if it is not there: a test without it has failed, not passed.
pub fn component(name: &str) -> Result<PathBuf, String> {
    let file = directory().join(format!("{name}.wasm"));
    if file.is_file() {
        return Ok(file);
    }
    Err(format!("{} is not there; run `cargo xtask guests`, which builds it", file.display()))
}
