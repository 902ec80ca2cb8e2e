//! Bytes to store, and their digests.

use std::fmt::Write;

use sha2::{Digest, Sha512};
pub(crate) use wharf_conformance::content::{content, digest as sha256};

/// Returns the digest with SHA-512: `sha512:` and 128 digits.
pub(crate) fn sha512(content: &[u8]) -> String {
    Sha512::digest(content).iter().fold("sha512:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the digest of nothing that is ever pushed.
pub(crate) fn absent() -> String {
    sha256(b"nobody pushes this")
}
