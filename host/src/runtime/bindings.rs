//! The bindings that wasmtime generates from `wit/`: nothing else is in this file.
#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated from wit/, which documents every item")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "storage-driver-component",
    exports: { default: async | store },
});
