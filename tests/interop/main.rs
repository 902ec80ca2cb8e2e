//! Wharf's drivers and Debian's `docker-registry` work on one store, and each goes on with what the other left there.
//!
//! Each promise is tried on a directory, on a bucket of Ceph's gateway, and where keys matter on a bucket below a
//! `rootdirectory`. Both sides get the same parameters. The run ends with a table of what was tried in which direction.

mod bench;
mod check;
mod clients;
mod content;
mod curl;
mod deletes;
mod image;
mod layout;
mod ours;
mod registry;
mod table;
mod theirs;
mod turns;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};

use bench::{Bench, Kind};
use check::Outcome;
use table::{Cell, Direction, Table};

/// Tries a promise, and returns in a few words what it saw.
type Test = dyn for<'a> Fn(&'a Bench) -> LocalBoxFuture<'a, Outcome<String>> + Send + Sync;

/// A promise, and where it is tried.
struct Promise {
    direction: Direction,
    name: String,
    kinds: &'static [Kind],
    test: Arc<Test>,
}

impl Promise {
    fn new<F>(direction: Direction, name: impl Into<String>, kinds: &'static [Kind], test: F) -> Self
    where
        F: for<'a> Fn(&'a Bench) -> LocalBoxFuture<'a, Outcome<String>> + Send + Sync + 'static,
    {
        Promise { direction, name: name.into(), kinds, test: Arc::new(test) }
    }
}

fn main() -> ExitCode {
    let mut promises = Vec::new();
    promises.extend(theirs::promises());
    promises.extend(turns::promises());
    promises.extend(ours::promises());
    promises.extend(deletes::promises());
    promises.extend(clients::promises());

    let table = Arc::new(Mutex::new(Table::default()));
    let mut trials = Vec::new();
    for promise in promises {
        for &kind in promise.kinds {
            let (table, test) = (table.clone(), promise.test.clone());
            let (direction, name) = (promise.direction, promise.name.clone());
            trials.push(Trial::test(format!("{name}::{}", kind.name()), move || {
                let began = Instant::now();
                let outcome = attempt(kind, &*test);
                let cell = Cell { note: outcome.as_ref().ok().cloned(), time: began.elapsed() };
                table.lock().map_err(|_| "another test panicked")?.add(direction, name, kind, cell);
                outcome.map(drop)
            }));
        }
    }
    let mut arguments = Arguments::from_args();
    // They mostly wait for the servers.
    arguments.test_threads.get_or_insert(6);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(table) = table.lock() {
        table.print();
    }
    conclusion.exit_code()
}

/// Tries a promise on a store of its own, which is removed again whatever comes out.
fn attempt(kind: Kind, test: &Test) -> Result<String, Failed> {
    // The test itself blocks while `curl` works; the connections of the driver live on the other thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let bench = Bench::new(kind).await?;
        let outcome = test(&bench).await;
        let log = if outcome.is_err() { bench.registry.log() } else { String::new() };
        let removed = bench.remove().await;
        match outcome {
            Ok(note) => removed.map(|()| note),
            Err(failed) => {
                let message = failed.message().unwrap_or("failed without a word");
                Err(format!("{message}\ndocker-registry printed:\n{log}").into())
            }
        }
    })
}
