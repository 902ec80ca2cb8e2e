//! What the host holds for a driver beside the memory of its instances, in bytes.
//!
//! A stream that nobody reads, a listing whose reader is slow, a file that a guest begins to read and leaves: each holds
//! a step of bytes on the host's side. One costs little, and there may be thousands. So all steps of a driver come out of
//! one allowance; when that is used up, streams go on in the smallest steps, which are not counted, since the number of
//! streams is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// How much all steps of a driver may hold together.
pub(super) const ALLOWANCE: usize = 16 * 1024 * 1024;

/// The bytes of a step when the allowance is used up.
pub(super) const SMALLEST_STEP: usize = 4 * 1024;

/// What is left of an allowance.
pub(super) struct Allowance {
    left: AtomicUsize,
}

impl Allowance {
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Allowance { left: AtomicUsize::new(bytes) })
    }

    /// Takes so many bytes out of it, until the guard is dropped; none if that many are not left.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Hold> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .is_ok()
            .then(|| Hold { allowance: Arc::clone(self), bytes })
    }
}

/// Bytes that are taken out of an allowance.
pub(super) struct Hold {
    allowance: Arc<Allowance>,
    bytes: usize,
}

impl Hold {
    /// Gives back all but so many bytes.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let excess = self.bytes.saturating_sub(bytes);
        self.bytes -= excess;
        self.allowance.left.fetch_add(excess, Ordering::Relaxed);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// A step of bytes that are taken out of an allowance as long as anybody has them.
struct Step {
    bytes: Vec<u8>,
    _hold: Hold,
}

impl AsRef<[u8]> for Step {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Copies at most `most` bytes of `available`, and fewer if the allowance is used up.
pub(super) fn copy_step(allowance: &Arc<Allowance>, available: &[u8], most: usize) -> Bytes {
    let wanted = available.len().min(most);
    // What is no larger than the smallest step need not be counted, and most bytes come so in large numbers.
    if wanted <= SMALLEST_STEP {
        return Bytes::copy_from_slice(&available[..wanted]);
    }
    match allowance.take(wanted) {
        Some(hold) => Bytes::from_owner(Step { bytes: available[..wanted].to_vec(), _hold: hold }),
        None => Bytes::copy_from_slice(&available[..SMALLEST_STEP]),
    }
}

/// Returns bytes that are taken out of an allowance as long as anybody has them.
pub(super) fn held(bytes: Vec<u8>, hold: Hold) -> Bytes {
    Bytes::from_owner(Step { bytes, _hold: hold })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn steps_become_small_when_the_allowance_is_used_up_and_large_again_when_they_are_let_go() {
        let allowance = Allowance::new(100_000);
        let bytes = vec![7; 1_000_000];
        let large = copy_step(&allowance, &bytes, 80_000);
        assert_eq!(large.len(), 80_000);
        let small = copy_step(&allowance, &bytes, 80_000);
        assert_eq!(small.len(), SMALLEST_STEP);
        let part = large.slice(10..20);
        drop(large);
        assert_eq!(copy_step(&allowance, &bytes, 80_000).len(), SMALLEST_STEP, "a part of it is still held");
        drop(part);
        assert_eq!(copy_step(&allowance, &bytes, 80_000).len(), 80_000);
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let allowance = Allowance::new(10);
        let mut hold = allowance.take(10).unwrap();
        assert!(allowance.take(1).is_none());
        hold.shrink(4);
        hold.shrink(8);
        let other = allowance.take(6).unwrap();
        assert!(allowance.take(1).is_none());
        drop((hold, other));
        assert!(allowance.take(10).is_some());
    }
}
