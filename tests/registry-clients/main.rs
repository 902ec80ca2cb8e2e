//! The clients that people use, skopeo, podman and buildah, on `wharf serve` over each driver.
//!
//! Each promise is tried on a registry and a store of its own. Images are made here, nothing is fetched from anywhere, and
//! no container is run. The run ends with a table of clients by drivers. Needs root, as podman and buildah do to unpack
//! layers.

mod bench;
mod buildah;
mod check;
mod login;
mod podman;
mod skopeo;
mod table;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use wharf_conformance::stores::Kind;

use bench::Bench;
use check::Outcome;
use table::{Cell, Table};

/// A promise to a client's user, and where it is tried.
struct Promise {
    client: &'static str,
    name: &'static str,
    kinds: &'static [Kind],
    test: fn(&Bench) -> Outcome<String>,
}

fn main() -> ExitCode {
    let promises = [skopeo::PROMISES, podman::PROMISES, buildah::PROMISES, login::PROMISES].into_iter().flatten();
    let table = Arc::new(Mutex::new(Table::default()));
    let mut trials = Vec::new();
    for &Promise { client, name, kinds, test } in promises {
        for &kind in kinds {
            let table = table.clone();
            trials.push(Trial::test(format!("{client}::{name}::{}", kind.name()), move || {
                let began = Instant::now();
                let outcome = attempt(kind, test);
                let cell = Cell { note: outcome.as_ref().ok().cloned(), time: began.elapsed() };
                table.lock().map_err(|_| "another test panicked")?.add(client, name, kind, cell);
                outcome.map(drop)
            }));
        }
    }
    let mut arguments = Arguments::from_args();
    // On s3 they mostly wait.
    arguments.test_threads.get_or_insert(6);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(table) = table.lock() {
        table.print();
    }
    conclusion.exit_code()
}

/// Tries a promise on a registry of its own, and adds to a failure what the registry said.
fn attempt(kind: Kind, test: fn(&Bench) -> Outcome<String>) -> Result<String, Failed> {
    let bench = Bench::new(kind)?;
    test(&bench).map_err(|failed| {
        let message = failed.message().unwrap_or("failed without a word");
        format!("{message}\nthe registry printed:\n{}", bench.registry.log()).into()
    })
}
