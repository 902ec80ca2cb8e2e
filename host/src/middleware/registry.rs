//! Which middlewares there are, by name, and putting them over a driver.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{MiddlewareConfig, Under};
use crate::base::Parameters;
use crate::contract::{Error, ErrorKind, Operation, Result, StorageDriver};

type Constructor = Arc<dyn Fn(Parameters, Under) -> BoxFuture<'static, Result<Arc<dyn StorageDriver>>> + Send + Sync>;

/// Storage middlewares, by name. The factory has one; without it, middlewares can be put over any driver.
#[derive(Clone, Default)]
pub struct Middlewares(BTreeMap<String, Constructor>);

impl Middlewares {
    /// Returns those that were compiled in: `redirect` and `rewrite`, and with the feature `s3` `cloudfront`.
    pub fn native() -> Self {
        let mut middlewares = Self::default();
        let mut add = |name: &str, constructor: Constructor| middlewares.0.insert(name.to_owned(), constructor);
        add("redirect", Arc::new(|options, under| Box::pin(async move { super::redirect::open(options, under) })));
        add("rewrite", Arc::new(|options, under| Box::pin(async move { super::rewrite::open(options, under) })));
        #[cfg(feature = "s3")]
        add("cloudfront", Arc::new(|options, under| Box::pin(super::cloudfront::open(options, under))));
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
        self.0.insert(name.to_owned(), Arc::new(move |options, under| Box::pin(constructor(options, under))));
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

    fn constructor(&self, name: &str) -> Result<&Constructor> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("no storage middleware registered with name: {name}; registered: {names}");
            Error::new(ErrorKind::InvalidParameters, message)
        })
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
