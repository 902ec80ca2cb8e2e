//! A kill -9 at any moment loses nothing that was acknowledged, and leaves nothing half-done where it may not be.
//!
//! Each round runs a process that stores as fast as it can and tells what was acknowledged, kills it at a random moment,
//! and looks at what is on the disk.

mod content;
mod verify;
mod victim;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use verify::Tally;

fn main() -> ExitCode {
    if let Some(code) = victim::run_if_asked() {
        return code;
    }
    let trial = |driver: &'static str, rounds| {
        Trial::test(format!("a_kill_loses_nothing_acknowledged_on_{driver}"), move || kill(driver, rounds))
    };
    let trials = vec![trial("filesystem", 100), trial("filesystem.wasm", 30)];
    // One after the other, so that the moments of the kills are not those in which the process waits for a processor.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn kill(driver: &'static str, rounds: u64) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let mut tally = Tally::default();
    for round in 0..rounds {
        let root = directory.path().join(format!("round-{round}"));
        std::fs::create_dir(&root)?;
        let acknowledged = one(driver, &root)?;
        verify::check(&root, &acknowledged, &mut tally).map_err(|fault| format!("round {round}: {fault}"))?;
        std::fs::remove_dir_all(&root)?;
    }
    println!("{driver}: {rounds} kills; {tally}");
    tally.is_telling().map_err(Failed::from)
}

/// Lets a process store things, kills it, and returns what it had acknowledged.
fn one(driver: &str, root: &std::path::Path) -> Result<Vec<String>, Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .envs(victim::ask(driver, root))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("the process has no output")?;
    let mut lines = BufReader::new(output);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    if first.trim_end() != victim::READY {
        let status = child.wait()?;
        return Err(format!("the process did not begin: {first:?}, {status}").into());
    }
    let reading = std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        let mut line = Vec::new();
        // A line without its end was cut by the kill: nobody was told of it.
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) && line.ends_with(b"\n") {
            acknowledged.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
        acknowledged
    });
    std::thread::sleep(Duration::from_micros(content::random() % 60_000));
    child.kill()?;
    child.wait()?;
    reading.join().map_err(|_| "reading the acknowledgements panicked".into())
}
