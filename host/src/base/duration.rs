//! Durations as Distribution's configuration writes them: Go's `20m`, `1h30m`, `1.5s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A duration written as Go's `time.ParseDuration` reads it: decimal numbers, each with its unit, one after the other.
///
/// Units are `ns`, `us` (or `µs`), `ms`, `s`, `m` and `h`; `0` needs none. A sign is refused: nothing that is configured
/// takes a negative time. As in Go, the longest is 2⁶³ - 1 nanoseconds, 292 years.
///
/// ```
/// use std::time::Duration;
///
/// use wharf::base::GoDuration;
///
/// let GoDuration(duration) = "1h30m".parse()?;
/// assert_eq!(duration, Duration::from_secs(5400));
/// assert!("20 minutes".parse::<GoDuration>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub Duration);

/// Longer names first: `m` begins `ms`.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl FromStr for GoDuration {
    type Err = String;

    /// # Errors
    ///
    /// What is wrong with the text, which is not repeated.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0" => return Ok(GoDuration::default()),
            "" => return Err("expected a duration such as 20m or 1h30m, found nothing".to_owned()),
            _ if text.starts_with(['-', '+']) => return Err("a duration takes no sign; write 20m or 1h30m".to_owned()),
            _ => {}
        }
        let mut nanoseconds = 0u128;
        let mut rest = text;
        while !rest.is_empty() {
            let (whole, after) = digits(rest);
            let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
            if whole.is_empty() && fraction.is_empty() {
                return Err("expected a duration such as 20m or 1h30m: numbers, each with its unit".to_owned());
            }
            let (unit, after) = unit(after)?;
            let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_long())? };
            nanoseconds =
                whole.checked_mul(unit).and_then(|part| nanoseconds.checked_add(part)).ok_or_else(too_long)?;
            nanoseconds += part_of(fraction, unit);
            rest = after;
        }
        let nanoseconds = i64::try_from(nanoseconds).map_err(|_| too_long())?;
        Ok(GoDuration(Duration::from_nanos(nanoseconds.unsigned_abs())))
    }
}

/// Splits the digits off the front.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(text: &str) -> Result<(u128, &str), String> {
    let found = UNITS.iter().find_map(|(name, unit)| text.strip_prefix(name).map(|rest| (*unit, rest)));
    found.ok_or_else(|| "a number in a duration has a unit: ns, us, ms, s, m or h".to_owned())
}

/// The nanoseconds of a fraction's digits; those too small to count are cut off.
fn part_of(fraction: &str, unit: u128) -> u128 {
    let (value, scale) = fraction
        .bytes()
        .take(18)
        .fold((0, 1), |(value, scale): (u128, u128), digit| (value * 10 + u128::from(digit - b'0'), scale * 10));
    value * unit / scale
}

fn too_long() -> String {
    "the duration is longer than 292 years".to_owned()
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads_is_read_as_go_reads_it() {
        // Texts such as the tests of Go's time.ParseDuration have, in nanoseconds.
        for (text, nanoseconds) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1478s", 1_478_000_000_000),
            ("5.0s", 5_000_000_000),
            ("5.6s", 5_600_000_000),
            ("5.s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.004s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("13ms", 13_000_000),
            ("15m", 900_000_000_000),
            ("3h30m", 12_600_000_000_000),
            ("4m10.5s", 250_500_000_000),
            ("39h9m14.425s", 140_954_425_000_000),
            ("0.100000000000000000000h", 360_000_000_000),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(duration.0.as_nanos(), nanoseconds, "{text}");
            assert_eq!(duration.to_string().parse(), Ok(duration), "{duration} is what it prints as");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_and_so_are_signs() {
        for text in [
            "",
            "3",
            ".",
            ".s",
            "s",
            "1 h",
            "20 m",
            "1d",
            "1h ",
            "-5s",
            "+5s",
            "1.2.3s",
            "9223372036854775808ns",
            "3000000h",
            "99999999999999999999999999999999999999999h",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_no_duration() {
        assert!(serde_json::from_str::<GoDuration>("20").is_err());
        assert_eq!(serde_json::from_str::<GoDuration>("\"20m\"").unwrap().0, Duration::from_secs(1200));
    }
}
