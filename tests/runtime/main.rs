//! What a caller sees of components that misbehave, and of the bytes that pass them by.
//!
//! The components are `faulty`, which misbehaves as its parameters say, `filesystem` and `log-store`.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod concurrency;
mod deaths;
mod exclusive;
mod lies;
mod limits;
mod loading;
mod passing;
mod recovery;
mod support;
