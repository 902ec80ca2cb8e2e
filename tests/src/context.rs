//! What a case works with: the driver, a directory of its own, and words for what went wrong.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{
    ByteRange, Capabilities, Cursor, Entry, Error, FileWriter, Position, StorageDriver, StoragePath, WriteMode,
};

use crate::Subject;
use crate::large::LargeDirectory;
use crate::provided::Provided;

/// Why a case failed: what was done, what was expected, and what was seen.
#[derive(Debug)]
pub struct Failure {
    pub(crate) message: String,
    pub(crate) is_crash: bool,
}

impl Failure {
    /// Creates a failure from a sentence for the driver's author.
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), is_crash: false }
    }

    /// Creates a failure whose cause is an error of the driver.
    pub fn of(error: &Error, message: impl Into<String>) -> Self {
        Failure { message: message.into(), is_crash: error.is_death() }
    }

    /// Says in what it failed.
    pub(crate) fn within(self, what: &str) -> Self {
        Failure { message: format!("{what}: {}", self.message), ..self }
    }

    /// Returns whether the driver crashed, and not only an operation of it failed.
    pub fn is_crash(&self) -> bool {
        self.is_crash
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let operation = error.operation().map_or("an operation", |operation| operation.name());
        Failure::of(&error, format!("{operation} was expected to succeed and failed: {error}"))
    }
}

/// How a case ended.
pub type Outcome = Result<(), Failure>;

/// Fails the case with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Failure::new(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

/// What a case works with.
#[derive(Clone)]
pub struct Context {
    pub(crate) subject: Arc<dyn Subject>,
    pub(crate) driver: Arc<dyn StorageDriver>,
    pub(crate) directory: StoragePath,
    pub(crate) large: Arc<LargeDirectory>,
}

impl Context {
    /// Returns the driver.
    pub fn driver(&self) -> &dyn StorageDriver {
        &*self.driver
    }

    /// Returns what the driver declares.
    pub fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    /// Opens another instance on the same store.
    ///
    /// # Errors
    ///
    /// A failure if the driver cannot be opened again.
    pub async fn another(&self) -> Result<Arc<dyn StorageDriver>, Failure> {
        self.subject
            .open()
            .await
            .map_err(|error| Failure::of(&error, format!("the driver could not be opened again: {error}")))
    }

    /// Closes the driver, and opens it again.
    ///
    /// # Errors
    ///
    /// A failure if the driver cannot be opened again.
    pub(crate) async fn reopened(self) -> Result<Self, Failure> {
        let Context { subject, driver, directory, large } = self;
        drop(driver);
        let opened = subject.reopen().await;
        let driver =
            opened.map_err(|error| Failure::of(&error, format!("the driver could not be opened again: {error}")))?;
        Ok(Context { subject, driver, directory, large })
    }

    /// Returns what is in the store of a driver that only reads.
    ///
    /// # Errors
    ///
    /// A failure if nothing was provided, without which no such case is begun.
    pub(crate) fn provided(&self) -> Result<&Provided, Failure> {
        self.subject.provided().ok_or_else(|| Failure::new("no content was provided"))
    }

    /// Returns the directory above the run's large one, which is made at the first call.
    pub(crate) async fn large(&self) -> Result<StoragePath, Failure> {
        Ok(self.large.get(&self.driver).await?.join("files")?)
    }

    /// Returns the run's directory of many directories, which is made at the first call.
    pub(crate) async fn large_directories(&self) -> Result<StoragePath, Failure> {
        Ok(self.large.get(&self.driver).await?.join("directories")?)
    }

    /// Returns the directory that this case has for itself.
    pub fn directory(&self) -> &StoragePath {
        &self.directory
    }

    /// Returns a path in the case's directory.
    ///
    /// # Errors
    ///
    /// A failure if `relative` breaks the path grammar, which is a fault of the case.
    pub fn path(&self, relative: &str) -> Result<StoragePath, Failure> {
        self.directory.join(relative).map_err(|error| Failure::new(format!("the case itself is wrong: {error}")))
    }

    pub(crate) async fn put(&self, relative: &str, content: impl Into<Bytes>) -> Result<StoragePath, Failure> {
        let path = self.path(relative)?;
        self.driver.put_content(&path, content.into()).await?;
        Ok(path)
    }

    pub(crate) async fn put_all(&self, names: &[&str]) -> Outcome {
        for name in names {
            self.put(name, name.to_string()).await?;
        }
        Ok(())
    }

    /// Writes an upload in one piece and leaves the writer open.
    pub(crate) async fn write(
        &self,
        path: &StoragePath,
        mode: WriteMode,
        content: impl Into<Bytes>,
    ) -> Result<Box<dyn FileWriter>, Failure> {
        let mut writer = self.driver.writer(path, mode).await?;
        let content = content.into();
        if !content.is_empty() {
            writer.write(content).await?;
        }
        Ok(writer)
    }

    pub(crate) async fn expect_content(&self, path: &StoragePath, expected: &[u8]) -> Outcome {
        let got = read(self.driver(), path, ByteRange::ALL).await?;
        same_bytes(&format!("reading {path}"), &got, expected)
    }

    pub(crate) async fn expect_missing(&self, path: &StoragePath, after: &str) -> Outcome {
        expect_kind(&format!("stat of {path} after {after}"), self.driver.stat(path).await, "path-not-found")?;
        expect_kind(
            &format!("get-content of {path} after {after}"),
            self.driver.get_content(path).await,
            "path-not-found",
        )
    }

    pub(crate) async fn list(&self, path: &StoragePath, after: Option<&Position>) -> Result<Vec<String>, Failure> {
        let entries: Vec<Entry> = self.driver.list(path, after).await?.try_collect().await?;
        Ok(self.names(&entries))
    }

    pub(crate) async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<Vec<Entry>, Failure> {
        Ok(self.driver.walk(path, start).await?.try_collect().await?)
    }

    /// Returns a path as text relative to the case's directory.
    pub(crate) fn relative<'a>(&self, path: &'a StoragePath) -> &'a str {
        path.as_str().strip_prefix(&self.directory.as_prefix()).unwrap_or(path.as_str())
    }

    /// Entries as text relative to the case's directory, a directory with a slash at its end.
    pub(crate) fn names(&self, entries: &[Entry]) -> Vec<String> {
        let name = |entry: &Entry| format!("{}{}", self.relative(&entry.path), if entry.is_dir { "/" } else { "" });
        entries.iter().map(name).collect()
    }
}

pub(crate) async fn read(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    range: ByteRange,
) -> Result<Vec<u8>, wharf::contract::Error> {
    let mut reader = driver.reader(path, range).await?;
    let mut content = Vec::new();
    while let Some(chunk) = reader.try_next().await? {
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

pub(crate) fn expect_kind<T>(done: &str, result: Result<T, wharf::contract::Error>, kind: &str) -> Outcome {
    match result {
        Ok(_) => Err(Failure::new(format!("{done}: expected the error {kind}, but it succeeded"))),
        Err(error) if error.kind().name() == kind => Ok(()),
        Err(error) => Err(Failure::of(
            &error,
            format!("{done}: expected the error {kind}, but it was {}: {error}", error.kind().name()),
        )),
    }
}

pub(crate) fn same_bytes(done: &str, got: &[u8], expected: &[u8]) -> Outcome {
    if got == expected {
        return Ok(());
    }
    let at = got.iter().zip(expected).position(|(got, expected)| got != expected);
    let at = at.unwrap_or(got.len().min(expected.len()));
    Err(Failure::new(format!(
        "{done}: expected {} bytes, got {}; they differ from byte {at} on",
        expected.len(),
        got.len()
    )))
}

pub(crate) fn same_names(done: &str, got: &[String], expected: &[&str]) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(Failure::new(format!("{done}: expected {expected:?}, got {got:?}")))
}

/// Returns how long to wait until the store's clock has another time than this one, which it has told: some stores tell
/// whole seconds.
pub(crate) fn tick(told: Option<SystemTime>) -> Duration {
    let told = told.and_then(|told| told.duration_since(UNIX_EPOCH).ok());
    match told {
        Some(told) if told.subsec_nanos() != 0 => Duration::from_millis(30),
        _ => WHOLE_SECOND,
    }
}

/// More than a second, after which a store that tells whole seconds tells another one.
pub(crate) const WHOLE_SECOND: Duration = Duration::from_millis(1100);

/// Bytes that differ at every position and with every seed, so that no shift and no mix goes unnoticed.
pub(crate) fn pattern(seed: u64, length: usize) -> Bytes {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// A small generator of random numbers (splitmix64): the same sequence for the same seed on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Returns the next number of the sequence.
    #[allow(clippy::should_implement_trait, reason = "it never ends, so that it needs no option")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
