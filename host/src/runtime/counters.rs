//! Counters of the bytes that the bridge moved: the proof that bytes passed a component by.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that the bridge moved, since the [`Runtime`](super::Runtime) was created.
#[derive(Debug, Default)]
pub struct Counters {
    copied_from_guests: AtomicU64,
    copied_to_guests: AtomicU64,
    passed_through: AtomicU64,
}

impl Counters {
    /// Returns how many stream bytes were copied out of components' memories.
    pub fn copied_from_guests(&self) -> u64 {
        self.copied_from_guests.load(Ordering::Relaxed)
    }

    /// Returns how many stream bytes were copied into components' memories.
    pub fn copied_to_guests(&self) -> u64 {
        self.copied_to_guests.load(Ordering::Relaxed)
    }

    /// Returns how many stream bytes were copied in either direction.
    pub fn copied(&self) -> u64 {
        self.copied_from_guests() + self.copied_to_guests()
    }

    /// Returns how many stream bytes went between the host's own ends, without entering a component.
    pub fn passed_through(&self) -> u64 {
        self.passed_through.load(Ordering::Relaxed)
    }

    pub(super) fn count_from_guest(&self, bytes: usize) {
        self.copied_from_guests.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_to_guest(&self, bytes: usize) {
        self.copied_to_guests.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_passed_through(&self, bytes: usize) {
        self.passed_through.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
