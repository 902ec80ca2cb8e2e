//! The configuration before anything is made of it: a tree of JSON values, from YAML.

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Number, Value};
use serde_yaml_ng::Value as Yaml;

/// Reads YAML: one document, of which the keys may be any scalars, and the rest is what JSON has too.
///
/// # Errors
///
/// Where in the text the mistake is, and what; a key may be named, a value never is.
pub(super) fn parse(text: &str) -> Result<Value> {
    let mut yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|error| anyhow!("{error}"))?;
    yaml.apply_merge().map_err(|error| anyhow!("{error}"))?;
    json(yaml)
}

/// How deep serde_yaml_ng lets a document be: the recursion here ends with it.
fn json(yaml: Yaml) -> Result<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => Value::Number(self::number(&number)?),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(values) => Value::Array(values.into_iter().map(json).collect::<Result<_>>()?),
        Yaml::Mapping(members) => {
            let mut map = Map::new();
            for (name, value) in members {
                map.insert(key(name)?, json(value)?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => bail!("the tag {} means nothing here; quote a text that begins with `!`", tagged.tag),
    })
}

fn number(number: &serde_yaml_ng::Number) -> Result<Number> {
    let integer = number.as_u64().map(Number::from).or_else(|| number.as_i64().map(Number::from));
    let any = integer.or_else(|| number.as_f64().and_then(Number::from_f64));
    any.ok_or_else(|| anyhow!("a number is infinite or none; quote it if it is a text"))
}

fn key(yaml: Yaml) -> Result<String> {
    Ok(match yaml {
        Yaml::String(text) => text,
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Null => "null".to_owned(),
        _ => bail!("a key is a map, a list or has a tag; keys are texts"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use serde_json::json;

    use super::*;

    #[test]
    fn anchors_and_merges_are_resolved() {
        let tree = parse("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n404: no\n").unwrap();
        assert_eq!(tree, json!({ "a": { "x": 1, "y": 2 }, "b": { "x": 1, "y": 3 }, "404": "no" }));
    }

    #[test]
    fn a_tag_an_infinity_and_a_key_that_is_a_map_are_refused() {
        for text in ["a: !secret hunter2", "a: .inf", "? {a: 1}\n: 2", "a: 1\na: 2", "- a\nb: 1"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
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
    }
}
