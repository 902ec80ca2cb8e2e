//! Bytes to store, their digests, and random numbers: the same for the same seed on every machine.

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use crate::context::Random;

/// Returns that many bytes, which differ at every position and with every seed.
pub fn content(seed: u64, length: usize) -> Bytes {
    crate::context::pattern(seed, length)
}

/// Returns the digest of bytes as registries write it: `sha256:` and 64 digits.
pub fn digest(content: &[u8]) -> String {
    named(Sha256::digest(content))
}

/// Returns a hash as the text of a digest.
pub fn named(hash: impl AsRef<[u8]>) -> String {
    let mut text = "sha256:".to_owned();
    for byte in hash.as_ref() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
