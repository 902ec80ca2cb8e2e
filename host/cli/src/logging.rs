//! The program's own log: one line for each event on standard error, for people or for machines.
//!
//! | `log: formatter` | a line | as |
//! |---|---|---|
//! | `text` | `2026-11-24T19:49:44.123456Z  INFO wharf::access: … service=registry` | tracing's |
//! | `json` | `{"time":…,"level":"info","msg":…,"target":…}` and the event's fields | Distribution's, by logrus |
//! | `logstash` | `{"@timestamp":…,"@version":"1","level":"INFO","message":…,"target":…}` and the same | Logstash's |
//!
//! A line is one line, and shows nothing that drives a terminal or hides from its reader, whatever its event holds: in JSON
//! it is escaped, in text a space.
//!
//! In JSON, `spans` holds what the event happened within, the outermost first. `log: fields` stand in every line. An event's own field of the same name comes first.

use std::fmt;
use std::io::IsTerminal;
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use wharf::contract::{escape_json, printable};

use crate::config::{Formatter, Level, Log};

/// Logs as a registry's configuration says; `-v` says more.
pub(crate) fn log_as(log: &Log, verbose: u8) {
    let levels = ["error", "warn", "info", "debug", "trace"];
    let level = match log.level {
        Level::Error => 0,
        Level::Warn => 1,
        Level::Info => 2,
        Level::Debug => 3,
    };
    log_to(levels[(level + usize::from(verbose)).min(4)], log.formatter, &log.fields);
}

/// Logs for people, of a level that grows with `-v`.
pub(crate) fn log_to_people(verbose: u8) {
    log_to(["warn", "info", "debug", "trace"][usize::from(verbose.min(3))], Formatter::Text, &Map::new());
}

/// Logs on standard error what is of a level, or what RUST_LOG says.
fn log_to(level: &str, formatter: Formatter, fields: &Map<String, Value>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter);
    match formatter {
        Formatter::Text => subscriber.event_format(Text::new(fields, ansi)).init(),
        Formatter::Json => subscriber.event_format(Json { keys: Keys::LOGRUS, fields: fields.clone() }).init(),
        Formatter::Logstash => subscriber.event_format(Json { keys: Keys::LOGSTASH, fields: fields.clone() }).init(),
    }
}

/// A line for people, with the configured fields at its end.
struct Text {
    line: Format,
    fields: String,
    ansi: bool,
}

impl Text {
    fn new(fields: &Map<String, Value>, ansi: bool) -> Self {
        let pairs = fields.iter().map(|(name, value)| match value {
            Value::String(plain) if is_plain(plain) => format!(" {name}={plain}"),
            // Quotes and line breaks are escaped.
            other => format!(" {name}={other}"),
        });
        let text: String = pairs.collect();
        let text = printable(text).into_owned();
        Text { line: Format::default().with_ansi(false), fields: text, ansi }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.chars().any(|character| character.is_whitespace() || character.is_control() || character == '"')
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        let line = printable(line.trim_end_matches('\n'));
        // Coloured here and not by tracing: what begins a colour there could not be told from what an event brings.
        let level = event.metadata().level();
        // The time comes before it, and holds no level's name.
        match line.split_once(level.as_str()).filter(|_| self.ansi) {
            Some((time, rest)) => {
                let colour = colour(*level);
                writeln!(writer, "\u{1b}[2m{time}\u{1b}[0m\u{1b}[{colour}m{level}\u{1b}[0m{rest}{}", self.fields)
            }
            None => writeln!(writer, "{line}{}", self.fields),
        }
    }
}

/// Returns the code of a level's colour on a terminal.
fn colour(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 31,
        tracing::Level::WARN => 33,
        tracing::Level::INFO => 32,
        tracing::Level::DEBUG => 34,
        tracing::Level::TRACE => 35,
    }
}

/// What Logrus and Logstash call the parts of a line.
#[derive(Clone, Copy)]
struct Keys {
    time: &'static str,
    level: &'static str,
    message: &'static str,
    version: Option<&'static str>,
    /// How levels are written.
    shout: bool,
}

impl Keys {
    const LOGRUS: Keys = Keys { time: "time", level: "level", message: "msg", version: None, shout: false };
    const LOGSTASH: Keys =
        Keys { time: "@timestamp", level: "level", message: "message", version: Some("@version"), shout: true };
}

/// A line for machines.
struct Json {
    keys: Keys,
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Keys { time, level, message, version, shout } = self.keys;
        let mut line = Map::new();
        event.record(&mut Recorded { line: &mut line, message });
        for (name, value) in &self.fields {
            line.entry(name).or_insert_with(|| value.clone());
        }
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root()).map(|span| {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.as_str());
            Value::String(format!("{}{{{fields}}}", span.name()))
        });
        let spans: Vec<Value> = spans.collect();
        if !spans.is_empty() {
            line.insert("spans".to_owned(), spans.into());
        }
        let metadata = event.metadata();
        let name = metadata.level().as_str();
        line.insert(time.to_owned(), humantime::format_rfc3339_micros(SystemTime::now()).to_string().into());
        line.insert(level.to_owned(), if shout { name.to_owned() } else { logrus_level(name) }.into());
        if let Some(version) = version {
            line.insert(version.to_owned(), "1".into());
        }
        line.insert("target".to_owned(), metadata.target().into());
        writeln!(writer, "{}", escape_json(Value::Object(line).to_string()))
    }
}

fn logrus_level(name: &str) -> String {
    if name == "WARN" { "warning".to_owned() } else { name.to_ascii_lowercase() }
}

/// Takes an event's fields into an object.
struct Recorded<'a> {
    line: &'a mut Map<String, Value>,
    message: &'static str,
}

impl Recorded<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { self.message } else { field.name() };
        self.line.insert(name.to_owned(), value);
    }
}

impl Visit for Recorded<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn fields() -> Map<String, Value> {
        let Value::Object(fields) = json!({ "service": "registry", "note": "a \"b\"\n", "rack": 7 }) else { panic!() };
        fields
    }

    /// Logs one event, and returns its line.
    macro_rules! line {
        ($format:expr) => {{
            let written = Written::default();
            let into = written.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_writer(move || into.clone())
                .with_ansi(false)
                .event_format($format)
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(target: "wharf::test", rack = 3, why = ?"x", "it \"stops\"");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.matches('\n').count(), 1, "one event is one line: {text:?}");
            text
        }};
    }

    fn without_time(line: &str, time: &str) -> Value {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let at = value.as_object_mut().unwrap().remove(time).unwrap();
        assert!(humantime::parse_rfc3339(at.as_str().unwrap()).is_ok(), "{at}");
        value
    }

    #[test]
    fn a_line_for_people_ends_with_the_configured_fields() {
        let line = line!(Text::new(&fields(), false));
        assert!(line.contains(" WARN wharf::test: it \"stops\" rack=3 why=\"x\""), "{line}");
        assert!(line.contains(" service=registry") && line.contains(r#" note="a \"b\"\n""#), "{line}");
        assert!(!line!(Text::new(&Map::new(), false)).contains("service"));
    }

    #[test]
    fn a_line_shows_nothing_that_drives_a_terminal_or_hides() {
        let harm = "a\n2026-11-27 ERROR forged\u{1b}[2J\r\u{202e}\u{2028}\u{200b}\u{9b}b";
        let fields = Map::new();
        let json = || Json { keys: Keys::LOGRUS, fields: fields.clone() };
        for ansi in [false, true] {
            let written = Written::default();
            let into = written.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || into.clone()).with_ansi(false);
            tracing::subscriber::with_default(subscriber.event_format(Text::new(&fields, ansi)).finish(), || {
                let _within = tracing::info_span!("in", path = harm).entered();
                tracing::warn!(target: "wharf::test", shown = %harm, quoted = ?harm, "{harm}");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            let line = text.strip_suffix('\n').unwrap();
            let bare = line.replace("\u{1b}[0m", "").replace("\u{1b}[2m", "").replace("\u{1b}[33m", "");
            assert_eq!(bare != line, ansi, "the level has its colour on a terminal");
            assert!(bare.contains("forged") && bare.chars().all(wharf::contract::is_printable), "{bare:?}");
        }
        let written = Written::default();
        let into = written.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || into.clone()).event_format(json()).finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!(shown = %harm, "{harm}"));
        let line = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let line = line.strip_suffix('\n').unwrap();
        assert!(line.chars().all(wharf::contract::is_printable), "{line:?}");
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["msg"], harm);
    }

    #[test]
    fn json_has_the_keys_of_distribution() {
        let line = line!(Json { keys: Keys::LOGRUS, fields: fields() });
        let expected = json!({
            "level": "warning", "msg": "it \"stops\"", "target": "wharf::test", "rack": 3, "why": "\"x\"",
            "service": "registry", "note": "a \"b\"\n",
        });
        assert_eq!(without_time(&line, "time"), expected);
    }

    #[test]
    fn json_tells_what_the_event_happened_within() {
        let written = Written::default();
        let into = written.clone();
        let format = Json { keys: Keys::LOGRUS, fields: Map::new() };
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || into.clone()).with_ansi(false).event_format(format);
        tracing::subscriber::with_default(subscriber.finish(), || {
            let _outer = tracing::info_span!("request").entered();
            let _inner = tracing::info_span!("put", path = "/a").entered();
            tracing::info!("done");
        });
        let line: Value = serde_json::from_slice(&written.0.lock().unwrap()).unwrap();
        assert_eq!(line["spans"], json!(["request{}", "put{path=\"/a\"}"]));
    }

    #[test]
    fn logstash_has_its_own_keys() {
        let line = line!(Json { keys: Keys::LOGSTASH, fields: Map::new() });
        let expected = json!({
            "@version": "1", "level": "WARN", "message": "it \"stops\"", "target": "wharf::test", "rack": 3,
            "why": "\"x\"",
        });
        assert_eq!(without_time(&line, "@timestamp"), expected);
    }
}
