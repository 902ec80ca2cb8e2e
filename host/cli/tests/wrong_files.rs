//! What the program says of a `.wasm` that is no driver it can use: a sentence that names the cause.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

#[path = "../../../tests/hostile/crafted.rs"]
mod crafted;
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
    assert!(sentence.contains("wharf:storage/driver@0.2.0"), "it says what a driver exports: {sentence}");
    let sentence = refused_wat("(component)");
    assert!(sentence.contains("it exports nothing"), "{sentence}");
}

#[test]
fn a_newer_contract() {
    let sentence = refused_wat(r#"(component (instance $i) (export "wharf:storage/driver@0.3.0" (instance $i)))"#);
    assert!(sentence.contains("contract 0.3.0") && sentence.contains("this host speaks 0.2.0"), "{sentence}");
}

#[test]
fn the_right_name_with_another_shape() {
    let sentence = refused_wat(r#"(component (instance $i) (export "wharf:storage/driver@0.2.0" (instance $i)))"#);
    assert!(sentence.contains("its shape is another"), "{sentence}");
}

#[test]
fn a_file_says_nothing_that_drives_a_terminal_or_hides() {
    // Names may quote addresses, and those hold what they like.
    let harm = r"\u{1b}[2J\u{202e}\u{2028}\u{200b}\u{9b}\u{e0041}";
    let import = format!(r#"(import "url=<https://a.example/{harm}>" (func))"#);
    let driver = r#"(instance $i) (export "wharf:storage/driver@0.2.0" (instance $i))"#;
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
            (instance $i) (export "wharf:storage/driver@0.2.0" (instance $i)))"#,
    );
    assert!(sentence.contains("imports acme:magic/wand@1.0.0, which this host does not have"), "{sentence}");
    // The interface is known, and a function of that name is not in it.
    let sentence = refused_wat(
        r#"(component
            (import "wasi:random/random@0.2.6" (instance (export "throw-dice" (func (result u8)))))
            (instance $i) (export "wharf:storage/driver@0.2.0" (instance $i)))"#,
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
            (instance $i) (export "wharf:storage/driver@0.2.0" (instance $i)))"#,
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

/// Inspects a file, and returns the sentence, the seconds and the most memory that it took, in MiB.
#[cfg(target_os = "linux")]
fn looked_at(file: &std::path::Path) -> (String, f64, u64) {
    use std::process::{Command, Stdio};
    let begun = std::time::Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wharf"))
        .args(["--no-cache", "inspect", text(file)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    let status = format!("/proc/{}/status", child.id());
    while child.try_wait().unwrap().is_none() {
        let held = fs::read_to_string(&status).unwrap_or_default();
        let held =
            held.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
        most = most.max(held.unwrap_or(0_u64) / 1024);
        // What has no end is not waited for.
        if begun.elapsed().as_secs() > 30 || most > 1024 {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stderr).unwrap(), begun.elapsed().as_secs_f64(), most)
}

/// Whatever a file holds and wherever its name leads, looking at it takes seconds at most and 100 MiB.
#[test]
#[cfg(target_os = "linux")]
fn looking_at_a_file_takes_little_whatever_it_is() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::os::unix::fs::symlink("/dev/zero", at("endless.wasm")).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe.wasm"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::create_dir(at("directory.wasm")).unwrap();
    fs::File::create(at("large.wasm")).unwrap().set_len(1 << 40).unwrap();
    let mut files = vec![
        (at("endless.wasm"), "it is a device, not a file"),
        (at("pipe.wasm"), "it is a named pipe, not a file"),
        (at("directory.wasm"), "it is a directory, not a file"),
        (at("large.wasm"), "it has more than 67108864 bytes"),
    ];
    let crafted = [
        ("locals", crafted::locals_and_blocks(), "blocks times local variables in one function"),
        ("long", crafted::long_function(), "300001 operators in one function"),
        ("row", crafted::loops_in_a_row(), "branches times branches in its functions"),
        ("calls", crafted::indirect_calls(), "branches times branches in its functions"),
        ("loops", crafted::deep_blocks(), "101 loops inside one another"),
        ("tiny", crafted::tiny_functions(), "300000 functions"),
        ("wide", crafted::wide_calls(), "operators in one function"),
        ("types", crafted::nested_types(), "33 components or types inside one another"),
        ("components", crafted::nested_components(), "33 components or types inside one another"),
        ("instances", crafted::exploding_instances(), "instances of modules and components"),
        ("tuples", crafted::exploding_types(), "types within one type"),
        ("tables", crafted::large_tables(), "elements of tables"),
        ("modules", crafted::many_modules(), "129 modules"),
        ("names", crafted::many_names(), " entries in the sections of modules"),
    ];
    for (name, bytes, says) in crafted {
        fs::write(at(name), &*bytes).unwrap();
        files.push((at(name), says));
    }
    for (file, says) in files {
        let (sentence, seconds, memory) = looked_at(&file);
        println!("{:<16} {seconds:6.2} s {memory:5} MiB  {}", file.file_name().unwrap().display(), sentence.trim_end());
        assert!(sentence.contains(says), "{}: {sentence}", file.display());
        assert!(memory <= 100, "{} took {memory} MiB", file.display());
        assert!(seconds < 10.0, "{} took {seconds} s", file.display());
    }
}
