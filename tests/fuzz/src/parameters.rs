//! A native driver opens with its parameters or refuses them in words, whatever they are; it touches nothing in doing
//! so; and no error of the typed reading shows a value, which may be a secret.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf::contract::ErrorKind;
use wharf::factory::{Factory, Parameters};

/// The secret that values hold in the corpus.
const SECRET: &str = "hunter2";

static EXECUTOR: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("an executor"));

/// Gives the JSON object to every native driver, and to a struct that has parameters of every type.
pub fn run(data: &[u8]) {
    let Ok(map) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
    typed(&map);
    EXECUTOR.block_on(drivers(&map));
}

async fn drivers(map: &Map<String, Value>) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut parameters = map.clone();
    match parameters.get_mut("rootdirectory") {
        Some(Value::String(path)) if !path.is_empty() => {
            let below = path.replace("..", "__");
            *path = format!("{}/{below}", root.path().display());
        }
        // Refused, or no path.
        Some(Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {}
        None | Some(Value::Null) => {
            parameters.insert("rootdirectory".to_owned(), root.path().display().to_string().into());
        }
    }
    let factory = Factory::native();
    for offer in factory.offers() {
        // The in-memory driver has no parameters: what was added for the other would be refused by it.
        let given = if offer.name == "filesystem" { &parameters } else { map };
        match factory.create(offer.name, Parameters::from(given.clone())).await {
            Ok(driver) => assert!(!driver.name().is_empty()),
            Err(error) => {
                assert_eq!(error.kind(), &ErrorKind::InvalidParameters, "{error}");
                assert_eq!(error.driver(), Some(offer.name));
                assert!(!error.message().is_empty());
            }
        }
    }
    let touched = std::fs::read_dir(root.path()).expect("the temporary directory is still there").count();
    assert_eq!(touched, 0, "opening made something");
}

/// Parameters of every type that a driver might ask for.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(dead_code, reason = "only reading them is tested")]
struct Everything {
    text: String,
    number: u64,
    small: i8,
    large: i128,
    port: Option<NonZeroU16>,
    real: f32,
    letter: char,
    switch: bool,
    nothing: (),
    list: Vec<String>,
    pair: (u8, String),
    map: BTreeMap<String, u16>,
    any: Value,
    mode: Mode,
    nested: Option<Box<Everything>>,
    maxthreads: Option<u16>,
    rootdirectory: std::path::PathBuf,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code, reason = "only reading them is tested")]
enum Mode {
    #[default]
    Plain,
    Sized(u32),
    Pair(u8, u8),
    Named {
        name: String,
    },
}

fn typed(map: &Map<String, Value>) {
    let parameters = Parameters::from(map.clone());
    let written = parameters.to_json();
    let read = serde_json::from_str(&written).expect("what was JSON is JSON again");
    assert!(same(&read, &Value::Object(map.clone())), "{written}");
    let keys_are_plain = !keys_hold_secret(map);
    if keys_are_plain {
        assert!(!format!("{parameters:?}").contains(SECRET));
    }
    if let Err(error) = parameters.parse::<Everything>() {
        assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
        assert!(!error.message().is_empty());
        if keys_are_plain {
            assert!(!format!("{error} {error:?}").contains(SECRET), "{error} shows a value");
        }
    }
}

/// Whether a value is the other. serde_json reads a fraction to within its last bit only.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
            (one - other).abs() <= one.abs() * f64::EPSILON
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

fn keys_hold_secret(map: &Map<String, Value>) -> bool {
    fn holds(value: &Value) -> bool {
        match value {
            Value::Object(map) => keys_hold_secret(map),
            Value::Array(values) => values.iter().any(holds),
            _ => false,
        }
    }
    map.iter().any(|(key, value)| key.contains(SECRET) || holds(value))
}
