//! The headers `Range` of downloads and `Content-Range` of uploads.

use crate::contract::ByteRange;

/// How many ranges of a header are answered. Whoever asks for more gets the whole.
const MAX_RANGES: usize = 16;

/// A range of a `Range` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// From an offset to an inclusive end, or to the end of the file.
    From { first: u64, last: Option<u64> },
    /// So many bytes before the end.
    Last(u64),
}

impl Wanted {
    /// Reads a header, into one range or more; none if it is to be passed over: another unit, too many ranges, or a form that
    /// is none. Answering the whole is right for all of these.
    pub(super) fn parse(header: &str) -> Option<Vec<Self>> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        // A list may have empty elements (RFC 9110, 5.6.1).
        let ranges = set.split(',').map(str::trim).filter(|range| !range.is_empty());
        let ranges: Vec<Self> = ranges.take(MAX_RANGES + 1).map(Self::parse_one).collect::<Option<_>>()?;
        (1..=MAX_RANGES).contains(&ranges.len()).then_some(ranges)
    }

    fn parse_one(range: &str) -> Option<Self> {
        let (first, last) = range.split_once('-')?;
        if first.is_empty() {
            return number(last).map(Wanted::Last);
        }
        let first = number(first)?;
        if last.is_empty() {
            return Some(Wanted::From { first, last: None });
        }
        let last = number(last)?;
        (last >= first).then_some(Wanted::From { first, last: Some(last) })
    }

    /// Returns what to ask a driver for, where that can be said without the file's size.
    pub(super) fn without_size(self) -> Option<ByteRange> {
        match self {
            Wanted::From { first, last: None } => Some(ByteRange::from(first)),
            // At most u64::MAX bytes: the one more of a range from 0 to the largest number is not stored anywhere.
            Wanted::From { first, last: Some(last) } => Some(ByteRange::new(first, (last - first).saturating_add(1))),
            Wanted::Last(_) => None,
        }
    }

    /// Returns the first and the last byte of a file of that size, inclusive; none if none of its bytes is meant.
    pub(super) fn of(self, size: u64) -> Option<(u64, u64)> {
        let end = size.checked_sub(1)?;
        match self {
            Wanted::From { first, .. } if first > end => None,
            Wanted::From { first, last } => Some((first, last.map_or(end, |last| last.min(end)))),
            Wanted::Last(0) => None,
            Wanted::Last(count) => Some((size.saturating_sub(count), end)),
        }
    }
}

/// Digits and nothing else: the standard parser takes a sign too. A number above the largest is as good as that.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Where a chunk of an upload belongs: `Content-Range: FIRST-LAST`, inclusive, as the distribution specification has it,
/// or `bytes FIRST-LAST/TOTAL` as HTTP does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkRange {
    pub(super) first: u64,
    pub(super) length: u64,
}

impl ChunkRange {
    /// Reads the header; none if it has neither form, or counts more bytes than there can be.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let header = header.trim();
        let header = match header.get(..5) {
            Some(unit) if unit.eq_ignore_ascii_case("bytes") => header[5..].trim_start_matches([' ', '=']),
            _ => header,
        };
        let range = header.split_once('/').map_or(header, |(range, _)| range);
        let (first, last) = range.trim().split_once('-')?;
        let (first, last): (u64, u64) = (number(first)?, number(last)?);
        let length = last.checked_sub(first)?.checked_add(1)?;
        Some(ChunkRange { first, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_mean_what_rfc_9110_says() {
        let of = |header, size| Wanted::parse(header).map(|wanted| wanted[0].of(size));
        assert_eq!(of("bytes=0-9", 100), Some(Some((0, 9))));
        assert_eq!(of("bytes=90-", 100), Some(Some((90, 99))));
        assert_eq!(of("bytes=-10", 100), Some(Some((90, 99))));
        assert_eq!(of("bytes=-1000", 100), Some(Some((0, 99))));
        assert_eq!(of("BYTES=99-1000", 100), Some(Some((99, 99))));
        assert_eq!(of("bytes=, 0-9 ,", 100), Some(Some((0, 9))));
        for unsatisfiable in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(of(unsatisfiable, 100), Some(None), "{unsatisfiable}");
        }
        for passed_over in
            ["bytes=9-0", "bytes=a-b", "bytes=", "bytes=-", "items=0-9", "bytes=0-1,5-6,7", "", "bytes=+1-2"]
        {
            assert_eq!(of(passed_over, 100), None, "{passed_over}");
        }
        assert_eq!(of("bytes=0-0", 0), Some(None));
        let several = |count| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(Wanted::parse(&several(MAX_RANGES)).map(|ranges| ranges.len()), Some(MAX_RANGES));
        assert_eq!(Wanted::parse(&several(MAX_RANGES + 1)), None);
    }

    #[test]
    fn chunks_are_placed_in_either_form() {
        let placed = Some(ChunkRange { first: 5, length: 5 });
        for header in ["5-9", "bytes 5-9/100", "bytes 5-9/*", "bytes=5-9", " 5-9 "] {
            assert_eq!(ChunkRange::parse(header), placed, "{header}");
        }
        for bad in ["", "-", "5-", "-9", "9-5", "a-b", "bytes */100", "0-18446744073709551615"] {
            assert_eq!(ChunkRange::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(header in "(bytes=)?[0-9]{0,20}-[0-9]{0,20}", size in any::<u64>()) {
            if let Some((first, last)) = Wanted::parse(&header).and_then(|wanted| wanted[0].of(size)) {
                prop_assert!(first <= last && last < size);
            }
        }

        #[test]
        fn no_header_panics(header in any::<String>(), size in any::<u64>()) {
            for wanted in Wanted::parse(&header).unwrap_or_default() {
                let _ = wanted.of(size);
            }
            let _ = ChunkRange::parse(&header);
        }
    }
}
