//! Which proposals to WebAssembly a component needs that are switched off here.
//!
//! A file that uses one of them is as sound as any, and the compiler says of it what it says of damaged ones: that at some byte
//! something is not valid. So it is looked at again, with everything switched on that is off; what cannot be left out is what
//! the author has to know.
//!
//! Off is what needs parts of wasmtime that this host does without (garbage collection, and exceptions, which are allocated
//! by it; threads within an instance), and what is not finished.

use wasmparser::{Validator, WasmFeatures};

/// What is switched off, by the names of its proposals; of the component model, by those of the features in its specification.
const OFF: [(WasmFeatures, &str); 22] = [
    (WasmFeatures::EXCEPTIONS, "exception handling"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "exception handling in its older form"),
    (WasmFeatures::GC_TYPES, "garbage collection"),
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything threads"),
    (WasmFeatures::STACK_SWITCHING, "stack switching"),
    (WasmFeatures::MEMORY_CONTROL, "memory control"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (WasmFeatures::COMPACT_IMPORTS, "compact import section"),
    (WasmFeatures::CM_VALUES, "component model: values"),
    (WasmFeatures::CM_NESTED_NAMES, "component model: nested names"),
    (WasmFeatures::CM_ASYNC_STACKFUL, "component model: stackful async"),
    (WasmFeatures::CM_MORE_ASYNC_BUILTINS, "component model: more async built-ins"),
    (WasmFeatures::CM_THREADING, "component model: threading"),
    (WasmFeatures::CM_ERROR_CONTEXT, "component model: error-context"),
    (WasmFeatures::CM_FIXED_LENGTH_LISTS, "component model: fixed-length lists"),
    (WasmFeatures::CM_GC, "component model: garbage collection"),
    (WasmFeatures::CM_MAP, "component model: maps"),
    (WasmFeatures::CM64, "component model: 64-bit memories"),
    (WasmFeatures::CM_IMPLEMENTS, "component model: implements"),
];

/// Returns the names of the proposals that a component needs and that are switched off; none if it is not valid with them either.
/// Takes some times as long as validating it once, and is for files that were refused.
pub(super) fn needed(bytes: &[u8]) -> Vec<&'static str> {
    let on = WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL | WasmFeatures::CM_ASYNC;
    let all = OFF.iter().fold(on, |all, (feature, _)| all | *feature);
    let is_valid = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    if !is_valid(all) {
        return Vec::new();
    }
    let needed = OFF.iter().filter(|(feature, _)| !is_valid(all - *feature));
    let needed: Vec<(WasmFeatures, &str)> = needed.copied().collect();
    // References to exceptions are of the types that came with garbage collection: that is not what was asked for.
    let has_exceptions = needed.iter().any(|(feature, _)| *feature == WasmFeatures::EXCEPTIONS);
    let needed = needed.into_iter().filter(|(feature, _)| !has_exceptions || *feature != WasmFeatures::GC_TYPES);
    needed.map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with one core module in it, of these sections.
    fn component(sections: &[u8]) -> Vec<u8> {
        let module = [b"\0asm\x01\0\0\0", sections].concat();
        let length = u8::try_from(module.len()).unwrap_or_else(|_| unreachable!("a module of the tests is short"));
        [b"\0asm\x0d\0\x01\0\x01", &[length][..], &module].concat()
    }

    #[test]
    fn a_proposal_that_is_off_is_known_by_what_needs_it() {
        for (sections, proposals) in [
            // A tag of the type `(func)`.
            (&b"\x01\x04\x01\x60\0\0\x0d\x03\x01\0\0"[..], &["exception handling"][..]),
            // A global of the type `(ref null exn)`.
            (b"\x06\x06\x01\x69\0\xd0\x69\x0b", &["exception handling"]),
            // A type `(struct)`.
            (b"\x01\x03\x01\x5f\0", &["garbage collection"]),
            // A memory that is shared.
            (b"\x05\x04\x01\x03\x01\x01", &["threads"]),
            // A memory with pages of a byte.
            (b"\x05\x04\x01\x08\x01\0", &["custom page sizes"]),
            // Both of the first.
            (b"\x01\x04\x01\x60\0\0\x05\x04\x01\x03\x01\x01\x0d\x03\x01\0\0", &["exception handling", "threads"]),
            // Nothing of the kind, and nothing that is valid.
            (b"", &[]),
            (b"\x05\x04\x01\x03\x01", &[]),
        ] {
            assert_eq!(needed(&component(sections)), proposals, "{sections:x?}");
        }
    }
}
