//! Why an instance crashed, in the component's own words: what it printed last, or the functions in which it trapped.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::contract::printable;

/// How many lines are kept, and how much of each: enough for a panic, or the end of a stack of an interpreter.
const LINES: usize = 8;
const LENGTH: usize = 400;

/// What was printed longer before the end has nothing to do with it.
const LAST: Duration = Duration::from_secs(1);

/// How many functions are named.
const FUNCTIONS: usize = 3;

/// How the names of functions begin that say nothing of the place: of the languages' libraries, in which every panic and every
/// allocation ends.
const LIBRARIES: [&str; 14] = [
    "core::",
    "std::",
    "alloc::",
    "<core::",
    "<std::",
    "<alloc::",
    "__",
    "rust_",
    "sbrk",
    "dlmalloc",
    "malloc",
    "calloc",
    "realloc",
    "cabi_realloc",
];

/// The last lines of an instance's standard error.
#[derive(Default)]
pub(super) struct LastWords(Mutex<VecDeque<(Instant, String)>>);

impl LastWords {
    /// Takes a line that the instance printed.
    pub(super) fn hear(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LENGTH)]);
        // Said to whoever wants a stack, which there is none of.
        if line.trim().is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let line = printable(line).trim().to_owned();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back((Instant::now(), line));
    }

    /// Returns what it printed just before its end, in one line; a panic from its first line on.
    pub(super) fn last(&self) -> Option<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last: Vec<&str> =
            lines.iter().filter(|(at, _)| at.elapsed() < LAST).map(|(_, line)| line.as_str()).collect();
        let begin = last.iter().rposition(|line| line.contains("panicked at ")).unwrap_or(0);
        (!last.is_empty()).then(|| last[begin..].join(" "))
    }
}

/// Returns the functions in which a component trapped, the innermost first, where it has their names.
pub(super) fn functions(error: &wasmtime::Error) -> Option<String> {
    let stack = error.downcast_ref::<wasmtime::WasmBacktrace>()?.to_string();
    let names = stack.lines().filter_map(|line| line.split_once(" - ")?.1.split_once('!').map(|(_, name)| name.trim()));
    let named = names.filter(|name| !name.starts_with("<wasm function"));
    let own: Vec<&str> = named.filter(|name| !LIBRARIES.iter().any(|start| name.starts_with(start))).collect();
    let own = &own[..own.len().min(FUNCTIONS)];
    (!own.is_empty()).then(|| printable(own.join(", called by ")).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that gets nothing has failed")]
    use super::*;

    #[test]
    fn a_panic_is_told_from_its_first_line_on_without_advice() {
        let words = LastWords::default();
        assert_eq!(words.last(), None);
        for line in [
            "opened",
            "",
            "thread '<unnamed>' panicked at src/lib.rs:10:5:",
            "index out of bounds: the len is 0 but the index is 1",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        ] {
            words.hear(line.as_bytes());
        }
        let expected =
            "thread '<unnamed>' panicked at src/lib.rs:10:5: index out of bounds: the len is 0 but the index is 1";
        assert_eq!(words.last().unwrap(), expected);
    }

    #[test]
    fn only_the_end_of_much_is_kept_and_nothing_that_drives_a_terminal() {
        let words = LastWords::default();
        for _ in 0..10_000 {
            words.hear(&[b'x'; 9000]);
        }
        words.hear("\u{1b}[2Jend".as_bytes());
        let last = words.last().unwrap();
        assert!(last.len() <= LINES * (LENGTH + 1) && last.ends_with("end") && !last.contains('\u{1b}'), "{last}");
    }
}
