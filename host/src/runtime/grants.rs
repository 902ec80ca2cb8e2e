//! What a component may touch: nothing, unless the configuration grants it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::HttpGrant;

/// What a component may touch beyond its own memory. Nothing by default.
///
/// Clocks, randomness, an empty environment and a log (standard output and error) are there for every component: the
/// standard libraries of its language need them, and they reach nothing.
///
/// ```
/// use wharf::runtime::Grants;
///
/// let grants: Grants = serde_json::from_str(
///     r#"{
///         "http": ["dav.example.com:443"],
///         "directories": [{ "host": "/srv/blobs", "guest": "/data", "write": true }],
///         "environment": ["REGION"],
///         "redirect": ["cdn.example.com:443"]
///     }"#,
/// )?;
/// assert!(grants.directories[0].write);
/// assert_eq!(Grants::default().directories, []);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Hosts on the network, as `HOST:PORT` patterns. A component that imports `wasi:http` is not loaded without any.
    pub http: Vec<HttpGrant>,
    /// Directories of the host.
    pub directories: Vec<DirectoryGrant>,
    /// Names of environment variables of the host's process that the component sees. One that is not set fails the
    /// driver's `open`.
    pub environment: Vec<String>,
    /// Hosts that clients of the registry may be sent to for a file, as `HOST:PORT` patterns. An address can carry data
    /// out, and leads clients where the host itself may not go: so it is granted like a request, and what is decided on is
    /// what stands in it. `*` is every name but `localhost`, and no address: an address is granted only by itself or its
    /// network. A component that redirects gets no answer through without any; its files then come through the host.
    pub redirect: Vec<HttpGrant>,
}

/// A directory of the host that a component may use.
///
/// The component never leaves it: neither by `..`, nor by an absolute path, nor by a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryGrant {
    /// The directory on the host. It must exist when the driver is opened.
    pub host: PathBuf,
    /// The absolute path under which the component sees it.
    pub guest: String,
    /// Whether the component may change it. Off by default.
    #[serde(default)]
    pub write: bool,
}

impl DirectoryGrant {
    /// Returns the configuration line that makes this grant, for error messages.
    pub fn as_configuration(&self) -> String {
        let Self { host, guest, write } = self;
        format!("allow: {{ directories: [{{ host: {}, guest: {guest}, write: {write} }}] }}", host.display())
    }
}
