//! `wharf cp`, by the real binary, between local directories: what needs no driver.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn wharf(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharf")).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_tree_arrives_whole_and_a_second_run_copies_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::create_dir_all(from.join("a/b")).unwrap();
    let large: Vec<u8> = (0..700_001u32).map(|at| (at % 251) as u8).collect();
    fs::write(from.join("a/b/large"), &large).unwrap();
    fs::write(from.join("empty"), b"").unwrap();

    let first = wharf(&["--json", "cp", text(&from), text(&to)]);
    assert!(first.status.success(), "{first:?}");
    assert_eq!(json(&first)["copied"], 2);
    assert_eq!(json(&first)["bytes"], 700_001);
    assert_eq!(fs::read(to.join("a/b/large")).unwrap(), large);
    assert_eq!(fs::read(to.join("empty")).unwrap(), b"");

    let second = wharf(&["--json", "cp", text(&from), text(&to)]);
    assert_eq!((&json(&second)["copied"], &json(&second)["present"]), (&0.into(), &2.into()));
}

#[test]
fn a_file_of_the_same_size_with_other_bytes_is_copied_again() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::write(&from, b"new").unwrap();
    fs::write(&to, b"old").unwrap();
    let output = wharf(&["cp", text(&from), text(&to)]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(&to).unwrap(), b"new");
}

#[test]
fn a_name_that_cannot_be_stored_is_named_and_fails_the_copy_unless_it_may_be_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("good"), b"1").unwrap();
    fs::write(from.join("not good"), b"2").unwrap();

    let failed = wharf(&["cp", text(&from), text(&to)]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("not good"));
    assert!(to.join("good").exists());

    let skipped = wharf(&["--json", "cp", "--skip-invalid", text(&from), text(&to)]);
    assert_eq!(skipped.status.code(), Some(0));
    assert_eq!(json(&skipped)["not_stored"][0], "not good");
}

#[test]
fn a_missing_source_is_named_and_exits_with_1() {
    let output = wharf(&["cp", "./no-such-place", "./nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-place"));
}

#[test]
fn wrong_use_exits_with_2() {
    assert_eq!(wharf(&["cp"]).status.code(), Some(2));
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let output = wharf(&["--json", "stat", "/a"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(json(&output)["error"]["message"].as_str().unwrap().contains("--driver"));
}
