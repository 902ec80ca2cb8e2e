//! `wharf serve --check`: what a configuration says, before anything is opened.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use wharf::factory::Factory;

use crate::config::{Checked, CommandLine, Config, Environment, Notice, Refusal, Weight};
use crate::output;

/// Prints every refusal and warning of a configuration, and returns the exit code: 0 if nothing is refused.
pub(crate) fn run(path: Option<&Path>, environment: &Environment, line: CommandLine<'_>, as_json: bool) -> ExitCode {
    let outcome = Config::check(path, environment, line).and_then(|checked| print(&checked, as_json).map(|()| checked));
    match outcome {
        Ok(checked) if checked.report.refusals.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(output::FAILED),
        Err(error) => output::report(&error, as_json),
    }
}

fn print(checked: &Checked, as_json: bool) -> Result<()> {
    output::print(as_json, || text(checked), || value(checked))
}

/// One finding to a line, with the file and the line in front as compilers have it; then how many there are.
fn text(checked: &Checked) -> String {
    let Checked { config, file, report } = checked;
    let file = file.as_deref().map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
    let mut refusals: Vec<&Refusal> = report.refusals.iter().collect();
    refusals.sort_by_key(|refusal| refusal.line.unwrap_or(usize::MAX));
    let mut text = String::new();
    // Writing to a String does not fail.
    for refusal in &refusals {
        let place = refusal.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
        let _ = writeln!(text, "{place}: refused: {}", Refusal { line: None, ..(*refusal).clone() });
    }
    for Notice { sentence, weight, .. } in &report.notices {
        let weight = if *weight == Weight::Missing { "warning" } else { "note" };
        let _ = writeln!(text, "{file}: {weight}: {sentence}");
    }
    let driver = &config.storage.driver;
    if refusals.is_empty() && Factory::native().offer(driver).is_none() {
        let _ =
            writeln!(text, "{file}: note: the parameters of the component `{driver}` are looked at when it is opened");
    }
    let warnings = report.notices.iter().filter(|notice| notice.weight == Weight::Missing).count();
    let _ = write!(text, "{file}: {} refused, {warnings} warned of", refusals.len());
    text
}

fn value(Checked { file, report, .. }: &Checked) -> Value {
    let refusals = report.refusals.iter().map(|Refusal { key, line, variables, what }| {
        json!({ "key": key, "line": line, "variables": variables, "message": what })
    });
    let notices = report.notices.iter().map(|Notice { key, sentence, weight }| {
        json!({ "key": key, "message": sentence, "severity": if *weight == Weight::Missing { "warning" } else { "note" } })
    });
    json!({ "file": file, "refused": refusals.collect::<Vec<_>>(), "notices": notices.collect::<Vec<_>>() })
}
