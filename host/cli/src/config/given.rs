//! Parameters of drivers on the command line.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::Config;

/// The parameters given with `--params`. `Debug` shows their names.
#[derive(Clone, Default)]
pub(crate) struct Given {
    any: Map<String, Value>,
    named: BTreeMap<String, Map<String, Value>>,
}

impl Given {
    /// Reads `{JSON}`, `KEY=VALUE` and `NAME={JSON}`. Error messages name keys, never values: they may be secrets.
    pub(crate) fn parse(texts: &[String]) -> Result<Self> {
        let mut given = Given::default();
        for text in texts {
            if text.trim_start().starts_with('{') {
                given.any.extend(object(text).context("--params is no JSON object")?);
                continue;
            }
            match text.split_once('=') {
                Some((name, json)) if json.trim_start().starts_with('{') => {
                    let map = object(json).with_context(|| format!("--params {name}=... is no JSON object"))?;
                    given.named.entry(name.to_owned()).or_default().extend(map);
                }
                Some((key, value)) if !key.is_empty() => {
                    given.any.insert(key.to_owned(), self::value(value));
                }
                _ => bail!("--params takes a JSON object, KEY=VALUE, or NAME={{JSON}} for the driver NAME"),
            }
        }
        Ok(given)
    }

    /// Returns the parameters of the driver `name`: the configuration's, then those for any driver, then its own.
    pub(crate) fn of(&self, name: &str, config: &Config) -> Result<Map<String, Value>> {
        let mut parameters = match config.storage.get(name) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => bail!("`storage: {name}:` in the configuration is no map of parameters"),
        };
        parameters.extend(self.any.clone());
        parameters.extend(self.named.get(name).cloned().unwrap_or_default());
        Ok(parameters)
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
        let named: BTreeMap<_, _> = self.named.iter().map(|(name, map)| (name, keys(map))).collect();
        f.debug_struct("Given").field("any", &keys(&self.any)).field("named", &named).finish()
    }
}

/// Reads what stands after `KEY=`: JSON, or a text. A number that is not written the usual way is a text, and keeps its
/// digits.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) if number.to_string() != text => Value::String(text.to_owned()),
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

fn object(text: &str) -> Result<Map<String, Value>> {
    // The parser's own message quotes the text around a mistake in some cases; the place alone cannot leak a secret.
    serde_json::from_str(text)
        .map_err(|error| anyhow::anyhow!("JSON mistake at line {}, column {}", error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use super::*;

    #[test]
    fn parameters_of_the_command_line_win_over_the_file() {
        let storage: Map<String, Value> =
            serde_json::from_str(r#"{ "filesystem": { "rootdirectory": "/a", "maxthreads": 4 } }"#).unwrap();
        let config = Config { storage: storage.into_iter().collect(), ..Config::default() };
        let given = Given::parse(&["rootdirectory=/b".into()]).unwrap();
        let map = given.of("filesystem", &config).unwrap();
        assert_eq!(map["rootdirectory"], "/b");
        assert_eq!(map["maxthreads"], 4);
    }

    #[test]
    fn two_drivers_take_different_parameters() {
        let given = Given::parse(&[r#"a={"k":1}"#.into(), r#"b={"k":2}"#.into()]).unwrap();
        assert_eq!(given.of("a", &Config::default()).unwrap()["k"], 1);
        assert_eq!(given.of("b", &Config::default()).unwrap()["k"], 2);
    }

    #[test]
    fn a_mistake_in_parameters_shows_no_value() {
        let error = Given::parse(&[r#"{"secretkey": hunter2}"#.into()]).unwrap_err();
        assert!(!format!("{error:#}").contains("hunter2"));
    }

    #[test]
    fn digits_that_no_number_would_keep_are_a_text() {
        let digits = "123456789012345678901234567890";
        let texts = ["0123", "1e5", "1.50", digits, "5", "true"].map(|text| format!("k{text}={text}"));
        let map = Given::parse(&texts).unwrap().of("s3", &Config::default()).unwrap();
        for text in ["0123", "1e5", "1.50", digits] {
            assert_eq!(map[&format!("k{text}")], text);
        }
        assert_eq!((&map["k5"], &map["ktrue"]), (&Value::from(5), &Value::from(true)));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let given = Given::parse(&["secretkey=hunter2".into(), r#"s3={"accesskey":"hunter2"}"#.into()]).unwrap();
        let text = format!("{given:?}");
        assert!(text.contains("secretkey") && text.contains("accesskey") && !text.contains("hunter2"), "{text}");
    }
}
