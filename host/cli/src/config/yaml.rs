//! YAML, with the line of each key and the text of each scalar.
//!
//! What a scalar means depends on what stands at its key: `0123` is a text where a text is meant, and so is `1e5`, whose
//! digits no number would keep. So a text is read into a tree of nodes, and becomes JSON values by the table of keys.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::{Result, anyhow, bail};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use super::schema::Shape;

/// How deep maps and lists may stand in each other: what reads them afterwards is recursive.
const MOST_DEEP: usize = 64;

/// How many values a document may have, aliases written out: one that repeats itself may have more than memory holds.
const MOST_VALUES: usize = 100_000;

/// One document.
#[derive(Clone, Debug)]
pub(super) struct Yaml {
    root: Rc<Node>,
    /// The keys that stand twice in one map.
    pub(super) duplicates: Vec<Duplicate>,
}

/// A key that stands twice in one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duplicate {
    /// The keys that lead to it, and itself.
    pub(super) path: Vec<String>,
    /// The line of the one that counts.
    pub(super) first: usize,
    /// The line of the other.
    pub(super) line: usize,
}

#[derive(Debug)]
enum Node {
    Scalar {
        text: String,
        /// Whether it has quotes, so that it is a text whatever it looks like.
        quoted: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    key: String,
    line: usize,
    value: Rc<Node>,
    /// Whether the key is `<<`, so that the value's entries stand here, where there is no other of their keys.
    merges: bool,
}

/// A map or list that has begun.
enum Open {
    List { anchor: usize, values: Vec<Rc<Node>> },
    Map { anchor: usize, entries: Vec<Entry>, key: Option<(String, usize, bool)> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    duplicates: Vec<Duplicate>,
}

impl Yaml {
    /// Reads one document, of which the keys may be any scalars, and the rest is what JSON has too. Keys that stand twice
    /// are noted, and the first counts.
    ///
    /// # Errors
    ///
    /// Where in the text the mistake is, and what; a key may be named, a value never is.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut builder = Builder::default();
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                anyhow!("line {}, column {}: {}", error.marker().line(), error.marker().col() + 1, error.info())
            })?;
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
            }
            if documents > 1 {
                bail!("line {}: a second document begins; there is one alone", span.start.line());
            }
            builder.take(event, span)?;
        }
        let root = builder.root.unwrap_or_else(|| Rc::new(Node::Scalar { text: String::new(), quoted: false }));
        let yaml = Yaml { root, duplicates: builder.duplicates };
        yaml.count(&yaml.root, &mut 0)?;
        Ok(yaml)
    }

    /// Counts the values, aliases written out.
    fn count(&self, node: &Node, values: &mut usize) -> Result<()> {
        *values += 1;
        if *values > MOST_VALUES {
            bail!("it has more than {MOST_VALUES} values, those of its aliases among them");
        }
        match node {
            Node::Scalar { .. } => Ok(()),
            Node::List(elements) => elements.iter().try_for_each(|node| self.count(node, values)),
            Node::Map(entries) => entries.iter().try_for_each(|entry| self.count(&entry.value, values)),
        }
    }

    /// Returns the values, read as what stands at their keys.
    ///
    /// # Errors
    ///
    /// If a number is infinite or none.
    pub(super) fn value(&self, shape: &Shape) -> Result<Value> {
        self.root.value(shape)
    }

    /// Returns the line of a key; of its parent where the key itself is not there.
    pub(super) fn line<S: AsRef<str>>(&self, path: &[S]) -> Option<usize> {
        let (mut node, mut line) = (&self.root, None);
        for key in path {
            match &**node {
                Node::Map(_) => {
                    let Some(entry) = node.entry(key.as_ref()) else { break };
                    (node, line) = (&entry.value, Some(entry.line));
                }
                Node::List(elements) => {
                    let Some(element) = key.as_ref().parse().ok().and_then(|index: usize| elements.get(index)) else {
                        break;
                    };
                    node = element;
                    line = node.first_line().or(line);
                }
                Node::Scalar { .. } => break,
            }
        }
        line
    }
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let line = span.start.line();
        match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    bail!("line {line}: an alias stands within what it names");
                };
                self.put(node, line, false)
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), line)?;
                let quoted = style != ScalarStyle::Plain;
                let node = Rc::new(Node::Scalar { text: text.into_owned(), quoted });
                self.name(anchor, &node);
                self.put(node, line, !quoted)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.is_some(), line)?;
                self.begin(Open::List { anchor, values: Vec::new() }, line)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.is_some(), line)?;
                self.begin(Open::Map { anchor, entries: Vec::new(), key: None }, line)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, node) = match self.open.pop() {
                    Some(Open::List { anchor, values }) => (anchor, Rc::new(Node::List(values))),
                    Some(Open::Map { anchor, entries, .. }) => (anchor, Rc::new(Node::Map(entries))),
                    None => bail!("line {line}: something ends that did not begin"),
                };
                self.name(anchor, &node);
                self.put(node, line, false)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, line: usize) -> Result<()> {
        if self.open.len() >= MOST_DEEP {
            bail!("line {line}: more than {MOST_DEEP} maps and lists stand in each other");
        }
        self.open.push(open);
        Ok(())
    }

    /// Keeps a node for its aliases. The parser counts anchors from 1.
    fn name(&mut self, anchor: usize, node: &Rc<Node>) {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(node));
        }
    }

    /// Puts a node where it belongs: it is an element, a key or a value.
    fn put(&mut self, node: Rc<Node>, line: usize, plain: bool) -> Result<()> {
        let path: Vec<String> = self.path();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { values, .. }) => values.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => {
                    let Node::Scalar { text, quoted } = &*node else {
                        bail!("line {line}: a key is a map or a list; keys are texts");
                    };
                    // What is not quoted and says nothing is the key `null`, as it would be elsewhere.
                    let text = if text.is_empty() && !quoted { "null".to_owned() } else { text.clone() };
                    let merges = plain && text == "<<";
                    *key = Some((text, line, merges));
                }
                Some((key, line, merges)) => match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => {
                        let path = [path, vec![key]].concat();
                        self.duplicates.push(Duplicate { path, first: first.line, line });
                    }
                    None => entries.push(Entry { key, line, value: node, merges }),
                },
            },
        }
        Ok(())
    }

    /// The keys that lead to the map or list that is open.
    fn path(&self) -> Vec<String> {
        let outer = self.open.len().saturating_sub(1);
        let step = |open: &Open| match open {
            Open::List { values, .. } => values.len().to_string(),
            Open::Map { key, .. } => key.as_ref().map(|(key, ..)| key.clone()).unwrap_or_default(),
        };
        self.open[..outer].iter().map(step).collect()
    }
}

fn refuse_tag(is_tagged: bool, line: usize) -> Result<()> {
    if is_tagged {
        bail!("line {line}: a tag means nothing here; quote a text that begins with `!`");
    }
    Ok(())
}

impl Node {
    /// Returns the entry of a key: one that stands there, or else one that is merged.
    fn entry(&self, key: &str) -> Option<&Entry> {
        let Node::Map(entries) = self else { return None };
        let own = entries.iter().find(|entry| entry.key == key && !entry.merges);
        own.or_else(|| entries.iter().filter(|entry| entry.merges).find_map(|entry| entry.value.merged(key)))
    }

    /// Returns the entry of a key in what is merged: a map, or a list of maps of which the first counts.
    fn merged(&self, key: &str) -> Option<&Entry> {
        match self {
            Node::Map(_) => self.entry(key),
            Node::List(maps) => maps.iter().find_map(|map| map.entry(key)),
            Node::Scalar { .. } => None,
        }
    }

    /// Returns the line of the first key in it.
    fn first_line(&self) -> Option<usize> {
        match self {
            Node::Map(entries) => entries.first().map(|entry| entry.line),
            Node::List(elements) => elements.first().and_then(|element| element.first_line()),
            Node::Scalar { .. } => None,
        }
    }

    /// Returns the keys of a map, with those that are merged, each once.
    fn keys(&self, keys: &mut BTreeSet<String>) -> Result<()> {
        let Node::Map(entries) = self else { bail!("`<<` merges maps, and names something else") };
        for entry in entries {
            if !entry.merges {
                keys.insert(entry.key.clone());
            } else if let Node::List(maps) = &*entry.value {
                maps.iter().try_for_each(|map| map.keys(keys))?;
            } else {
                entry.value.keys(keys)?;
            }
        }
        Ok(())
    }

    fn value(&self, shape: &Shape) -> Result<Value> {
        static FREE: Shape = Shape::Free(&[]);
        Ok(match self {
            Node::Scalar { text, quoted: true } => Value::String(text.clone()),
            Node::Scalar { text, quoted: false } => match (scalar(text)?, shape) {
                (Value::Number(_) | Value::Bool(_), Shape::Text) => Value::String(text.clone()),
                // Whoever takes it may mean a text: it keeps its digits.
                (Value::Number(number), Shape::Free(_)) if number.to_string() != *text => Value::String(text.clone()),
                (value, _) => value,
            },
            Node::List(elements) => {
                let element = match shape {
                    Shape::List(element) => element,
                    _ => &FREE,
                };
                Value::Array(elements.iter().map(|node| node.value(element)).collect::<Result<_>>()?)
            }
            Node::Map(_) => {
                let mut keys = BTreeSet::new();
                self.keys(&mut keys)?;
                let mut members = Map::new();
                for key in keys {
                    if let Some(entry) = self.entry(&key) {
                        let value = entry.value.value(shape.at(&key).unwrap_or(&FREE))?;
                        members.insert(key, value);
                    }
                }
                Value::Object(members)
            }
        })
    }
}

/// Reads a scalar without quotes by YAML 1.2's core schema: nothing, truth, numbers; anything else is a text. Digits that
/// begin with a 0, and those of which there are too many for a number, are texts too.
fn scalar(text: &str) -> Result<Value> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text)? {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Result<Option<Number>> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        bail!("a number is infinite or none; quote it if it is a text");
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            let is_digits = digits.chars().all(|digit| digit.is_digit(radix));
            let sign = if negative { "-" } else { "" };
            let parsed = is_digits.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()).flatten();
            return Ok(parsed.map(Number::from));
        }
    }
    // Neither `infinity` nor `nan`, which the standard library takes too.
    let is_decimal = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let leads_with_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if !is_decimal || leads_with_zero {
        return Ok(None);
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = if negative { None } else { digits.parse::<u64>().ok().map(Number::from) };
        return Ok(unsigned.or_else(|| text.strip_prefix('+').unwrap_or(text).parse::<i64>().ok().map(Number::from)));
    }
    Ok(text.parse::<f64>().ok().filter(|number| number.is_finite()).and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use serde_json::json;

    use super::*;

    static FREE: Shape = Shape::Free(&[]);

    fn parse(text: &str) -> Result<Value> {
        Yaml::parse(text)?.value(&Shape::Map(&Shape::Other))
    }

    #[test]
    fn anchors_and_merges_are_resolved() {
        let tree = parse("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: {<<: [{z: 1}, *a], y: 4}\n404: no\n").unwrap();
        let expected = json!({
            "a": { "x": 1, "y": 2 }, "b": { "x": 1, "y": 3 }, "c": { "x": 1, "y": 4, "z": 1 }, "404": "no",
        });
        assert_eq!(tree, expected);
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        let text = "[~, null, '', true, TRUE, yes, 5, -5, +5, 0x1F, 0o17, 1.5, 1e5, .5, 0123, 00, 1_000, nan, 1.2.3, '5', \
                    10.0.0.1, 18446744073709551615, 18446744073709551616, -9223372036854775808, 0, 1e999]";
        let expected = json!([
            null,
            null,
            "",
            true,
            true,
            "yes",
            5,
            -5,
            5,
            31,
            15,
            1.5,
            100_000.0,
            0.5,
            "0123",
            "00",
            "1_000",
            "nan",
            "1.2.3",
            "5",
            "10.0.0.1",
            18_446_744_073_709_551_615_u64,
            "18446744073709551616",
            i64::MIN,
            0,
            "1e999",
        ]);
        let parsed = Yaml::parse(text).unwrap().value(&Shape::List(&Shape::Other)).unwrap();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_number_keeps_its_digits_where_a_text_may_be_meant() {
        let text = "[12345678, 1e5, 1.50, 0x1F, true, 123456789012345678901234567890]";
        let yaml = Yaml::parse(text).unwrap();
        let texts = json!(["12345678", "1e5", "1.50", "0x1F", "true", "123456789012345678901234567890"]);
        assert_eq!(yaml.value(&Shape::List(&Shape::Text)).unwrap(), texts);
        let free = json!([12345678, "1e5", "1.50", "0x1F", true, "123456789012345678901234567890"]);
        assert_eq!(yaml.value(&FREE).unwrap(), free);
    }

    #[test]
    fn a_key_has_the_line_that_it_stands_on() {
        let text = "# one\na:\n  b: {c: 1,\n    d: 2}\n  e:\n  - f: 1\n    g: 2\n  -\n    h: 3\n  # ten\n  i: |\n    a: x\n  j: &j\n    k: 1\n\
                    l:\n  <<: *j\n";
        let yaml = Yaml::parse(text).unwrap();
        let line = |path: &str| yaml.line(&path.split('.').collect::<Vec<_>>());
        for (path, expected) in [
            ("a", 2),
            ("a.b", 3),
            ("a.b.c", 3),
            ("a.b.d", 4),
            ("a.e", 5),
            ("a.e.0.f", 6),
            ("a.e.0.g", 7),
            ("a.e.1", 9),
            ("a.e.1.h", 9),
            ("a.i", 11),
            ("a.j.k", 14),
            ("l.k", 14),
            ("a.nothing", 2),
        ] {
            assert_eq!(line(path), Some(expected), "{path}");
        }
        assert_eq!(line("nothing"), None);
    }

    #[test]
    fn a_key_that_stands_twice_is_noted_with_both_lines() {
        let yaml = Yaml::parse("a: 1\nb:\n- {x: 1}\n- {c: 1, 'c': 2}\n\"a\": 3\n404: 1\n'404': 2\n").unwrap();
        let duplicate = |path: &[&str], first, line| Duplicate {
            path: path.iter().map(|&key| key.to_owned()).collect(),
            first,
            line,
        };
        let expected = [duplicate(&["b", "1", "c"], 4, 4), duplicate(&["a"], 1, 5), duplicate(&["404"], 6, 7)];
        assert_eq!(yaml.duplicates, expected);
    }

    #[test]
    fn what_json_has_not_is_refused_by_its_line_and_never_shown() {
        for text in [
            "\na: !secret hunter2",
            "a: 1\n? {a: hunter2}\n: 2",
            "- a\nhunter2: 1",
            "a: 1\n---\nb: hunter2",
            "\na: &a [*a]",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("line 2") && !error.contains("hunter2"), "{text}: {error}");
        }
        assert!(parse("a: .inf").unwrap_err().to_string().contains("infinite"));
    }

    #[test]
    fn a_document_that_repeats_itself_beyond_measure_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        assert!(parse(&text).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
    }
}
