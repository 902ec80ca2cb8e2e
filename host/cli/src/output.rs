//! What the program says, to people and to programs.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use wharf::contract::{Error, ErrorKind, escape_json, printable_lines};

/// The operation failed.
pub(crate) const FAILED: u8 = 1;
/// Ended by Ctrl-C; what was in progress was closed or cancelled.
pub(crate) const INTERRUPTED: u8 = 130;

/// Ended by Ctrl-C: its text says what became of the work in progress.
#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) String);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted: {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Prints text, or one JSON value, without what would drive the terminal or hide from its reader: names and messages are
/// often somebody else's. A reader that went away (`wharf ls | head`) is an error like any other.
pub(crate) fn print(as_json: bool, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{}", escape_json(value().to_string()))?
    } else {
        writeln!(out, "{}", printable_lines(&text()))?
    }
    Ok(())
}

/// Prints a line on standard error, beside what the program's work prints, as [`print`] does on standard output.
pub(crate) fn note(text: &str) {
    eprintln!("{}", printable_lines(text));
}

/// Returns a bar of that shape, drawn on standard error, and only if that is a terminal and nobody asked for JSON.
pub(crate) fn bar(as_json: bool, bar: ProgressBar, template: &str) -> ProgressBar {
    if as_json {
        return ProgressBar::hidden();
    }
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Reports an error and returns the exit code that belongs to it.
pub(crate) fn report(error: &anyhow::Error, as_json: bool) -> ExitCode {
    let stored = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    let next = stored.and_then(|error| next_step(error.kind()));
    if as_json {
        let value = json!({ "error": { "message": format!("{error:#}"), "next": next, "store": stored } });
        // Nothing is left to tell where standard output is closed.
        let _ = writeln!(std::io::stdout(), "{}", escape_json(value.to_string()));
    } else {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "error: {}", printable_lines(&format!("{error:#}")));
        if let Some(next) = next {
            let _ = writeln!(err, "  next: {next}");
        }
    }
    ExitCode::from(if error.downcast_ref::<Interrupted>().is_some() { INTERRUPTED } else { FAILED })
}

/// Turns what is wrong with a component's file into the sentence alone: `other:` before it would tell nobody anything.
pub(crate) fn sentence(error: Error) -> anyhow::Error {
    if error.kind() == &ErrorKind::Other { anyhow::Error::msg(error.message().to_owned()) } else { error.into() }
}

/// Says what a person does next about an error of a driver.
fn next_step(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::PathNotFound => "`wharf ls` shows what is there",
        ErrorKind::InvalidPath => {
            "use another path: components of letters, digits, '.', '_' and '-', and no file above a file"
        }
        ErrorKind::InvalidParameters => {
            "correct the parameters (--params, or the file of --config), or what a component is granted (--grant)"
        }
        ErrorKind::AccessDenied => "check the credentials and the permissions of the store",
        ErrorKind::QuotaExceeded => "free room in the store, then run it again",
        ErrorKind::TooLarge => "use `wharf cp`, which streams files of any size",
        ErrorKind::Conflict => "somebody else works on the same path: look at it, then run it again",
        ErrorKind::Throttled { .. } | ErrorKind::Unavailable => "nothing happened; run it again later",
        ErrorKind::OutcomeUnknown => "it may have happened: look at the path before you run it again",
        ErrorKind::Corrupt => "restore the file from elsewhere",
        ErrorKind::InvalidStorageDriver => "`wharf drivers` shows which drivers there are",
        _ => return None,
    })
}
