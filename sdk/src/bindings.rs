//! The bindings that wit-bindgen generates from `wit/`: nothing else is in this file, and nothing outside `convert.rs`,
//! `component.rs` and the streams names what is in it.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated from wit/, which documents every item"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "storage-driver-component",
    pub_export_macro: true,
    default_bindings_module: "wharf_sdk::__private::bindings",
});
