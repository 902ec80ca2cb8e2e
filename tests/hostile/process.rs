//! What this process holds, now and at the worst moment of a while.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of the process from now on, and prints each text once: an attack is repeated a hundred times.
pub(crate) fn count_panics() {
    let printed = Mutex::new(HashSet::new());
    // Without a backtrace, for which the standard library would keep megabytes of what it read.
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let text = panic.to_string();
        if printed.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone()) {
            eprintln!("{text}");
        }
    }));
}

/// Returns how many panics there were.
pub(crate) fn panics() -> usize {
    PANICS.load(Ordering::Relaxed)
}

/// How often the worst moment is looked for.
const SAMPLED: Duration = Duration::from_millis(5);

/// Memory, threads and descriptors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) threads: usize,
    /// Open files, sockets and directories.
    pub(crate) files: usize,
}

pub(crate) fn held() -> Held {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let memory = line("VmRSS:").strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024;
    // With none left to look with, there are as many as there can be.
    let files = fs::read_dir("/proc/self/fd").map_or(usize::MAX, Iterator::count);
    Held { memory, threads: line("Threads:").parse().unwrap(), files }
}

impl Held {
    /// The larger of each.
    pub(crate) fn worse(self, other: Held) -> Held {
        Held {
            memory: self.memory.max(other.memory),
            threads: self.threads.max(other.threads),
            files: self.files.max(other.files),
        }
    }
}

/// Looks at the process all the time, on a thread of its own: an attack may hold every thread of the executor.
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Held>,
}

impl Sampler {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut worst = held();
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(SAMPLED);
                worst = worst.worse(held());
            }
            worst
        });
        Sampler { stop, thread }
    }

    /// Returns the most that was held of each since the start.
    pub(crate) fn worst(self) -> Held {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
