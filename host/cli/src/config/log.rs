//! The section `log:`, and `loglevel:`, its older form.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::document::Document;
use super::report::Report;

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Log {
    /// From which level on.
    pub(crate) level: Level,
    /// How a line is written.
    pub(crate) formatter: Formatter,
    /// What every line has besides.
    pub(crate) fields: Map<String, Value>,
    /// Whether there is a line for each request.
    pub(crate) access: bool,
}

/// A level of the log; `info` by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    /// What failed.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And how.
    Debug,
}

/// How a line of the log is written; `text` by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Formatter {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// One JSON object with the keys that Logstash has: `@timestamp`, `@version`, `message`.
    Logstash,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    level: Option<String>,
    formatter: Formatter,
    fields: Map<String, Value>,
    accesslog: AccessLog,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessLog {
    disabled: bool,
}

impl Log {
    pub(super) fn from_document(document: &Document, report: &mut Report) -> Self {
        let section: Section = document.parse("log", report);
        let newer = section.level.as_deref().map(|text| level(document, "log.level", text, report));
        let older = document.section("loglevel").map(|legacy| match legacy.as_str() {
            Some(text) => level(document, "loglevel", text, report),
            None => {
                report.refuse(document, "loglevel", "is no text");
                Level::default()
            }
        });
        let Section { formatter, fields, accesslog, .. } = section;
        Log { level: newer.or(older).unwrap_or_default(), formatter, fields, access: !accesslog.disabled }
    }
}

/// Reads a level, in upper or lower case.
fn level(document: &Document, key: &str, text: &str, report: &mut Report) -> Level {
    match &*text.to_ascii_lowercase() {
        "error" => Level::Error,
        "warn" => Level::Warn,
        "info" => Level::Info,
        "debug" => Level::Debug,
        _ => {
            report.refuse(document, key, "expected one of `error`, `warn`, `info`, `debug`");
            Level::default()
        }
    }
}
