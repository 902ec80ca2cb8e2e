//! Threads that the rest of the process goes before.

/// How much lower than the rest of the process threads run whose instances compute for long, as `nice` counts: as low as it
/// goes. When the processors are busy otherwise, such a thread gets about a hundredth of one, in steps of some milliseconds
/// that others wait for; when they are not, all of it. With a tenth, as at 10, others waited often enough to be seen in
/// their 99th percentile.
pub(super) const GUESTS: i32 = 19;

/// The same of threads that compile components, which somebody waits for: a third.
pub(super) const COMPILING: i32 = 5;

/// Lowers the priority of the calling thread for as long as it lives: the system lets nobody but a privileged process take
/// it back. Where it cannot, the thread competes with the others.
pub(super) fn lower(by: i32) {
    // Elsewhere it would be the whole process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, by) {
        tracing::debug!(%error, by, "a thread keeps its priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = by;
}

/// Returns the priority of the calling thread: lower for a higher number.
#[cfg(all(test, target_os = "linux"))]
pub(super) fn current() -> std::io::Result<i32> {
    Ok(rustix::process::getpriority_process(None)?)
}
