//! What the OCI distribution specification 1.1 requires of a registry, and more that Wharf promises: one test each.
//!
//! Every requirement is tried over real HTTP on a registry over each driver of [`Kind`]. The names begin with the
//! endpoint in the specification's table, where there is one. The run ends with a table: requirement by driver.
//!
//! With `WHARF_TEST_REGISTRY=http://127.0.0.1:PORT` the registry that listens there, with deletion switched on, is
//! tried too, as far as nothing has to be set in it: another implementation, or a Wharf over another store.
#![allow(clippy::unwrap_used, reason = "tests: what cannot be wrong, or a failed test if it is")]

mod bench;
mod bodies;
mod catalog;
mod chunks;
mod client;
mod content;
mod delete;
mod docker;
mod errors;
mod hostile;
mod image;
mod invariants;
mod list;
mod manifest_forms;
mod manifests;
mod mount;
mod properties;
mod pull;
mod push;
mod ranges;
mod raw;
mod referrers;
mod requirement;
mod table;
mod unresumable;
mod upload;
mod warnings;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use bench::{Bench, Kind};
use requirement::{Outcome, Requirement};
use table::{Cell, Table};

/// How long one requirement may take. Whoever needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut requirements = Vec::new();
    requirements.extend(pull::requirements());
    requirements.extend(ranges::requirements());
    requirements.extend(push::requirements());
    requirements.extend(chunks::requirements());
    requirements.extend(mount::requirements());
    requirements.extend(manifests::requirements());
    requirements.extend(manifest_forms::requirements());
    requirements.extend(list::requirements());
    requirements.extend(catalog::requirements());
    requirements.extend(delete::requirements());
    requirements.extend(referrers::requirements());
    requirements.extend(errors::requirements());
    requirements.extend(docker::requirements());
    requirements.extend(warnings::requirements());
    requirements.extend(hostile::requirements());
    requirements.extend(bodies::requirements());
    requirements.extend(properties::requirements());

    let table = Arc::new(Mutex::new(Table::default()));
    let mut trials = invariants::trials();
    for requirement in requirements {
        for kind in Kind::all().filter(|&kind| requirement.scope.includes(kind)) {
            let table = table.clone();
            let requirement = requirement.clone();
            trials.push(Trial::test(format!("{}::{}", kind.name(), requirement.name), move || {
                let began = Instant::now();
                let outcome = attempt(kind, &requirement);
                let cell = Cell { passed: outcome.is_ok(), time: began.elapsed() };
                table.lock().map_err(|_| "another test panicked")?.add(&requirement, kind, cell);
                outcome
            }));
        }
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    if let Ok(table) = table.lock() {
        table.print();
    }
    conclusion.exit_code()
}

/// Tries a requirement on a registry of its own.
fn attempt(kind: Kind, requirement: &Requirement) -> Outcome {
    // The test blocks now and then, as a property does; the registry lives on the other thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let bench = Bench::new(kind).await?;
        let outcome = tokio::time::timeout(PATIENCE, (requirement.test)(&bench)).await;
        outcome.unwrap_or_else(|_| Err(Failed::from(format!("no end within {} s", PATIENCE.as_secs()))))
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}
