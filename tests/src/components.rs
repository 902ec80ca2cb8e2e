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

/// Returns whether the environment names another directory than the project's own.
pub fn is_elsewhere() -> bool {
    std::env::var_os(DIRECTORY).is_some()
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

/// Returns a factory with the native drivers and the filesystem component, as `filesystem.wasm`, which may use `root`:
/// it sees it as `/data`.
///
/// # Errors
///
/// As [`component`]; or that the factory refuses it.
#[cfg(feature = "wasm")]
pub fn with_filesystem(
    runtime: &wharf::runtime::Runtime,
    root: &Path,
) -> Result<wharf::factory::Factory, Box<dyn std::error::Error + Send + Sync>> {
    use wharf::runtime::{ComponentConfig, DirectoryGrant, Grants};
    let data = DirectoryGrant { host: root.to_owned(), guest: "/data".to_owned(), write: true };
    let config = ComponentConfig {
        component: Some(component("filesystem")?),
        allow: Grants { directories: vec![data], ..Grants::default() },
        ..ComponentConfig::default()
    };
    let mut factory = wharf::factory::Factory::native();
    factory.register_component(runtime, "filesystem.wasm", config)?;
    Ok(factory)
}
