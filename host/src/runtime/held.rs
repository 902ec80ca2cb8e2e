//! What the host holds for a driver beside the memory of its instances, in bytes.
//!
//! A stream that nobody reads, a listing whose reader is slow, a file that a guest begins to read and leaves: each holds
//! a step of bytes on the host's side. One costs little, and there may be thousands. So all steps of a driver come out of
//! one allowance; when that is used up, streams go on in the smallest steps, which are not counted, since the number of
//! streams is bounded.
//!
//! A content that `get-content` returned is as large as a file may be, and many callers may wait for one. Nobody knows its
//! size before it is there. So an instance does not go on while the host has too much of [contents](Undelivered) that their
//! callers have not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

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

/// How many bytes of contents may be undelivered while an instance goes on: one more content may come on top.
const UNDELIVERED: usize = 4 * 1024 * 1024;

/// The contents that a driver has returned and their callers have not taken.
#[derive(Default)]
pub(super) struct Undelivered {
    bytes: AtomicUsize,
    taken: Notify,
}

impl Undelivered {
    /// Counts a content until the guard is dropped, when its caller has it or is gone.
    pub(super) fn add(self: &Arc<Self>, bytes: usize) -> Delivery {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Delivery { undelivered: Arc::clone(self), bytes }
    }

    /// Returns whether an instance may not go on.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= UNDELIVERED
    }

    /// Waits until an instance may go on.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing.
    pub(super) async fn room(&self) {
        loop {
            // Before the look, so that what is taken after it is not missed.
            let taken = self.taken.notified();
            if !self.is_too_much() {
                return;
            }
            taken.await;
        }
    }
}

/// A content on its way to its caller.
pub(super) struct Delivery {
    undelivered: Arc<Undelivered>,
    bytes: usize,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.undelivered.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.undelivered.taken.notify_waiters();
    }
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

    #[tokio::test]
    async fn an_instance_goes_on_when_a_content_is_taken() {
        let undelivered = Arc::new(Undelivered::default());
        let small = undelivered.add(UNDELIVERED - 1);
        undelivered.room().await;
        let large = undelivered.add(UNDELIVERED);
        let waits = tokio::spawn({
            let undelivered = Arc::clone(&undelivered);
            async move { undelivered.room().await }
        });
        drop(small);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(large);
        waits.await.unwrap();
    }
}
