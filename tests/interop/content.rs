//! Bytes to store, and their digests.

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// Returns that many bytes which no other seed gives.
pub(crate) fn content(seed: u64, length: usize) -> Bytes {
    // An xorshift generator: nothing in it repeats, so that swapped or doubled parts change the digest.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

/// Returns the digest of bytes as registries write it: `sha256:` and 64 digits.
pub(crate) fn digest(content: &[u8]) -> String {
    named(Sha256::digest(content))
}

/// Returns the text of a digest.
pub(crate) fn named(hash: impl AsRef<[u8]>) -> String {
    let mut text = "sha256:".to_owned();
    for byte in hash.as_ref() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
