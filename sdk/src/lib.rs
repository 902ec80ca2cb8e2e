//! Write a storage driver for Wharf: one `impl`, one `export!`, and the result is a component that any Wharf host loads.
//!
//! # A whole driver
//!
//! This text is `examples/whole_driver.rs`. The project's tests make a component of it and run the whole conformance
//! suite on it.
//!
#![doc = concat!("```\n", include_str!("../examples/whole_driver.rs"), "```")]
//!
//! # Build it
//!
//! A driver is an ordinary library. In its `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! wharf-sdk = "0.1"
//! serde = { version = "1", features = ["derive"] }   # for parameters of its own
//! ```
//!
//! Then:
//!
//! ```text
//! rustup target add wasm32-wasip2
//! cargo build --release --target wasm32-wasip2
//! wharf conformance target/wasm32-wasip2/release/my_driver.wasm
//! ```
//!
//! # Test it
//!
//! `wharf conformance FILE` runs every case of the suite that the driver's [`Capabilities`] select, and fails where one
//! is declared and not kept. `--params JSON` passes parameters, and `--grant dir:HOST=GUEST:rw` grants a directory.
//! What needs no host, such as the layout of a store, is tested natively by `cargo test`, as any library is. Anything
//! that waits for the host (a [`ByteStream`], [`files`], [`http`], [`clock`]) works only in a component.
//!
//! # Rules
//!
//! The SDK keeps those rules that concern streams: it sends no faster than the host reads, stops when nobody reads any
//! more, says how every stream ended and only after its end, refuses a second `write` beside the first, and lets an
//! upload whose `write` failed only be closed or cancelled. What is left to the author:
//!
//! - **Do not block.** An instance has one thread. `std::thread::sleep`, `std::fs` and `std::net` stop all of its
//!   operations; use [`clock::sleep`], [`files`] and [`http`].
//! - **Hold no `RefCell` borrow across an `await`.** Other operations run meanwhile, and the second borrow panics. Take
//!   what is needed out of the cell in a statement of its own, and then wait. Clippy's `await_holding_refcell_ref` finds
//!   most violations.
//! - **Do not panic on bad input.** A panic is a trap: it ends the instance, with every operation that was under way.
//! - **Be ready to stop at every `await`.** The host abandons an operation that takes too long, and ends instances when
//!   it likes: no `await` may lie between two steps of which the first without the second is damage.
//! - **Keep nothing in memory with [`Instances::Many`]** that another instance, or the next one, would miss; with
//!   [`Instances::Exclusive`], nothing that [`open`](StorageDriver::open) does not find again.
//! - **Promise only what holds.** A capability that is not declared costs the caller a little; one that is declared and
//!   not kept costs data.
//!
//! # Files, streams and pass-through
//!
//! [`Reader`] and [`FileWriter`] work on chunks, one at a time, so that an open download or upload holds one chunk in
//! memory. A stream that came from the host may also go back to it unread: [`Reader::from_stream`] with what
//! [`files::File::read_stream`] or [`http::Response::into_stream`] returned, or [`FileWriter::write_stream`] into
//! [`files::File::write_stream`] or [`http::Request::body_stream`]. The host then joins the two ends, and the bytes never
//! enter the component: this is as fast as a native driver.
//!
//! # Errors
//!
//! [`ErrorKind`] tells the host what to do: after [`Throttled`](ErrorKind::Throttled) it waits, after
//! [`Unavailable`](ErrorKind::Unavailable) it retries, after [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) it looks
//! first. Use `OutcomeUnknown` whenever a change was sent and its answer was lost. The message is for people: what the
//! store said and what to do about it; never a secret, and not the driver's name, the operation or the path, which the
//! host adds.
//!
//! # Parameters
//!
//! [`StorageDriver::Parameters`] is a struct of one's own that derives `serde::Deserialize`. A missing, unknown or
//! wrong parameter is refused by its name, and its value is never shown:
//!
//! ```
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Parameters {
//!     url: String,
//!     #[serde(default)]
//!     region: Option<String>,
//! }
//! ```
//!
//! # Logging
//!
//! `eprintln!` is the log: the host records standard error line by line, with the driver's name.
//!
//! # Where to find what
//!
//! | | |
//! |---|---|
//! | [`StorageDriver`], [`Capabilities`], [`Instances`], [`export!`], [`only_reads!`] | what a driver is |
//! | [`Reader`], [`ByteRange`], [`FileInfo`] | what is read |
//! | [`FileWriter`], [`BufferedWriter`], [`NoWriter`], [`WriteMode`] | what is written |
//! | [`Listing`], [`Entry`], [`Position`], [`Cursor`] | what is listed, and in which order |
//! | [`Error`], [`ErrorKind`], [`Result`] | what went wrong |
//! | [`ByteStream`] | bytes that come from the host |
//! | [`files`] | directories that the host grants |
//! | [`http`] | requests to hosts that the host grants |
//! | [`clock`] | waiting |

mod bindings;
mod buffered;
mod byte_stream;
pub mod clock;
mod component;
mod convert;
mod driver;
mod error;
pub mod files;
pub mod http;
mod info;
mod listing;
mod parameters;
mod reader;
mod source;
#[cfg(test)]
mod testing;
mod writer;

pub use buffered::BufferedWriter;
pub use byte_stream::ByteStream;
pub use driver::{Capabilities, Instances, RedirectRequest, StorageDriver, WriteMode};
pub use error::{Error, ErrorKind, Result};
pub use info::{ByteRange, Cursor, Entry, FileInfo, Position, Timestamp};
pub use listing::{Listing, is_path_component};
pub use parameters::NoParameters;
pub use reader::Reader;
pub use serde;
pub use writer::{FileWriter, NoWriter};

/// The most that [`StorageDriver::get_content`] returns and [`StorageDriver::put_content`] takes, in bytes: 16 MiB.
/// Larger files go through readers and writers.
pub const MAX_CONTENT: u64 = 16 * 1024 * 1024;

/// The driver of the documentation, and what a caller may rely on.
#[cfg(doctest)]
#[doc = concat!("```\n", include_str!("../examples/whole_driver.rs"), include_str!("whole_driver_checks.rs"), "```")]
struct WholeDriver;

/// Makes a component of a driver. Once in a package, whose library is a `cdylib`; the driver's version is the package's.
///
/// ```
/// # use wharf_sdk::*;
/// # struct MyDriver;
/// # impl StorageDriver for MyDriver {
/// #     const NAME: &'static str = "mine";
/// #     const INSTANCES: Instances = Instances::Many;
/// #     type Parameters = NoParameters;
/// #     type Writer = NoWriter;
/// #     async fn open(_: NoParameters) -> Result<Self> { Ok(MyDriver) }
/// #     fn capabilities(&self) -> Capabilities { Capabilities::default() }
/// #     async fn put_content(&self, _: &str, _: Vec<u8>) -> Result<()> { Err(Error::unsupported("")) }
/// #     async fn reader(&self, _: &str, _: ByteRange) -> Result<Reader> { Err(Error::path_not_found()) }
/// #     async fn writer(&self, _: &str, _: WriteMode) -> Result<NoWriter> { Err(Error::unsupported("")) }
/// #     async fn stat(&self, path: &str) -> Result<FileInfo> { Ok(FileInfo::directory(path)) }
/// #     async fn list(&self, _: &str, _: Option<Position>) -> Result<Listing> { Ok(Listing::from_entries(vec![])) }
/// #     async fn move_file(&self, _: &str, _: &str) -> Result<()> { Err(Error::path_not_found()) }
/// #     async fn delete(&self, _: &str) -> Result<()> { Err(Error::path_not_found()) }
/// # }
/// wharf_sdk::export!(MyDriver);
/// ```
#[macro_export]
macro_rules! export {
    ($driver:ty) => {
        #[allow(unsafe_code, reason = "the component model's functions are extern \"C\"")]
        const _: () = {
            struct Exported;
            impl $crate::__private::Export for Exported {
                type Driver = $driver;
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }
            type Component = $crate::__private::Component<Exported>;
            // Natively, where an author's unit tests run, a linker may refuse the names of these functions.
            #[cfg(target_family = "wasm")]
    $crate::__private::bindings::export!(Component with_types_in $crate::__private::bindings);
            #[cfg(not(target_family = "wasm"))]
            let _ = $crate::__private::assert_component::<Component>;
        };
    };
}

/// Stands in the `impl` of a driver that only reads, in place of what changes a store: put, writer, move and delete, which the
/// host does not call on it. The driver declares [`read_only`](Capabilities::read_only).
///
/// ```
/// # use wharf_sdk::*;
/// struct Greeting;
///
/// impl StorageDriver for Greeting {
///     wharf_sdk::only_reads!();
///     const NAME: &'static str = "greeting";
///     const INSTANCES: Instances = Instances::Many;
///     type Parameters = NoParameters;
///
///     async fn open(_: NoParameters) -> Result<Self> {
///         Ok(Greeting)
///     }
///     fn capabilities(&self) -> Capabilities {
///         Capabilities { read_only: true, ..Capabilities::default() }
///     }
///     async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
///         if path != "/hello" {
///             return Err(Error::path_not_found());
///         }
///         Reader::from_content(FileInfo::file(path, 5), b"world", range)
///     }
///     async fn stat(&self, path: &str) -> Result<FileInfo> {
///         match path {
///             "/" => Ok(FileInfo::directory(path)),
///             "/hello" => Ok(FileInfo::file(path, 5)),
///             _ => Err(Error::path_not_found()),
///         }
///     }
///     async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
///         Listing::from_files(path, [Entry::file("/hello", 5)], start_after.as_ref())
///     }
/// }
/// wharf_sdk::export!(Greeting);
/// ```
#[macro_export]
macro_rules! only_reads {
    () => {
        type Writer = $crate::NoWriter;

        async fn put_content(&self, _: &str, _: ::std::vec::Vec<u8>) -> $crate::Result<()> {
            $crate::__private::only_reads()
        }
        async fn writer(&self, _: &str, _: $crate::WriteMode) -> $crate::Result<$crate::NoWriter> {
            $crate::__private::only_reads()
        }
        async fn move_file(&self, _: &str, _: &str) -> $crate::Result<()> {
            $crate::__private::only_reads()
        }
        async fn delete(&self, _: &str) -> $crate::Result<()> {
            $crate::__private::only_reads()
        }
        async fn delete_files(&self, _: &[::std::string::String]) -> $crate::Result<()> {
            $crate::__private::only_reads()
        }
    };
}

/// What [`export!`] expands to. Not for use.
#[doc(hidden)]
pub mod __private {
    pub use crate::component::{Component, Export};
    pub mod bindings {
        pub use crate::bindings::*;
    }
    pub fn only_reads<T>() -> crate::Result<T> {
        Err(crate::Error::unsupported("this driver only reads"))
    }
    pub const fn assert_component<C: bindings::exports::wharf::storage::driver::Guest>() {}
}
