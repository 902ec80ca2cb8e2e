//! Stages of a long run: each a command, timed, with its tests counted.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// The stages that have run.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<Stage>,
}

struct Stage {
    name: String,
    took: Duration,
    counts: Counts,
    failed: Option<String>,
    /// The last lines that it printed, which name what failed in it.
    last: VecDeque<String>,
}

/// How many lines of a stage that failed are told again at the end, where nobody has to look for them.
const TOLD_AGAIN: usize = 15;

/// How many tests a stage ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// What a stage is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It prepares or checks something.
    Work,
    /// It runs tests: one that ran none has failed.
    Tests,
}

impl Stages {
    /// Runs a command as a stage, with its output passed on. A failure does not end the run: all failures are told at
    /// its end.
    pub(crate) fn run(&mut self, name: &str, purpose: Purpose, command: &mut Command) {
        let text = text(command);
        println!("\n== {name}: {text}");
        let began = Instant::now();
        let (mut counts, mut last) = (Counts::default(), VecDeque::new());
        let mut failed = match follow(command, &mut counts, &mut last) {
            Ok(()) => None,
            Err(error) => Some(format!("`{text}` {error}")),
        };
        if purpose == Purpose::Tests && failed.is_none() && counts.passed == 0 {
            failed = Some(format!("`{text}` ran no test"));
        }
        self.finish(name, began, counts, failed, last);
    }

    /// Does something as a stage, in this process.
    pub(crate) fn perform(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        println!("\n== {name}");
        let began = Instant::now();
        let failed = work().err();
        let good = failed.is_none();
        self.finish(name, began, Counts::default(), failed, VecDeque::new());
        good
    }

    fn finish(&mut self, name: &str, began: Instant, counts: Counts, failed: Option<String>, last: VecDeque<String>) {
        let took = began.elapsed();
        let outcome = if failed.is_some() { "FAILED" } else { "done" };
        println!("== {name}: {outcome} in {:.1} s", took.as_secs_f64());
        self.done.push(Stage { name: name.to_owned(), took, counts, failed, last });
    }

    /// Prints what was run and how long it took, and fails if a stage did.
    pub(crate) fn summary(self) -> Result<()> {
        let total: Duration = self.done.iter().map(|stage| stage.took).sum();
        println!("\n{:<28}{:>9}{:>9}{:>9}{:>9}", "stage", "seconds", "passed", "failed", "ignored");
        let mut all = Counts::default();
        for Stage { name, took, counts, failed, .. } in &self.done {
            let Counts { passed, failed: broken, ignored } = *counts;
            let mark = if failed.is_some() { "  FAILED" } else { "" };
            println!("{name:<28}{:>9.1}{passed:>9}{broken:>9}{ignored:>9}{mark}", took.as_secs_f64());
            all.add(*counts);
        }
        println!("{:<28}{:>9.1}", "total", total.as_secs_f64());
        for Stage { name, last, .. } in self.done.iter().filter(|stage| stage.failed.is_some()) {
            println!("\n{name} ended with:");
            last.iter().for_each(|line| println!("    {line}"));
        }
        let failures: Vec<String> =
            self.done.iter().filter_map(|stage| Some(format!("{}: {}", stage.name, stage.failed.as_ref()?))).collect();
        if !failures.is_empty() {
            return Err(failures.join("\n       "));
        }
        if all != Counts::default() {
            println!("\n{} passed, {} failed, {} skipped", all.passed, all.failed, all.ignored);
        }
        Ok(())
    }
}

impl Counts {
    /// Counts a line of a test run: of Rust's own harness, or of the conformance suite's report.
    fn take(&mut self, line: &str) {
        let counts = match line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
            Some((_, counts)) => counts,
            // The suite's own last line: `  87 passed, 0 failed, 6 ignored`.
            None if line.starts_with("  ") && line.contains(" passed, ") => line,
            None => return,
        };
        for part in counts.split([';', ',']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(word)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match word {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// Runs a command, passes its standard output on, counts the tests that it tells of, and keeps the last lines.
fn follow(command: &mut Command, counts: &mut Counts, last: &mut VecDeque<String>) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("could not be started: {error}"))?;
    if let Some(output) = child.stdout.take() {
        let mut out = std::io::stdout().lock();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(|error| format!("could not be followed: {error}"))?;
            let text = String::from_utf8_lossy(&line);
            counts.take(&text);
            if last.len() == TOLD_AGAIN {
                last.pop_front();
            }
            last.push_back(text.into_owned());
            // Whoever closed our output still wants to know how it ends.
            let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
        }
    }
    let status = child.wait().map_err(|error| format!("could not be waited for: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed: {status}")) }
}

/// Returns a command as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(line: &str) -> Counts {
        let mut counts = Counts::default();
        counts.take(line);
        counts
    }

    #[test]
    fn the_last_lines_of_both_kinds_of_run_are_counted() {
        let harness =
            "test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(counts(harness), Counts { passed: 10, failed: 2, ignored: 1 });
        assert_eq!(counts("  87 passed, 0 failed, 6 ignored"), Counts { passed: 87, failed: 0, ignored: 6 });
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in ["test a ... ok", "running 3 tests", "3 passed, as somebody printed", ""] {
            assert_eq!(counts(line), Counts::default(), "{line}");
        }
    }

    #[test]
    fn a_stage_of_tests_that_ran_none_has_failed() {
        let mut stages = Stages::default();
        stages.run("nothing", Purpose::Tests, &mut Command::new("true"));
        assert!(stages.summary().is_err());
        let mut stages = Stages::default();
        stages.run("work", Purpose::Work, &mut Command::new("true"));
        assert!(stages.summary().is_ok());
    }

    #[test]
    fn the_last_lines_of_a_stage_are_kept() {
        let mut stages = Stages::default();
        stages.run("counts", Purpose::Work, Command::new("sh").args(["-c", "seq 1 100; false"]));
        let last: Vec<&str> = stages.done[0].last.iter().map(String::as_str).collect();
        assert_eq!((last.len(), last[0], last[TOLD_AGAIN - 1]), (TOLD_AGAIN, "86", "100"));
    }

    #[test]
    fn a_command_that_fails_or_is_missing_fails_the_run() {
        for program in ["false", "no-such-program-anywhere"] {
            let mut stages = Stages::default();
            stages.run("broken", Purpose::Work, &mut Command::new(program));
            assert!(stages.summary().is_err(), "{program}");
        }
    }
}
