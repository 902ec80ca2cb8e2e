//! The configuration: Distribution's sections `storage:` and `middleware:`, and `drivers:` beside them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use wharf::factory::DriversConfig;
use wharf::middleware::MiddlewareConfig;

/// The parts of a configuration file that drivers need. Distribution's other sections are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// Which components there are.
    pub(crate) drivers: DriversConfig,
    /// The parameters of each driver, by its name.
    pub(crate) storage: BTreeMap<String, Value>,
    /// What stands before the drivers of `storage`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) middleware: Middleware,
}

/// The section `middleware:`. Those of other kinds, for the registry and its repositories, are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Middleware {
    /// In the order in which each wraps the one before.
    #[serde(deserialize_with = "or_default")]
    pub(crate) storage: Vec<MiddlewareConfig>,
}

/// A key with nothing after it is as one that is not there.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What stands in `storage:` beside the driver.
const NO_DRIVERS: [&str; 5] = ["cache", "delete", "maintenance", "redirect", "tag"];

impl Config {
    /// Returns the driver that `storage:` names; none if it names none or several.
    pub(crate) fn driver(&self) -> Option<&str> {
        let mut names = self.storage.keys().map(String::as_str).filter(|name| !NO_DRIVERS.contains(name));
        names.next().filter(|_| names.next().is_none())
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read the configuration {}", path.display()))?;
        serde_yaml_ng::from_str(&text)
            .with_context(|| format!("the configuration {} is not valid; correct it there", path.display()))
    }
}

/// The parameters given with `--params`.
#[derive(Clone, Debug, Default)]
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
                    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
                    given.any.insert(key.to_owned(), value);
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
        let config: Config = serde_yaml_ng::from_str(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /a\n    maxthreads: 4\n",
        )
        .unwrap();
        let given = Given::parse(&["rootdirectory=/b".into()]).unwrap();
        let map = given.of("filesystem", &config).unwrap();
        assert_eq!(map["rootdirectory"], "/b");
        assert_eq!(map["maxthreads"], 4);
    }

    #[test]
    fn storage_middlewares_are_read_and_others_passed_over() {
        let config: Config = serde_yaml_ng::from_str(
            "middleware:\n  registry:\n    - anything: 1\n  storage:\n    - name: redirect\n      options:\n        \
             baseurl: https://cdn.example.com/\n    - name: rewrite\n      disabled: true\n      options:\n",
        )
        .unwrap();
        let [redirect, rewrite] = &config.middleware.storage[..] else { panic!("{config:?}") };
        assert!(redirect.name == "redirect" && !redirect.disabled);
        assert!(rewrite.name == "rewrite" && rewrite.disabled);
        let empty: Config = serde_yaml_ng::from_str("middleware:\n  storage:\n").unwrap();
        assert!(empty.middleware.storage.is_empty());
        assert!(serde_yaml_ng::from_str::<Config>("middleware:\n").unwrap().middleware.storage.is_empty());
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
}
