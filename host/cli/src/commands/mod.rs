//! The commands, one in a file.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod conformance;
pub(crate) mod cp;
pub(crate) mod demo;
pub(crate) mod drivers;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod serve;
pub(crate) mod uploads;
pub(crate) mod whoami;
