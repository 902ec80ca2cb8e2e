//! `cargo xtask check`: formatting, lints, documentation, each feature alone, and who depends on whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::stage::{Purpose, Stages, text};
use crate::test::{FEATURES, cargo};
use crate::{Result, contract, guest_crates, project};

/// The features of `wharf`, each of which must build by itself.
const ALONE: [&str; 4] = ["filesystem", "registry", "s3", "wasm"];

/// What the core, without any feature, must not pull in: a runtime for components, a client or a server for HTTP, TLS.
const NOT_IN_THE_CORE: [&str; 11] = [
    "wasmtime",
    "wasmtime-wasi",
    "hyper",
    "reqwest",
    "h2",
    "axum",
    "aws-sdk-s3",
    "object_store",
    "rustls",
    "ring",
    "openssl",
];

/// The layers of `host/src`, lowest first: a module may use those of a lower layer, and none beside it.
const LAYERS: [&[&str]; 5] =
    [&["contract"], &["base"], &["drivers", "middleware", "runtime"], &["factory"], &["registry"]];

/// Runs every check.
pub(crate) fn run() -> Result<()> {
    let mut stages = Stages::default();
    stages.perform("layers", layers);
    stages.perform("contract", contract::check);
    stages.run("formatting", Purpose::Work, crate::cargo("fmt").args(["--all", "--check"]));
    stages.run("formatting of guests", Purpose::Work, guest_crates::cargo("fmt").args(["--all", "--check"]));
    let lints = ["--workspace", "--all-targets", "--features", FEATURES];
    stages.run("lints", Purpose::Work, cargo("clippy").args(lints).args(["--", "-D", "warnings"]));
    let lints = ["--all-targets", "--", "-D", "warnings"];
    stages.run("lints of guests", Purpose::Work, guest_crates::native("clippy").args(lints));
    // Not the programs: one of them has the library's name, and nobody links to them.
    let documents = ["--workspace", "--no-deps", "--lib", "--exclude", "wharf-cli", "--exclude", "xtask"];
    stages.run("documentation", Purpose::Work, cargo("doc").args(documents).env("RUSTDOCFLAGS", "-D warnings"));
    let alone = ["--package", "wharf", "--no-default-features", "--all-targets"];
    stages.run("no features", Purpose::Work, cargo("clippy").args(alone).args(["--", "-D", "warnings"]));
    for feature in ALONE {
        let name = format!("{feature} alone");
        let alone = [&alone[..], &["--features", feature, "--", "-D", "warnings"]].concat();
        stages.run(&name, Purpose::Work, cargo("clippy").args(alone));
    }
    stages.perform("core's dependencies", core_dependencies);
    stages.summary()
}

/// Checks that the core pulls in nothing heavy.
fn core_dependencies() -> Result<()> {
    let mut tree = crate::cargo("tree");
    tree.args([
        "--package",
        "wharf",
        "--no-default-features",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let output = tree.output().map_err(|error| format!("cannot run `{}`: {error}", text(&tree)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", text(&tree), String::from_utf8_lossy(&output.stderr).trim()));
    }
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let packages: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    let heavy: Vec<&str> = NOT_IN_THE_CORE.into_iter().filter(|name| packages.contains(name)).collect();
    println!("the core has {} packages", packages.len());
    if heavy.is_empty() && packages.contains("wharf") {
        return Ok(());
    }
    Err(format!("without features, wharf pulls in {}", heavy.join(", ")))
}

/// Checks that dependencies between the modules of the library point one way.
fn layers() -> Result<()> {
    let project = project();
    let source = project.join("host/src");
    let mut faults = Vec::new();
    for (level, modules) in LAYERS.iter().enumerate() {
        for module in *modules {
            let above: Vec<&str> = LAYERS[level..].concat().into_iter().filter(|other| other != module).collect();
            for file in rust_files(&source.join(module))? {
                let content = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                for (number, used) in uses(&content) {
                    if above.contains(&used) {
                        let file = file.strip_prefix(&project).unwrap_or(&file).display();
                        faults.push(format!("{file}:{number}: {module} uses {used}, which is not below it"));
                    }
                }
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n       ")) }
}

/// Returns the modules of the crate that the code names, by line. Comments, documentation and tests may name any.
fn uses(content: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = content.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    code.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).flat_map(|(index, line)| {
        line.split("crate::").skip(1).filter_map(move |rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            Some((index + 1, rest.get(..end)?))
        })
    })
}

/// Returns the source files below a directory, but for tests: those may name what they like.
fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                files.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_of_another_module_is_found_and_comments_are_not() {
        let code = "use crate::factory::Factory;\n// crate::runtime\n/// [`crate::base`]\nlet x = crate::drivers::A;\n\
                    #[cfg(test)]\nuse crate::registry::B;\n";
        assert_eq!(uses(code).collect::<Vec<_>>(), [(1, "factory"), (4, "drivers")]);
    }
}
