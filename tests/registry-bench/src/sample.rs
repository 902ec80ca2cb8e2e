//! What was measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::contender::Contender;

/// One measurement of one contender.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// How many requests, or pushes of two requests each, in a second.
    pub(crate) rate: f64,
    /// How many bytes in a second.
    pub(crate) bytes: f64,
    /// The registry's processor time for each, in seconds; of large blobs, for each GiB.
    pub(crate) cost: f64,
    /// The most that was resident meanwhile, in bytes.
    pub(crate) peak: f64,
    /// The time within which 99 of 100 were answered, in seconds; 0 where nobody says.
    pub(crate) slowest: f64,
}

/// What was done while a contender was watched.
pub(crate) struct Done {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) slowest: Duration,
}

impl Sample {
    /// Watches a contender while it is worked on. `by_bytes` asks for the processor time of each GiB.
    pub(crate) fn of(
        contender: &Contender,
        by_bytes: bool,
        work: impl FnOnce() -> Result<Done, String>,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", contender.name);
        let process = contender.process()?;
        process.reset_peak().map_err(failed)?;
        let (began, before) = (Instant::now(), process.processor_seconds().map_err(failed)?);
        let done = work()?;
        let (seconds, after) = (began.elapsed().as_secs_f64(), process.processor_seconds().map_err(failed)?);
        let units = if by_bytes { done.bytes as f64 / f64::from(1 << 30) } else { done.count as f64 };
        if units == 0.0 {
            return Err(format!("{} answered nothing in {seconds:.1} s", contender.name));
        }
        Ok(Sample {
            rate: done.count as f64 / seconds,
            bytes: done.bytes as f64 / seconds,
            cost: (after - before) / units,
            peak: process.usage().map_err(failed)?.peak as f64,
            slowest: done.slowest.as_secs_f64(),
        })
    }
}

/// All measurements, by name and contender.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<(String, usize), Vec<Sample>>);

impl Samples {
    /// Adds one.
    pub(crate) fn add(&mut self, name: &str, contender: usize, sample: Sample) {
        self.0.entry((name.to_owned(), contender)).or_default().push(sample);
    }

    /// Returns the median of a figure over the rounds; 0 if there is none.
    pub(crate) fn median(&self, name: &str, contender: usize, figure: impl Fn(&Sample) -> f64) -> f64 {
        let samples = self.0.get(&(name.to_owned(), contender)).map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => 0.0,
            count if count % 2 == 1 => values[count / 2],
            count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
        }
    }
}
