//! `cargo xtask guests`: builds the components in `guest-drivers/`.
//!
//! They are ordinary crates for the target `wasm32-wasip2`. Three ways lead to a compiler for it, tried in this order:
//!
//! 1. rustup's target, if it is installed;
//! 2. the same, after `rustup target add`, where rustup can download;
//! 3. Debian's packages of a compiler with the sources of its standard library and of the C library, installed with
//!    `apt-get` where they are not. The standard library is then built too, once, in about a minute.
//!
//! The components end up in `guest-drivers/target/components/<name>.wasm`, whichever way they were built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::stage::text;
use crate::{Result, install, project};

pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Debian's packages: the compiler, the sources of its standard library, the C library.
const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "wasi-libc"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A way to compile for the target.
enum Toolchain {
    /// The `rustc` in use has the target's standard library.
    Installed,
    /// Debian's compiler builds the standard library too, and links with the linkers of the `rustc` in use.
    Debian { linkers: Vec<PathBuf> },
}

impl Toolchain {
    /// Returns the toolchain that is there, or says what each of the two lacks.
    fn find() -> Result<Self> {
        if target_is_installed() {
            return Ok(Toolchain::Installed);
        }
        let lacking = debian_lacks();
        if lacking.is_empty() {
            return Ok(Toolchain::Debian { linkers: linkers()? });
        }
        Err(format!(
            "the Rust target {TARGET} is not installed, and of Debian's {} not everything is: {}",
            PACKAGES.join(", "),
            lacking.join("; ")
        ))
    }

    /// Returns a toolchain, installed if need be.
    fn prepare() -> Result<Self> {
        if target_is_installed() {
            return Ok(Toolchain::Installed);
        }
        println!("guests: the Rust target {TARGET} is not installed");
        match step(Command::new("rustup").args(["target", "add", TARGET])) {
            Ok(()) if target_is_installed() => return Ok(Toolchain::Installed),
            Ok(()) => println!("guests: rustup installed it for a toolchain other than the one in use"),
            Err(error) => println!("guests: {error}"),
        }
        let lacking = debian_lacks();
        if !lacking.is_empty() {
            println!("guests: {}", lacking.join("; "));
            install::packages(&PACKAGES)?;
        }
        Self::find().map_err(|missing| format!("{missing}, although the packages are installed"))
    }

    fn describe(&self) -> String {
        match self {
            Toolchain::Installed => format!("the installed target {TARGET}"),
            Toolchain::Debian { .. } => format!("Debian's {}", PACKAGES.join(", ")),
        }
    }

    /// Makes `cargo` build for the target with this toolchain.
    fn configure(&self, cargo: &mut Command) -> Result<()> {
        cargo.args(["--target", TARGET]);
        if let Toolchain::Debian { linkers } = self {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::env::join_paths(linkers.iter().cloned().chain(std::env::split_paths(&path)))
                .map_err(|error| format!("the linkers' directory cannot stand in PATH: {error}"))?;
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("PATH", path)
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", format!("-Clink-self-contained=no -Lnative={DEBIAN_LIBC}"))
                .env_remove("CARGO_ENCODED_RUSTFLAGS")
                .env_remove("RUSTC_WRAPPER")
                .env_remove("RUSTC_WORKSPACE_WRAPPER");
        }
        Ok(())
    }
}

/// Makes `cargo` build for the components' target with the toolchain that is there.
pub(crate) fn configure(cargo: &mut Command) -> Result<()> {
    Toolchain::find()?.configure(cargo)
}

/// Builds every component, after installing what is missing for it.
pub(crate) fn build() -> Result<()> {
    build_with(Toolchain::prepare()?)
}

/// Builds every component with what is there, and installs nothing.
pub(crate) fn build_without_installing() -> Result<()> {
    build_with(Toolchain::find().map_err(|missing| format!("{missing}\nrun `cargo xtask guests`, which installs it"))?)
}

fn build_with(toolchain: Toolchain) -> Result<()> {
    let start = Instant::now();
    println!("guests: building with {}", toolchain.describe());

    let directory = guest_drivers();
    let target = directory.join("target");
    let mut cargo = crate::cargo("build");
    cargo.args(["--release", "--manifest-path"]).arg(directory.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target);
    toolchain.configure(&mut cargo)?;
    step(&mut cargo)?;

    let built = target.join(TARGET).join("release");
    let components = components_directory();
    fs::create_dir_all(&components).map_err(failed("create", &components))?;
    let names = names()?;
    for name in &names {
        let from = built.join(format!("{}.wasm", name.replace('-', "_")));
        let to = components.join(format!("{name}.wasm"));
        let bytes = fs::read(&from).map_err(failed("read", &from))?;
        // A file that is as it was keeps its time, so that nobody who looks at it starts anew.
        let changed = fs::read(&to).is_ok_and(|old| old != bytes) || !to.exists();
        if changed {
            replace(&to, &bytes)?;
        }
        println!("guests: {name}.wasm, {} KiB{}", bytes.len() / 1024, if changed { "" } else { ", unchanged" });
    }
    remove_others(&components, &names)?;
    println!("guests: {} components in {:.1} s", names.len(), start.elapsed().as_secs_f64());
    Ok(())
}

/// Says what is missing, to build the components or among them. Changes nothing.
pub(crate) fn check() -> Result<()> {
    let mut missing = Vec::new();
    match Toolchain::find() {
        Ok(toolchain) => println!("guests: toolchain: {}", toolchain.describe()),
        Err(error) => missing.push(error),
    }
    for name in names()? {
        let component = components_directory().join(format!("{name}.wasm"));
        if component.is_file() {
            println!("guests: {name}.wasm is built");
        } else {
            missing.push(format!("{name}.wasm is not built"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nrun `cargo xtask guests`: it installs the toolchain and builds them", missing.join("\n")))
}

/// The directory where the built components lie.
pub(crate) fn components_directory() -> PathBuf {
    guest_drivers().join("target").join("components")
}

fn guest_drivers() -> PathBuf {
    project().join("guest-drivers")
}

/// The components' names: each is a directory with a manifest.
fn names() -> Result<Vec<String>> {
    let directory = guest_drivers();
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed("list", &directory))? {
        let entry = entry.map_err(failed("list", &directory))?;
        if entry.path().join("Cargo.toml").is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Writes beside and renames: whoever loads the component meanwhile sees the old one or the new one.
fn replace(to: &Path, bytes: &[u8]) -> Result<()> {
    let beside = to.with_extension("wasm.new");
    fs::write(&beside, bytes).map_err(failed("write", &beside))?;
    fs::rename(&beside, to).map_err(failed("replace", to))
}

/// Removes the components of drivers that are no more.
fn remove_others(components: &Path, names: &[String]) -> Result<()> {
    for entry in fs::read_dir(components).map_err(failed("list", components))? {
        let path = entry.map_err(failed("list", components))?.path();
        let is_ours = path.file_stem().is_some_and(|stem| names.iter().any(|name| name.as_str() == stem));
        if path.extension().is_some_and(|extension| extension == "wasm") && !is_ours {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

fn target_is_installed() -> bool {
    output(rustc().args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|directory| Path::new(directory.trim()).is_dir())
}

/// Says which parts of Debian's toolchain are not there.
fn debian_lacks() -> Vec<String> {
    let mut lacking = Vec::new();
    match output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"])) {
        Err(_) => lacking.push(format!("no {DEBIAN_RUSTC}")),
        Ok(sysroot) => {
            let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std");
            if !sources.is_dir() {
                lacking.push(format!("no {}", sources.display()));
            }
        }
    }
    if !Path::new(DEBIAN_LIBC).join("libc.a").is_file() {
        lacking.push(format!("no {DEBIAN_LIBC}/libc.a"));
    }
    lacking
}

/// The directories of `wasm-component-ld` and of the `wasm-ld` that it runs: Rust's own toolchain brings both for every
/// machine it runs on.
fn linkers() -> Result<Vec<PathBuf>> {
    let sysroot = output(rustc().args(["--print", "sysroot"]))?;
    let version = output(rustc().arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or_else(|| "`rustc -vV` does not name its host".to_owned())?;
    let directory = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
    let linker = directory.join("wasm-component-ld");
    if !linker.is_file() {
        return Err(format!(
            "{} is missing: Debian's compiler has no linker for components, and the one of rustup's toolchain is used. \
             Install Rust with rustup and run this again",
            linker.display()
        ));
    }
    Ok(vec![directory.clone(), directory.join("gcc-ld")])
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// Runs a command to its end, and prints it and its time.
fn step(command: &mut Command) -> Result<()> {
    let text = text(command);
    println!("guests: $ {text}");
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status().map_err(|error| format!("cannot run `{text}`: {error}"))?;
    println!("guests: {:.1} s", start.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("`{text}` failed: {status}")) }
}

/// Runs a command and returns what it prints.
fn output(command: &mut Command) -> Result<String> {
    let text = text(command);
    let output = command.output().map_err(|error| format!("cannot run `{text}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{text}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{text}` printed what is not text"))
}

fn failed(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> String {
    let what = format!("cannot {verb} {}", path.display());
    move |error| format!("{what}: {error}")
}
