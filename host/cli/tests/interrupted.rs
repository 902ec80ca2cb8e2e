//! Ctrl-C in the middle of `wharf cp`, and the same command again.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::place::{DRIVERS, Place, content};
use support::{last_json, text};

const SIZE: usize = 192 << 20;

/// How much of the upload is stored before it is interrupted.
const BEGUN: u64 = 4 << 20;

/// Returns how many bytes lie below a directory. The layout of an unfinished upload is the driver's own affair.
fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Interrupts the program, which must end by itself: one that waits for ever fails the test and is ended.
fn end(mut child: Child) -> Output {
    // The standard library sends no signals, and the project has no `unsafe`.
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the program did not end after Ctrl-C");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Starts a copy and interrupts it as soon as some of it is stored.
fn interrupt(place: &Place, store: &Path, arguments: &[&str]) -> Output {
    let mut child = place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while bytes_below(store) < BEGUN && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "nothing was stored");
        std::thread::sleep(Duration::from_millis(1));
    }
    end(child)
}

#[test]
fn a_copy_that_was_interrupted_goes_on_where_it_stopped() {
    let bytes = content(SIZE);
    for driver in DRIVERS {
        let place = Place::new();
        let from = place.path("from");
        fs::write(&from, &bytes).unwrap();
        let to = format!("{driver}:/a/upload");
        let store = place.store(driver);

        // A machine that stalls this process for the whole copy would leave nothing to interrupt: then again.
        let interrupted = (0..5)
            .map(|_| {
                let _ = fs::remove_dir_all(store.join("a"));
                interrupt(&place, &store, &["cp", text(&from), &to])
            })
            .find(|output| !output.status.success())
            .expect("five copies ended before they could be interrupted");
        let said = String::from_utf8_lossy(&interrupted.stderr).into_owned();
        assert_eq!(interrupted.status.code(), Some(130), "{driver}: {said}");
        assert!(said.contains("the same command continues it"), "{driver}: {said}");

        let again = last_json(&place.succeed(&["--json", "cp", text(&from), &to]));
        assert_eq!((&again["resumed"], &again["copied"]), (&1.into(), &0.into()), "{driver}: {again}");
        let written = again["bytes"].as_u64().unwrap();
        assert!(written > 0 && written <= SIZE as u64 - BEGUN, "{driver}: {written} bytes were written again");
        assert!(fs::read(store.join("a/upload")).unwrap() == bytes, "{driver}: the bytes differ");
        // Nothing of the interrupted upload is left beside the file.
        assert_eq!(bytes_below(&store), SIZE as u64, "{driver}");
    }
}

#[test]
fn a_put_that_is_interrupted_leaves_nothing() {
    for driver in DRIVERS {
        let place = Place::new();
        // Standard input that never ends: the upload waits for it when it is interrupted.
        let mut child = place
            .command(&["put", "-", &format!("{driver}:/a")])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, &content(BEGUN as usize + (1 << 20))).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while bytes_below(&place.store(driver)) < BEGUN {
            assert!(Instant::now() < deadline, "{driver}: nothing was stored");
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = end(child);
        drop(input);
        assert_eq!(output.status.code(), Some(130), "{driver}: {output:?}");
        assert_eq!(bytes_below(&place.store(driver)), 0, "{driver}");
    }
}
