//! Components in the factory: the section `drivers:` of the configuration, and the files that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{Entry, Factory, Parameters};
use crate::base::directory;
use crate::contract::{Error, ErrorKind, Result, StorageDriver};
use crate::runtime::{Component, ComponentConfig, ComponentDriver, Instances, Runtime};

/// The section `drivers:` of the configuration: which components there are.
///
/// ```
/// use wharf::factory::DriversConfig;
///
/// let config: DriversConfig = serde_json::from_str(
///     r#"{ "directory": "./drivers", "archive": { "component": "./webdav.wasm", "limits": { "memory": "64MiB" } } }"#,
/// )?;
/// assert!(config.components.contains_key("archive"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriversConfig {
    /// Every `*.wasm` in it is offered under its file's name without the ending.
    pub directory: Option<PathBuf>,
    /// Components with a name, grants or limits of their own, by the name that they have.
    #[serde(flatten)]
    pub components: BTreeMap<String, ComponentConfig>,
}

/// A component's file that is not offered, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The name that it would have had.
    pub name: &'a str,
    /// What is wrong, and what to do.
    pub reason: &'a str,
}

/// A component that may not be loaded yet.
pub(super) struct Source {
    runtime: Runtime,
    file: PathBuf,
    config: ComponentConfig,
    loaded: OnceCell<Component>,
}

impl Source {
    fn new(runtime: Runtime, file: PathBuf, config: ComponentConfig) -> Arc<Self> {
        Arc::new(Source { runtime, file, config, loaded: OnceCell::new() })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    async fn component(&self) -> Result<&Component> {
        let pin = self.config.sha256.as_deref();
        self.loaded.get_or_try_init(|| Component::load_file(&self.runtime, &self.file, pin, &self.config.limits)).await
    }

    /// Looks at the directories that the component may write to. Each was there when the component was opened, which goes on
    /// with that one, wherever it is now. One whose content is outside of its instances keeps nothing if it may write to none of
    /// its directories and has no host.
    pub(super) async fn check_writable(&self) -> Result<()> {
        let allow = &self.config.allow;
        let writable = allow.directories.iter().filter(|directory| directory.write);
        let hosts: Vec<PathBuf> = writable.map(|directory| directory.host.clone()).collect();
        if let (Some(first), true, true) = (allow.directories.first(), hosts.is_empty(), allow.http.is_empty())
            && self.component().await?.description().instances != Instances::One
        {
            let message = format!(
                "the component may only read {}: add `write: true` to what grants it, or make the registry read-only",
                first.host.display()
            );
            return Err(Error::new(ErrorKind::AccessDenied, message));
        }
        let looking = move || {
            hosts.iter().try_for_each(|host| {
                if host.is_dir() {
                    return directory::check_writable(host);
                }
                let message = format!("{}, which is granted, is gone: make it, and restart", host.display());
                Err(Error::new(ErrorKind::Unavailable, message))
            })
        };
        let looked = tokio::task::spawn_blocking(looking).await;
        looked.unwrap_or_else(|error| Err(Error::new(ErrorKind::Other, "the check was cut off").with_source(error)))
    }

    pub(super) async fn open(&self, name: &str, parameters: Parameters) -> Result<Arc<dyn StorageDriver>> {
        let component = self.component().await?.clone();
        let driver = ComponentDriver::new(component, &self.config)?;
        driver.open(name, parameters.to_json()).await
    }
}

impl Factory {
    /// Offers the component in a file under a name. It is loaded at its first opening, so that a broken one costs
    /// nobody's start.
    ///
    /// # Errors
    ///
    /// As [`register`](Factory::register); [`ErrorKind::InvalidParameters`] if the configuration names no file.
    pub fn register_component(&mut self, runtime: &Runtime, name: &str, config: ComponentConfig) -> Result<()> {
        self.check_name(name)?;
        let Some(file) = config.component.clone() else {
            let message = format!("the component {name} has no file: add `component: FILE.wasm`, or a `directory:`");
            return Err(Error::new(ErrorKind::InvalidParameters, message));
        };
        self.entries.insert(name.to_owned(), Entry::Component(Source::new(runtime.clone(), file, config)));
        self.refused.remove(name);
        Ok(())
    }

    /// Offers what the section `drivers:` names: each component that it configures, and each `*.wasm` of its directory
    /// under the file's name.
    ///
    /// A file whose name is taken, by a native driver above all, or cannot be a driver's, is not offered:
    /// [`refusals`](Factory::refusals) tells why. Blocks for the listing of one directory.
    ///
    /// # Errors
    ///
    /// As [`register_component`](Factory::register_component), for those that are configured by name; if the directory
    /// cannot be listed, [`ErrorKind::InvalidParameters`].
    pub fn register_components(&mut self, runtime: &Runtime, config: &DriversConfig) -> Result<()> {
        for (name, component) in &config.components {
            let mut component = component.clone();
            if component.component.is_none() {
                component.component = config.directory.as_ref().map(|directory| directory.join(format!("{name}.wasm")));
            }
            self.register_component(runtime, name, component)?;
        }
        let Some(directory) = &config.directory else { return Ok(()) };
        for file in components_in(directory)? {
            // A name that is not text cannot be written in a configuration either.
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if config.components.contains_key(&name) {
                continue;
            }
            let offered = ComponentConfig { component: Some(file.clone()), ..ComponentConfig::default() };
            if let Err(error) = self.register_component(runtime, &name, offered) {
                let reason = format!("{} is not offered: {}", file.display(), error.message());
                tracing::warn!(reason, "a component is not offered");
                self.refused.insert(name, reason);
            }
        }
        Ok(())
    }

    /// Changes how each component that is offered by now is configured: what all of them are granted, for instance.
    ///
    /// `change` gets the component's name too. The file stays the one it is, whatever becomes of
    /// [`component`](ComponentConfig::component). Drivers that are open stay as they are; a component is loaded anew at
    /// its next opening.
    pub fn configure_components(&mut self, mut change: impl FnMut(&str, &mut ComponentConfig)) {
        for (name, entry) in &mut self.entries {
            if let Entry::Component(source) = entry {
                let mut config = source.config.clone();
                change(name, &mut config);
                *source = Source::new(source.runtime.clone(), source.file.clone(), config);
            }
        }
    }

    /// Returns the files that are not offered, and why.
    pub fn refusals(&self) -> impl Iterator<Item = Refusal<'_>> {
        self.refused.iter().map(|(name, reason)| Refusal { name, reason })
    }

    /// Returns the component of that name, loaded and checked; none if the driver is native or there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Component::load_file`].
    pub async fn component(&self, name: &str) -> Result<Option<Component>> {
        match self.entries.get(name) {
            Some(Entry::Component(source)) => source.component().await.cloned().map(Some),
            _ => Ok(None),
        }
    }

    /// Returns how the component of that name is configured: its file, grants and limits; none if the driver is native
    /// or there is none.
    pub fn component_config(&self, name: &str) -> Option<&ComponentConfig> {
        match self.entries.get(name) {
            Some(Entry::Component(source)) => Some(&source.config),
            _ => None,
        }
    }
}

/// Returns the `*.wasm` files of a directory, sorted by path. Blocks for the listing.
///
/// # Errors
///
/// [`ErrorKind::InvalidParameters`] if the directory cannot be listed.
pub fn components_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    };
    list().map_err(|error| {
        let message = format!(
            "the directory of drivers {} cannot be listed: {error}; create it, or correct `drivers: directory:`",
            directory.display()
        );
        Error::new(ErrorKind::InvalidParameters, message).with_source(error)
    })
}
