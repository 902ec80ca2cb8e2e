//! sdk

mod bindings;
mod buffered;
mod byte_stream;
pub mod clock;
mod component;
mod convert;
mod driver;
mod error;
pub mod files;
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

/// What [`export!`] expands to. Not for use.
#[doc(hidden)]
pub mod __private {
    pub use crate::component::{Component, Export};
    pub mod bindings {
        pub use crate::bindings::*;
    }
    pub const fn assert_component<C: bindings::exports::wharf::storage::driver::Guest>() {}
}
