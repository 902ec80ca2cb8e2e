//! Measured times, and what is said of them.

use std::time::Duration;

/// The times that one operation took on one driver.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    /// Takes a time.
    pub(super) fn push(&mut self, taken: Duration) {
        self.0.push(taken);
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the median; none without a sample. Of an even number, the mean of the two in the middle.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        Some(if sorted.len() % 2 == 1 { upper } else { (sorted[middle - 1] + upper) / 2 })
    }

    /// Returns the shortest; none without a sample.
    pub(super) fn shortest(&self) -> Option<Duration> {
        self.0.iter().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(times: &[u64]) -> Samples {
        Samples(times.iter().map(|time| Duration::from_micros(*time)).collect())
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(samples(&[]).median(), None);
        assert_eq!(samples(&[9, 1, 4]).median(), Some(Duration::from_micros(4)));
        assert_eq!(samples(&[9, 1, 4, 6]).median(), Some(Duration::from_micros(5)));
        assert_eq!(samples(&[9, 1, 4, 6]).shortest(), Some(Duration::from_micros(1)));
    }
}
