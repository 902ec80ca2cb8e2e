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
    assert_eq!(shown["contract"], "0.2.0");
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
fn a_driver_that_only_reads_is_held_to_the_content_that_its_author_provides() {
    let place = tempfile::tempdir().unwrap();
    let (archive, content) = (component("archive").unwrap(), place.path().join("content"));
    std::fs::create_dir_all(content.join("d")).unwrap();
    std::fs::write(content.join("d/file"), "stored").unwrap();
    std::fs::write(content.join("other"), "").unwrap();
    let packed = place.path().join("files.tar");
    let tar = std::process::Command::new("tar").arg("-cf").arg(&packed).arg("-C").arg(&content).arg(".").status();
    assert!(tar.unwrap().success());
    let grant = format!("dir:{}=/data:ro", text(place.path()));
    let given = ["--params", r#"{"file":"/data/files.tar"}"#, "--grant", &grant, "conformance", text(&archive)];

    let error = fail(&given);
    assert!(error.contains("only reads") && error.contains("--content DIRECTORY"), "{error}");
    let provided = [&["--json"], &given[..], &["--content", text(&content)]].concat();
    let report = last_json(&succeed(&provided));
    assert_eq!((&report["success"], &report["passed"], &report["failed"]), (&true.into(), &13.into(), &0.into()));

    // Another content is not the driver's.
    std::fs::write(content.join("d/file"), "STORED").unwrap();
    let lines = String::from_utf8(wharf(&provided).stdout).unwrap();
    let report: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let failed: Vec<&Value> =
        report["cases"].as_array().unwrap().iter().filter(|case| case["outcome"] == "failed").collect();
    assert!(failed.iter().any(|case| case["case"] == "provided_files_are_read"), "{failed:?}");
    let error = fail(&["conformance", "inmemory", "--content", text(&content)]);
    assert!(error.contains("does not declare read-only"), "{error}");
    let error = fail(&[&given[..], &["--content", "no-such-directory"]].concat());
    assert!(error.contains("no-such-directory cannot be read"), "{error}");
}

#[test]
fn an_exclusive_driver_is_opened_once_by_the_suite() {
    let (place, log) = (tempfile::tempdir().unwrap(), component("log-store").unwrap());
    let grant = format!("dir:{}=/data:rw", text(place.path()));
    let given = ["--json", "--params", r#"{"directory":"/data"}"#, "--grant", &grant];
    let suite = ["conformance", text(&log), "--no-heavy"];
    let report = last_json(&succeed(&[&given[..], &suite].concat()));
    assert_eq!((&report["success"], &report["failed"]), (&true.into(), &0.into()));
    let found_again = |case: &Value| case["case"] == "stored_outlives_the_driver" && case["outcome"] == "passed";
    assert!(report["cases"].as_array().unwrap().iter().any(found_again));
    // Each opening begins a file: the first, and the one after the driver was closed.
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
    let shown = last_json(&succeed(&["--json", "inspect", text(&log)]));
    assert_eq!(shown["instances"], "exclusive");
}

#[test]
fn a_filter_that_chooses_nothing_is_no_success() {
    assert!(fail(&["conformance", "inmemory", "--filter", "no-such-case"]).contains("no case ran"));
}

/// Runs the suite on a driver that has too little memory, and returns the report and what people are told.
fn crashing(driver: &str, given: &[&str]) -> (Value, String) {
    let file = component(driver).unwrap();
    let run = [&["--json", "--limit", "memory=24MiB"], given, &["conformance", text(&file)]].concat();
    let output = wharf(&run);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let people = wharf(&run[1..]);
    let told = [people.stdout, people.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (serde_json::from_str(lines.lines().next().unwrap()).unwrap(), told)
}

#[test]
fn a_crash_is_reported_of_the_cases_that_cause_it_and_explains_itself() {
    let place = tempfile::tempdir().unwrap();
    let grant = format!("dir:{}=/data:rw", text(place.path()));
    let of_log = ["--params", r#"{"directory":"/data"}"#, "--grant", &grant];
    // The store of the one is lost in each crash, and the other is opened again by the host, which counts its deaths.
    for (driver, given) in [("whole-driver", &[][..]), ("log-store", &of_log)] {
        let (report, people) = crashing(driver, given);
        let cases = report["cases"].as_array().unwrap();
        let failed: Vec<&Value> = cases.iter().filter(|case| case["outcome"] == "failed").collect();
        assert_eq!(failed.len(), 3, "after three crashes the rest is not tried: {failed:#?}");
        for case in failed {
            let reason = case["reason"].as_str().unwrap();
            assert!(reason.contains("it reached `limits: { memory: .. }`; in "), "{}: {reason}", case["case"]);
        }
        let count = |name: &str| report[name].as_u64().unwrap();
        assert!(count("passed") > 0 && count("not_tried") > 0, "{report}");
        assert_eq!(count("passed") + count("failed") + count("ignored") + count("not_tried"), cases.len() as u64);
        assert_eq!((&report["unproven"], &report["left"]), (&serde_json::json!([]), &Value::Null));
        assert!(people.contains("3 cases failed") && people.contains(" not tried"), "{people}");
    }
}

#[test]
fn a_filter_reports_what_was_asked_for_and_how_many_were_not() {
    let shown = succeed(&["conformance", "inmemory", "--filter", "stat_of_a"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() == 4 && lines[1].contains("stat_of_a_file"), "{shown}");
    assert!(lines[3].contains("2 passed, 0 failed, 0 ignored") && lines[3].contains("others"), "{shown}");
}

#[test]
fn a_put_into_a_driver_in_memory_warns_that_it_is_lost() {
    let whole = component("whole-driver").unwrap();
    let file = whole.with_extension("wasm");
    for driver in ["inmemory", text(&whole)] {
        let output = wharf(&["--driver", driver, "put", text(&file), "/file"]);
        let warning = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && warning.contains("it is lost when this command ends"), "{warning}");
    }
}
