//! What the demo says in the end: both drivers side by side.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Plan;
use super::session::{STEPS, Step, size};

/// What the session took on one driver.
#[derive(Debug)]
pub(super) struct Column {
    /// The driver's name.
    pub(super) name: String,
    /// Where it comes from, in a word or two.
    pub(super) origin: String,
    /// What each of [`STEPS`] took.
    pub(super) times: Vec<Duration>,
}

/// The bytes that the bridge to the component moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// Of streams, into its memory or out of it.
    pub(super) copied: u64,
    /// Of streams, between the host's own ends.
    pub(super) passed_through: u64,
    /// Of small files, which are an argument of the call that stores them.
    pub(super) put: u64,
}

const FIRST_WIDTH: usize = 40;
const WIDTH: usize = 24;

/// Returns the table for people.
pub(super) fn text(plan: &Plan, [native, component]: [&Column; 2], moved: Moved) -> String {
    let mut table = String::new();
    let mut line = |first: &str, native: &str, component: &str, ratio: &str| {
        let line = format!("{first:<FIRST_WIDTH$}  {native:<WIDTH$}{component:<WIDTH$}{ratio}");
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{}", line.trim_end());
    };
    line("", &native.name, &component.name, "ratio");
    line("", &native.origin, &component.origin, "of times");
    for (index, step) in STEPS.into_iter().enumerate() {
        let (ours, theirs) = (native.times[index], component.times[index]);
        let ratio = ratio(step, ours, theirs).map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let cell = |time| cell(time, step.bytes(plan));
        line(&step.describe(plan), &cell(ours), &cell(theirs), &ratio);
    }
    let total = |column: &Column| time(column.times.iter().sum());
    line("all of it", &total(native), &total(component), "");
    line("stream bytes copied in or out of it", "-", &moved.copied.to_string(), "");
    line("stream bytes that passed it by", "-", &size(moved.passed_through), "");
    line("bytes of small files put through it", "-", &size(moved.put), "");
    table
}

/// Returns the same for programs. Times are in seconds.
pub(super) fn json(plan: &Plan, columns: [&Column; 2], moved: Moved) -> Value {
    let steps = STEPS.into_iter().enumerate().map(|(index, step)| {
        let [native, component] = columns.map(|column| column.times[index]);
        json!({
            "step": step.describe(plan),
            "bytes": step.bytes(plan),
            "seconds": { &columns[0].name: native.as_secs_f64(), &columns[1].name: component.as_secs_f64() },
            "ratio": ratio(step, native, component),
        })
    });
    json!({
        "tree": {
            "directory": plan.source.root,
            "files": plan.source.files.len(),
            "bytes": plan.source.size(),
            "not_stored": plan.source.not_stored,
        },
        "drivers": columns.map(|column| json!({ "name": column.name, "origin": column.origin })),
        "steps": steps.collect::<Vec<_>>(),
        "copied_bytes": moved.copied,
        "passed_through_bytes": moved.passed_through,
        "put_bytes": moved.put,
    })
}

/// Returns how many times as long the second took. None for opening: the native driver has nothing to load.
fn ratio(step: Step, first: Duration, second: Duration) -> Option<f64> {
    (step != Step::Open && !first.is_zero()).then(|| second.as_secs_f64() / first.as_secs_f64())
}

/// Writes a time, and the rate where bytes were moved.
pub(super) fn cell(taken: Duration, bytes: Option<u64>) -> String {
    match bytes.filter(|_| !taken.is_zero()) {
        Some(bytes) => format!("{:<10}{:>5.0} MB/s", time(taken), bytes as f64 / taken.as_secs_f64() / 1e6),
        None => time(taken),
    }
}

fn time(taken: Duration) -> String {
    let seconds = taken.as_secs_f64();
    if seconds < 0.01 {
        format!("{:.2} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}
