//! `wharf demo`, by the real binary. It needs the components that `cargo xtask guests` builds.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str], components: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.arg("demo").args(arguments);
    if let Some(directory) = components {
        command.env("WHARF_COMPONENTS", directory);
    }
    command.output().unwrap()
}

#[test]
fn both_drivers_do_the_whole_session_and_no_stream_enters_the_component() {
    let output = demo(&["--small"], None);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["filesystem", "archive", "ratio"]);
    let row = |begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no row {begin}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // A time and a rate for each of the two, and the ratio.
    let stream = row("store a stream of 64 MiB");
    assert_eq!(stream.iter().filter(|word| *word == "MB/s").count(), 2, "{stream:?}");
    assert_eq!(row("stream bytes copied in or out of it").last().unwrap(), "0");
}

#[test]
fn a_program_gets_one_object() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "content").unwrap();
    std::fs::write(tree.path().join("no driver stores this"), "").unwrap();
    let output = demo(&["--small", "--json", "--tree", tree.path().to_str().unwrap()], None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "standard error is no terminal, and nothing went wrong");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["tree"]["files"], 1);
    assert_eq!(object["tree"]["not_stored"][0], "no driver stores this");
    assert_eq!(object["copied_bytes"], 0);
    // Each of the two streams up and down, and the file down: up, it is an argument.
    assert_eq!(object["passed_through_bytes"], 2 * (64 + 8) * (1 << 20) + 7);
    for step in object["steps"].as_array().unwrap() {
        assert!(step["seconds"]["filesystem"].is_f64() && step["seconds"]["archive"].is_f64(), "{step}");
    }
}

#[test]
fn without_components_it_names_the_command_that_builds_them() {
    let output = demo(&["--small"], Some("/nonexistent"));
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("cargo xtask guests"), "{message}");
    assert!(output.stdout.is_empty());
}
