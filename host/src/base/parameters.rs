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
        typed::parse(self.0).map_err(|fault| Error::new(ErrorKind::InvalidParameters, fault.to_string()))
    }

    /// Reads the parameters as [`parse`](Self::parse) does, and goes on past what is wrong: returns all that is, and the
    /// struct that the rest makes; none if it cannot be made without a parameter that is wrong or missing.
    ///
    /// ```
    /// # use serde::Deserialize;
    /// # use wharf::factory::Parameters;
    /// #[derive(Default, Deserialize)]
    /// #[serde(default, deny_unknown_fields)]
    /// struct Config {
    ///     bucket: String,
    ///     parts: u32,
    /// }
    ///
    /// let (config, faults) = Parameters::new().with("bukcet", "images").with("parts", "many").examine::<Config>();
    /// assert_eq!(faults.iter().map(|fault| fault.key()).collect::<Vec<_>>(), ["bukcet", "parts"]);
    /// assert_eq!(config.map(|config| config.parts), Some(0));
    /// ```
    pub fn examine<T: DeserializeOwned>(self) -> (Option<T>, Vec<ParameterFault>) {
        let (value, faults) = typed::examine(self.0);
        let faults = faults.into_iter().map(|fault| ParameterFault::new(fault.place(), fault.message())).collect();
        (value, faults)
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

/// What is wrong with a parameter, and which. Never shows its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterFault {
    /// The keys that lead to the parameter; none if several are wrong together.
    pub path: Vec<String>,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

impl ParameterFault {
    /// What is wrong with the parameter at a path.
    pub(crate) fn new(path: Vec<String>, message: impl Into<String>) -> Self {
        ParameterFault { path, message: message.into() }
    }

    /// Returns the keys that lead to the parameter, joined by `.`.
    pub fn key(&self) -> String {
        self.path.join(".")
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

    #[test]
    fn a_number_or_a_boolean_where_a_text_is_meant_is_the_text() {
        #[derive(Deserialize)]
        struct Texts {
            secret: crate::base::Secret,
            path: std::path::PathBuf,
            names: Vec<String>,
            maybe: Option<String>,
        }
        let list = serde_json::json!([1, true]);
        let given = Parameters::new().with("secret", 12345678).with("path", 5).with("names", list).with("maybe", false);
        let Texts { secret, path, names, maybe } = given.parse().unwrap();
        assert_eq!((secret.expose(), path.to_str()), ("12345678", Some("5")));
        assert_eq!((&names[..], maybe.as_deref()), (&["1".to_owned(), "true".to_owned()][..], Some("false")));
    }

    #[test]
    fn every_fault_is_found_in_one_reading() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Inner {
            size: u64,
        }
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(dead_code, reason = "only its reading is tested")]
        struct Outer {
            first: u64,
            second: u64,
            inner: Inner,
        }
        let inner = serde_json::json!({ "size": "hunter2", "sise": 1 });
        let given = Parameters::new().with("first", "hunter2").with("frist", 1).with("second", 2).with("inner", inner);
        let (value, faults) = given.examine::<Outer>();
        let mut keys: Vec<String> = faults.iter().map(ParameterFault::key).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["first", "frist", "inner.sise", "inner.size"]);
        assert!(!format!("{faults:?}").contains("hunter2"));
        assert!(faults.iter().any(|fault| fault.message.contains("did you mean `first`?")));
        assert_eq!(value.unwrap().second, 2);
    }

    #[test]
    fn what_is_missing_ends_the_reading() {
        let (value, faults) = Parameters::new().with("secretkye", 1).examine::<Config>();
        assert!(value.is_none());
        assert_eq!(faults.iter().map(ParameterFault::key).collect::<Vec<_>>(), ["secretkye", "secretkey"]);
    }
}
