//! `cargo xtask test`: prepares what is missing, then runs every test.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::servers::Servers;
use crate::stage::{Purpose, Stages};
use crate::{Result, guest_crates, guests, guide, install, project};

/// Runs every test; with `long` the long forms of them too.
pub(crate) fn run(long: bool) -> Result<()> {
    let mut stages = Stages::default();
    let prepared =
        stages.perform("guests", guests::build) && stages.perform("programs", || install::programs(&["strace"]));
    if !prepared {
        // Every test on a component would fail for the same reason.
        return stages.summary();
    }

    let tests = Purpose::Tests;
    stages.run("build", Purpose::Work, workspace(&["--no-run"]).args(["--lib", "--bins", "--tests"]));
    stages.run("guests, natively", tests, &mut guest_crates::native("test"));
    stages.run("units", tests, &mut workspace(&["--lib", "--bins"]));
    stages.run("examples in documents", tests, &mut workspace(&["--doc"]));
    stages.run("suite", tests, &mut with_long(workspace(&["--test", "suite"]), long));
    stages.run("suite's teeth", tests, &mut workspace(&["--test", "teeth"]));
    stages.run("runtime", tests, &mut workspace(&["--test", "runtime"]));
    stages.run("http", tests, &mut workspace(&["--test", "http"]));
    stages.run("embedding", tests, &mut workspace(&["--test", "embedding"]));
    stages.run("registry", tests, &mut workspace(&["--test", "registry"]));
    stages.run("corpora", tests, &mut workspace(&["--test", "corpora"]));
    stages.run("hostile", tests, &mut with_long(workspace(&["--test", "hostile"]), long));
    stages.run("durable", tests, &mut workspace(&["--test", "durable"]));
    stages.run("crash", tests, &mut workspace(&["--test", "crash"]));
    stages.run("memory", Purpose::Work, &mut with_long(workspace(&["--test", "memory"]), long));
    stages.run("registry, sessions", tests, &mut with_long(workspace(&["--test", "registry-sessions"]), long));
    with_servers(&mut stages, long);
    let mut program = workspace(&[]);
    for name in program_tests()? {
        program.args(["--test", &name]);
    }
    stages.run("program", tests, &mut program);
    stages.perform("guide", || guide::follow(&built("wharf")));
    stages.run("demo", Purpose::Work, Command::new(built("wharf")).args(["demo", "--small"]));
    stages.summary()
}

/// Runs the tests that need servers, with the servers; without, each would fail for the same reason.
fn with_servers(stages: &mut Stages, long: bool) {
    let mut servers = None;
    stages.perform("servers", || {
        servers = Some(Servers::start()?);
        Ok(())
    });
    let Some(servers) = servers else { return };
    let environment = |command: Command| {
        let mut command = command;
        command.envs(servers.environment());
        if long {
            command.env("WHARF_TEST_LONG", "1");
        }
        command
    };
    let suite = with_long(workspace(&["--test", "s3-suite"]), long);
    stages.run("s3, suite", Purpose::Tests, &mut environment(suite));
    let mut tests = workspace(&["--test", "s3", "--", "--show-output"]);
    if long {
        tests.arg("--include-ignored");
    }
    stages.run("s3", Purpose::Tests, &mut environment(tests));
    stages.run("s3, load", Purpose::Work, &mut environment(workspace(&["--test", "s3-load"])));
    stages.run("interoperability", Purpose::Tests, &mut environment(workspace(&["--test", "interop"])));
    // The program was built with the tests.
    for (stage, test) in [("registry, clients", "registry-clients"), ("registry, interoperability", "registry-interop")]
    {
        stages.run(stage, Purpose::Tests, &mut environment(workspace(&["--test", test])));
    }
}

/// `cargo test` on the whole workspace. Always on the whole of it, and with the same features: a package alone has
/// others, and wasmtime would be compiled once for each.
fn workspace(arguments: &[&str]) -> Command {
    let mut cargo = cargo("test");
    cargo.args(["--workspace", "--features", FEATURES]).args(arguments);
    cargo
}

/// The features of the suite's package, which its tests on files, components, cloud stores and the registry need.
pub(crate) const FEATURES: &str =
    "wharf-conformance/filesystem,wharf-conformance/registry,wharf-conformance/s3,wharf-conformance/wasm";

/// Returns the names of the program's tests: each is a file, so that none can be forgotten here.
fn program_tests() -> Result<Vec<String>> {
    let directory = project().join("host/cli/tests");
    let failed = |error| format!("{}: {error}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// Returns where a program of the workspace lies once it is built.
pub(crate) fn built(program: &str) -> PathBuf {
    crate::target().join("ci").join(program)
}

/// A `cargo` command in the profile that all tests share, so that nothing is compiled twice.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = crate::cargo(command);
    cargo.args(["--profile", "ci"]);
    cargo
}

fn with_long(mut command: Command, long: bool) -> Command {
    if long {
        command.args(["--", "--long"]);
    }
    command
}
