//! What is stored: bytes that tell from which file they are, so that no part of one passes for another.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns the content of the file of that name.
pub(crate) fn of(name: &str) -> Vec<u8> {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // From a few bytes to 600 KB, so that some uploads take several steps.
    let length = 20 + (state % 600_000) as usize;
    let mut content = Vec::with_capacity(length + 8);
    while content.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    content.truncate(length);
    content
}

/// Returns a random number.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
