//! The native drivers: compiled into the host, each behind the feature of its name.
//!
//! | driver | feature | stores | hidden uploads | resumable | durable | tested on |
//! |---|---|---|---|---|---|---|
//! | [`inmemory`] | always there | in the process's memory | yes | yes | no | itself |
//! | `filesystem` | `filesystem` | files under a root directory | no | yes | yes | real directories |
//! | `s3` | `s3` | objects of a bucket | no | yes | yes | Ceph RGW, SeaweedFS |
//!
//! Each calls itself by Distribution's name. A driver is plain: it leaves to [`Base`](crate::base::Base) what every
//! driver would have to do alike, and is meant to be used behind it.

#[cfg(feature = "filesystem")]
pub mod filesystem;
pub mod inmemory;
#[cfg(feature = "s3")]
mod lenient;
#[cfg(feature = "s3")]
pub mod s3;
