//! What one component may use up, and how long it may take.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// What one opened driver may use up, and how long it may take. Sizes are written as `256MiB`, times as `60s`.
///
/// The times are measured on the caller's side: a component that does not answer cannot keep its caller. Where one
/// runs out, the instance is ended, since nobody can tell what state it is in.
///
/// ```
/// use std::time::Duration;
/// use wharf::runtime::Limits;
///
/// let limits: Limits = serde_json::from_str(r#"{ "memory": "64MiB", "operation": "5s" }"#)?;
/// assert_eq!(limits.memory.as_u64(), 64 << 20);
/// assert_eq!(limits.operation, Duration::from_secs(5));
/// assert_eq!(limits.open, Duration::from_secs(10));
/// assert!(serde_json::from_str::<Limits>(r#"{ "memroy": "64MiB" }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long `open` may take, instantiation included. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub open: Duration,
    /// How long one operation may take until it answers. For a writer's `write`: how long it may take no bytes.
    /// Default 60 s.
    #[serde(with = "humantime_serde")]
    pub operation: Duration,
    /// How long a stream of bytes or entries may bring nothing while the caller waits. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub stream_idle: Duration,
    /// How much linear memory each instance may have. At most 4 GiB. Default 256 MiB.
    pub memory: ByteSize,
    /// How many instances serve a driver of `instances.many`. One of `instances.one` always has one. Default 2.
    pub workers: NonZeroUsize,
    /// How many operations may wait for one instance before callers wait too. Default 256.
    pub queue: NonZeroUsize,
    /// How many deaths within a minute put the driver into quarantine for a minute. Default 5.
    pub deaths: NonZeroU32,
}

/// Five deaths within this time are too many; a quarantine lasts as long.
pub(super) const DEATH_WINDOW: Duration = Duration::from_secs(60);

/// The longest line of a component's log that is kept, in bytes; a longer one is cut into lines of this length.
pub(super) const LOG_LINE: usize = 8 * 1024;

/// The bytes that move in one step between a component and the host, at most.
pub(super) const STREAM_STEP: usize = 256 * 1024;

impl Default for Limits {
    fn default() -> Self {
        const fn some<T: Copy>(value: Option<T>) -> T {
            match value {
                Some(value) => value,
                None => panic!("checked when this constant is compiled"),
            }
        }
        const WORKERS: NonZeroUsize = some(NonZeroUsize::new(2));
        const QUEUE: NonZeroUsize = some(NonZeroUsize::new(256));
        const DEATHS: NonZeroU32 = some(NonZeroU32::new(5));
        Limits {
            open: Duration::from_secs(10),
            operation: Duration::from_secs(60),
            stream_idle: Duration::from_secs(60),
            memory: ByteSize::mib(256),
            workers: WORKERS,
            queue: QUEUE,
            deaths: DEATHS,
        }
    }
}
