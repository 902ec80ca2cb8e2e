//! Files of the host, in the directories that its configuration grants: `wasi:filesystem`, without waiting in vain.
//!
//! Unlike `std::fs`, nothing here stops the other operations of the instance while it waits. And a file's bytes need
//! not pass through the component: [`File::read_stream`] and [`File::write_stream`] only join the two ends.
//!
//! A driver names the directory as the component sees it, usually by a parameter:
//!
//! ```no_run
//! # async fn read() -> wharf_sdk::Result<()> {
//! use wharf_sdk::files::{Dir, Open};
//!
//! let data = Dir::granted("/data").await?;
//! let file = data.open("notes/today", Open::Read).await?;
//! let size = file.metadata().await?.size;
//! # let _ = size;
//! # Ok(())
//! # }
//! ```
//!
//! Paths are relative to the directory that a [`Dir`] stands for, with `/` between names; none leaves it, neither by
//! `..` nor by a symbolic link.

mod dir;
mod error;
mod file;

pub use dir::{Dir, DirEntry};
pub use error::{Error, ErrorCode};
pub use file::{File, FileType, Metadata, Open};

/// The result of an operation on files.
pub type Result<T, E = Error> = std::result::Result<T, E>;
