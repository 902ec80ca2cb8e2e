//! A driver's parameters: a map, from JSON or YAML, into the driver's own struct.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::typed;
use crate::contract::{Error, ErrorKind, Result};

/// The parameters of a driver: what stands under its name in the configuration's `storage:`.
///
/// Deserialises from whatever serde reads maps from, JSON and YAML among it. Its `Debug` shows keys and no values, since
/// some are secrets.
///
/// ```
/// use serde::Deserialize;
/// use wharf::factory::Parameters;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     bucket: String,
/// }
///
/// let parameters = Parameters::new().with("bucket", "images");
/// let config: Config = parameters.parse()?;
/// assert_eq!(config.bucket, "images");
///
/// let misspelt = Parameters::new().with("bukcet", "images");
/// let error = misspelt.parse::<Config>().map(|_| ()).unwrap_err();
/// assert_eq!(error.message(), "unknown parameter `bukcet`; expected `bucket`");
/// # Ok::<(), wharf::contract::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// Returns no parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter, in place of any of its name.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// Reads the parameters into a driver's own struct. Put `#[serde(deny_unknown_fields)]` on it, so that a misspelt
    /// key is refused by name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`], which names the parameter and never shows its value.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        typed::parse(self.0).map_err(|fault| Error::new(ErrorKind::InvalidParameters, fault))
    }

    /// Returns a parameter that is a text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    /// Returns the parameters as a JSON object, for a component's `open`. Secrets are in it.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

impl From<Map<String, Value>> for Parameters {
    fn from(map: Map<String, Value>) -> Self {
        Parameters(map)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[allow(dead_code, reason = "only its reading is tested")]
        secretkey: u64,
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_and_not_shown() {
        let error = Parameters::new().with("secretkey", "hunter2").parse::<Config>().unwrap_err();
        assert_eq!(error.message(), "`secretkey`: expected u64, found a string");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn a_missing_parameter_is_named() {
        let error = Parameters::new().parse::<Config>().unwrap_err();
        assert_eq!(error.message(), "`secretkey`: is missing");
        assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
    }

    #[test]
    fn debug_shows_keys_and_no_values() {
        let text = format!("{:?}", Parameters::new().with("secretkey", "hunter2"));
        assert_eq!(text, r#"["secretkey"]"#);
    }
}
