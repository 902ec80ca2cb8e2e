//! What was acknowledged survives a crash of the machine: the evidence for `durable`.
//!
//! A crash cannot be made here, and a kill of the process proves nothing, since the system keeps what was not synced. So
//! the system calls are looked at: each scenario runs in a process of its own under `strace`, and the order of its
//! writes, syncs and renames has to be the right one.

mod scenario;
mod trace;

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use scenario::{Driver, Scenario};

fn main() -> ExitCode {
    if let Some(code) = scenario::run_if_asked() {
        return code;
    }
    let mut trials = Vec::new();
    for driver in [Driver::Native, Driver::Component] {
        for scenario in scenario::ALL {
            trials.push(Trial::test(format!("{}_{}", driver.name(), scenario.name), move || check(driver, scenario)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs a scenario under `strace` and looks for what it must have done, in order.
fn check(driver: Driver, scenario: &Scenario) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    // As the system names it, so that it can be found in the trace.
    let root = directory.path().canonicalize()?.join("root");
    let output = directory.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "40", "-e", trace::CALLS, "-o"])
        .arg(&output)
        .arg(std::env::current_exe()?)
        .envs(scenario::ask(driver, scenario, &root))
        .status()
        .map_err(|error| {
            format!("strace cannot be run ({error}); install it (`apt-get install strace`), or run `cargo xtask test`")
        })?;
    if !status.success() {
        return Err(format!("the scenario itself failed: {status}").into());
    }
    let seen = trace::read(&std::fs::read_to_string(&output)?, &root)?;
    let mut rest = seen.iter();
    for expected in scenario.expected {
        if !rest.any(|event| event == expected) {
            let seen: String = seen.iter().map(|event| format!("\n  {event}")).collect();
            return Err(
                format!("expected, in this order, {:#?}\nand missed {expected:?} in{seen}", scenario.expected).into()
            );
        }
    }
    Ok(())
}

/// The project's compiled components.
fn cache() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled"))
}
