//! Names on the disk of what is not finished.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Returns a name for a file that is not finished, to be put beside its target, so that a rename publishes it.
///
/// `~` keeps it out of every listing and out of every caller's reach, since no path may hold it. The number is random, so
/// that no other process, and none that died, had the same.
pub(super) fn temporary() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = RandomState::new().build_hasher();
    random.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    random.write_u32(std::process::id());
    format!("~wharf-{:016x}.tmp", random.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::StoragePath;

    #[test]
    fn no_path_can_name_a_temporary_and_no_two_are_alike() {
        let names: std::collections::HashSet<String> = (0..1000).map(|_| temporary()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| !StoragePath::is_component(name)));
    }
}
