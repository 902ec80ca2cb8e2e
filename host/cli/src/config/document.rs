//! A configuration that was read, with where each part of it came from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wharf::factory::{ParameterFault, Parameters};

use super::environment::{Environment, Overrides};
use super::normal::normalize;
use super::report::{Refusal, Report};
use super::schema::{CONFIGURATION, reserved};
use super::unsupported::{self, Purpose};
use super::yaml::Yaml;

/// Where the registry stores if nothing says so: no place that a package or another registry uses.
const DEFAULT_DIRECTORY: &str = "./wharf-data";

/// The tree of the configuration, in one spelling.
pub(super) struct Document {
    file: Option<PathBuf>,
    yaml: Option<Yaml>,
    pub(super) tree: Value,
    pub(super) overrides: Overrides,
}

/// Keys that keep somebody out. Without a value they would be passed over, and let everybody in.
const RESTRICTING: [&str; 6] = [
    "http.trustedproxies",
    "http.tls",
    "http.tls.certificate",
    "http.tls.key",
    "http.tls.clientcas",
    "http.tls.clientauth",
];

/// Whether a key is there and has no value. An empty list of proxies is one: there are none.
fn is_empty(tree: &Value, key: &str) -> bool {
    let found = key.split('.').try_fold(tree, |value, name| {
        let members = value.as_object()?.iter();
        members.into_iter().find(|(member, _)| member.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    });
    match found {
        Some(Value::Array(elements)) => elements.is_empty() && key != "http.trustedproxies",
        Some(value) => value.is_null() || *value == "",
        None => false,
    }
}

impl Document {
    /// Reads the file, or the one that the environment names, or none; and applies the variables. Reports the keys that mean
    /// nothing, and what is wrong with a variable. To serve, a file must have a version that Wharf knows; without one, there
    /// is a default driver.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no YAML: nothing can be said of the rest then.
    pub(super) fn read(
        path: Option<&Path>,
        environment: &Environment,
        purpose: Purpose,
        report: &mut Report,
    ) -> Result<Self> {
        let mut document = Self::without_checks(path, environment, report)?;
        if purpose == Purpose::Serve {
            document.for_serve(report);
        }
        unsupported::check(&mut document, purpose, report);
        Ok(document)
    }

    /// As [`read`](Self::read), with all keys, whatever they mean.
    pub(super) fn without_checks(path: Option<&Path>, environment: &Environment, report: &mut Report) -> Result<Self> {
        let file = path.map(Path::to_owned).or_else(|| environment.configuration_path());
        let mut document =
            Document { file, yaml: None, tree: Value::Object(Map::new()), overrides: Overrides::default() };
        if let Some(file) = &document.file {
            let text = std::fs::read_to_string(file).with_context(|| {
                let by = if path.is_none() { ", which REGISTRY_CONFIGURATION_PATH names" } else { "" };
                format!("could not read the configuration {}{by}", file.display())
            })?;
            let (yaml, tree) =
                read(&text).with_context(|| format!("the configuration {} is not valid", file.display()))?;
            document.tree = tree;
            document.yaml = Some(yaml);
        }
        let duplicates = document.yaml.iter().flat_map(|yaml| &yaml.duplicates);
        for duplicate in duplicates {
            let what = format!("stands twice, on the lines {} and {}; remove one", duplicate.first, duplicate.line);
            let line = Some(duplicate.line);
            report.refusals.push(Refusal { key: duplicate.path.join("."), line, variables: Vec::new(), what });
        }
        document.overrides = environment.apply(&mut document.tree, report);
        // Somebody began to restrict access. To pass over an empty section, as over others, would let everybody in.
        if let Some(auth) = document.tree.get_mut("auth").filter(|auth| auth.is_null() || *auth == "") {
            *auth = json!({});
        }
        for key in RESTRICTING {
            if is_empty(&document.tree, key) {
                let what = "is empty, as a variable that is not set leaves it: give it a value, or remove the key";
                report.refuse(&document, key, what);
            }
        }
        normalize(&mut document.tree, &CONFIGURATION);
        Ok(document)
    }

    /// Checks the file's version, and without a file puts in the default driver.
    fn for_serve(&mut self, report: &mut Report) {
        if self.file.is_none() {
            self.default_driver();
        } else if let Some(what) = version(&self.tree) {
            report.refuse(self, "version", what);
        }
    }

    fn default_driver(&mut self) {
        let storage = self.tree.as_object_mut().map(|top| top.entry("storage").or_insert_with(|| json!({})));
        if let Some(Value::Object(storage)) = storage
            && storage.keys().all(|key| reserved().any(|reserved| reserved == key))
        {
            storage.insert("filesystem".to_owned(), json!({ "rootdirectory": DEFAULT_DIRECTORY }));
        }
    }

    /// Returns the file that was read.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns what stands at a key of the first level.
    pub(super) fn section(&self, name: &str) -> Option<&Value> {
        self.tree.get(name).filter(|section| !section.is_null())
    }

    /// Reads a section, and reports all that is wrong with it: the rest is read without that. One that is not there is as an
    /// empty one. Keys that its type does not have are passed over, if the type does not refuse them.
    pub(super) fn parse<T: DeserializeOwned + Default>(&self, name: &str, report: &mut Report) -> T {
        match self.section(name) {
            None => T::default(),
            Some(section) => self.parse_value(name, section, report).unwrap_or_default(),
        }
    }

    /// As [`parse`](Self::parse), for what stands at a key, which may be several levels down. None if it cannot be made
    /// without what is wrong with it.
    pub(super) fn parse_value<T: DeserializeOwned>(&self, key: &str, value: &Value, report: &mut Report) -> Option<T> {
        let Value::Object(members) = value else {
            report.refuse(self, key, "is no map of keys");
            return None;
        };
        let (value, faults) = Parameters::from(members.clone()).examine();
        self.report(key, &faults, report);
        value
    }

    /// Reports faults of what stands below a key.
    pub(super) fn report(&self, key: &str, faults: &[ParameterFault], report: &mut Report) {
        for fault in faults {
            let below = fault.path.iter().map(|key| format!(".{key}")).collect::<String>();
            report.refuse(self, &format!("{key}{below}"), &fault.message);
        }
    }

    /// Says what is wrong with a key, where it stands, and which variables had a part in it.
    pub(super) fn refusal(&self, key: &str, what: &str) -> Refusal {
        let variables: Vec<String> = self.overrides.at(key).into_iter().map(str::to_owned).collect();
        let path: Vec<&str> = key.split('.').collect();
        let line = self.yaml.as_ref().filter(|_| !self.overrides.replaced(&path)).and_then(|yaml| yaml.line(&path));
        Refusal { key: key.to_owned(), line, variables, what: what.to_owned() }
    }
}

/// Reads a file's text into a tree whose top is a map.
fn read(text: &str) -> Result<(Yaml, Value)> {
    let yaml = Yaml::parse(text)?;
    let tree = match yaml.value(&CONFIGURATION)? {
        Value::Null => Value::Object(Map::new()),
        tree @ Value::Object(_) => tree,
        _ => bail!("it is no map of sections"),
    };
    Ok((yaml, tree))
}

/// Says what is wrong with the version of a file's format.
fn version(tree: &Value) -> Option<&'static str> {
    let version = tree.get("version").map(|version| match version {
        Value::String(text) => text.clone(),
        version => version.to_string(),
    });
    match version.as_deref() {
        Some("0.1") => None,
        None | Some("null") => Some("is missing; begin the file with `version: 0.1`"),
        Some(_) => Some("is none that Wharf knows; there is `version: 0.1` alone"),
    }
}
