//! Opening drivers by name. The only file that talks to the factory.
//!
//! The library's factory is written at the same time as this program. Until it is there, the cargo feature `factory`
//! is off, and opening a driver is an error that says so.

use std::sync::Arc;

use anyhow::{Result, bail};
use wharf::contract::StorageDriver;

use crate::config::{Config, Given};

/// What is needed to open a driver by name.
pub(crate) struct Store {
    config: Config,
    given: Given,
    #[cfg(feature = "factory")]
    factory: wharf::factory::Factory,
}

/// A driver that the program offers.
pub(crate) struct Offer {
    /// The name to open it by.
    pub(crate) name: String,
    /// The component's file; none for a native driver.
    pub(crate) file: Option<String>,
}

impl Store {
    /// Offers every driver that this program has.
    pub(crate) fn new(config: Config, given: Given) -> Result<Self> {
        if config.drivers.directory.is_some() || !config.drivers.components.is_empty() {
            bail!("the configuration has a section `drivers:`, and this version loads no components; take it out");
        }
        Ok(Store {
            config,
            given,
            #[cfg(feature = "factory")]
            factory: wharf::factory::Factory::native(),
        })
    }

    /// Returns what can be opened, sorted by name.
    #[cfg(feature = "factory")]
    pub(crate) fn offers(&self) -> Result<Vec<Offer>> {
        use wharf::factory::Origin;
        let offer = |(name, origin): (&str, &Origin)| Offer {
            name: name.to_owned(),
            file: match origin {
                Origin::Native => None,
                Origin::Component(file) => Some(file.display().to_string()),
            },
        };
        Ok(self.factory.offers().map(offer).collect())
    }

    /// Opens a driver with the parameters that belong to its name.
    #[cfg(feature = "factory")]
    pub(crate) async fn open(&self, name: &str) -> Result<Arc<dyn StorageDriver>> {
        use anyhow::Context;
        let parameters = serde_json::Value::Object(self.given.of(name, &self.config)?);
        let parameters: wharf::factory::Parameters =
            serde_json::from_value(parameters).map_err(|_| anyhow::anyhow!("the parameters of `{name}` are no map"))?;
        self.factory.create(name, parameters).await.with_context(|| format!("could not open the driver `{name}`"))
    }

    /// This build has no drivers.
    #[cfg(not(feature = "factory"))]
    pub(crate) fn offers(&self) -> Result<Vec<Offer>> {
        bail!("this build has no drivers: it was made without the cargo feature `factory`")
    }

    /// This build has no drivers.
    #[cfg(not(feature = "factory"))]
    pub(crate) async fn open(&self, name: &str) -> Result<Arc<dyn StorageDriver>> {
        self.given.of(name, &self.config)?;
        bail!("could not open the driver `{name}`: this build was made without the cargo feature `factory`")
    }
}
