//! The section `log:`, and `loglevel:`, its older form.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::document::Document;

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
    pub(super) fn from_document(document: &Document) -> Result<Self> {
        let section: Section = document.parse("log")?;
        let legacy = document.section("loglevel").and_then(Value::as_str);
        let level = match (&section.level, legacy) {
            (Some(text), _) => level(document, "log.level", text)?,
            (None, Some(text)) => level(document, "loglevel", text)?,
            (None, None) if document.section("loglevel").is_some() => {
                return Err(document.fault("loglevel", "is no text"));
            }
            (None, None) => Level::default(),
        };
        let Section { formatter, fields, accesslog, .. } = section;
        Ok(Log { level, formatter, fields, access: !accesslog.disabled })
    }
}

/// Reads a level, in upper or lower case.
fn level(document: &Document, key: &str, text: &str) -> Result<Level> {
    match &*text.to_ascii_lowercase() {
        "error" => Ok(Level::Error),
        "warn" => Ok(Level::Warn),
        "info" => Ok(Level::Info),
        "debug" => Ok(Level::Debug),
        _ => Err(document.fault(key, "expected one of `error`, `warn`, `info`, `debug`")),
    }
}
