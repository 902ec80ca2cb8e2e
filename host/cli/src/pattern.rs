//! Bytes to store and to compare, made at the cost of a slice: what is measured is the driver, not their making.

use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The steps in which a stream is written, in bytes: those of the library's own streams.
pub(crate) const STEP: usize = 256 * 1024;

/// Where chunks begin is taken modulo this.
const PERIOD: usize = 1 << 20;

/// Odd, so that it has no divisor in common with [`PERIOD`]: no two of a stream's first million chunks are the same, and one
/// that is lost, repeated or out of its place changes the digest.
const SHIFT: u64 = 4099;

/// A stream of pseudo-random bytes, the same at every run, of any length.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    block: Bytes,
    step: usize,
}

impl Pattern {
    /// Makes the stream that is written in steps of so many bytes. The bytes depend on the steps.
    pub(crate) fn new(step: usize) -> Self {
        // The generator splitmix64, eight bytes at a time.
        let mut state = 0x5741_5246_u64;
        let mut block = Vec::with_capacity(PERIOD + step + 8);
        while block.len() < PERIOD + step {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            block.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        Pattern { block: block.into(), step }
    }

    /// Returns the bytes of a part of the stream, in chunks of at most one step. Nothing is copied.
    pub(crate) fn chunks(&self, part: Range<u64>) -> impl Iterator<Item = Bytes> + Send + use<> {
        let Pattern { block, step } = self.clone();
        let mut at = part.start;
        std::iter::from_fn(move || {
            let (index, within) = (at / step as u64, (at % step as u64) as usize);
            let length = ((step - within) as u64).min(part.end.saturating_sub(at)) as usize;
            at += length as u64;
            let begin = (index.wrapping_mul(SHIFT) % PERIOD as u64) as usize + within;
            (length > 0).then(|| block.slice(begin..begin + length))
        })
    }

    /// Returns the stream's first bytes in one piece.
    pub(crate) fn content(&self, size: usize) -> Bytes {
        let mut content = Vec::with_capacity(size);
        self.chunks(0..size as u64).for_each(|chunk| content.extend_from_slice(&chunk));
        content.into()
    }

    /// Returns the SHA-256 of the stream's first bytes.
    pub(crate) fn digest(&self, size: u64) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.chunks(0..size).for_each(|chunk| hash.update(&chunk));
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_stream_make_the_stream() {
        let pattern = Pattern::new(1000);
        let whole = pattern.content(12_345);
        assert_eq!(whole.len(), 12_345);
        for cut in [0, 1, 999, 1000, 1001, 7_777, 12_345] {
            let parts = pattern.chunks(0..cut).chain(pattern.chunks(cut..12_345));
            assert_eq!(parts.collect::<Vec<_>>().concat(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn no_two_chunks_are_the_same() {
        let pattern = Pattern::new(STEP);
        let chunks: std::collections::BTreeSet<Bytes> = pattern.chunks(0..200 * STEP as u64).collect();
        assert_eq!(chunks.len(), 200);
    }
}
