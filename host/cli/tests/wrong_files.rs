//! What the program says of a `.wasm` that is no driver it can use: a sentence that names the cause.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

mod support;

use std::fs;

use support::{fail, succeed, text, wharf};
use tempfile::TempDir;
use wharf_conformance::components::component;

/// Inspects a file with this content, and returns the sentence. The other two commands that load a file must say it too.
fn refused(content: &[u8]) -> String {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("wrong.wasm");
    fs::write(&file, content).unwrap();
    let inspected = fail(&["inspect", text(&file)]);
    let sentence = inspected.strip_prefix("error: ").unwrap().trim_end().to_owned();
    assert!(sentence.starts_with(text(&file)), "it names the file: {sentence}");
    assert!(!sentence.contains('\n'), "it is one sentence: {sentence}");

    let checked = wharf(&["--drivers", text(directory.path()), "drivers", "--check"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(told.contains("not good: ") && told.contains("wrong.wasm"), "{told}");
    let opened = fail(&["ls", &format!("{}:/", text(&file))]);
    assert!(opened.contains(&sentence), "opening says the same: {opened}");
    sentence
}

fn refused_wat(source: &str) -> String {
    refused(&wat::parse_str(source).unwrap())
}

#[test]
fn a_core_module() {
    let sentence = refused_wat("(module)");
    assert!(sentence.contains("is a core WebAssembly module, not a component"), "{sentence}");
    assert!(sentence.contains("wasm32-wasip2"), "it says what to do: {sentence}");
}

#[test]
fn a_file_that_was_cut_short() {
    let whole = fs::read(component("inmemory").unwrap()).unwrap();
    for length in [3, 8 + 4, whole.len() / 2, whole.len() - 1] {
        let sentence = refused(&whole[..length]);
        assert!(sentence.contains("cut short"), "{length} bytes: {sentence}");
    }
}

#[test]
fn text_and_nothing() {
    let sentence = refused(b"#!/bin/sh\n");
    assert!(sentence.ends_with("is not WebAssembly"), "{sentence}");
    let sentence = refused(b"");
    assert!(sentence.ends_with("is empty"), "{sentence}");
}

#[test]
fn a_component_of_another_world() {
    let sentence = refused_wat(r#"(component (instance $i) (export "wasi:cli/run@0.2.6" (instance $i)))"#);
    assert!(sentence.contains("not a storage driver: it exports wasi:cli/run@0.2.6"), "{sentence}");
    assert!(sentence.contains("wharf:storage/driver@0.1.0"), "it says what a driver exports: {sentence}");
    let sentence = refused_wat("(component)");
    assert!(sentence.contains("it exports nothing"), "{sentence}");
}

#[test]
fn a_newer_contract() {
    let sentence = refused_wat(r#"(component (instance $i) (export "wharf:storage/driver@0.2.0" (instance $i)))"#);
    assert!(sentence.contains("contract 0.2.0") && sentence.contains("this host speaks 0.1.0"), "{sentence}");
}

#[test]
fn the_right_name_with_another_shape() {
    let sentence = refused_wat(r#"(component (instance $i) (export "wharf:storage/driver@0.1.0" (instance $i)))"#);
    assert!(sentence.contains("its shape is another"), "{sentence}");
}

#[test]
fn a_file_says_nothing_that_drives_a_terminal_or_hides() {
    // Names may quote addresses, and those hold what they like.
    let harm = r"\u{1b}[2J\u{202e}\u{2028}\u{200b}\u{9b}\u{e0041}";
    let import = format!(r#"(import "url=<https://a.example/{harm}>" (func))"#);
    let driver = r#"(instance $i) (export "wharf:storage/driver@0.1.0" (instance $i))"#;
    let export = r#"(instance $i) (export "other" (instance $i))"#;
    for source in [format!("(component {import} {driver})"), format!("(component {import} {export})")] {
        let sentence = refused_wat(&source);
        assert!(sentence.chars().all(wharf::contract::is_printable), "{sentence:?}");
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("wrong.wasm");
        fs::write(&file, wat::parse_str(&source).unwrap()).unwrap();
        let told = wharf(&["--json", "inspect", text(&file)]).stdout;
        let told = String::from_utf8(told).unwrap();
        assert!(told.trim_end().chars().all(wharf::contract::is_printable), "{told:?}");
    }
}

#[test]
fn an_import_that_does_not_exist() {
    let sentence = refused_wat(
        r#"(component
            (import "acme:magic/wand@1.0.0" (instance))
            (instance $i) (export "wharf:storage/driver@0.1.0" (instance $i)))"#,
    );
    assert!(sentence.contains("imports acme:magic/wand@1.0.0, which this host does not have"), "{sentence}");
    // The interface is known, and a function of that name is not in it.
    let sentence = refused_wat(
        r#"(component
            (import "wasi:random/random@0.2.6" (instance (export "throw-dice" (func (result u8)))))
            (instance $i) (export "wharf:storage/driver@0.1.0" (instance $i)))"#,
    );
    assert!(sentence.contains("imports what does not exist here") && sentence.contains("throw-dice"), "{sentence}");
}

#[test]
fn outgoing_http_which_is_not_granted() {
    let file = component("hostile-http").unwrap();
    let error = fail(&["inspect", text(&file)]);
    assert!(error.contains("imports wasi:http/") && error.contains("allow: { http: [\"HOST:PORT\"] }"), "{error}");
    assert!(error.contains("--grant http:HOST:PORT"), "{error}");
    let shown = succeed(&["inspect", text(&file), "--grant", "http:*.example.com:443"]);
    assert!(shown.contains("HTTP to *.example.com:443"), "{shown}");
}

#[test]
fn outgoing_http_of_another_version() {
    let sentence = refused_wat(
        r#"(component
            (import "wasi:http/outgoing-handler@0.2.6" (instance))
            (instance $i) (export "wharf:storage/driver@0.1.0" (instance $i)))"#,
    );
    assert!(sentence.contains("imports wasi:http/outgoing-handler@0.2.6, which this host does not have"), "{sentence}");
    assert!(sentence.contains("wasi:http/client@0.3.0"), "it names what there is: {sentence}");
}

#[test]
fn a_directory_that_was_not_granted() {
    let file = component("filesystem").unwrap();
    let location = format!("{}:/", text(&file));
    let error = fail(&["--params", "rootdirectory=/data", "ls", &location]);
    assert!(error.contains("/data") && error.contains("allow: { directories: [{ host:"), "{error}");
}

#[test]
fn a_file_that_is_not_there_or_cannot_have_a_name() {
    let error = fail(&["inspect", "./no-such-driver.wasm"]);
    assert!(error.contains("./no-such-driver.wasm cannot be read"), "{error}");
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("my driver.wasm");
    fs::copy(component("inmemory").unwrap(), &file).unwrap();
    let error = fail(&["inspect", text(&file)]);
    assert!(error.contains("\"my driver\" cannot be a driver's name"), "{error}");
    // In a directory it is refused, and the others are offered all the same.
    fs::copy(component("inmemory").unwrap(), directory.path().join("good.wasm")).unwrap();
    let listed = succeed(&["--drivers", text(directory.path()), "drivers"]);
    assert!(listed.contains("my driver") && listed.contains("refused"), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("good ") && line.contains("component")), "{listed}");
}
