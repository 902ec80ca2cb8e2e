//! One spelling for everything: what is written in several ways becomes what the typed sections read.

use serde_json::{Map, Value};

use super::environment::spell_out;
use super::schema::{Key, Shape};

/// Brings the tree to one spelling. A key of a section with nothing after it, or an empty text, is as one that is not
/// there. What has the wrong type stays as it is, for the section to refuse.
pub(super) fn normalize(node: &mut Value, shape: &Shape) {
    spell_out(node, shape);
    match (shape, &mut *node) {
        (Shape::Text, Value::Bool(value)) => *node = Value::String(value.to_string()),
        // Not a fraction: how it was written is not known any more.
        (Shape::Text, Value::Number(number)) if !number.is_f64() => *node = Value::String(number.to_string()),
        (Shape::Flag, Value::String(text)) => {
            if let Some(flag) = flag(text) {
                *node = Value::Bool(flag);
            }
        }
        // What it is taken as, and that its unit is missing, the section says.
        (Shape::Duration, Value::Number(number)) if number.is_u64() => *node = Value::String(number.to_string()),
        (Shape::List(element), Value::Array(values)) => values.iter_mut().for_each(|value| normalize(value, element)),
        (Shape::Section(_) | Shape::Named { .. } | Shape::Map(_), Value::Object(members)) => {
            members_of(members, shape);
        }
        _ => {}
    }
}

fn members_of(members: &mut Map<String, Value>, shape: &Shape) {
    for (key, value) in &mut *members {
        if let Some(shape) = shape.at(key) {
            normalize(value, shape);
        }
    }
    members.retain(|key, value| match shape {
        // A driver or scheme without parameters is named all the same.
        Shape::Named { keys, .. } if !keys.iter().any(|Key(name, ..)| name == key) => true,
        _ => !value.is_null() && value != "",
    });
}

/// YAML 1.1's words for the truth, which Distribution's parser takes.
fn flag(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::schema::CONFIGURATION;

    fn normal(mut tree: Value) -> Value {
        normalize(&mut tree, &CONFIGURATION);
        tree
    }

    #[test]
    fn spellings_of_the_same_become_the_same() {
        let given = json!({
            "storage": { "delete": { "enabled": "yes" }, "redirect": null, "inmemory": null },
            "auth": "none",
            "http": { "addr": "", "secret": 123, "draintimeout": 5, "headers": { "X-A": [1, true] }, "tls": null },
        });
        let expected = json!({
            "storage": { "delete": { "enabled": true }, "inmemory": null },
            "auth": { "none": {} },
            "http": { "secret": "123", "draintimeout": "5", "headers": { "X-A": ["1", "true"] } },
        });
        assert_eq!(normal(given), expected);
    }

    #[test]
    fn what_a_driver_gets_is_left_as_it_is() {
        let given = json!({ "storage": { "s3": { "bucket": "", "secure": "no", "chunksize": 5, "keyid": null } } });
        assert_eq!(normal(given.clone()), given);
    }
}
