//! The configuration: Distribution's `config.yml` with its variables, and `drivers:` and `limits:` beside it.
//!
//! What is read becomes a tree (`yaml.rs`), in which the variables (`environment.rs`) set what they say, and which is
//! brought to one spelling (`normal.rs`). [`Config`] is what every command takes of it; [`ServeConfig`] is all of it.
//! `schema.rs` has the table of keys: one that is not in it is refused, and one that is not supported is named
//! (`unsupported.rs`). All that is wrong is gathered in a [`Report`], with its line: what is refused is taken out, and the
//! rest is looked at.

mod auth;
mod document;
mod environment;
mod given;
mod health;
mod http;
mod links;
mod listen;
mod log;
mod nanoseconds;
mod normal;
mod report;
mod schema;
mod serve;
mod storage;
mod tls;
mod unsupported;
mod yaml;

#[cfg(test)]
mod examples;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use wharf::base::nearest;
use wharf::factory::{DriversConfig, Factory, components_in, is_driver_name};
use wharf::middleware::MiddlewareConfig;
use wharf::runtime::ComponentConfig;

use document::Document;
use unsupported::Purpose;

pub(crate) use auth::Auth;
pub(crate) use environment::Environment;
pub(crate) use given::Given;
pub(crate) use health::StorageHealth;
pub(crate) use http::Http;
pub(crate) use listen::{Listen, TcpAddress};
pub(crate) use log::{Formatter, Level, Log};
pub(crate) use report::{Notice, Refusal, Report, Weight};
pub(crate) use serve::{Limits, ServeConfig};
pub(crate) use storage::{Storage, UploadPurging};
pub(crate) use tls::{ClientAuth, MinimumTls, Tls};

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Middleware {
    /// In the order in which each wraps the one before.
    pub(crate) storage: Vec<MiddlewareConfig>,
}

/// A configuration to serve a registry with, and all that was found in it.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Not to be served with where anything is refused.
    pub(crate) config: ServeConfig,
    /// The file that was read; none if there is none.
    pub(crate) file: Option<PathBuf>,
    /// What is wrong, and what does nothing.
    pub(crate) report: Report,
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
    /// what the variables override. What stands in the sections of the registry is not looked at, if the keys are known.
    ///
    /// # Errors
    ///
    /// Names the file, or the variable, and the key. Values are not shown.
    pub(crate) fn read(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        let mut report = Report::default();
        let document = Document::read(path, environment, Purpose::Drivers, &mut report)?;
        let config = Self::from_document(&document, &mut report);
        match report.invalid(document.file().map(Path::to_owned)) {
            None => Ok(config),
            Some(invalid) => Err(invalid.into()),
        }
    }

    /// Reads the configuration of `wharf serve`, and returns with it what it says that does nothing. Without a file there
    /// are the defaults, and what the variables say; then the driver is `filesystem` in `./wharf-data`, if they name none.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and names all that is refused. A file must have `version: 0.1` and name exactly one driver;
    /// and nothing may be set that it would be insecure to pass over.
    pub(crate) fn for_serve(
        path: Option<&Path>,
        environment: &Environment,
        line: CommandLine<'_>,
    ) -> Result<(ServeConfig, Vec<Notice>)> {
        let Checked { config, file, report } = Self::check(path, environment, line)?;
        match report.invalid(file) {
            None => Ok((config, report.notices)),
            Some(invalid) => Err(invalid.into()),
        }
    }

    /// Reads the configuration of `wharf serve` as [`for_serve`](Self::for_serve) does, and returns all that was found in it.
    /// The parameters of the native drivers and the options of middlewares are looked at too. Nothing that it names is opened.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no YAML.
    pub(crate) fn check(path: Option<&Path>, environment: &Environment, line: CommandLine<'_>) -> Result<Checked> {
        let mut report = Report::default();
        let document = Document::read(path, environment, Purpose::Serve, &mut report)?;
        let config = ServeConfig::from_document(&document, &mut report);
        config.config.examine(&document, &config.storage.driver, line, &mut report);
        Ok(Checked { config, file: document.file().map(Path::to_owned), report })
    }

    fn from_document(document: &Document, report: &mut Report) -> Self {
        let storage = match document.section("storage") {
            None => BTreeMap::new(),
            Some(Value::Object(members)) => members.clone().into_iter().collect(),
            Some(_) => {
                report.refuse(document, "storage", "is neither a map nor the name of a driver");
                BTreeMap::new()
            }
        };
        Config { drivers: drivers(document, report), storage, middleware: Middleware::from_document(document, report) }
    }

    /// Returns the directory of components: the one that the command line names, or else the configuration, or the default one
    /// if it is there.
    pub(crate) fn directory(&self, given: Option<&Path>) -> Option<PathBuf> {
        let named = given.map(Path::to_owned).or_else(|| self.drivers.directory.clone());
        named.or_else(|| Path::new(DEFAULT_DIRECTORY).is_dir().then(|| Path::new(".").join(DEFAULT_DIRECTORY)))
    }

    /// Whether there is a driver of that name: compiled in, configured, or a file in the directory of components.
    fn offers(&self, factory: &Factory, driver: &str, given: Option<&Path>) -> bool {
        let file = || self.directory(given).map(|directory| directory.join(format!("{driver}.wasm")));
        factory.offer(driver).is_some()
            || self.drivers.components.contains_key(driver)
            || is_driver_name(driver) && file().is_some_and(|file| file.is_file())
    }

    /// Says what is wrong with the parameters of the driver that is to be opened, and with the options of the middlewares,
    /// as far as that can be known before.
    fn examine(&self, document: &Document, driver: &str, line: CommandLine<'_>, report: &mut Report) {
        let factory = Factory::native();
        let key = format!("storage.{driver}");
        if !driver.is_empty() && !self.offers(&factory, driver, line.drivers) {
            let known =
                factory.offers().map(|offer| offer.name).chain(self.drivers.components.keys().map(String::as_str));
            let known: Vec<&str> = known.collect();
            let what = match nearest(driver, known.iter().copied()) {
                Some(near) => format!("there is no driver of that name; did you mean `{near}`?"),
                None => format!(
                    "there is no driver of that name; there are {}, and each FILE.wasm in the directory of drivers",
                    known.join(", ")
                ),
            };
            report.refuse(document, &key, &what);
        }
        let files =
            self.directory(line.drivers).and_then(|directory| components_in(&directory).ok()).unwrap_or_default();
        let files: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
        for (name, component) in &self.drivers.components {
            let what = if factory.offer(name).is_some() {
                "is the name of a native driver, which has no grants and limits; give the component another name"
                    .to_owned()
            } else if component.component.is_some() || files.contains(&&**name) {
                continue;
            } else if let Some(near) = nearest(name, files.iter().copied()) {
                format!("there is no component of that name; did you mean `{near}`?")
            } else {
                "there is no component of that name: what this grants and limits would count for none; name its file as \
                 `component:`, or put FILE.wasm into the directory of drivers"
                    .to_owned()
            };
            report.refuse(document, &format!("drivers.{name}"), &what);
        }
        match line.given.of(driver, self) {
            Err(_) => report.refuse(document, &key, "is no map of parameters"),
            Ok(parameters) => {
                let faults = factory.examine(driver, parameters.into()).unwrap_or_default();
                document.report(&key, &faults, report);
            }
        }
        for (index, middleware) in self.middleware.storage.iter().enumerate() {
            let faults = factory.examine_middleware(middleware);
            document.report(&format!("middleware.storage.{index}"), &faults, report);
        }
    }
}

/// What the command line says of drivers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLine<'a> {
    /// The parameters given with `--params`.
    pub(crate) given: &'a Given,
    /// The directory of components given with `--drivers`.
    pub(crate) drivers: Option<&'a Path>,
}

/// The directory of components that is used if it is there and none is named.
const DEFAULT_DIRECTORY: &str = "drivers";

/// Reads the section `drivers:`, each component by itself.
fn drivers(document: &Document, report: &mut Report) -> DriversConfig {
    let mut drivers = DriversConfig::default();
    let Some(section) = document.section("drivers") else { return drivers };
    let Value::Object(members) = section else {
        report.refuse(document, "drivers", "is no map of keys");
        return drivers;
    };
    for (name, value) in members {
        match (&**name, value) {
            ("directory", Value::String(directory)) => drivers.directory = Some(directory.into()),
            ("directory", _) => report.refuse(document, "drivers.directory", "expected path string"),
            (name, value) => {
                let empty = json!({});
                let value = if value.is_null() { &empty } else { value };
                let component: Option<ComponentConfig> =
                    document.parse_value(&format!("drivers.{name}"), value, report);
                drivers.components.insert(name.to_owned(), component.unwrap_or_default());
            }
        }
    }
    drivers
}

impl Middleware {
    fn from_document(document: &Document, report: &mut Report) -> Self {
        let mut storage = Vec::new();
        let section = document.section("middleware");
        if section.is_some_and(|section| !section.is_object()) {
            report.refuse(document, "middleware", "is no map of keys");
        }
        match section.and_then(|section| section.get("storage")) {
            None | Some(Value::Null) => {}
            Some(Value::Array(entries)) => {
                for (index, entry) in entries.iter().enumerate() {
                    // The place of each in the list is its key: it is kept where one is wrong.
                    let config = document.parse_value(&format!("middleware.storage.{index}"), entry, report);
                    storage.push(config.unwrap_or(MiddlewareConfig { disabled: true, ..MiddlewareConfig::default() }));
                }
            }
            Some(_) => report.refuse(document, "middleware.storage", "expected a list of middlewares"),
        }
        Middleware { storage }
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
