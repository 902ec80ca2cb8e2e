//! Keys that mean nothing: an unknown one is refused, and one that is known and not supported is named.

use std::collections::BTreeSet;

use serde_json::Value;
use wharf::base::nearest;

use super::document::Document;
use super::report::{Notice, Report, Weight};
use super::schema::{CONFIGURATION, EXTENSION, Fate, Key, Shape};

/// How many keys are listed where none is near.
const LISTED: usize = 24;

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A registry is to be served: everything counts.
    Serve,
    /// The drivers alone count: what would be insecure to pass over in a registry is passed over.
    Drivers,
}

/// Refuses the keys that are unknown, and for [`Purpose::Serve`] those that it would be insecure to pass over; names those
/// that do nothing. What is refused is taken out of the document, so that the rest can be looked at.
pub(super) fn check(document: &mut Document, purpose: Purpose, report: &mut Report) {
    let mut tree = std::mem::take(&mut document.tree);
    let mut walk = Walk { document, purpose, report };
    walk.node(&mut tree, &CONFIGURATION, &mut Vec::new());
    document.tree = tree;
}

/// Says what the unknown key of a section may be meant as.
pub(super) fn suggestion(key: &str, shape: &Shape) -> String {
    let places = places(key);
    let near = nearest(key, shape.names());
    let mut text = String::new();
    if !places.is_empty() {
        let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        text = format!("; `{key}` belongs under {}", places.join(" or "));
    }
    if let Some(near) = near {
        text += &format!("; did you mean `{near}`?");
    }
    if text.is_empty() {
        let known: Vec<String> = shape.names().take(LISTED).map(|name| format!("`{name}`")).collect();
        text = format!("; known there: {}", known.join(", "));
    }
    text
}

/// Returns the sections that have a key of that name and heed it.
fn places(key: &str) -> BTreeSet<String> {
    fn look(key: &str, shape: &'static Shape, path: &mut Vec<&'static str>, found: &mut BTreeSet<String>) {
        if !path.is_empty() && shape.keys().iter().any(|Key(name, fate, _)| *name == key && matches!(fate, Fate::Read))
        {
            found.insert(path.join("."));
        }
        for Key(name, fate, below) in shape.keys() {
            if matches!(fate, Fate::Read) {
                path.push(name);
                look(key, below, path, found);
                path.pop();
            }
        }
        match shape {
            Shape::List(element) => look(key, element, path, found),
            Shape::Named { other, .. } => {
                path.push("NAME");
                look(key, other, path, found);
                path.pop();
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    look(key, &CONFIGURATION, &mut Vec::new(), &mut found);
    found
}

struct Walk<'a> {
    document: &'a Document,
    purpose: Purpose,
    report: &'a mut Report,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut Value, shape: &'static Shape, path: &mut Vec<String>) {
        match (node, shape) {
            (Value::Array(elements), Shape::List(element)) => {
                for (index, value) in elements.iter_mut().enumerate() {
                    path.push(index.to_string());
                    self.node(value, element, path);
                    path.pop();
                }
            }
            (Value::Object(members), _) => members.retain(|name, value| {
                path.push(name.clone());
                let known = shape.keys().iter().find(|Key(key, ..)| key == name);
                let stays = match (known, shape) {
                    (Some(Key(_, fate, shape)), _) => {
                        self.known(value, *fate, shape, path);
                        true
                    }
                    // What it holds is for anchors.
                    (None, Shape::Section(_)) if path.len() == 1 && name.starts_with(EXTENSION) => false,
                    (None, Shape::Section(_)) => {
                        let what = format!("is no key that Wharf knows{}", suggestion(name, shape));
                        self.report.refuse(self.document, &path.join("."), &what);
                        false
                    }
                    // Names are for those who read them.
                    (None, Shape::Named { other, .. }) => {
                        self.node(value, other, path);
                        true
                    }
                    (None, _) => true,
                };
                path.pop();
                stays
            }),
            _ => {}
        }
    }

    fn known(&mut self, value: &mut Value, fate: Fate, shape: &'static Shape, path: &mut Vec<String>) {
        let key = path.join(".");
        match (fate, self.purpose) {
            (Fate::Read, _) => self.node(value, shape, path),
            (_, Purpose::Drivers) => {}
            _ if is_off(value) => {}
            (Fate::Refused(sentence), _) => {
                let what = format!("{sentence}; remove it, or stay with a registry that has it");
                self.report.refuse(self.document, &key, &what);
            }
            (Fate::Needless(sentence) | Fate::Unsupported(sentence), _) => {
                let weight = if matches!(fate, Fate::Needless(_)) { Weight::Needless } else { Weight::Missing };
                self.report.notices.push(Notice { weight, ..Notice::missing(&key, sentence) });
                if matches!(fate, Fate::Needless(_)) {
                    self.node(value, shape, path);
                }
            }
        }
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
