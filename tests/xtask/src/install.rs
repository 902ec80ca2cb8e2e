//! Programs that the tests need and a machine may lack.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;

/// What Debian asks whether a package may start its daemon, if it is there: 101 is no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Sees to it that programs are there, by Debian's packages of the same names where they are not.
pub(crate) fn programs(names: &[&str]) -> Result<()> {
    let missing = || names.iter().copied().filter(|name| !is_there(name)).collect::<Vec<_>>();
    let lacking = missing();
    if lacking.is_empty() {
        println!("{}: installed", names.join(", "));
        return Ok(());
    }
    packages(&lacking)?;
    match missing()[..] {
        [] => Ok(()),
        [name, ..] => Err(format!("{name} is still not there, although its package is installed")),
    }
}

/// Installs Debian's packages, and starts none of the daemons that they bring.
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
    let _policy = Policy::set(Path::new(POLICY))?;
    apt_get(&[&["install", "-y", "--no-install-recommends"], names].concat())
}

/// A policy that no daemon is started, until it is dropped. One that is there already stays.
struct Policy<'a> {
    made: Option<&'a Path>,
}

impl<'a> Policy<'a> {
    fn set(file: &'a Path) -> Result<Self> {
        let failed = |error| format!("{}: {error}", file.display());
        let mut script = match File::create_new(file) {
            Ok(script) => script,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(Policy { made: None }),
            Err(error) => return Err(failed(error)),
        };
        let policy = Policy { made: Some(file) };
        script.write_all(b"#!/bin/sh\nexit 101\n").map_err(failed)?;
        script.set_permissions(fs::Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(policy)
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.made {
            let _ = fs::remove_file(file);
        }
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_policy_that_no_daemon_starts_is_one_for_a_time_and_an_older_one_stays() {
        let file = std::env::temp_dir().join(format!("wharf-xtask-policy-{}", std::process::id()));
        let policy = Policy::set(&file).unwrap();
        assert_eq!(Command::new(&file).status().unwrap().code(), Some(101));
        drop(Policy::set(&file).unwrap());
        assert!(file.exists());
        drop(policy);
        assert!(!file.exists());
    }
}
