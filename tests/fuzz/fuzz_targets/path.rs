//! The path grammar: see `wharf_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wharf_fuzz::path::run(data));
