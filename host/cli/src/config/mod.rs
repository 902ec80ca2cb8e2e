//! The configuration: Distribution's `config.yml` with its variables, and `drivers:` and `limits:` beside it.
//!
//! What is read becomes a tree (`tree.rs`), in which the variables (`environment.rs`) set what they say, and which is
//! brought to one spelling (`normal.rs`). [`Config`] is what every command takes of it; [`ServeConfig`] is all of it, with
//! a [`Notice`] of each key that does nothing (`unsupported.rs`). `schema.rs` has the table of keys.

mod auth;
mod document;
mod environment;
mod given;
mod health;
mod http;
mod listen;
mod log;
mod normal;
mod schema;
mod serve;
mod storage;
mod tls;
mod tree;
mod unsupported;

#[cfg(test)]
mod examples;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;
use wharf::factory::DriversConfig;
use wharf::middleware::MiddlewareConfig;

use document::Document;

pub(crate) use auth::Auth;
pub(crate) use environment::Environment;
pub(crate) use given::Given;
pub(crate) use health::StorageHealth;
pub(crate) use http::Http;
pub(crate) use listen::{Listen, TcpAddress};
pub(crate) use log::{Formatter, Level, Log};
pub(crate) use serve::ServeConfig;
pub(crate) use storage::{Storage, UploadPurging};
pub(crate) use tls::{ClientAuth, MinimumTls, Tls};
pub(crate) use unsupported::{Notice, Weight};

/// The parts of a configuration that drivers need. `Debug` shows no parameters.
#[derive(Clone, Default)]
pub(crate) struct Config {
    /// Which components there are.
    pub(crate) drivers: DriversConfig,
    /// The parameters of each driver, by its name.
    pub(crate) storage: BTreeMap<String, Value>,
    /// What stands before the drivers of `storage`.
    pub(crate) middleware: Middleware,
}

/// The section `middleware:`. Those of other kinds, for the registry and its repositories, are passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Middleware {
    /// In the order in which each wraps the one before.
    pub(crate) storage: Vec<MiddlewareConfig>,
}

impl Config {
    /// Returns the driver that `storage:` names; none if it names none or several.
    pub(crate) fn driver(&self) -> Option<&str> {
        let mut names = self.named();
        names.next().filter(|_| names.next().is_none())
    }

    /// Returns the drivers that `storage:` names.
    fn named(&self) -> impl Iterator<Item = &str> {
        self.storage.keys().map(String::as_str).filter(|name| !schema::reserved().any(|reserved| reserved == *name))
    }

    /// Reads the configuration of a command: the file, or the one that `REGISTRY_CONFIGURATION_PATH` names, or none; and
    /// what the variables override. The sections of the registry are not looked at.
    ///
    /// # Errors
    ///
    /// Names the file, or the variable, and the key. Values are not shown.
    pub(crate) fn read(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        let document = Document::read(path, environment)?;
        document.in_place(Self::from_document(&document))
    }

    /// Reads the configuration of `wharf serve`, and returns with it what it says that does nothing. Without a file there
    /// are the defaults, and what the variables say; then the driver is `filesystem` in `./wharf-data`, if they name none.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). A file must have `version: 0.1` and name exactly one driver; and nothing may be set that
    /// it would be insecure to pass over.
    pub(crate) fn for_serve(path: Option<&Path>, environment: &Environment) -> Result<(ServeConfig, Vec<Notice>)> {
        let document = Document::read_for_serve(path, environment)?;
        document.in_place(ServeConfig::from_document(&document))
    }

    fn from_document(document: &Document) -> Result<Self> {
        let storage = match document.section("storage") {
            None => BTreeMap::new(),
            Some(Value::Object(members)) => members.clone().into_iter().collect(),
            Some(_) => bail!("`storage` is neither a map nor the name of a driver"),
        };
        Ok(Config { drivers: document.parse("drivers")?, storage, middleware: document.parse("middleware")? })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("drivers", &self.drivers)
            .field("storage", &self.storage.keys().collect::<Vec<_>>())
            .field("middleware", &self.middleware)
            .finish()
    }
}
