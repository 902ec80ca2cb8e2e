//! A driver's parameters: from the JSON that the host sends into the author's struct.
//!
//! By a deserializer of our own over `serde_json::Value`, for its errors: they name the parameter, and never its value,
//! which may be a secret. serde_json's do the opposite: `invalid type: string "hunter2", expected u16 at line 1 column 30`.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::{Error, Result};

/// The parameters of a driver that has none. It refuses every key by name.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// Reads the parameters of `open`.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    let value: Value = serde_json::from_str(json)
        .map_err(|error| Error::invalid_parameters(format!("the parameters are not JSON: {error}")))?;
    if !value.is_object() {
        return Err(Error::invalid_parameters("the parameters are not a JSON object"));
    }
    T::deserialize(Input(value)).map_err(|fault| Error::invalid_parameters(fault.to_string()))
}

/// What is wrong with a parameter, and which.
#[derive(Debug)]
struct Fault {
    path: String,
    message: String,
}

impl Fault {
    fn new(message: String) -> Self {
        Fault { path: String::new(), message }
    }

    /// The same, below a key.
    fn below(mut self, key: &str) -> Self {
        self.path = if self.path.is_empty() { key.to_owned() } else { format!("{key}.{}", self.path) };
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "" => f.write_str(&self.message),
            path => write!(f, "`{path}`: {}", self.message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::new(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Bool(_) => "a boolean",
            de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "an integer",
            de::Unexpected::Float(_) => "a number",
            de::Unexpected::Str(_) | de::Unexpected::Char(_) => "a string",
            de::Unexpected::Unit | de::Unexpected::Option => "null",
            de::Unexpected::Seq => "a list",
            de::Unexpected::Map => "an object",
            _ => "something else",
        };
        Fault::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Fault::new(format!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Fault::new(format!("expected {}", one_of(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Fault::new(match expected {
            [] => format!("unknown parameter `{field}`; there are none"),
            expected => format!("unknown parameter `{field}`; expected {}", one_of(expected)),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::new("is missing".to_owned()).below(field)
    }
}

fn one_of(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [name] => name.clone(),
        names => format!("one of {}", names.join(", ")),
    }
}

struct Input(Value);

impl<'de> Deserializer<'de> for Input {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, Some(value)) => visitor.visit_f64(value),
                _ => Err(de::Error::custom("the number is out of range")),
            },
            Value::String(value) => visitor.visit_string(value),
            Value::Array(values) => {
                let mut list = List { values: values.into_iter() };
                let value = visitor.visit_seq(&mut list)?;
                match list.values.len() {
                    0 => Ok(value),
                    more => Err(de::Error::custom(format!("has {more} elements too many"))),
                }
            }
            Value::Object(members) => visitor.visit_map(Object { members: members.into_iter(), next: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            Value::Object(members) => {
                let object = Object { members: members.into_iter(), next: None };
                visitor.visit_enum(MapAccessDeserializer::new(object))
            }
            _ => Err(de::Error::custom("expected a string or an object")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct List {
    values: std::vec::IntoIter<Value>,
}

impl<'de> SeqAccess<'de> for List {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.values.next().map(|value| seed.deserialize(Input(value))).transpose()
    }
}

struct Object {
    members: serde_json::map::IntoIter,
    next: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Object {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next = self.members.next();
        self.next.as_ref().map(|(key, _)| seed.deserialize(key.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        match self.next.take() {
            Some((key, value)) => seed.deserialize(Input(value)).map_err(|fault| fault.below(&key)),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        url: String,
        #[serde(default)]
        port: Option<u16>,
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        retry: Vec<Retry>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        #[default]
        Plain,
        Signed {
            key: String,
        },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Retry {
        wait: f64,
    }

    fn message(json: &str) -> String {
        parse::<Parameters>(json).unwrap_err().message().to_owned()
    }

    #[test]
    fn parameters_of_every_shape_are_read() {
        let json = r#"{ "url": "u", "port": 80, "mode": { "signed": { "key": "k" } }, "retry": [{ "wait": 1.5 }] }"#;
        let expected = Parameters {
            url: "u".into(),
            port: Some(80),
            mode: Mode::Signed { key: "k".into() },
            retry: vec![Retry { wait: 1.5 }],
        };
        assert_eq!(parse(json), Ok(expected));
        let bare = Parameters { url: "u".into(), port: None, mode: Mode::Plain, retry: vec![] };
        assert_eq!(parse(r#"{ "url": "u", "port": null, "mode": "plain" }"#), Ok(bare));
    }

    #[test]
    fn an_unknown_parameter_is_named_with_those_that_exist() {
        let expected = "unknown parameter `ulr`; expected one of `url`, `port`, `mode`, `retry`";
        assert_eq!(message(r#"{ "ulr": "u" }"#), expected);
        let error = parse::<NoParameters>(r#"{ "a": 1 }"#).unwrap_err();
        assert_eq!(error.message(), "unknown parameter `a`; there are none");
    }

    #[test]
    fn a_missing_parameter_is_named() {
        assert_eq!(message("{}"), "`url`: is missing");
    }

    #[test]
    fn a_wrong_value_is_named_by_its_key_and_not_shown() {
        assert_eq!(message(r#"{ "url": "u", "port": "hunter2" }"#), "`port`: expected u16, found a string");
        assert_eq!(message(r#"{ "url": "u", "port": 123456 }"#), "`port`: expected u16");
        assert_eq!(message(r#"{ "url": 1234567 }"#), "`url`: expected a string, found an integer");
        assert_eq!(message(r#"{ "url": "u", "mode": "hunter2" }"#), "`mode`: expected one of `plain`, `signed`");
    }

    #[test]
    fn a_parameter_inside_another_is_named_with_the_way_to_it() {
        let fault = message(r#"{ "url": "u", "retry": [{ "wait": "x" }] }"#);
        assert_eq!(fault, "`retry.wait`: expected f64, found a string");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert!(parse::<NoParameters>("[]").is_err());
        assert!(parse::<NoParameters>("{").is_err());
    }
}
