//! Bytes to store, and their digests.

pub(crate) use wharf_conformance::content::{content, digest, named};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;
