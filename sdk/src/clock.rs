//! Waiting.

use std::time::Duration;

/// Waits. Other operations of the instance go on meanwhile, which `std::thread::sleep` would stop.
pub async fn sleep(duration: Duration) {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    wasip3::clocks::monotonic_clock::wait_for(nanoseconds).await;
}
