//! Opening drivers by name or by file. The only file that sets up the factory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use wharf::contract::StorageDriver;
use wharf::factory::{DriversConfig, Factory, Parameters};
use wharf::runtime::{ComponentConfig, Instances, Runtime, RuntimeConfig};

use crate::cache;
use crate::config::{Config, Given};
use crate::grant::{self, Grant};
use crate::limit::{self, Limit};
use crate::{location, output};

/// What the command line and the configuration say.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The file of `--config`.
    pub(crate) config: Config,
    /// `--params`.
    pub(crate) given: Given,
    /// `--drivers`, which wins over the configuration's.
    pub(crate) directory: Option<PathBuf>,
    /// `--grant`, for every component.
    pub(crate) grants: Vec<Grant>,
    /// `--limit`, for every component.
    pub(crate) limits: Vec<Limit>,
    /// Whether compiled code is kept nowhere.
    pub(crate) no_cache: bool,
}

/// Opens drivers, each with the parameters that belong to its name.
pub(crate) struct Store {
    config: Config,
    given: Given,
    factory: Factory,
    runtime: Option<Runtime>,
    /// The names that files have, by the text that names them on the command line.
    files: BTreeMap<String, String>,
}

impl Store {
    /// Offers the native drivers, the components of the configuration and of the directory, and the files among
    /// `named`, which are the drivers on the command line. The engine is started only if there is a component, or a directory
    /// for them.
    pub(crate) fn new(settings: Settings, named: &[String]) -> Result<Self> {
        let Settings { config, given, directory, grants, limits, no_cache } = settings;
        let directory = config.directory(directory.as_deref());
        let drivers = DriversConfig { directory, ..config.drivers.clone() };
        let files: Vec<&String> = named.iter().filter(|text| location::is_file(text)).collect();
        let has_components = drivers.directory.is_some() || !drivers.components.is_empty() || !files.is_empty();
        let runtime = if has_components { Some(engine(no_cache)?) } else { None };
        let mut store = Store { config, given, factory: Factory::native(), runtime, files: BTreeMap::new() };
        if let Some(runtime) = &store.runtime {
            let factory = &mut store.factory;
            factory
                .register_components(runtime, &drivers)
                .context("could not set up the components that --drivers and --config name")?;
            for text in files {
                store.files.insert(text.clone(), register_file(factory, runtime, text)?);
            }
            factory.configure_components(|_, component| {
                grant::add(&grants, &mut component.allow);
                limit::set(&limits, &mut component.limits);
            });
        }
        Ok(store)
    }

    /// Returns the factory: what it offers, and which files it refused.
    pub(crate) fn factory(&self) -> &Factory {
        &self.factory
    }

    /// Returns the engine of components; none if there is no component.
    pub(crate) fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// Returns the name of a driver that was named on the command line, by its name or its file.
    pub(crate) fn name_of<'a>(&'a self, driver: &'a str) -> &'a str {
        self.files.get(driver).map_or(driver, String::as_str)
    }

    /// Returns the driver that the configuration's `storage:` names, if it is one.
    pub(crate) fn configured(&self) -> Option<&str> {
        self.config.driver()
    }

    /// Returns the parameters of a driver, by its name or file.
    pub(crate) fn parameters(&self, driver: &str) -> Result<Parameters> {
        Ok(self.given.of(self.name_of(driver), &self.config)?.into())
    }

    /// Returns whether the store of a driver takes writes, as far as that is known without writing.
    pub(crate) async fn check_writable(&self, driver: &str) -> Result<()> {
        let parameters = self.parameters(driver)?;
        Ok(self.factory.check_writable(self.name_of(driver), parameters).await?)
    }

    /// Returns whether what a driver stores lives in its own memory, and is lost when this program ends.
    pub(crate) async fn is_in_memory(&self, driver: &str) -> Result<bool> {
        Ok(match self.instances(driver).await? {
            Some(instances) => instances == Instances::One,
            None => self.name_of(driver) == "inmemory",
        })
    }

    /// Returns whether a driver may be open once at a time.
    pub(crate) async fn is_exclusive(&self, driver: &str) -> Result<bool> {
        Ok(self.instances(driver).await? == Some(Instances::Exclusive))
    }

    /// Returns how many instances a component may have; none if the driver is native.
    async fn instances(&self, driver: &str) -> Result<Option<Instances>> {
        let component = self.factory.component(self.name_of(driver)).await.map_err(output::sentence)?;
        Ok(component.map(|component| component.description().instances))
    }

    /// Says so if what is stored in a driver ends with this program.
    pub(crate) async fn warn_if_in_memory(&self, driver: &str) -> Result<()> {
        if self.is_in_memory(driver).await? {
            output::note(&format!(
                "{driver} keeps what it stores in its own memory: it is lost when this command ends; `wharf serve` keeps it \
                 as long as it runs"
            ));
        }
        Ok(())
    }

    /// Opens a driver, by its name or file, with its parameters. One that the configuration has under `storage:` stands
    /// behind the middlewares of `middleware: storage:`.
    pub(crate) async fn open(&self, driver: &str) -> Result<Arc<dyn StorageDriver>> {
        let parameters = self.parameters(driver)?;
        let name = self.name_of(driver);
        let of_storage = self.config.storage.contains_key(name);
        let middlewares = if of_storage { &self.config.middleware.storage[..] } else { &[] };
        let opened = self.factory.create_with_middleware(name, parameters, middlewares).await;
        opened.with_context(|| format!("could not open the driver `{driver}`"))
    }
}

/// Starts the engine of components.
pub(crate) fn engine(no_cache: bool) -> Result<Runtime> {
    let cache = if no_cache { None } else { cache::directory() };
    Runtime::new(RuntimeConfig { cache, ..RuntimeConfig::default() })
        .context("could not start the runtime of components")
}

/// Offers a file of the command line under its name without the ending; with the ending where that name is another
/// driver's, as `filesystem` is. A file that is offered already keeps its name and its grants.
fn register_file(factory: &mut Factory, runtime: &Runtime, text: &str) -> Result<String> {
    let file = Path::new(text);
    let same = |other: Option<&Path>| {
        let (ours, theirs) = (file.canonicalize().ok(), other.and_then(|other| other.canonicalize().ok()));
        ours.is_some() && ours == theirs
    };
    if let Some(offer) = factory.offers().find(|offer| same(offer.origin.file())) {
        return Ok(offer.name.to_owned());
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = match factory.offer(&stem) {
        Some(_) => file.file_name().unwrap_or_default().to_string_lossy(),
        None => stem,
    };
    let config = ComponentConfig { component: Some(file.to_owned()), ..ComponentConfig::default() };
    factory.register_component(runtime, &name, config).with_context(|| format!("could not offer the file {text}"))?;
    Ok(name.into_owned())
}
