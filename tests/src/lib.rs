//! The conformance suite of Wharf's storage drivers: a list of named cases, each one promise of the contract.
//!
//! A driver joins by implementing [`Subject`], and gets every case, now and later: [`run`] opens the driver, chooses
//! the cases by the capabilities that it declares, and returns a [`Report`] for people and for programs. A case that
//! did not run is reported as ignored, with its reason, never as passed; a declared capability that no case exercised
//! is a failure.
//!
//! The feature `cloud` adds what the tests of drivers of cloud stores need: `proxy`, which breaks a driver's requests to
//! its server, and `servers`, which finds the servers; and what the tests of registries need: registries as processes
//! (`serve`) on stores of their own (`stores`), a client (`registry_client`) and images (`images`).
//!
//! [`faulty`] is a right driver that fails now and then, on which what tries again is tested. [`wrong`] holds drivers that break one promise each, by which the suite itself is tested.

pub mod cases;
pub mod components;
#[cfg(feature = "cloud")]
pub mod content;
mod context;
pub mod expected;
pub mod faulty;
#[cfg(feature = "cloud")]
pub mod http1;
#[cfg(feature = "cloud")]
pub mod images;
mod large;
#[cfg(feature = "cloud")]
pub mod presign;
#[cfg(feature = "cloud")]
pub mod process;
pub mod project;
mod provided;
#[cfg(feature = "cloud")]
pub mod proxy;
#[cfg(feature = "cloud")]
pub mod registry_client;
mod report;
mod run;
mod selection;
#[cfg(feature = "cloud")]
pub mod serve;
#[cfg(feature = "cloud")]
pub mod servers;
#[cfg(feature = "cloud")]
pub mod stores;
mod subject;
pub mod wrong;

pub use cases::{Case, Cost, all_cases};
pub use context::{Context, Failure, Outcome};
pub use provided::Provided;
pub use report::{CaseReport, Report, Verdict};
pub use run::{run, run_with_progress};
pub use selection::{Selection, ignore_reason, unproven_capabilities};
pub use subject::{OneOpening, Subject};
