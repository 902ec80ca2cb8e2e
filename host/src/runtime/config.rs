//! The configuration of components, as it stands under `drivers:`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Grants, HttpConfig, Limits};

/// The configuration of one component: an entry of `drivers:`, under the name that the driver then has.
///
/// ```
/// use wharf::runtime::ComponentConfig;
///
/// let config: ComponentConfig = serde_json::from_str(
///     r#"{ "component": "./webdav.wasm", "limits": { "workers": 4 } }"#,
/// )?;
/// assert_eq!(config.limits.workers.get(), 4);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComponentConfig {
    /// The file. Default: the driver's name with `.wasm`, in the directory of drivers.
    pub component: Option<PathBuf>,
    /// The SHA-256 that the file must have, as 64 hexadecimal digits. A file with another one is refused.
    pub sha256: Option<String>,
    /// What the component may touch.
    pub allow: Grants,
    /// How its HTTP requests travel.
    pub http: HttpConfig,
    /// What it may use up.
    pub limits: Limits,
}
