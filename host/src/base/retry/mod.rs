//! Trying again: when, how often, and how long at most.
//!
//! A driver that sends requests repeats each of them by [`Retry::run`], since it alone knows which part of an operation
//! is still to be done. What it returns then says how often it was [tried](crate::contract::Error::attempts), and
//! nobody above tries it again.

mod policy;

pub use policy::{Repeat, Retry, RetryPolicy};
