//! `wharf bench`, by the real binary: that it measures what it says, and leaves nothing. Its figures are no test.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn wharf(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharf")).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the figures of a row, one for each driver.
fn row<'a>(set: &'a Value, title: &str) -> &'a Vec<Value> {
    let rows = set["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["row"] == title).unwrap_or_else(|| panic!("no row {title}"));
    row["drivers"].as_array().unwrap()
}

#[test]
fn drivers_that_are_named_are_measured_side_by_side_and_left_as_they_were() {
    let root = tempfile::tempdir().unwrap();
    let parameters = format!("filesystem={{\"rootdirectory\":{:?}}}", root.path().to_str().unwrap());
    let measured =
        json(&wharf(&["--json", "bench", "inmemory", "filesystem", "--stream", "1MiB", "--params", &parameters]));
    let set = &measured["sets"][0];
    for title in ["stat", "64 stats at once", "get 1 KiB", "put 1 KiB", "get 1 MiB", "put 1 MiB", "stream up 1.0 MiB"] {
        let drivers = row(set, title);
        assert_eq!((&drivers[0]["name"], &drivers[1]["name"]), (&"inmemory".into(), &"filesystem".into()));
        for driver in drivers {
            let (median, best) = (driver["median_seconds"].as_f64().unwrap(), driver["best_seconds"].as_f64().unwrap());
            assert!(0.0 < best && best <= median, "{title}: {driver}");
        }
        assert_eq!(drivers[0]["ratio"], 1.0);
    }
    assert!(!root.path().join("wharf-bench/stream").exists());
}

#[test]
fn what_somebody_else_stored_is_not_taken_away() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("wharf-bench/file");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "somebody else's").unwrap();
    let parameters = format!("rootdirectory={}", root.path().to_str().unwrap());
    let output = wharf(&["bench", "filesystem", "--stream", "1MiB", "--params", &parameters]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/wharf-bench"));
    assert!(Path::new(&file).exists());
}

#[test]
fn the_projects_drivers_are_measured_without_a_name_and_no_stream_enters_the_filesystem_component() {
    let measured = json(&wharf(&["--json", "bench", "--stream", "1MiB"]));
    let sets = measured["sets"].as_array().unwrap();
    assert_eq!(sets.len(), 3);
    let files = &sets[1];
    assert_eq!(files["component_streams"]["copied_bytes"], 0);
    assert!(files["component_streams"]["passed_through_bytes"].as_u64().unwrap() > 0);
    let down = row(files, "stream down 1.0 MiB");
    let names: Vec<_> = down.iter().map(|driver| driver["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["filesystem", "filesystem.wasm", "tokio::fs, 1 MiB"]);
    assert!(down.iter().all(|driver| driver["median_seconds"].is_f64()));
    assert_eq!(sets.iter().map(|set| set["wanted"].as_array().unwrap().len()).sum::<usize>(), 5);
}
