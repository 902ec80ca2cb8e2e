//! The program on real stores: the native filesystem driver, and the same as a component dropped into a directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::json;
use support::place::{DRIVERS, Place, content};
use support::{last_json, text};

fn write_tree(root: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let files = vec![
        ("a/b/large", content(3_000_001)),
        ("a/b.d/small", content(10)),
        ("a/empty", vec![]),
        ("z", content(300_000)),
    ];
    for (name, content) in &files {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    files
}

fn assert_tree(root: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, content) in files {
        assert!(fs::read(root.join(name)).unwrap() == *content, "{name} has other bytes");
    }
}

#[test]
fn put_get_ls_stat_mv_rm() {
    let place = Place::new();
    let (from, to) = (place.path("from"), place.path("to"));
    let bytes = content(600_000);
    fs::write(&from, &bytes).unwrap();
    for driver in DRIVERS {
        let at = |path: &str| format!("{driver}:{path}");
        place.succeed(&["put", text(&from), &at("/a/b/c")]);
        let stat = last_json(&place.succeed(&["--json", "stat", &at("/a/b/c")]));
        assert_eq!((&stat["size"], &stat["directory"]), (&json!(600_000), &json!(false)), "{driver}");

        place.succeed(&["get", &at("/a/b/c"), text(&to)]);
        assert!(fs::read(&to).unwrap() == bytes, "{driver}: the bytes differ");
        place.succeed(&["get", &at("/a/b/c"), text(&to), "--offset", "100", "--length", "7"]);
        assert_eq!(fs::read(&to).unwrap(), bytes[100..107], "{driver}");

        place.succeed(&["mv", &at("/a/b/c"), "/a/d"]);
        let listed = place.succeed(&["--json", "ls", "-r", &at("/a")]);
        assert_eq!(last_json(&listed)["path"], "/a/d", "{driver}: {listed}");
        assert!(!listed.contains("/a/b/c"), "{driver}: {listed}");

        place.succeed(&["--driver", driver, "rm", "/a"]);
        let error = place.fail(&["stat", &at("/a/d")]);
        assert!(error.contains("Path not found: /a/d") && error.contains(driver), "{error}");
        assert!(error.contains("next: `wharf ls`"), "{error}");
    }
}

#[test]
fn a_component_named_by_its_file_is_a_driver_like_any_other() {
    let place = Place::new();
    let file = place.path("other.wasm");
    fs::copy(place.path("drivers/archive.wasm"), &file).unwrap();
    let location = format!("{}:/a", text(&file));
    fs::write(place.path("from"), "hello").unwrap();
    let parameters = ["--params", r#"other={"rootdirectory":"/data"}"#];
    place.succeed(&[&parameters[..], &["put", text(&place.path("from")), &location]].concat());
    assert_eq!(place.succeed(&[&parameters[..], &["get", &location]].concat()), "hello");
    assert_eq!(fs::read(place.path("component/a")).unwrap(), b"hello");
}

#[test]
fn a_tree_goes_into_a_driver_and_comes_back_whole() {
    let place = Place::new();
    let from = place.path("from");
    let files = write_tree(&from);
    for driver in DRIVERS {
        let at = format!("{driver}:/tree");
        let there = last_json(&place.succeed(&["--json", "cp", text(&from), &at]));
        assert_eq!((&there["copied"], &there["bytes"]), (&json!(4), &json!(3_300_011)), "{driver}");
        let again = last_json(&place.succeed(&["--json", "cp", text(&from), &at]));
        assert_eq!((&again["copied"], &again["present"]), (&json!(0), &json!(4)), "{driver}");
        let back = place.path(&format!("back-{driver}"));
        place.succeed(&["cp", &at, text(&back)]);
        assert_tree(&back, &files);
    }
}

#[test]
fn a_tree_goes_from_driver_to_driver() {
    let place = Place::new();
    let files = write_tree(&place.path("native/tree"));
    place.succeed(&["cp", "filesystem:/tree", "archive:/one"]);
    assert_tree(&place.path("component/one"), &files);
    place.succeed(&["cp", "archive:/one", "filesystem:/two"]);
    assert_tree(&place.path("native/two"), &files);
}

#[test]
fn bytes_that_differ_at_the_destination_are_written_again() {
    let place = Place::new();
    let from = place.path("from");
    let files = write_tree(&from);
    place.succeed(&["cp", text(&from), "archive:/tree"]);
    let mut damaged = files[0].1.clone();
    damaged[1_000_000] ^= 1;
    fs::write(place.path("component/tree/a/b/large"), damaged).unwrap();
    let again = last_json(&place.succeed(&["--json", "cp", text(&from), "archive:/tree"]));
    assert_eq!((&again["copied"], &again["present"]), (&json!(1), &json!(3)));
    assert_tree(&place.path("component/tree"), &files);
}
