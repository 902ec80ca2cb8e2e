//! Reading a JSON value into a typed struct, with errors that name the parameter and never show its value, which may be
//! a secret. serde_json's own do the opposite: `invalid type: string "hunter2", expected u16`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::nearest::nearest;

/// Reads a map into `T`; says in words what is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T, Fault> {
    T::deserialize(Input(Value::Object(map)))
}

/// As [`parse`], and goes on: what is wrong is taken out, and the rest is read again. Returns all faults, and none of the
/// value if it cannot be made without what is wrong or missing.
pub(crate) fn examine<T: DeserializeOwned>(mut map: Map<String, Value>) -> (Option<T>, Vec<Fault>) {
    let mut faults = Vec::new();
    loop {
        match parse(map.clone()) {
            Ok(value) => return (Some(value), faults),
            Err(fault) => {
                let removed = remove(&mut map, &fault.place());
                faults.push(fault);
                if !removed {
                    return (None, faults);
                }
            }
        }
    }
}

/// Removes what stands at a path, or the deepest on the way to it that is there.
fn remove(members: &mut Map<String, Value>, path: &[String]) -> bool {
    let Some((key, below)) = path.split_first() else { return false };
    if let Some(Value::Object(inner)) = members.get_mut(key)
        && remove(inner, below)
    {
        return true;
    }
    members.remove(key).is_some()
}

/// What is wrong with a parameter, and which.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The keys that lead to it.
    path: Vec<String>,
    /// The key there that is unknown, if that is what is wrong.
    unknown: Option<String>,
    message: String,
}

impl Fault {
    fn new(message: String) -> Self {
        Fault { path: Vec::new(), unknown: None, message }
    }

    /// The same, below a key.
    fn below(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }

    /// The keys that lead to what is wrong, an unknown one included.
    pub(crate) fn place(&self) -> Vec<String> {
        self.path.iter().chain(&self.unknown).cloned().collect()
    }

    /// What is wrong, without the key.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path[..] {
            [] => f.write_str(&self.message),
            path => write!(f, "`{}`: {}", path.join("."), self.message),
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
        let message = match (expected, nearest(field, expected.iter().copied())) {
            ([], _) => format!("unknown parameter `{field}`; there are none"),
            ([_, _, ..], Some(near)) => {
                format!("unknown parameter `{field}`; did you mean `{near}`? Expected {}", one_of(expected))
            }
            _ => format!("unknown parameter `{field}`; expected {}", one_of(expected)),
        };
        Fault { unknown: Some(field.to_owned()), ..Fault::new(message) }
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

    /// A number or a boolean where a text is meant is the text: a key of digits alone is one too.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Number(number) => visitor.visit_string(number.to_string()),
            Value::Bool(value) => visitor.visit_string(value.to_string()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_string(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
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
