//! The corpora of the fuzz targets, as tests: what each target does with its input, done with every file that it keeps.
//! The corpus of `lifted` is tested in the library, to whose insides it belongs.

use std::panic::catch_unwind;
use std::path::Path;

/// Included and not linked, so that libFuzzer stays out of this workspace.
#[allow(unreachable_pub, reason = "public where it is a library")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

#[test]
fn component() {
    hold("component", targets::component::run);
}

#[test]
fn configuration() {
    hold("configuration", targets::configuration::run);
}

#[test]
fn parameters() {
    hold("parameters", targets::parameters::run);
}

#[test]
fn path() {
    hold("path", targets::path::run);
}

/// Runs a target on each file of its corpus, and names those at which it fails.
fn hold(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).expect("each target has a corpus");
    let files: Vec<_> = files.map(|file| file.expect("the corpus can be listed").path()).collect();
    assert!(!files.is_empty(), "{} is empty", corpus.display());
    let failed = files.iter().filter(|file| {
        let bytes = std::fs::read(file).expect("the corpus can be read");
        catch_unwind(|| run(&bytes)).is_err()
    });
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{target} fails at {failed:?}");
}
