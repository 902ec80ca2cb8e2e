//! A configuration that was read, with where each part of it came from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wharf::factory::Parameters;

use super::environment::{Environment, Overrides};
use super::normal::normalize;
use super::schema::{CONFIGURATION, reserved};
use super::tree;

/// Where the registry stores if nothing says so: no place that a package or another registry uses.
const DEFAULT_DIRECTORY: &str = "./wharf-data";

/// The tree of the configuration, in one spelling.
pub(super) struct Document {
    file: Option<PathBuf>,
    pub(super) tree: Value,
    pub(super) overrides: Overrides,
}

impl Document {
    /// Reads the file, or the one that the environment names, or none; and applies the variables.
    pub(super) fn read(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        Self::read_checked(path, environment, |_| Ok(()))
    }

    /// As [`read`](Self::read). A file must have a version that Wharf knows; without one, there is a default driver.
    pub(super) fn read_for_serve(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        let mut document = Self::read_checked(path, environment, version)?;
        if document.file.is_none() {
            document.default_driver();
        }
        Ok(document)
    }

    fn read_checked(
        path: Option<&Path>,
        environment: &Environment,
        check: impl FnOnce(&Value) -> Result<()>,
    ) -> Result<Self> {
        let file = path.map(Path::to_owned).or_else(|| environment.configuration_path());
        let mut tree = match &file {
            None => Value::Object(Map::new()),
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| {
                    let by = if path.is_none() { ", which REGISTRY_CONFIGURATION_PATH names" } else { "" };
                    format!("could not read the configuration {}{by}", file.display())
                })?;
                read(&text)
                    .and_then(|tree| check(&tree).map(|()| tree))
                    .with_context(|| format!("the configuration {} is not valid; correct it there", file.display()))?
            }
        };
        let overrides = environment.apply(&mut tree)?;
        normalize(&mut tree, &CONFIGURATION);
        Ok(Document { file, tree, overrides })
    }

    fn default_driver(&mut self) {
        let storage = self.tree.as_object_mut().map(|top| top.entry("storage").or_insert_with(|| json!({})));
        if let Some(Value::Object(storage)) = storage
            && storage.keys().all(|key| reserved().any(|reserved| reserved == key))
        {
            storage.insert("filesystem".to_owned(), json!({ "rootdirectory": DEFAULT_DIRECTORY }));
        }
    }

    /// Returns what stands at a key of the first level.
    pub(super) fn section(&self, name: &str) -> Option<&Value> {
        self.tree.get(name).filter(|section| !section.is_null())
    }

    /// Reads a section; keys that its type does not have are passed over, if the type does not refuse them. One that is
    /// not there is as an empty one.
    pub(super) fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.parse_value(name, self.section(name).unwrap_or(&json!({})))
    }

    /// Reads what stands at a key, which may be several levels down.
    pub(super) fn parse_value<T: DeserializeOwned>(&self, key: &str, value: &Value) -> Result<T> {
        let Value::Object(members) = value else { return Err(self.fault(key, "is no map of keys")) };
        Parameters::from(members.clone()).parse().map_err(|error| {
            // The message begins with the key below this one, if the fault has one.
            let message = error.message();
            match message.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
                Some((below, what)) => self.fault(&format!("{key}.{below}"), what),
                None => self.fault(key, message),
            }
        })
    }

    /// Says what is wrong with a key, and which variables had a part in it.
    pub(super) fn fault(&self, key: &str, what: &str) -> anyhow::Error {
        let from = match &self.overrides.at(key)[..] {
            [] => String::new(),
            names => format!(" (set by {})", names.join(", ")),
        };
        anyhow::anyhow!("`{key}`{from}: {what}")
    }

    /// Adds to an error in which file it is.
    pub(super) fn in_place<T>(&self, result: Result<T>) -> Result<T> {
        match &self.file {
            None => result.context("the configuration is not valid"),
            Some(file) => result.with_context(|| format!("the configuration {} is not valid", file.display())),
        }
    }
}

/// Reads a file's text into a tree whose top is a map.
fn read(text: &str) -> Result<Value> {
    match tree::parse(text)? {
        Value::Null => Ok(Value::Object(Map::new())),
        tree @ Value::Object(_) => Ok(tree),
        _ => bail!("it is no map of sections"),
    }
}

/// Checks the version of a file's format.
fn version(tree: &Value) -> Result<()> {
    let version = tree.get("version").map(|version| match version {
        Value::String(text) => text.clone(),
        version => version.to_string(),
    });
    match version.as_deref() {
        Some("0.1") => Ok(()),
        None | Some("null") => bail!("it has no `version`; begin it with `version: 0.1`"),
        Some(_) => bail!("its `version` is none that Wharf knows; there is `version: 0.1` alone"),
    }
}
