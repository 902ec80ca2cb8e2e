//! The trait that an author implements.

use serde::de::DeserializeOwned;

use crate::{ByteRange, Cursor, Error, FileInfo, FileWriter, Listing, MAX_CONTENT, Position, Reader, Result};

/// How many instances of the component may serve one configured driver at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// Exactly one: what it stores lives in its own memory, and is lost with it.
    One,
    /// Any number, side by side: what it stores lives outside. The driver must keep nothing in memory that another
    /// instance, or the next one, would miss.
    Many,
    /// One at a time: what it stores lives outside, and an instance beside it would damage it, as with a log or a database in a
    /// directory. What it keeps in memory, such as an index, it finds again in [`open`](StorageDriver::open) after a crash.
    Exclusive,
}

/// What an opened driver promises beyond the contract. The conformance suite tests every promise that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Put, commit and move never leave the destination absent, even for a moment.
    pub atomic_replace: bool,
    /// A put, commit, close or move that returned survives a crash of the machine.
    pub durable: bool,
    /// An upload that was closed can be continued, by any instance that sees the same store.
    pub resumable: bool,
    /// Nothing of an upload can be read before its commit, and what was committed at its path stays readable until
    /// then.
    pub hidden_uploads: bool,
    /// Every later read and listing, by any instance, sees what has returned.
    pub consistent: bool,
    /// [`redirect_url`](StorageDriver::redirect_url) can return an address.
    pub redirect: bool,
    /// [`walk`](StorageDriver::walk) costs less than listing every directory.
    pub native_walk: bool,
    /// [`uploads`](StorageDriver::uploads) can tell which uploads are unfinished.
    pub uploads: bool,
    /// It only reads: the host asks for no change. Beside it only `redirect` and `native_walk` say anything; see
    /// [`only_reads!`](crate::only_reads).
    pub read_only: bool,
}

/// Whether an upload begins anew or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Begin anew, whatever is at the path.
    New,
    /// Continue the upload that was closed there, or a committed empty file. Other committed content: continue it, or
    /// answer [unsupported](Error::unsupported) with nothing changed.
    Append,
}

/// The request that a client of the host made, for [`redirect_url`](StorageDriver::redirect_url).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectRequest {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The client's network address, where known.
    pub client_address: Option<String>,
}

/// A storage driver: files (byte strings) at paths.
///
/// # What the host does for you
///
/// It checks every path against the grammar `^(/[A-Za-z0-9._-]+)+$`, without `.` and `..`, before a driver sees it; `/`
/// reaches only [`stat`](Self::stat), [`list`](Self::list) and [`walk`](Self::walk). It adds the driver's name, the
/// operation and the path to errors, retries what a kind of error says can be retried, bounds how long anything may
/// take, and calls only those optional operations that [`capabilities`](Self::capabilities) declares.
///
/// # What it asks of you
///
/// - Directories are not created: one exists while a file lies below it. One left behind empty reads as not-found or
///   as empty.
/// - An operation that failed has changed nothing, unless its error is [`Error::outcome_unknown`].
/// - Operations run concurrently: while one waits at an `await`, others go on. Hold no `RefCell` borrow across an
///   `await`.
/// - Calls are never cancelled, only abandoned: one whose caller has gone runs on to its end, unless its instance ends before,
///   for a limit or a crash. So every `await` must be a safe place to stop for ever.
/// - Do not block: a blocking call such as one of `std::fs` stops all operations of the instance.
#[allow(async_fn_in_trait, reason = "a component has one thread: no future needs to be Send")]
pub trait StorageDriver: Sized + 'static {
    /// What kind of store this drives: lower-case letters, digits and `-`.
    const NAME: &'static str;

    /// How many instances may serve one configured driver.
    const INSTANCES: Instances;

    /// The parameters that stand in the host's configuration, as a struct. Put `#[serde(deny_unknown_fields)]` on it:
    /// a misspelt key is then refused by name instead of being ignored.
    type Parameters: DeserializeOwned;

    /// An upload in progress; [`NoWriter`](crate::NoWriter) for a driver without uploads.
    type Writer: FileWriter;

    /// Opens the driver with its parameters.
    ///
    /// # Errors
    ///
    /// [`Error::invalid_parameters`] if it cannot work with them.
    async fn open(parameters: Self::Parameters) -> Result<Self>;

    /// Returns what this driver, so configured, promises. The same at every call.
    fn capabilities(&self) -> Capabilities;

    /// Returns the whole content of a file.
    ///
    /// The default reads it with [`reader`](Self::reader).
    ///
    /// # Errors
    ///
    /// - [`Error::path_not_found`] if nothing is stored there, or it is a directory.
    /// - [`Error::too_large`] above [`MAX_CONTENT`].
    async fn get_content(&self, path: &str) -> Result<Vec<u8>> {
        self.reader(path, ByteRange::ALL).await?.collect(MAX_CONTENT).await
    }

    /// Stores the whole content of a file, of at most [`MAX_CONTENT`] bytes, in place of any that was there: whole or
    /// not at all.
    ///
    /// # Errors
    ///
    /// [`Error::invalid_path`] where the store cannot hold a file beside what is there.
    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()>;

    /// Opens a file for reading: what it is, and the bytes of the range, which [`ByteRange::within`] works out.
    ///
    /// # Errors
    ///
    /// - [`Error::path_not_found`] if nothing is stored there, or it is a directory.
    /// - [`Error::invalid_offset`] if the range begins beyond the end of the file.
    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader>;

    /// Begins an upload, or with [`WriteMode::Append`] continues one.
    ///
    /// # Errors
    ///
    /// With `Append`: [`Error::path_not_found`] where nothing is; [`Error::unsupported`] without
    /// [`resumable`](Capabilities::resumable).
    async fn writer(&self, path: &str, mode: WriteMode) -> Result<Self::Writer>;

    /// Returns what is stored at a path. `/` is a directory, even when the store is empty; asking for it asks the
    /// store, once, and returns the store's errors: it is the health probe.
    ///
    /// # Errors
    ///
    /// [`Error::path_not_found`] if nothing is stored there.
    async fn stat(&self, path: &str) -> Result<FileInfo>;

    /// Lists the direct children of a directory in the order of [`Position`], from after `start_after` if given.
    ///
    /// Names outside the path grammar and the driver's own temporaries are left out.
    ///
    /// # Errors
    ///
    /// [`Error::path_not_found`] if there is no directory at the path; never for `/`.
    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing>;

    /// Lists everything below a directory in the order of [`Position`], from `start` if given. Called only with
    /// [`native_walk`](Capabilities::native_walk): the host walks by [`list`](Self::list) otherwise.
    async fn walk(&self, _path: &str, _start: Option<Cursor>) -> Result<Listing> {
        Err(Error::unsupported("this driver has no walk of its own"))
    }

    /// Moves a file, replacing the destination. Both names may be seen meanwhile; a failure leaves the source.
    ///
    /// # Errors
    ///
    /// [`Error::path_not_found`] if the source is missing or a directory; nothing has changed then.
    async fn move_file(&self, source: &str, destination: &str) -> Result<()>;

    /// Deletes a file, or a directory with all that lies below it, unfinished uploads too. Never a sibling that shares
    /// its name as a prefix.
    ///
    /// # Errors
    ///
    /// [`Error::path_not_found`] if nothing is stored there.
    async fn delete(&self, path: &str) -> Result<()>;

    /// Deletes files, at most 1,000. Those that are missing are no error, and a directory counts as missing.
    ///
    /// The default asks [`stat`](Self::stat) and [`delete`](Self::delete) for one after the other. A store that can hold
    /// a file and a directory of one name needs its own, since `delete` takes both.
    async fn delete_files(&self, paths: &[String]) -> Result<()> {
        for path in paths {
            let deleted = match self.stat(path).await {
                Ok(info) if info.is_dir => continue,
                Ok(_) => self.delete(path).await,
                Err(error) => Err(error),
            };
            match deleted {
                Err(error) if !error.is_path_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns an address at which the client can fetch the file by itself; none where it must come through the host.
    /// Called only with [`redirect`](Capabilities::redirect). The address is `http` or `https`, without a user, in printable
    /// ASCII; it reaches the client if its host is one that the operator lets this driver name.
    async fn redirect_url(&self, _path: &str, _request: RedirectRequest) -> Result<Option<String>> {
        Ok(None)
    }

    /// Lists the unfinished uploads at and below a path that [`list`](Self::list) hides; `modified` is when each began.
    /// One that is continued may count as begun then.
    /// Called only with [`uploads`](Capabilities::uploads).
    async fn uploads(&self, _path: &str) -> Result<Listing> {
        Err(Error::unsupported("this driver cannot tell which uploads are unfinished"))
    }
}
