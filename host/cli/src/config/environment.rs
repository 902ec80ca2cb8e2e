//! Distribution's overrides: a variable `REGISTRY_STORAGE_S3_REGION` is the key `storage: s3: region:`.
//!
//! The variables are applied in the order of their names, so that `REGISTRY_STORAGE` comes before what is below it. What
//! follows the prefix is split at `_`; each part is a key, whatever its case, or the index of a list, where the index that
//! is the list's length appends. The value is YAML, and replaces all that was at the key.
//!
//! Three things are not as in Distribution, and none of them takes anything away from it. Where a key has a `_` in its
//! name, as `limits: upload_idle:`, the parts are joined to the longest key that is there or known. Keys below a map that
//! came from the file, or that other variables made, are set like all others, where Distribution passes over some and
//! stops at others. And so are elements of lists that are texts.
//!
//! A variable that names no key is refused, since somebody expects something of it; but one that is certainly not meant for
//! the registry (`links.rs`) is named and passed over.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use wharf::base::nearest;

use super::links;
use super::report::{Notice, Refusal, Report, Weight};
use super::schema::{CONFIGURATION, Shape};
use super::unsupported::suggestion;
use super::yaml::Yaml;

/// What the variables of Distribution's registry begin with.
const PREFIX: &str = "REGISTRY_";

/// Names the file, and overrides nothing.
const PATH: &str = "REGISTRY_CONFIGURATION_PATH";

/// How many parts a name may have: more than any key is deep. What reads the tree afterwards is recursive.
const MOST_PARTS: usize = 64;

/// The variables that begin with `REGISTRY_`. `Debug` shows their names.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

/// What the variables did.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    /// The key that each variable set, and its name, in the order in which they were applied.
    pub(super) set: Vec<(Vec<String>, String)>,
}

impl Environment {
    /// Returns the variables of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Returns the file that `REGISTRY_CONFIGURATION_PATH` names.
    pub(crate) fn configuration_path(&self) -> Option<PathBuf> {
        self.0.get(PATH).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Sets in the tree what the variables say. Reports those that cannot be applied, and those that are not for the
    /// registry. Never shows a value: it may be a secret.
    pub(super) fn apply(&self, tree: &mut Value, report: &mut Report) -> Overrides {
        let mut overrides = Overrides::default();
        for (name, value) in self.0.iter().filter(|(name, _)| *name != PATH) {
            if let Some(whose) = value.to_str().and_then(|value| links::is_of_another(name, value)) {
                report.notices.push(Notice {
                    key: name.clone(),
                    sentence: format!("the variable {name} {whose}; it is passed over"),
                    weight: Weight::Missing,
                });
                continue;
            }
            match set_variable(tree, name, value) {
                // A variable that leads nowhere leaves no empty maps behind.
                Ok((applied, key)) => {
                    *tree = applied;
                    overrides.set.push((key, name.clone()));
                }
                Err(error) => report.refusals.push(Refusal {
                    key: name.clone(),
                    line: None,
                    variables: Vec::new(),
                    what: format!("the variable cannot be applied: {error:#}"),
                }),
            }
        }
        overrides
    }
}

impl<K: AsRef<OsStr>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| {
            let name = name.as_ref().to_str().filter(|name| name.starts_with(PREFIX))?;
            Some((name.to_owned(), value.into()))
        });
        Environment(named.collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Overrides {
    /// Returns the names of the variables that had a part in what stands at a key: they set it, or what is above or below.
    pub(super) fn at(&self, key: &str) -> Vec<&str> {
        let key: Vec<&str> = key.split('.').collect();
        let touches = |path: &[String]| path.iter().zip(&key).all(|(ours, theirs)| ours == theirs);
        self.set.iter().filter(|(path, _)| touches(path)).map(|(_, name)| &**name).collect()
    }

    /// Whether what stands at a key comes from a variable, which set it or what is above.
    pub(super) fn replaced(&self, key: &[&str]) -> bool {
        let replaces =
            |path: &[String]| path.len() <= key.len() && path.iter().zip(key).all(|(ours, theirs)| ours == theirs);
        self.set.iter().any(|(path, _)| replaces(path))
    }
}

/// Returns the tree with what one variable sets, and at which key.
fn set_variable(tree: &Value, name: &str, value: &OsStr) -> Result<(Value, Vec<String>)> {
    let parts: Vec<&str> = name.strip_prefix(PREFIX).unwrap_or(name).split('_').collect();
    if parts.len() > MOST_PARTS {
        bail!("it has more than {MOST_PARTS} parts between `_`; no key is so deep");
    }
    let mut path = Vec::new();
    let mut applied = tree.clone();
    let (place, shape) = find(&mut applied, &CONFIGURATION, &parts, &mut path)?;
    *place = read(shape, value)?;
    Ok((applied, path))
}

/// Reads a variable's value, as what stands at its key.
fn read(shape: &Shape, value: &OsStr) -> Result<Value> {
    let text = value.to_str().context("its value is not UTF-8")?;
    // The parser's own message may name a key in the value; the place alone cannot leak a secret.
    let invalid = "its value is not valid YAML; a text with special characters needs quotes within the value";
    let Ok(yaml) = Yaml::parse(text) else { bail!(invalid) };
    if let Some(duplicate) = yaml.duplicates.first() {
        bail!("its value has a key twice, on its lines {} and {}; remove one", duplicate.first, duplicate.line);
    }
    yaml.value(shape).ok().context(invalid)
}

/// Says that a variable names no key, and which it may be meant as.
fn unknown(shape: &Shape, parts: &[&str], path: &[String]) -> anyhow::Error {
    let place = match path {
        [] => "the configuration".to_owned(),
        path => format!("`{}`", path.join(".")),
    };
    // A key with a `_` in its name may be misspelt in any of its parts.
    let meant = (1..=parts.len()).rev().find_map(|used| {
        let key = nearest(&parts[..used].join("_"), shape.names())?;
        let words = path.iter().map(String::as_str).chain([key]).chain(parts[used..].iter().copied());
        Some(format!("; did you mean {PREFIX}{}?", words.collect::<Vec<_>>().join("_").to_uppercase()))
    });
    let key = parts[0].to_lowercase();
    let meant = meant.unwrap_or_else(|| suggestion(&key, shape));
    anyhow::anyhow!("{place} has no key `{key}`{meant}")
}

/// Returns the place that the parts of a name lead to, made if it is not there, and what stands there. Notes the keys on
/// the way.
fn find<'a>(
    node: &'a mut Value,
    shape: &'static Shape,
    parts: &[&str],
    path: &mut Vec<String>,
) -> Result<(&'a mut Value, &'static Shape)> {
    let Some(part) = parts.first() else { return Ok((node, shape)) };
    spell_out(node, shape);
    let list = match (shape, &*node) {
        (Shape::List(_), _) | (Shape::Free(_), Value::Array(_)) => true,
        // Nothing that takes parameters has a map with a key `0`.
        (Shape::Free(_), Value::Null) => *part == "0",
        _ => false,
    };
    if node.is_null() {
        *node = if list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    match node {
        Value::Array(elements) if list => {
            let index: usize = part.parse().ok().with_context(|| {
                format!("`{}` is a list, and `{}` is no index of it", path.join("."), part.to_lowercase())
            })?;
            match elements.len() {
                length if index > length => {
                    bail!("`{}` has {length} elements: the next has the index {length}, not {index}", path.join("."))
                }
                length if index == length => elements.push(Value::Null),
                _ => {}
            }
            static FREE: Shape = Shape::Free(&[]);
            let shape = if let Shape::List(element) = shape { element } else { &FREE };
            path.push(index.to_string());
            find(&mut elements[index], shape, &parts[1..], path)
        }
        Value::Object(members) if !list => {
            let Some((key, used)) = key(members, shape, parts) else { return Err(unknown(shape, parts, path)) };
            let Some(shape) = shape.at(&key) else { return Err(unknown(shape, parts, path)) };
            path.push(key.clone());
            find(members.entry(key).or_insert(Value::Null), shape, &parts[used..], path)
        }
        // A scalar is in the way, or would be.
        _ => bail!("`{}` has no keys below it", path.join(".")),
    }
}

/// Returns the key that the first parts name, and how many: the longest that is there or known; else the first alone, if
/// it can be one.
fn key(members: &Map<String, Value>, shape: &Shape, parts: &[&str]) -> Option<(String, usize)> {
    for used in (1..=parts.len()).rev() {
        let joined = parts[..used].join("_");
        let there = members.keys().find(|key| key.eq_ignore_ascii_case(&joined));
        let known = || shape.names().find(|name| name.eq_ignore_ascii_case(&joined));
        if let Some(key) = there.cloned().or_else(|| known().map(str::to_owned)) {
            return Some((key, used));
        }
    }
    Some((parts[0].to_lowercase(), 1)).filter(|(key, _)| !key.is_empty())
}

/// Writes the short form of a section out: `storage: inmemory` is `storage: { inmemory: {} }`.
pub(super) fn spell_out(node: &mut Value, shape: &Shape) {
    if let (Shape::Named { bare: true, .. }, Value::String(name)) = (shape, &*node)
        && !name.is_empty()
    {
        *node = Value::Object([(name.clone(), Value::Object(Map::new()))].into_iter().collect());
    }
}

#[cfg(test)]
mod tests;
