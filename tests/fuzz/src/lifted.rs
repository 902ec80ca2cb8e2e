//! What the bridge lifts from a guest keeps the contract's rules: the body is beside the functions that it tests, in
//! `wharf::runtime::fuzzing`, since they are not public.

/// Lifts what the bytes make.
pub fn run(data: &[u8]) {
    wharf::runtime::fuzzing::lift(data);
}
