//! What the bridge lifts from a guest: see `wharf_fuzz::lifted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wharf_fuzz::lifted::run(data));
