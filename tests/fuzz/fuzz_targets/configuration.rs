//! Reading the section `drivers:`: see `wharf_fuzz::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wharf_fuzz::configuration::run(data));
