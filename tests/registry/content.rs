//! Bytes to store, and their digests.

use std::fmt::Write;

use bytes::Bytes;
use sha2::{Digest, Sha256, Sha512};

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
pub(crate) fn sha256(content: &[u8]) -> String {
    named("sha256", &Sha256::digest(content))
}

/// Returns the same with SHA-512: `sha512:` and 128 digits.
pub(crate) fn sha512(content: &[u8]) -> String {
    named("sha512", &Sha512::digest(content))
}

/// Returns the digest of nothing that is ever pushed.
pub(crate) fn absent() -> String {
    sha256(b"nobody pushes this")
}

fn named(algorithm: &str, hash: &[u8]) -> String {
    hash.iter().fold(format!("{algorithm}:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
