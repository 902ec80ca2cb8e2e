//! What one client may cost.
//!
//! | what a client does | what ends it | default |
//! |---|---|---|
//! | connects and sends no whole head | `header_timeout` | 30 s |
//! | shakes hands slowly | `handshake_timeout` | 10 s |
//! | sends a head that is too large | `header_size`: answered with 431 | 64 KiB |
//! | keeps a connection that it does not use | `idle` | 120 s |
//! | takes nothing of its answer | `stall` | 5 min |
//! | takes less of it than `min_rate` | its `grace`: see [`Pace`](wharf::registry::Pace) | 1 KiB a second, 60 s |
//! | has many connections | `connections`, of which one address has its `client_share`: closed; those of named proxies count for no address | half of the files, 50 % |
//! | vanishes without a word | probes of TCP (150 s) and pings of HTTP/2 (40 s) | |
//! | sends nothing of its upload | the registry: see `RegistryBuilder::idle` | 60 s |
//! | sends less of it than `min_rate` | the registry: see `RegistryBuilder::min_rate` | 1 KiB a second, 60 s |

use std::time::Duration;

use wharf::registry::{MinRate, TrustedProxies};

/// What one client may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long the head of a request may take, from its first byte; the first also from the connection's beginning.
    pub(crate) header_timeout: Duration,
    /// How large it may be, in bytes.
    pub(crate) header_size: usize,
    /// How long a TLS handshake may take.
    pub(crate) handshake_timeout: Duration,
    /// How long a connection may be kept unused.
    pub(crate) idle: Duration,
    /// How long a client may take no byte of an answer.
    pub(crate) stall: Duration,
    /// How slowly it may take one; none if it may be as slow as it likes.
    pub(crate) min_rate: Option<MinRate>,
    /// How many connections there may be. One that is too many is closed.
    pub(crate) connections: usize,
    /// How much of them one client address may have, in percent.
    pub(crate) client_share: u8,
    /// From where connections of many clients come: those of proxies that are named count for no address.
    pub(crate) proxies: TrustedProxies,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_timeout: Duration::from_secs(30),
            header_size: 64 * 1024,
            handshake_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(300),
            min_rate: Some(MinRate::default()),
            connections: usize::MAX,
            client_share: 100,
            proxies: TrustedProxies::Everybody,
        }
    }
}

impl Limits {
    /// The shortest that a connection is watched for.
    pub(super) fn shortest(&self) -> Duration {
        let grace = self.min_rate.map_or(Duration::MAX, |rate| rate.grace);
        self.header_timeout.min(self.idle).min(self.stall).min(grace)
    }
}
