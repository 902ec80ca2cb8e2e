//! What the fuzz targets do with their input, apart from libFuzzer: each `run` panics where a promise is broken.

pub mod component;
pub mod configuration;
#[cfg(fuzzing)]
pub mod lifted;
pub mod parameters;
pub mod path;
