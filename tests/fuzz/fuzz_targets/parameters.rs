//! Opening native drivers with any parameters: see `wharf_fuzz::parameters`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wharf_fuzz::parameters::run(data));
