//! What version 0.2 of WASI offers, beside the 0.3 of everything else.

#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "no bindings of 0.2 are linked")]
#[link(wasm_import_module = "wasi:random/random@0.2.6")]
unsafe extern "C" {
    /// Puts the address and the length of the bytes where `result` points.
    #[link_name = "get-random-bytes"]
    fn get_random_bytes(length: u64, result: *mut [usize; 2]);
}

/// Asks for random bytes, and returns how many came.
#[allow(unsafe_code, reason = "no bindings of 0.2 are linked")]
pub(crate) fn random_bytes(length: u64) -> usize {
    let mut result = [0_usize; 2];
    #[cfg(target_family = "wasm")]
    // SAFETY: the canonical ABI writes two words. What it allocates is never let go of.
    unsafe {
        get_random_bytes(length, &raw mut result);
    }
    // Elsewhere there is no host to ask.
    #[cfg(not(target_family = "wasm"))]
    let _ = (length, &mut result);
    result[1]
}
