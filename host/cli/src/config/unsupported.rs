//! What a configuration says that does nothing: collected, and named.

use std::fmt;

use anyhow::{Result, bail};
use serde_json::Value;

use super::document::Document;
use super::schema::{CONFIGURATION, Fate, Key, Shape};

/// Something in the configuration that does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The whole key, such as `notifications.endpoints`; or the variable's name.
    pub(crate) key: String,
    /// That it is set, and what happens instead.
    pub(crate) sentence: String,
    /// Whether something is missing for it.
    pub(crate) weight: Weight,
}

/// How much it matters that a key does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// What it asks for comes without it, or is not needed.
    Needless,
    /// Somebody expects something that does not happen.
    Missing,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Notice {
    /// A key of which something is missing. The sentence goes on after "is set, and".
    pub(super) fn missing(key: &str, sentence: &str) -> Self {
        Notice { key: key.to_owned(), sentence: format!("`{key}` is set, and {sentence}"), weight: Weight::Missing }
    }
}

/// Returns what the configuration says that does nothing.
///
/// # Errors
///
/// Names all keys that it would be insecure to pass over.
pub(super) fn collect(document: &Document) -> Result<Vec<Notice>> {
    let mut found = Found::default();
    found.walk(&document.tree, &CONFIGURATION, &mut Vec::new());
    if !found.refused.is_empty() {
        let refused: Vec<_> =
            found.refused.iter().map(|(key, what)| format!("{}", document.fault(key, what))).collect();
        bail!("{}; remove it, or stay with a registry that has it", refused.join("; "));
    }
    found.notices.extend(document.overrides.unknown.iter().map(|name| Notice {
        key: name.clone(),
        sentence: format!("the variable {name} is set, and names no key that can be set; it is passed over"),
        weight: Weight::Missing,
    }));
    Ok(found.notices)
}

#[derive(Default)]
struct Found {
    notices: Vec<Notice>,
    refused: Vec<(String, &'static str)>,
}

impl Found {
    fn walk<'a>(&mut self, node: &'a Value, shape: &'static Shape, path: &mut Vec<&'a str>) {
        let Value::Object(members) = node else { return };
        for (name, value) in members {
            path.push(name);
            let known = shape.keys().iter().find(|Key(key, ..)| key == name);
            match (known, shape) {
                (Some(Key(_, fate, shape)), _) => self.known(value, *fate, shape, path),
                // Names are for those who read them.
                (None, Shape::Section(_)) => self.unknown(&path.join(".")),
                (None, Shape::Named { other, .. }) => self.walk(value, other, path),
                (None, _) => {}
            }
            path.pop();
        }
    }

    fn known<'a>(&mut self, value: &'a Value, fate: Fate, shape: &'static Shape, path: &mut Vec<&'a str>) {
        match fate {
            Fate::Read => self.walk(value, shape, path),
            _ if is_off(value) => {}
            Fate::Refused(sentence) => self.refused.push((path.join("."), sentence)),
            Fate::Needless(sentence) | Fate::Unsupported(sentence) => {
                let weight = if matches!(fate, Fate::Needless(_)) { Weight::Needless } else { Weight::Missing };
                self.notices.push(Notice { weight, ..Notice::missing(&path.join("."), sentence) });
            }
        }
    }

    fn unknown(&mut self, key: &str) {
        self.notices.push(Notice {
            key: key.to_owned(),
            sentence: format!("`{key}` is set, and is no key that Wharf knows; it is passed over"),
            weight: Weight::Missing,
        });
    }
}

/// Whether a value asks for nothing: it is empty, zero, false, or switched off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.iter().all(is_off),
        Value::Object(members) => {
            members.get("disabled") == Some(&Value::Bool(true))
                || members.get("enabled") == Some(&Value::Bool(false))
                || members.values().all(is_off)
        }
    }
}
