//! What one component may use up, and how long it may take.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::Semaphore;

use super::cpu_time::CpuShare;

/// What one opened driver may use up, and how long it may take. Sizes are written as `256MiB`, times as `60s`.
///
/// Whoever reaches a limit gets an error of the kind
/// [`LimitExceeded`](crate::contract::ErrorKind::LimitExceeded) with the limit's name, or, where the store may have
/// been changed, [`OutcomeUnknown`](crate::contract::ErrorKind::OutcomeUnknown) whose
/// [`limit`](crate::contract::Error::limit) is that name. A limit of an instance ends the instance, with everything
/// that is under way in it, since nobody can tell what state it is in; the limits of the host's own side
/// (`readers`, `writers`, `requests`, `log`, `text`) cost only what went beyond them.
///
/// The times are measured on the caller's side: a component that does not answer cannot keep its caller.
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
    /// How long an instance may compute without answering or moving a byte. What it waits for something outside meanwhile
    /// is taken off; giving its turn away (`thread.yield`) is no wait, and moving nothing no move. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub cpu: Duration,
    /// How many processors all instances of the driver may take up together, on average: a number such as `0.5` or `2`.
    /// They rest when they took more. Default: one, or a half where there is only one.
    pub cpu_share: CpuShare,
    /// How much linear memory each instance may have, all its memories together. At most 4 GiB each. Default 256 MiB.
    #[serde(serialize_with = "exact")]
    pub memory: ByteSize,
    /// How many elements the tables of each instance may have, all together: one for each function that is called
    /// through a pointer. At most 65,536 in one table. Default 65,536.
    pub tables: u32,
    /// How many handles each instance may hold at a time: streams, futures, calls, resources of every kind. Default
    /// 16,384.
    pub handles: u32,
    /// How many files and directories each instance may have open at a time, parts of HTTP messages among them; and how
    /// many files and directories it may stream, in either direction. Each is an open file of the host's process, of whose
    /// limit (`ulimit -n`) all instances of a driver get half: with 1,024 and two workers each may have 128. Default 1,024.
    pub files: u32,
    /// How many calls to the file system each instance may have begun and not ended. Default 1,024.
    pub calls: NonZeroU32,
    /// How many threads of the host may wait for the driver's files at a time, for all its instances: what is more waits
    /// its turn. They are apart from those of the host and of other drivers. Default 32.
    pub threads: NonZeroU32,
    /// How many bytes one call may hand over outside of streams: contents, lists, names. `get-content` needs 16 MiB.
    /// Default 32 MiB.
    #[serde(serialize_with = "exact")]
    pub transfer: ByteSize,
    /// How long one text from the component may be: a path, a version, an address. Default 16 KiB. An error's message is
    /// cut at 4 KiB.
    #[serde(serialize_with = "exact")]
    pub text: ByteSize,
    /// How much all instances of the driver may write to the log in a minute, in bytes. What is more is dropped, and
    /// the log says so. Default 1 MiB.
    #[serde(serialize_with = "exact")]
    pub log: ByteSize,
    /// How many streams of bytes and listings of the driver may be open at a time. Default 1,024.
    pub readers: NonZeroU32,
    /// How many uploads of the driver may be open at a time. Default 1,024.
    pub writers: NonZeroU32,
    /// How many HTTP requests of all instances of the driver may be under way at a time. One that is too many fails in
    /// the component. Default 256.
    pub requests: NonZeroU32,
    /// How many instances serve a driver of `instances.many`: one at first, the others once it has more than one call
    /// at a time. One of `instances.one` always has one. Default 2.
    pub workers: NonZeroUsize,
    /// How many operations may wait for one instance before callers wait too. Default 256.
    pub queue: NonZeroUsize,
    /// How many deaths within a minute put the driver into quarantine for a minute. Default 5.
    pub deaths: NonZeroU32,
}

/// A size as its number of bytes: its own text is rounded to a tenth of a unit, and reads as another size.
fn exact<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(size.as_u64())
}

/// Five deaths within this time are too many; a quarantine lasts as long.
pub(super) const DEATH_WINDOW: Duration = Duration::from_secs(60);

/// The longest line of a component's log that is kept, in bytes; a longer one is cut into lines of this length.
pub(super) const LOG_LINE: usize = 8 * 1024;

/// The time in which `log` bytes may be written.
pub(super) const LOG_WINDOW: Duration = Duration::from_secs(60);

/// The bytes that move in one step between a component and the host, at most.
pub(super) const STREAM_STEP: usize = 256 * 1024;

/// The elements that one table can have, at most: what the engine sets aside for each.
pub(super) const TABLE_ELEMENTS: usize = 65_536;

/// Returns permits for so many at a time.
pub(super) fn permits(count: u32) -> Arc<Semaphore> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

impl Limits {
    /// Returns how many files an instance may have open, and how many it may stream: as it is configured, and no more than
    /// the driver's share, which is half, of `most`, what the process may have open. At least one.
    pub(super) fn files_of(&self, most: Option<u64>) -> u32 {
        let instances = u64::try_from(self.workers.get()).unwrap_or(u64::MAX);
        let share = most.map_or(u64::MAX, |most| most / 2 / instances.saturating_mul(2));
        self.files.min(u32::try_from(share).unwrap_or(u32::MAX)).max(1)
    }

    /// Returns a size as the host counts it.
    pub(super) fn bytes(size: ByteSize) -> usize {
        usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
    }
}

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
        const STREAMS: NonZeroU32 = some(NonZeroU32::new(1024));
        const REQUESTS: NonZeroU32 = some(NonZeroU32::new(256));
        const THREADS: NonZeroU32 = some(NonZeroU32::new(32));
        Limits {
            open: Duration::from_secs(10),
            operation: Duration::from_secs(60),
            stream_idle: Duration::from_secs(60),
            cpu: Duration::from_secs(10),
            cpu_share: CpuShare::default(),
            memory: ByteSize::mib(256),
            tables: 65_536,
            handles: 16_384,
            files: 1024,
            calls: STREAMS,
            threads: THREADS,
            transfer: ByteSize::mib(32),
            text: ByteSize::kib(16),
            log: ByteSize::mib(1),
            readers: STREAMS,
            writers: STREAMS,
            requests: REQUESTS,
            workers: WORKERS,
            queue: QUEUE,
            deaths: DEATHS,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn limits_that_are_written_read_as_the_same() {
        let cpu_share = CpuShare::new(0.123).unwrap();
        let limits = Limits { memory: ByteSize::b(1_234_567), cpu_share, ..Limits::default() };
        let written = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&written).unwrap(), limits, "{written}");
    }

    #[test]
    fn instances_of_a_driver_have_no_more_files_than_half_of_what_the_process_may_open() {
        let limits =
            |files, workers| Limits { files, workers: NonZeroUsize::new(workers).unwrap(), ..Limits::default() };
        assert_eq!(limits(1024, 2).files_of(Some(1024)), 128);
        assert_eq!(limits(100, 2).files_of(Some(1024)), 100);
        assert_eq!(limits(1024, 2).files_of(Some(1_000_000)), 1024);
        assert_eq!(limits(1024, 2).files_of(None), 1024);
        assert_eq!(limits(1024, 1000).files_of(Some(1024)), 1);
    }
}
