//! Values as Distribution's cloud drivers read them: a number or a boolean, or its text, since environment variables
//! and quoted YAML give texts.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Unexpected};
use serde_json::Value;

/// A boolean, or one of the texts that Go's `strconv.ParseBool` takes.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Ok(flag),
        Value::String(text) => match &*text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(D::Error::custom("should be a boolean: true or false")),
        },
        _ => Err(D::Error::custom("should be a boolean: true or false")),
    }
}

/// A whole number that is not negative, or its digits.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        other => return Err(D::Error::invalid_type(unexpected(&other), &"a whole number")),
    };
    number.ok_or_else(|| D::Error::custom("must be a whole number, in digits and without a unit"))
}

/// A text; a number or a boolean counts as the text that it was written as.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
        other => Err(D::Error::invalid_type(unexpected(&other), &"a text")),
    }
}

/// The kind of a value, without the value.
fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(flag) => Unexpected::Bool(*flag),
        Value::Number(_) => Unexpected::Other("a number"),
        Value::String(_) => Unexpected::Str(""),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}
