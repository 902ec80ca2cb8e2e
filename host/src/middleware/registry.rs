//! Which middlewares there are, by name, and putting them over a driver.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{MiddlewareConfig, Under};
use crate::base::{ParameterFault, Parameters};
use crate::contract::{Error, ErrorKind, Operation, Result, StorageDriver};

type Constructor = Arc<dyn Fn(Parameters, Under) -> BoxFuture<'static, Result<Arc<dyn StorageDriver>>> + Send + Sync>;

/// Says what is wrong with options, and puts nothing over anything.
type Examine = fn(Parameters) -> Vec<ParameterFault>;

/// Storage middlewares, by name. The factory has one; without it, middlewares can be put over any driver.
#[derive(Clone, Default)]
pub struct Middlewares(BTreeMap<String, Entry>);

#[derive(Clone)]
struct Entry {
    constructor: Constructor,
    /// None for one that says so when it is put over a driver.
    examine: Option<Examine>,
}

impl Middlewares {
    /// Returns those that were compiled in: `redirect` and `rewrite`, and with the feature `s3` `cloudfront`.
    pub fn native() -> Self {
        let mut middlewares = Self::default();
        let mut add = |name: &str, constructor: Constructor, examine: Examine| {
            middlewares.0.insert(name.to_owned(), Entry { constructor, examine: Some(examine) })
        };
        add(
            "redirect",
            Arc::new(|options, under| Box::pin(async move { super::redirect::open(options, under) })),
            super::redirect::faults,
        );
        add(
            "rewrite",
            Arc::new(|options, under| Box::pin(async move { super::rewrite::open(options, under) })),
            super::rewrite::faults,
        );
        #[cfg(feature = "s3")]
        add(
            "cloudfront",
            Arc::new(|options, under| Box::pin(super::cloudfront::open(options, under))),
            super::cloudfront::faults,
        );
        middlewares
    }

    /// Adds a middleware under a name. The constructor is called each time it is put over a driver, and returns what
    /// wraps [`Under::driver`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the name is taken.
    pub fn register<F, R>(&mut self, name: &str, constructor: F) -> Result<()>
    where
        F: Fn(Parameters, Under) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<dyn StorageDriver>>> + Send + 'static,
    {
        if self.0.contains_key(name) {
            let message = format!("there is a storage middleware named {name}; use another name");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let constructor: Constructor = Arc::new(move |options, under| Box::pin(constructor(options, under)));
        self.0.insert(name.to_owned(), Entry { constructor, examine: None });
        Ok(())
    }

    /// Returns the names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Checks that every entry that is not disabled names a middleware.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`], in Distribution's words and with the names that there are.
    pub fn check(&self, configs: &[MiddlewareConfig]) -> Result<()> {
        enabled(configs).try_for_each(|config| self.constructor(&config.name).map(|_| ()))
    }

    /// Puts middlewares over a driver in the order of the entries, so that the last is the outermost. `root_directory`
    /// is the driver's parameter `rootdirectory`, if it has one.
    ///
    /// # Errors
    ///
    /// As [`check`](Middlewares::check), and the middlewares' own, mostly [`ErrorKind::InvalidParameters`] with the name
    /// of the option. The error's driver is then the middleware.
    pub async fn wrap(
        &self,
        driver: Arc<dyn StorageDriver>,
        root_directory: Option<String>,
        configs: &[MiddlewareConfig],
    ) -> Result<Arc<dyn StorageDriver>> {
        let mut under = Under { name: driver.name().to_owned(), driver, root_directory };
        for MiddlewareConfig { name, options, .. } in enabled(configs) {
            let wrapped = self.constructor(name)?(options.clone(), under).await;
            let driver = wrapped.map_err(|error| match error.driver() {
                Some(_) => error.with_operation(Operation::Open),
                None => error.with_driver(name).with_operation(Operation::Open),
            })?;
            under = Under { driver, name: name.clone(), root_directory: None };
        }
        Ok(under.driver)
    }

    /// Returns all that is wrong with an entry, without putting it over a driver. Nothing is wrong with one that is
    /// disabled, and of one that the program registered only its name is looked at.
    pub fn examine(&self, config: &MiddlewareConfig) -> Vec<ParameterFault> {
        if config.disabled {
            return Vec::new();
        }
        let Some(Entry { examine, .. }) = self.0.get(&config.name) else {
            return vec![ParameterFault::new(vec!["name".to_owned()], self.unknown(&config.name))];
        };
        let mut faults = examine.map_or_else(Vec::new, |examine| examine(config.options.clone()));
        for fault in &mut faults {
            fault.path.insert(0, "options".to_owned());
        }
        faults
    }

    fn constructor(&self, name: &str) -> Result<&Constructor> {
        let entry = self.0.get(name).ok_or_else(|| Error::new(ErrorKind::InvalidParameters, self.unknown(name)))?;
        Ok(&entry.constructor)
    }

    /// Says, in Distribution's words, that there is no middleware of that name.
    fn unknown(&self, name: &str) -> String {
        let names: Vec<&str> = self.names().collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("no storage middleware registered with name: {name}; registered: {names}")
    }
}

fn enabled(configs: &[MiddlewareConfig]) -> impl Iterator<Item = &MiddlewareConfig> {
    configs.iter().filter(|config| !config.disabled)
}

impl fmt::Debug for Middlewares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
