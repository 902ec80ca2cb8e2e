//! Storage drivers for container registries: native, or WebAssembly components that somebody else wrote.

pub mod contract;
