//! Loading a component that is anything at all: see `wharf_fuzz::component`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wharf_fuzz::component::run(data));
