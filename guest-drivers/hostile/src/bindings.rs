//! The bindings that wit-bindgen generates from `wit/`: this driver stands outside the SDK, whose rules it breaks.
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
    path: "../../wit",
    world: "storage-driver-component",
});
