//! Programs that the tests need and a machine may lack.

use std::process::{Command, Stdio};

use crate::Result;

/// Sees to it that a program is there, by Debian's package of the same name if it is not.
pub(crate) fn program(name: &str) -> Result<()> {
    if is_there(name) {
        println!("{name} is installed");
        return Ok(());
    }
    packages(&[name])?;
    if is_there(name) { Ok(()) } else { Err(format!("{name} is still not there, although its package is installed")) }
}

/// Installs Debian's packages.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    let known = Command::new("apt-cache").arg("show").args(names).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let known = known.map_err(|error| {
        format!(
            "{} is missing and apt-get is not here ({error}): install it by this system's own means, and run this again",
            names.join(", ")
        )
    })?;
    if !known.success() {
        apt_get(&["update"])?;
    }
    apt_get(&[&["install", "-y", "--no-install-recommends"], names].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    println!("$ apt-get {}", arguments.join(" "));
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("apt-get could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`apt-get {}` failed: {status}", arguments.join(" "))) }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
