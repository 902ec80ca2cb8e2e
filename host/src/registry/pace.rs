//! How slowly a client may send or take a body.

use std::num::NonZeroU64;
use std::time::Duration;

/// The least rate of a body, and for how long a client may stay below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    /// Bytes a second.
    pub bytes: NonZeroU64,
    /// How long the client may be waited for without that.
    pub grace: Duration,
}

impl Default for MinRate {
    /// 1 KiB a second, and 60 s.
    fn default() -> Self {
        MinRate { bytes: NonZeroU64::new(1024).unwrap_or(NonZeroU64::MIN), grace: Duration::from_secs(60) }
    }
}

/// How patient the server still is with one body.
///
/// It begins with the grace. Each second that the client is waited for takes one away, and each second's worth of bytes
/// gives one back, up to the grace: so a client that keeps the rate is never ended, one that does nothing is after the grace,
/// and one that was fast has no more credit than that. Time in which the store is waited for does not count.
///
/// ```
/// use std::num::NonZeroU64;
/// use std::time::Duration;
/// use wharf::registry::{MinRate, Pace};
///
/// let rate = MinRate { bytes: NonZeroU64::new(1000).unwrap(), grace: Duration::from_secs(30) };
/// let mut pace = Pace::new(Some(rate));
/// pace.moved(1_000_000);
/// pace.waited(Duration::from_secs(29));
/// assert!(!pace.is_spent());
/// pace.waited(Duration::from_secs(1));
/// assert!(pace.is_spent());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: Option<MinRate>,
    left: Duration,
}

impl Pace {
    /// The pace of a body that begins; without a rate, a client may be as slow as it likes.
    pub fn new(rate: Option<MinRate>) -> Self {
        Pace { rate, left: rate.map_or(Duration::MAX, |rate| rate.grace) }
    }

    /// Counts time in which the client was waited for.
    pub fn waited(&mut self, time: Duration) {
        if self.rate.is_some() {
            self.left = self.left.saturating_sub(time);
        }
    }

    /// Counts bytes that the client sent or took. For one that was too slow they come too late.
    pub fn moved(&mut self, bytes: u64) {
        if let Some(MinRate { bytes: rate, grace }) = self.rate
            && !self.is_spent()
        {
            let worth = Duration::from_millis(bytes.saturating_mul(1000) / rate);
            self.left = self.left.saturating_add(worth).min(grace);
        }
    }

    /// Returns how much longer the client may do nothing.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// Returns whether the client is too slow.
    pub fn is_spent(&self) -> bool {
        self.left.is_zero()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use super::*;

    /// Returns after how many seconds a client is ended that moves so many bytes every so many seconds; none if it is not
    /// within an hour.
    fn ended_after(bytes: u64, every: u64) -> Option<u64> {
        let mut pace = Pace::new(Some(MinRate::default()));
        (1..=3600).find(|second| {
            pace.waited(Duration::from_secs(1));
            if second % every == 0 {
                pace.moved(bytes);
            }
            pace.is_spent()
        })
    }

    #[test]
    fn who_keeps_the_rate_is_never_ended_and_who_does_not_is() {
        assert_eq!(ended_after(0, 1), Some(60));
        assert!(ended_after(1, 1).unwrap() <= 61);
        assert!(ended_after(512, 1).unwrap() <= 121);
        assert_eq!(ended_after(1024, 1), None);
        assert_eq!(ended_after(10 * 1024, 1), None);
        // In bursts, as buffers let bytes through.
        assert_eq!(ended_after(256 * 1024, 25), None);
        assert_eq!(ended_after(1 << 30, 61), Some(60));
    }

    #[test]
    fn without_a_rate_nobody_is_ended() {
        let mut pace = Pace::new(None);
        pace.waited(Duration::from_secs(1 << 40));
        assert!(!pace.is_spent() && pace.left() == Duration::MAX);
    }

    #[test]
    fn who_was_fast_is_waited_for_no_longer_than_the_grace() {
        let mut pace = Pace::new(Some(MinRate::default()));
        pace.waited(Duration::from_secs(1));
        pace.moved(1 << 30);
        assert_eq!(pace.left(), MinRate::default().grace);
    }
}
