//! Outgoing HTTP of components, on real servers: what is granted works, and nothing else leaves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod certificates;
mod granted;
mod refused;
mod server;
mod support;
mod transport;
