//! What the design asks of the figures.

use std::time::Duration;

use super::operation::Operation;

/// A sentence of the design about the medians of one row. Contenders are numbered as in their set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// One takes at most so much longer than another.
    AtMostAbove { operation: Operation, one: usize, other: usize, limit: Duration },
    /// One has at least this part of another's rate.
    RateOf { operation: Operation, one: usize, other: usize, least: f64 },
    /// One moves at least so many bytes in a second.
    Rate { operation: Operation, one: usize, least: f64 },
    /// One takes at most so long.
    AtMost { operation: Operation, one: usize, limit: Duration },
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// What is wanted, in words.
    pub(super) text: String,
    /// What was measured.
    pub(super) measured: String,
    /// Whether it is as wanted.
    pub(super) met: bool,
}

impl Wanted {
    /// Returns the row that it is about.
    pub(super) fn operation(self) -> Operation {
        match self {
            Wanted::AtMostAbove { operation, .. }
            | Wanted::RateOf { operation, .. }
            | Wanted::Rate { operation, .. }
            | Wanted::AtMost { operation, .. } => operation,
        }
    }

    /// Compares with the medians of its row; none if one that it is about was not measured.
    pub(super) fn judge(self, names: &[&str], medians: &[Option<Duration>]) -> Option<Outcome> {
        let median = |index: usize| medians.get(index).copied().flatten();
        let name = |index: usize| names.get(index).copied().unwrap_or_default();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Some(match self {
            Wanted::AtMostAbove { one, other, limit, .. } => {
                let above = micros(median(one)?) - micros(median(other)?);
                Outcome {
                    text: format!("{} at most {:.0} us above {}", name(one), micros(limit), name(other)),
                    measured: format!("{above:+.2} us"),
                    met: above <= micros(limit),
                }
            }
            Wanted::RateOf { one, other, least, .. } => {
                let part = micros(median(other)?) / micros(median(one)?);
                Outcome {
                    text: format!("{} at least {least} of {}", name(one), name(other)),
                    measured: format!("{part:.2}"),
                    met: part >= least,
                }
            }
            Wanted::Rate { operation, one, least } => {
                let rate = operation.bytes()? as f64 / median(one)?.as_secs_f64();
                Outcome {
                    text: format!("{} at least {:.0} GB/s", name(one), least / 1e9),
                    measured: format!("{:.2} GB/s", rate / 1e9),
                    met: rate >= least,
                }
            }
            Wanted::AtMost { one, limit, .. } => {
                let taken = micros(median(one)?) / 1e3;
                Outcome {
                    text: format!("{} at most {:.0} ms", name(one), micros(limit) / 1e3),
                    measured: format!("{taken:.2} ms"),
                    met: taken <= micros(limit) / 1e3,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["native", "guest"];

    fn judge(wanted: Wanted, micros: [u64; 2]) -> (String, bool) {
        let medians = micros.map(|time| Some(Duration::from_micros(time)));
        wanted.judge(&NAMES, &medians).map(|outcome| (outcome.measured, outcome.met)).unwrap_or_default()
    }

    #[test]
    fn a_limit_above_another_is_kept_or_broken() {
        let limit = Duration::from_micros(6);
        let wanted = Wanted::AtMostAbove { operation: Operation::Stat, one: 1, other: 0, limit };
        assert_eq!(judge(wanted, [1, 7]), ("+6.00 us".to_owned(), true));
        assert_eq!(judge(wanted, [1, 8]), ("+7.00 us".to_owned(), false));
        assert_eq!(judge(wanted, [8, 1]), ("-7.00 us".to_owned(), true));
    }

    #[test]
    fn a_rate_is_compared_with_anothers() {
        let wanted = Wanted::RateOf { operation: Operation::Down(1000), one: 1, other: 0, least: 0.9 };
        assert_eq!(judge(wanted, [90, 100]), ("0.90".to_owned(), true));
        assert_eq!(judge(wanted, [80, 100]), ("0.80".to_owned(), false));
    }

    #[test]
    fn a_rate_is_compared_with_a_figure() {
        let wanted = Wanted::Rate { operation: Operation::Down(2_000_000), one: 1, least: 2e9 };
        assert_eq!(judge(wanted, [1, 1000]), ("2.00 GB/s".to_owned(), true));
        assert_eq!(judge(wanted, [1, 2000]), ("1.00 GB/s".to_owned(), false));
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let wanted = Wanted::AtMost { operation: Operation::StatsAtOnce, one: 1, limit: Duration::from_millis(13) };
        assert_eq!(wanted.judge(&NAMES, &[Some(Duration::ZERO), None]), None);
    }
}
