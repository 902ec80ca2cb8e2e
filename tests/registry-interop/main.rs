//! `wharf serve` and Debian's `docker-registry` on one store at the same time: what one did, the other sees and goes on
//! with.
//!
//! Each promise is tried on a directory, and where that is no matter of files on a bucket of Ceph's gateway too.

mod bench;
#[path = "../registry-clients/check.rs"]
mod check;
mod content;
mod hash_states;
mod tree;
mod turns;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use wharf_conformance::stores::Kind;

use bench::Bench;
use check::Outcome;

/// A promise, and where it is tried.
struct Promise {
    name: &'static str,
    kinds: &'static [Kind],
    test: fn(&Bench) -> Outcome,
}

const FILES: &[Kind] = &[Kind::Filesystem];
const BOTH: &[Kind] = &[Kind::Filesystem, Kind::S3];

fn main() -> ExitCode {
    let promises = [content::PROMISES, turns::PROMISES, hash_states::PROMISES, tree::PROMISES];
    let mut trials = Vec::new();
    for &Promise { name, kinds, test } in promises.into_iter().flatten() {
        for &kind in kinds {
            trials.push(Trial::test(format!("{name}::{}", kind.name()), move || attempt(kind, test)));
        }
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Tries a promise on a store of its own, and adds to a failure what both registries said.
fn attempt(kind: Kind, test: fn(&Bench) -> Outcome) -> Result<(), Failed> {
    let bench = Bench::new(kind)?;
    test(&bench).map_err(|failed| {
        let message = failed.message().unwrap_or("failed without a word");
        let (ours, theirs) = (bench.ours.log(), bench.theirs.log());
        format!("{message}\nwharf printed:\n{ours}\ndocker-registry printed:\n{theirs}").into()
    })
}
