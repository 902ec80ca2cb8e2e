//! The component that the demo drops in: the project's own filesystem driver.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use wharf_conformance::components;

/// Returns the component's file.
///
/// Where it is not there, it is built with what this machine has; nothing is installed. So a fresh clone needs one
/// command where the toolchain is there, and is told the other where it is not.
pub(super) fn find() -> Result<PathBuf> {
    let missing = match components::component("filesystem") {
        Ok(file) => return Ok(file),
        Err(missing) => missing,
    };
    // Somebody who names another directory of components means that one.
    let project = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    if components::is_elsewhere() || !project.join("guest-drivers/Cargo.toml").is_file() {
        bail!(missing);
    }
    eprintln!("the components are not built yet: cargo xtask guests --no-install");
    let built = Command::new("cargo")
        .current_dir(project)
        .args(["xtask", "guests", "--no-install"])
        .stdin(Stdio::null())
        // Standard output belongs to what the demo shows.
        .stdout(std::io::stderr())
        .status();
    match (built, components::component("filesystem")) {
        (Ok(status), Ok(file)) if status.success() => Ok(file),
        (Err(error), _) => bail!("{missing} (cargo could not be run: {error})"),
        _ => bail!("{missing}, and installs what is missing for that"),
    }
}
