//! Opening drivers by name, native or component, with the same call.
//!
//! A [`Factory`] is a value: a program has as many as it likes, and nothing is registered behind its back.

#[cfg(feature = "wasm")]
mod components;
mod native;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::base::Base;
use crate::base::retry::{Retry, RetryPolicy, Retrying};
use crate::contract::{Error, ErrorKind, Identity, Operation, Result, StorageDriver};
use crate::middleware::{MiddlewareConfig, Middlewares, Under};

pub use crate::base::{ParameterFault, Parameters};
#[cfg(feature = "wasm")]
pub use components::{DriversConfig, Refusal, components_in};

type Identify = Arc<dyn Fn(Parameters, RetryPolicy) -> BoxFuture<'static, Result<Identity>> + Send + Sync>;

type CheckWritable = Arc<dyn Fn(Parameters) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// With the policy of retries, for those that send requests of their own.
type Constructor =
    Arc<dyn Fn(Parameters, RetryPolicy) -> BoxFuture<'static, Result<Arc<dyn StorageDriver>>> + Send + Sync>;

/// Opens storage drivers by name.
///
/// Every driver that it opens stands behind [`Base`], which checks arguments, adds names to errors and measures, and
/// [`Retrying`], which tries again what may pass, by default as [`RetryPolicy::default`] says. In between stand the
/// middlewares that are asked for, if any.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use wharf::contract::{ErrorKind, StorageDriver, StoragePath};
/// use wharf::drivers::inmemory::InMemory;
/// use wharf::factory::{Factory, Parameters};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), wharf::contract::Error> {
/// let mut factory = Factory::native();
/// // A driver of one's own, under a name of one's own.
/// factory.register("scratch", |parameters: Parameters| async move {
///     let _: Nothing = parameters.parse()?;
///     Ok(Arc::new(InMemory::new()) as Arc<dyn StorageDriver>)
/// })?;
///
/// let driver = factory.create("scratch", Parameters::new()).await?;
/// driver.put_content(&StoragePath::parse("/a")?, Bytes::from_static(b"hello")).await?;
///
/// let error = factory.create("no-such-driver", Parameters::new()).await.unwrap_err();
/// assert_eq!(error.kind(), &ErrorKind::InvalidStorageDriver);
/// # Ok(())
/// # }
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Nothing {}
/// ```
#[derive(Clone, Default)]
pub struct Factory {
    entries: BTreeMap<String, Entry>,
    /// Component files that are not offered, by the name that they would have had, and why.
    refused: BTreeMap<String, String>,
    middlewares: Middlewares,
    retries: RetryPolicy,
}

#[derive(Clone)]
enum Entry {
    Native(Native),
    #[cfg(feature = "wasm")]
    Component(Arc<components::Source>),
}

/// A driver that is compiled in.
#[derive(Clone)]
struct Native {
    constructor: Constructor,
    /// Of a driver that presents credentials to its store: as whom. Such a one repeats and times its requests by itself.
    identify: Option<Identify>,
    /// Says what is wrong with parameters, and opens nothing; none for a driver that says so when it is opened.
    examine: Option<fn(Parameters) -> Vec<ParameterFault>>,
    /// Of a driver that can tell without writing whether its store takes writes: whether it does.
    check_writable: Option<CheckWritable>,
}

impl Native {
    fn new(constructor: Constructor) -> Self {
        Native { constructor, identify: None, examine: None, check_writable: None }
    }

    fn examined(constructor: Constructor, examine: fn(Parameters) -> Vec<ParameterFault>) -> Self {
        Native { examine: Some(examine), ..Self::new(constructor) }
    }
}

/// Where a driver comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled into the program, or registered by it.
    Native,
    /// A component, in this file.
    Component(PathBuf),
}

/// A driver that a factory can open, or knows why it cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The name by which it is opened.
    pub name: &'a str,
    /// Where it comes from.
    pub origin: Origin,
}

impl Factory {
    /// Returns a factory that knows no driver and no middleware.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a factory that knows the drivers that were compiled in: `inmemory`, and those of the crate's features;
    /// and [the middlewares](Middlewares::native) that were.
    pub fn native() -> Self {
        let mut factory = Factory { middlewares: Middlewares::native(), ..Self::new() };
        native::register(&mut factory.entries);
        factory
    }

    /// Sets how often, and for how long, drivers that are opened from now on try again what failed.
    /// [`RetryPolicy::never`] for a caller who does so itself, or wants to see each failure.
    ///
    /// Of a component, [`attempt_timeout`](RetryPolicy::attempt_timeout) and [`stall`](RetryPolicy::stall) do not count: the
    /// limits of its own configuration say how long it may take, and end it where it takes longer.
    #[must_use]
    pub fn with_retries(mut self, policy: RetryPolicy) -> Self {
        self.retries = policy;
        self
    }

    /// Offers a driver under a name.
    ///
    /// The constructor is called at each [`create`](Factory::create). It returns the driver without
    /// [`Base`] and [`Retrying`], which the factory adds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the name is taken; [`ErrorKind::InvalidParameters`] if it is not made of letters,
    /// digits, `.`, `_` and `-`, beginning with a letter or a digit.
    pub fn register<F, R>(&mut self, name: &str, constructor: F) -> Result<()>
    where
        F: Fn(Parameters) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<dyn StorageDriver>>> + Send + 'static,
    {
        self.check_name(name)?;
        let constructor: Constructor = Arc::new(move |parameters, _| Box::pin(constructor(parameters)));
        self.entries.insert(name.to_owned(), Entry::Native(Native::new(constructor)));
        Ok(())
    }

    /// Offers a storage middleware under a name, for [`create_with_middleware`](Factory::create_with_middleware). The
    /// constructor is called each time it is put over a driver, and returns what wraps [`Under::driver`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use wharf::base::ConcurrencyLimit;
    /// use wharf::contract::StorageDriver;
    /// use wharf::factory::{Factory, Parameters};
    /// use wharf::middleware::{MiddlewareConfig, Under};
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Limit {
    ///     operations: std::num::NonZeroUsize,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut factory = Factory::native();
    /// factory.register_middleware("limit", |options: Parameters, under: Under| async move {
    ///     let Limit { operations } = options.parse()?;
    ///     Ok(Arc::new(ConcurrencyLimit::new(under.driver, operations)) as Arc<dyn StorageDriver>)
    /// })?;
    ///
    /// let configs: Vec<MiddlewareConfig> =
    ///     serde_json::from_str(r#"[{ "name": "limit", "options": { "operations": 25 } }]"#)?;
    /// let driver = factory.create_with_middleware("inmemory", Parameters::new(), &configs).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the name is taken.
    pub fn register_middleware<F, R>(&mut self, name: &str, constructor: F) -> Result<()>
    where
        F: Fn(Parameters, Under) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<dyn StorageDriver>>> + Send + 'static,
    {
        self.middlewares.register(name, constructor)
    }

    /// Opens the driver of that name, whichever kind it is, with its parameters.
    ///
    /// A component is loaded and checked at its first opening, and kept. Opening is not tried again.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidStorageDriver`] if there is no driver of that name; it lists those that there are.
    /// - [`ErrorKind::InvalidParameters`] if the driver cannot work with the parameters.
    /// - The driver's own, and for a component those of [loading](crate::runtime::Component::load_file) it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future opens nothing.
    pub async fn create(&self, name: &str, parameters: Parameters) -> Result<Arc<dyn StorageDriver>> {
        self.create_with_middleware(name, parameters, &[]).await
    }

    /// Opens a driver as [`create`](Factory::create) does, and puts middlewares over it in the order of the entries, as
    /// `middleware: storage:` of the configuration has them: the first is directly over the driver, the last is the
    /// outermost. [`Base`] is over all of them.
    ///
    /// # Errors
    ///
    /// As [`create`](Factory::create). [`ErrorKind::InvalidParameters`] if there is no middleware of a name, before the
    /// driver is opened, or if one cannot work with its options; then the error's driver is the middleware.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future opens nothing.
    pub async fn create_with_middleware(
        &self,
        name: &str,
        parameters: Parameters,
        middlewares: &[MiddlewareConfig],
    ) -> Result<Arc<dyn StorageDriver>> {
        self.middlewares.check(middlewares).map_err(|error| error.with_operation(Operation::Open))?;
        let root_directory = parameters.text("rootdirectory").map(str::to_owned);
        let driver = self.open(name, parameters).await?;
        let driver = self.middlewares.wrap(driver, root_directory, middlewares).await?;
        Ok(Arc::new(Base::new(driver)))
    }

    /// Opens a driver that tries again what may pass, with nothing else in front of it.
    async fn open(&self, name: &str, parameters: Parameters) -> Result<Arc<dyn StorageDriver>> {
        let policy = self.retries.clone();
        let (opened, policy) = match self.entries.get(name) {
            None => return Err(self.unknown(name)),
            Some(Entry::Native(Native { constructor, identify, .. })) => {
                // A driver of a cloud store knows how long each of its requests may take.
                let attempt_timeout = if identify.is_some() { Duration::MAX } else { policy.attempt_timeout };
                (constructor(parameters, policy.clone()).await, RetryPolicy { attempt_timeout, ..policy })
            }
            #[cfg(feature = "wasm")]
            Some(Entry::Component(source)) => {
                let untimed = RetryPolicy { attempt_timeout: Duration::MAX, stall: Duration::MAX, ..policy };
                (source.open(name, parameters).await, untimed)
            }
        };
        match opened {
            Ok(driver) => Ok(Arc::new(Retrying::new(driver, Retry::new(policy)))),
            Err(error) if error.driver().is_some() => Err(error.with_operation(Operation::Open)),
            Err(error) => Err(error.with_driver(name).with_operation(Operation::Open)),
        }
    }

    /// Returns as whom the driver of that name works at its store, which is asked for it; none for a driver that presents
    /// no credentials, and for components, which have their own.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Factory::create).
    pub async fn identify(&self, name: &str, parameters: Parameters) -> Result<Option<Identity>> {
        match self.entries.get(name) {
            None => Err(self.unknown(name)),
            Some(Entry::Native(Native { identify: Some(identify), .. })) => {
                let identity = identify(parameters, self.retries.clone()).await;
                identity.map(Some).map_err(|error| error.with_driver(name).with_operation(Operation::Open))
            }
            Some(_) => Ok(None),
        }
    }

    /// Returns all that is wrong with a driver's parameters, without opening it; none if that cannot be known before: a
    /// component, and a driver that the program registered, say so when they are opened.
    ///
    /// ```
    /// use wharf::factory::{Factory, Parameters};
    ///
    /// let faults = Factory::native().examine("inmemory", Parameters::new().with("rootdirectory", "/srv"));
    /// assert_eq!(faults.map(|faults| faults[0].key()).as_deref(), Some("rootdirectory"));
    /// ```
    pub fn examine(&self, name: &str, parameters: Parameters) -> Option<Vec<ParameterFault>> {
        match self.entries.get(name) {
            Some(Entry::Native(Native { examine: Some(examine), .. })) => Some(examine(parameters)),
            _ => None,
        }
    }

    /// Returns all that is wrong with an entry of `middleware: storage:`, without putting it over a driver.
    pub fn examine_middleware(&self, config: &MiddlewareConfig) -> Vec<ParameterFault> {
        self.middlewares.examine(config)
    }

    /// Returns whether the store of the driver of that name takes writes, as far as that can be found out cheaply and without
    /// writing. Success is no promise: of most stores nothing is known before somebody writes. Of a component, the
    /// directories that it is granted to write to are looked at.
    ///
    /// # Errors
    ///
    /// Why it would not: [`ErrorKind::AccessDenied`], [`ErrorKind::QuotaExceeded`], [`ErrorKind::Unavailable`]; those of
    /// [`create`](Factory::create) for a name or parameters that are wrong.
    pub async fn check_writable(&self, name: &str, parameters: Parameters) -> Result<()> {
        match self.entries.get(name) {
            None => Err(self.unknown(name)),
            Some(Entry::Native(Native { check_writable: Some(check), .. })) => {
                check(parameters).await.map_err(|error| error.with_driver(name))
            }
            Some(Entry::Native(_)) => Ok(()),
            #[cfg(feature = "wasm")]
            Some(Entry::Component(source)) => source.check_writable().await.map_err(|error| error.with_driver(name)),
        }
    }

    /// Returns what can be opened, in the order of names.
    pub fn offers(&self) -> impl Iterator<Item = Offer<'_>> {
        self.entries.iter().map(|(name, entry)| Offer { name, origin: entry.origin() })
    }

    /// Returns the offer of that name.
    pub fn offer(&self, name: &str) -> Option<Offer<'_>> {
        self.entries.get_key_value(name).map(|(name, entry)| Offer { name, origin: entry.origin() })
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if !is_driver_name(name) {
            let message = format!(
                "{name:?} cannot be a driver's name: use letters, digits, '.', '_' and '-', with a letter or a digit first"
            );
            return Err(Error::new(ErrorKind::InvalidParameters, message));
        }
        match self.entries.get(name).map(Entry::origin) {
            None => Ok(()),
            Some(Origin::Native) => {
                let message = format!("there is a native driver named {name}; use another name");
                Err(Error::new(ErrorKind::Conflict, message))
            }
            Some(Origin::Component(file)) => {
                let message = format!("{} already has the name {name}; use another one", file.display());
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let message = match self.refused.get(name) {
            Some(why) => format!("StorageDriver not registered: {name}: {why}"),
            None => {
                let names: Vec<&str> = self.entries.keys().map(String::as_str).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                format!("StorageDriver not registered: {name}; registered: {names}")
            }
        };
        Error::new(ErrorKind::InvalidStorageDriver, message)
    }
}

impl Entry {
    fn origin(&self) -> Origin {
        match self {
            Entry::Native(_) => Origin::Native,
            #[cfg(feature = "wasm")]
            Entry::Component(source) => Origin::Component(source.file().to_owned()),
        }
    }
}

impl Origin {
    /// Returns the component's file; none for a native driver.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::Native => None,
            Origin::Component(file) => Some(file),
        }
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

/// Returns whether a text can be a driver's name: letters, digits, `.`, `_` and `-`, beginning with a letter or a digit.
///
/// ```
/// use wharf::factory::is_driver_name;
///
/// assert!(is_driver_name("s3") && is_driver_name("my-driver.v2"));
/// assert!(!is_driver_name("") && !is_driver_name(".hidden") && !is_driver_name("a/b"));
/// ```
pub fn is_driver_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::contract::{RedirectRequest, StoragePath};
    use crate::drivers::inmemory::InMemory;

    fn entries(json: &str) -> Vec<MiddlewareConfig> {
        serde_json::from_str(json).unwrap()
    }

    fn memory(_: Parameters) -> impl Future<Output = Result<Arc<dyn StorageDriver>>> {
        std::future::ready(Ok(Arc::new(InMemory::new()) as Arc<dyn StorageDriver>))
    }

    #[tokio::test]
    async fn an_unknown_name_is_invalid_storage_driver_and_lists_the_known() {
        let mut factory = Factory::new();
        factory.register("mine", memory).unwrap();
        let error = factory.create("other", Parameters::new()).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidStorageDriver);
        assert_eq!(error.to_string(), "StorageDriver not registered: other; registered: mine");
    }

    #[tokio::test]
    async fn a_name_is_registered_once() {
        let mut factory = Factory::native();
        let error = factory.register("inmemory", memory).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Conflict);
        assert!(factory.create("inmemory", Parameters::new()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn every_driver_that_is_opened_tries_again_as_the_factory_says() {
        use crate::base::retry::tests::scripted::{Fault, Scripted};
        let scripted = Scripted::new();
        let opened: Arc<dyn StorageDriver> = Arc::new(scripted.clone());
        let mut factory = Factory::new();
        factory.register("mine", move |_| std::future::ready(Ok(Arc::clone(&opened)))).unwrap();
        let twice = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        for (policy, tried) in [(None, 6), (Some(twice), 2), (Some(RetryPolicy::never()), 1)] {
            let factory = factory.clone();
            let factory = match policy {
                Some(policy) => factory.with_retries(policy),
                None => factory,
            };
            let driver = factory.create("mine", Parameters::new()).await.unwrap();
            scripted.script("stat", vec![Fault::Fails(ErrorKind::Unavailable); tried]);
            let error = driver.stat(&StoragePath::root()).await.unwrap_err();
            assert_eq!((error.attempts(), scripted.calls().len()), (Some(tried as u32), tried));
        }
    }

    #[test]
    fn a_name_is_one_that_a_configuration_can_hold() {
        for name in ["", ".hidden", "a b", "a/b", "-x", "ä"] {
            let error = Factory::new().register(name, memory).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidParameters, "{name}");
        }
    }

    #[tokio::test]
    async fn an_unknown_parameter_is_refused_by_name() {
        let parameters = Parameters::new().with("rootdirectory", "/x");
        let error = Factory::native().create("inmemory", parameters).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
        assert_eq!(error.operation(), Some(Operation::Open));
        assert!(error.to_string().contains("inmemory") && error.to_string().contains("rootdirectory"), "{error}");
    }

    #[tokio::test]
    async fn a_middleware_stands_between_base_and_the_driver() {
        let configs = entries(r#"[{ "name": "redirect", "options": { "baseurl": "https://cdn.example.com" } }]"#);
        let driver = Factory::native().create_with_middleware("inmemory", Parameters::new(), &configs).await.unwrap();
        let request = RedirectRequest { method: "GET".to_owned(), client_address: None };
        let path = StoragePath::parse("/a").unwrap();
        assert_eq!(driver.redirect_url(&path, &request).await.unwrap().unwrap(), "https://cdn.example.com/a");
        // What `base` refuses and names.
        let error = driver.redirect_url(&StoragePath::root(), &request).await.unwrap_err();
        assert_eq!((error.driver(), error.kind()), (Some("inmemory"), &ErrorKind::InvalidPath));
    }

    #[tokio::test]
    async fn an_unknown_middleware_is_refused_before_the_driver_is_opened() {
        let mut factory = Factory::native();
        let never = |_| async { Err(Error::new(ErrorKind::Other, "was opened")) };
        factory.register("never", never).unwrap();
        let error = factory.create_with_middleware("never", Parameters::new(), &entries(r#"[{ "name": "x" }]"#)).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("no storage middleware registered with name: x; registered: "), "{text}");
    }

    #[tokio::test]
    async fn a_middleware_is_told_the_drivers_own_name_and_root_directory() {
        let mut factory = Factory::new();
        factory.register("mine", memory).unwrap();
        let tell = |_, under| async move { Err(Error::new(ErrorKind::Other, format!("{under:?}"))) };
        factory.register_middleware("tell", tell).unwrap();
        let parameters = Parameters::new().with("rootdirectory", "/x");
        let error = factory.create_with_middleware("mine", parameters, &entries(r#"[{ "name": "tell" }]"#)).await;
        let expected = r#"Under { name: "inmemory", root_directory: Some("/x") }"#;
        assert_eq!(error.unwrap_err().message(), expected);
    }

    /// Nobody listens on that port of loopback: each attempt is refused at once.
    #[cfg(feature = "s3")]
    #[tokio::test]
    async fn a_driver_that_repeats_its_own_requests_does_so_by_the_factorys_policy() {
        for attempts in [1, 3] {
            let wait = Duration::from_millis(1);
            let policy = RetryPolicy { attempts, first_wait: wait, longest_wait: wait, ..RetryPolicy::default() };
            let parameters = Parameters::new()
                .with("accesskey", "a")
                .with("secretkey", "s")
                .with("bucket", "b")
                .with("regionendpoint", "http://127.0.0.1:9");
            let error = Factory::native().with_retries(policy).create("s3", parameters).await.unwrap_err();
            assert_eq!(error.attempts(), Some(attempts), "{error}");
        }
    }
}
