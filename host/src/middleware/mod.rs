//! Storage middlewares: wrappers that change at which address a client fetches a file, and nothing else.
//!
//! They are Distribution's, from its section `middleware: storage:`, where its documentation describes them:
//!
//! - `redirect` (`redirect.rs`): every file has an address below one base.
//! - `rewrite` (`rewrite.rs`): the driver's addresses, with another scheme, host, or without a prefix of the path.
//! - `cloudfront` (feature `s3`, `cloudfront/`): signed addresses of Amazon's CloudFront over a bucket in S3.
//!
//! The [factory](crate::factory::Factory::create_with_middleware) puts them over a driver, each over the one before, and
//! [`Base`](crate::base::Base) over all. One of one's own is any driver that wraps a driver; for one that changes
//! addresses alone, implement [`Redirector`] and let [`Redirecting`] do the rest.

mod address;
#[cfg(feature = "s3")]
mod cloudfront;
mod redirect;
mod registry;
mod rewrite;
mod wrapper;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::base::{ParameterFault, Parameters};
use crate::contract::{Error, StorageDriver};

pub use registry::Middlewares;
pub use wrapper::{Below, Redirecting, Redirector};

/// One entry of the configuration's `middleware: storage:`.
///
/// ```
/// use wharf::middleware::MiddlewareConfig;
///
/// let config: MiddlewareConfig =
///     serde_json::from_str(r#"{ "name": "redirect", "options": { "baseurl": "https://cdn.example.com/" } }"#)?;
/// assert!(config.name == "redirect" && !config.disabled);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiddlewareConfig {
    /// The name under which the middleware is registered.
    pub name: String,
    /// What it is configured with. Unknown ones are refused by name.
    #[serde(default, deserialize_with = "or_none")]
    pub options: Parameters,
    /// Whether the entry is passed over, as if it were not there. (Distribution reads this and does not heed it.)
    #[serde(default)]
    pub disabled: bool,
}

/// `options:` with nothing after it is no options.
fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Turns an error of an option, whose message begins with the option's name as a key, into a fault.
fn fault(error: &Error) -> ParameterFault {
    match error.message().strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
        Some((option, why)) => ParameterFault::new(vec![option.to_owned()], why),
        None => ParameterFault::new(Vec::new(), error.message()),
    }
}

/// What a middleware is put over.
#[derive(Clone)]
pub struct Under {
    /// The driver to wrap: one that was opened, or a middleware over it.
    pub driver: Arc<dyn StorageDriver>,
    /// What that is: the driver's own name, such as `s3aws`; where another middleware is in between, that one's.
    pub name: String,
    /// The driver's parameter `rootdirectory`, below which it keeps everything; none where there is no such parameter,
    /// or another middleware is in between.
    pub root_directory: Option<String>,
}

impl fmt::Debug for Under {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Under").field("name", &self.name).field("root_directory", &self.root_directory).finish()
    }
}

#[cfg(test)]
mod tests;
