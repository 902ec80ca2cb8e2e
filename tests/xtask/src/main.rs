//! The project's own commands: `cargo xtask COMMAND`.
//!
//! Standard library only, so that it builds in a second on a machine that has nothing yet.

mod check;
mod contract;
mod guest_crates;
mod guests;
mod guide;
mod install;
mod servers;
mod stage;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Result<T, E = String> = std::result::Result<T, E>;

const USAGE: &str = "\
usage: cargo xtask COMMAND

commands:
  test             prepare what is missing, the toolchain for the guests included, and run every test
  test --long      the long forms too: a 5 GiB stream, 16 uploads of 256 MiB
  check            formatting, lints, documentation, each feature alone, who depends on whom
  contract         check that wit/ is documented, and that host and SDK agree with it
  guests           build the components in guest-drivers/, and install the toolchain for them where it is missing
  guests --no-install
                   build them with what is there, and install nothing
  guests --check   say what is missing for that, and change nothing
  guide            follow the guide for authors in an empty directory, with the program that `cargo xtask test` built
  servers          install and start the servers that the tests of cloud drivers need, say where they are, and stop them
                   after Enter";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => test::run(false),
        ["test", "--long"] => test::run(true),
        ["check"] => check::run(),
        ["contract"] => contract::check(),
        ["guests"] => guests::build(),
        ["guests", "--no-install"] => guests::build_without_installing(),
        ["guests", "--check"] => guests::check(),
        ["guide"] => guide::follow(&test::built("wharf")),
        ["servers"] => servers::run(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [] => Err(format!("a command is missing\n\n{USAGE}")),
        _ => Err(format!("cannot understand `{}`\n\n{USAGE}", arguments.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A `cargo` command in the project's directory: the very `cargo` that runs this.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(project()).arg(command);
    cargo
}

/// The directory of what is built.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project().join("target"), |target| project().join(target))
}

/// The project's directory.
fn project() -> PathBuf {
    // Cargo sets the variable for `cargo run`. The directory of the compilation is right for whoever runs the binary
    // by itself, on the machine that built it.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = xtask.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.ancestors().nth(2).map(Path::to_owned).unwrap_or(xtask)
}
