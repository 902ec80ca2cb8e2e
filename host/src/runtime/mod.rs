//! Drivers that are WebAssembly components.
//!
//! ```text
//!  Runtime ── one engine, one linker, a thread that ticks
//!    │  load: is it a component, of our contract, with imports that exist
//!    │        a regular file of bounded size, and bounded in what it costs to compile; one at a time
//!  Component ── compiled code
//!    │  + Grants, Limits, parameters
//!  Pool ── the instances of one opened driver; replaces the dead
//!    │  least loaded
//!  Worker ── a task that owns a store; a bounded queue of calls in, answers out
//!    │
//!  the guest ── streams out of it (reading) and into it (writer), two steps deep
//! ```
//!
//! What bounds what: a call by `limits.operation`, measured on the caller's side; a stream by back-pressure and
//! `limits.stream_idle`; what an instance grows to and how long it computes in one stretch by `ceiling`; the tick gives the
//! other tasks their turn meanwhile, and one that computes for long goes on on threads of its own, in `guests`. Outgoing requests are decided on in `http`. A trap, a call that breaks the component model's rules, or a limit that ran out ends the
//! instance and everything in it, and nothing else.

#[allow(missing_docs, reason = "generated")]
mod bindings;
mod ceiling;
mod compiler;
mod complexity;
mod component;
mod config;
mod convert;
mod counters;
mod cpu_time;
mod death;
mod driver;
mod engine;
mod exclusive;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod guests;
mod held;
mod http;
mod last_words;
mod limits;
mod log;
mod pool;
mod priority;
mod proposals;
mod random;
mod reading;
mod source;
mod state;
mod status;
mod streams;
mod threads;
mod worker;
mod writer;

pub use component::{Access, CONTRACT_VERSION, Component, Description, Import, Instances};
pub use config::ComponentConfig;
pub use counters::Counters;
pub use cpu_time::CpuShare;
pub use driver::ComponentDriver;
pub use engine::{Runtime, RuntimeConfig};
pub use grants::{DirectoryGrant, Grants};
pub use http::{HttpConfig, HttpGrant, HttpGrantError, ProxyAddress, Resolver};
pub use limits::Limits;
pub use status::{DriverState, DriverStatus};
