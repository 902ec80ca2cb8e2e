//! `wharf drivers`, `inspect` and `conformance` on good components.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

mod support;

use serde_json::Value;
use support::place::Place;
use support::{fail, last_json, succeed, text, wharf};
use wharf_conformance::components::component;

#[test]
fn drivers_shows_native_ones_and_components_alike() {
    let place = Place::new();
    let listed = place.succeed(&["--json", "drivers", "--check"]);
    let drivers: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| drivers.iter().find(|driver| driver["name"] == name).unwrap();
    assert_eq!(named("filesystem")["kind"], "native");
    assert_eq!((&named("archive")["kind"], &named("archive")["good"]), (&"component".into(), &true.into()));
    assert!(named("archive")["file"].as_str().unwrap().ends_with("archive.wasm"));
}

#[test]
fn inspect_says_what_a_component_is_wants_and_may() {
    let file = component("filesystem").unwrap();
    let shown = last_json(&succeed(&["--json", "inspect", text(&file), "--grant", "dir:/srv=/data:ro"]));
    assert_eq!((&shown["name"], &shown["instances"]), (&"filesystem".into(), &"many".into()));
    assert_eq!(shown["contract"], "0.1.0");
    assert_eq!(shown["size"], std::fs::metadata(&file).unwrap().len());
    let sum = std::process::Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    assert!(String::from_utf8(sum).unwrap().starts_with(shown["sha256"].as_str().unwrap()));
    let imports = shown["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| {
        import["name"].as_str().unwrap().starts_with("wasi:filesystem/") && import["access"] == "directories"
    }));
    let granted = &shown["granted"]["directories"][0];
    assert_eq!((&granted["host"], &granted["write"]), (&"/srv".into(), &false.into()));

    let people = succeed(&["inspect", text(&file)]);
    assert!(people.contains("reaches the granted directories only") && people.contains("nothing; --grant"), "{people}");
}

#[test]
fn a_good_driver_passes_native_or_component() {
    let inmemory = component("inmemory").unwrap();
    for subject in ["inmemory", text(&inmemory)] {
        let report = last_json(&succeed(&["--json", "conformance", subject, "--no-heavy"]));
        assert_eq!((&report["success"], &report["failed"]), (&true.into(), &0.into()), "{subject}");
        // An empty store is had cheaply here, so that only what is heavy, long or not declared is left out.
        assert!(report["passed"].as_u64().unwrap() >= 90, "{subject}: {}", report["passed"]);
    }
}

#[test]
fn a_capability_that_nobody_can_see_is_asked_for_in_words() {
    let place = Place::new();
    let run = ["conformance", "archive", "--no-heavy"];
    let error = place.fail(&run);
    assert!(error.contains("declares durable") && error.contains("--evidence durable"), "{error}");
    place.succeed(&[&run[..], &["--evidence", "durable"]].concat());
    let wrong = wharf(&["conformance", "inmemory", "--evidence", "durability"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_driver_that_breaks_a_promise_exits_with_1_and_names_it() {
    let faulty = component("faulty").unwrap();
    let fault = r#"{"operation":"put-content","fault":"fail"}"#;
    let run = ["--json", "--params", fault, "conformance", text(&faulty), "--filter", "put"];
    let output = wharf(&run);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(report["success"], false);
    let cases = report["cases"].as_array().unwrap();
    let failed = cases.iter().find(|case| case["outcome"] == "failed").unwrap();
    assert!(!failed["promise"].as_str().unwrap().is_empty() && failed["reason"].as_str().unwrap().contains("put"));
    assert!(fail(&run[1..]).contains("cases failed on"), "people are told how many");
}

#[test]
fn a_filter_that_chooses_nothing_is_no_success() {
    assert!(fail(&["conformance", "inmemory", "--filter", "no-such-case"]).contains("no case ran"));
}
