//! What a benchmark says: a table for people, an object for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::rounds::{Measured, Row};
use super::samples::Samples;
use super::wanted::Outcome;

const TITLE: usize = 22;
const CELL: usize = 12;
const RATIO: usize = 8;

impl Measured {
    /// Returns the table.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.set.title);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", self.head());
        for (row, samples) in self.set.rows.iter().zip(&self.samples) {
            let _ = writeln!(text, "{}", line(row, samples));
        }
        for (row, outcome) in self.outcomes() {
            let Outcome { text: wanted, measured, met } = outcome;
            let verdict = if met { "as wanted" } else { "NOT as wanted" };
            let _ = writeln!(text, "  {}: wanted {wanted}; measured {measured}: {verdict}", row.title);
        }
        if let Some(streamed) = self.streamed.filter(|streamed| streamed.copied + streamed.passed_through > 0) {
            let _ = writeln!(
                text,
                "  bytes of the component's streams: {} copied in or out of it, {} passed by",
                streamed.copied, streamed.passed_through
            );
        }
        text
    }

    fn head(&self) -> String {
        let (mut names, mut figures) = (format!("{:<TITLE$}", ""), format!("{:<TITLE$}", ""));
        for (index, contender) in self.set.contenders.iter().enumerate() {
            let width = if index == 0 { 2 * CELL } else { 2 * CELL + RATIO };
            let _ = write!(names, "{:<width$}", contender.name);
            let _ = write!(figures, "{:<CELL$}{:<CELL$}", "median", "best");
            if index > 0 {
                let _ = write!(figures, "{:<RATIO$}", "ratio");
            }
        }
        format!("{}\n{}", names.trim_end(), figures.trim_end())
    }

    /// Returns what is wanted of the rows, and what came out.
    fn outcomes(&self) -> impl Iterator<Item = (&Row, Outcome)> {
        let names: Vec<&str> = self.set.contenders.iter().map(|contender| &*contender.name).collect();
        self.set.wanted.iter().filter_map(move |wanted| {
            let index = self.set.rows.iter().position(|row| row.operation == wanted.operation())?;
            let medians: Vec<_> = self.samples[index].iter().map(Samples::median).collect();
            Some((&self.set.rows[index], wanted.judge(&names, &medians)?))
        })
    }

    /// Returns the same for programs.
    pub(super) fn json(&self) -> Value {
        let rows = self.set.rows.iter().zip(&self.samples).map(|(row, samples)| {
            let contenders = self.set.contenders.iter().zip(samples).map(|(contender, taken)| {
                json!({
                    "name": contender.name,
                    "samples": taken.count(),
                    "median_seconds": taken.median().map(|time| time.as_secs_f64()),
                    "best_seconds": taken.shortest().map(|time| time.as_secs_f64()),
                    "ratio": ratio(row, samples, taken),
                })
            });
            let contenders: Vec<_> = contenders.collect();
            json!({ "row": row.title, "bytes": row.operation.bytes(), "drivers": contenders })
        });
        let wanted = self.outcomes().map(|(row, outcome)| {
            json!({ "row": row.title, "wanted": outcome.text, "measured": outcome.measured, "met": outcome.met })
        });
        let streamed = self.streamed.map(
            |streamed| json!({ "copied_bytes": streamed.copied, "passed_through_bytes": streamed.passed_through }),
        );
        json!({
            "title": self.set.title,
            "rows": rows.collect::<Vec<_>>(),
            "wanted": wanted.collect::<Vec<_>>(),
            "component_streams": streamed,
        })
    }
}

fn line(row: &Row, samples: &[Samples]) -> String {
    let mut line = format!("{:<TITLE$}", row.title);
    for (index, taken) in samples.iter().enumerate() {
        let cell = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| figure(row, time));
        let _ = write!(line, "{:<CELL$}{:<CELL$}", cell(taken.median()), cell(taken.shortest()));
        if index > 0 {
            let ratio = ratio(row, samples, taken).map(short).unwrap_or_default();
            let _ = write!(line, "{ratio:<RATIO$}");
        }
    }
    line.trim_end().to_owned()
}

/// Returns how many times the first one's figure this one's is: the time, or for streams the rate.
fn ratio(row: &Row, samples: &[Samples], taken: &Samples) -> Option<f64> {
    let (first, this) = (samples.first()?.median()?.as_secs_f64(), taken.median()?.as_secs_f64());
    Some(if row.operation.bytes().is_some() { first / this } else { this / first })
}

/// Writes a time, or for streams the rate that it means.
fn figure(row: &Row, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match row.operation.bytes() {
        Some(bytes) => format!("{} GB/s", short(bytes as f64 / seconds / 1e9)),
        None if seconds < 1e-3 => format!("{:.2} us", seconds * 1e6),
        None if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        None => format!("{seconds:.2} s"),
    }
}

/// Writes a number with the places that say something.
fn short(number: f64) -> String {
    match number.abs() {
        0.1..100.0 => format!("{number:.2}"),
        100.0.. => format!("{number:.0}"),
        _ => format!("{number:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_places_that_say_something() {
        assert_eq!([0.0022, 0.9, 28.271, 4484.09].map(short), ["0.0022", "0.90", "28.27", "4484"]);
    }
}
