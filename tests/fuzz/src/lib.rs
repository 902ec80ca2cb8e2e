//! What the fuzz targets do with their input, apart from libFuzzer: each `run` panics where a promise is broken.
//!
//! In `tests/`, with a nightly toolchain and cargo-fuzz:
//!
//! ```text
//! cargo +nightly fuzz run path -s none -- -max_total_time=600
//! ```
//!
//! The address sanitizer is left out (`-s none`), since nothing here is unsafe and wasmtime takes long to build with it.
//! A file with which a target fails belongs into its corpus, under a name that says what it is, once the fault is gone:
//! the test `corpora` of `wharf-conformance` then keeps it gone. The files that are named by a hash were found by
//! libFuzzer; they reach what the named ones do not.

pub mod component;
pub mod configuration;
#[cfg(fuzzing)]
pub mod lifted;
pub mod parameters;
pub mod path;
