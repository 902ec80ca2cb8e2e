//! What this process holds.

use std::fs;

/// Memory and open files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) files: usize,
}

pub(crate) fn held() -> Held {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
    let memory = resident.trim().parse::<u64>().unwrap() * 1024;
    Held { memory, files: fs::read_dir("/proc/self/fd").unwrap().count() }
}
