//! `cargo xtask test`: prepares what is missing, then runs every test.

use std::process::Command;

use crate::stage::{Purpose, Stages};
use crate::{Result, guest_crates, guests, install, project};

/// Runs every test; with `long` the long forms of them too.
pub(crate) fn run(long: bool) -> Result<()> {
    let mut stages = Stages::default();
    let prepared = stages.perform("guests", guests::build) && stages.perform("programs", || install::program("strace"));
    if !prepared {
        // Every test on a component would fail for the same reason.
        return stages.summary();
    }

    let tests = Purpose::Tests;
    stages.run("xtask", tests, cargo("test").args(["--package", "xtask"]));
    stages.run("sdk", tests, cargo("test").args(["--package", "wharf-sdk"]));
    stages.run("guests, natively", tests, &mut guest_crates::native("test"));
    stages.run("library", tests, cargo("test").args(["--package", "wharf"]));
    stages.run("suite's own", tests, &mut suite(&["--lib"]));
    stages.run("suite", tests, &mut with_long(suite(&["--test", "suite"]), long));
    stages.run("suite's teeth", tests, &mut suite(&["--test", "teeth"]));
    stages.run("runtime", tests, &mut suite(&["--test", "runtime"]));
    stages.run("durable", tests, &mut suite(&["--test", "durable"]));
    stages.run("crash", tests, &mut suite(&["--test", "crash"]));
    stages.run("memory", Purpose::Work, &mut with_long(suite(&["--test", "memory"]), long));
    stages.run("program", tests, cargo("test").args(["--package", "wharf-cli"]));
    let demo = ["--package", "wharf-cli", "--", "demo", "--small"];
    stages.run("demo", Purpose::Work, cargo("run").args(demo));
    stages.summary()
}

/// A `cargo` command in the profile that all tests share, so that nothing is compiled twice.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(project()).args([command, "--profile", "ci"]);
    cargo
}

fn suite(target: &[&str]) -> Command {
    let mut cargo = cargo("test");
    cargo.args(["--package", "wharf-conformance", "--features", "filesystem,wasm"]).args(target);
    cargo
}

fn with_long(mut command: Command, long: bool) -> Command {
    if long {
        command.args(["--", "--long"]);
    }
    command
}
