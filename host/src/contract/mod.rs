//! The contract: what a storage driver is. Start here.
//!
//! - [`StorageDriver`] and [`FileWriter`]: the operations. [`StorageDriverExt`]: conveniences on top.
//! - [`StoragePath`]: the path grammar. [`Position`]: the order of listings.
//! - [`Error`]: what failed, on what, why, and what to do next.
//! - [`Capabilities`]: what a driver promises beyond the contract.
//! - [`Identity`]: as whom a driver works at its store.
//! - [`printable()`]: text that somebody else chose, as it may be shown.
//! - [`walk_by_listing`]: the `walk` of drivers that have none of their own.
//!
//! `wit/` says the same for drivers that are components.

mod capabilities;
mod driver;
mod error;
mod ext;
mod identity;
mod info;
mod path;
mod printable;
mod walk;

pub use capabilities::Capabilities;
pub use driver::{ByteStream, EntryStream, FileWriter, MAX_CONTENT, MAX_DELETE_FILES, Reader, StorageDriver};
pub use error::{Error, ErrorKind, Operation, Result};
pub use ext::{StorageDriverExt, write_all};
pub use identity::Identity;
pub use info::{ByteRange, Cursor, Entry, FileInfo, Position, RedirectRequest, WriteMode};
pub use path::StoragePath;
pub use printable::{escape_json, is_printable, printable, printable_lines};
pub use walk::{WalkStep, walk_by_listing};
