//! One attack: a component, what it is granted, what is asked of it; and what the caller saw.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::try_join_all;
use serde_json::{Map, Value, json};
use wharf::base::retry::RetryPolicy;
use wharf::contract::{
    ByteRange, EntryStream, Error, ErrorKind, RedirectRequest, Result, StorageDriver, StoragePath, WriteMode,
};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, Runtime};
use wharf_conformance::components::component;

use crate::logged::logged;

/// The largest number of entries, and of bytes, that a caller takes.
const ENOUGH: u64 = 20_000_000;

/// How long a slow caller keeps what it has.
const HELD: Duration = Duration::from_millis(300);

/// What is asked of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Stat,
    /// And tells how much reached the log meanwhile.
    StatAndLog,
    GetContent,
    /// Asks for so many contents at once.
    GetContents(usize),
    /// Asks for so many facts at once.
    Stats(usize),
    PutContent,
    Read,
    /// Opens so many listings, takes one entry of each, and keeps them for a while.
    HoldListings(usize),
    /// Opens so many files, takes the first bytes of each, and keeps them for a while.
    HoldReaders(usize),
    /// Opens a file, does not read it for a while, and goes away.
    HoldReader,
    List,
    Walk,
    Uploads,
    Move,
    Delete,
    DeleteFiles,
    RedirectUrl,
    Close,
    Commit,
    Cancel,
    /// Opens so many uploads and keeps them.
    OpenWriters(usize),
    /// Opens so many files and keeps them.
    OpenReaders(usize),
    /// Uploads; if the outcome is unknown, continues at the size that `append` tells, and commits.
    Resume,
}

/// A file of a component.
#[derive(Clone, Debug)]
pub(crate) enum File {
    /// One of the project's.
    Ours(&'static str),
    /// These bytes.
    Bytes(Arc<Vec<u8>>),
}

/// A component, what it is granted, and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) file: File,
    /// As under `drivers: NAME:`.
    pub(crate) config: Value,
    pub(crate) parameters: Value,
    pub(crate) operation: Operation,
    /// How long the caller waits.
    pub(crate) patience: Duration,
    /// Whether all is done on one thread, callers and instance, as in a small program: no caller takes an answer while the
    /// instance computes.
    pub(crate) on_one_thread: bool,
}

impl Attack {
    pub(crate) fn new(operation: Operation, parameters: Value) -> Self {
        let file = File::Ours("hostile");
        Attack {
            file,
            config: json!({}),
            parameters,
            operation,
            patience: Duration::from_secs(90),
            on_one_thread: false,
        }
    }

    pub(crate) fn with(mut self, config: Value) -> Self {
        merge(&mut self.config, config);
        self
    }

    pub(crate) fn of(mut self, file: File) -> Self {
        self.file = file;
        self
    }
}

/// Puts one JSON object over another.
fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

/// What a caller saw.
#[derive(Clone, Debug)]
pub(crate) struct Saw {
    /// The error's kind and message, or what came.
    pub(crate) told: String,
    pub(crate) after: Duration,
    /// What the driver answers after it, asked for what is not attacked; none if it is not open.
    pub(crate) afterwards: Option<std::result::Result<(), String>>,
}

/// An attack that is ready: its component is loaded at the first opening, as in a registry.
#[derive(Clone)]
pub(crate) struct Attacker {
    attack: Attack,
    factory: Arc<Factory>,
}

impl Attacker {
    pub(crate) fn new(runtime: &Runtime, attack: &Attack, scratch: &Path) -> Self {
        let mut config: ComponentConfig = serde_json::from_value(attack.config.clone()).unwrap();
        config.component = Some(file(&attack.file, scratch));
        // An attack is made once: what its first failure says is what counts.
        let mut factory = Factory::new().with_retries(RetryPolicy::never());
        factory.register_component(runtime, "attacker", config).unwrap();
        Attacker { attack: attack.clone(), factory: Arc::new(factory) }
    }

    /// Opens the component and asks it.
    pub(crate) async fn perform(&self) -> Saw {
        self.perform_within(self.attack.patience).await
    }

    /// The same, with a caller of less patience.
    pub(crate) async fn perform_within(&self, patience: Duration) -> Saw {
        if !self.attack.on_one_thread {
            return self.perform_here(patience).await;
        }
        let attacker = self.clone();
        let performed = tokio::task::spawn_blocking(move || {
            let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            executor.block_on(attacker.perform_here(patience))
        });
        performed.await.unwrap()
    }

    async fn perform_here(&self, patience: Duration) -> Saw {
        let begun = Instant::now();
        let parameters: Map<String, Value> = serde_json::from_value(self.attack.parameters.clone()).unwrap();
        let opening = self.factory.create("attacker", Parameters::from(parameters));
        let driver = match tokio::time::timeout(patience, opening).await {
            Ok(Ok(driver)) => driver,
            Ok(Err(error)) => return Saw { told: describe(&error), after: begun.elapsed(), afterwards: None },
            Err(_) => return Saw { told: nothing(patience), after: begun.elapsed(), afterwards: None },
        };
        let begun = if self.attack.operation == Operation::Open { begun } else { Instant::now() };
        let told = match tokio::time::timeout(patience, ask(&self.attack, &driver)).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => describe(&error),
            Err(_) => nothing(patience),
        };
        let after = begun.elapsed();
        let quiet = tokio::time::timeout(Duration::from_secs(10), driver.stat(&path("/quiet"))).await;
        let afterwards = match quiet {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("nothing".to_owned()),
        };
        Saw { told, after, afterwards: Some(afterwards) }
    }
}

fn nothing(patience: Duration) -> String {
    format!("nothing within {patience:?}")
}

/// An error's kind, its limit, and its message.
fn describe(error: &Error) -> String {
    let limit = error.limit().map(|limit| format!(" ({limit})")).unwrap_or_default();
    let rest = match error.kind() {
        ErrorKind::Throttled { retry_after: Some(rest) } => format!(" for {} s", rest.as_secs()),
        _ => String::new(),
    };
    format!("{}{limit}{rest}: {}", error.kind().name(), error.message())
}

fn file(file: &File, scratch: &Path) -> PathBuf {
    match file {
        File::Ours(name) => component(name).unwrap(),
        File::Bytes(bytes) => {
            let file = scratch.join("attacker.wasm");
            std::fs::write(&file, &**bytes).unwrap();
            file
        }
    }
}

pub(crate) fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

async fn ask(attack: &Attack, driver: &Arc<dyn StorageDriver>) -> Result<String> {
    let target = path("/attack");
    match attack.operation {
        Operation::Open => Ok("opened".to_owned()),
        Operation::Stat => {
            let info = driver.stat(&target).await?;
            Ok(format!("a file of {} bytes, version of {}", info.size, info.version.map_or(0, |text| text.len())))
        }
        Operation::StatAndLog => {
            let before = logged();
            let error = driver.stat(&target).await.unwrap_err();
            let much = if logged() - before > 1 << 20 { "more than" } else { "at most" };
            Ok(format!("{much} 1 MiB of log, and {}", describe(&error)))
        }
        Operation::GetContent => Ok(format!("{} bytes", driver.get_content(&target).await?.len())),
        Operation::GetContents(count) => {
            // Whoever takes the first keeps the thread of the others busy, while theirs are returned.
            let busy = std::sync::Once::new();
            let asked = (0..count).map(|_| async {
                let content = driver.get_content(&target).await?;
                busy.call_once(|| std::thread::sleep(Duration::from_secs(1)));
                Ok::<_, Error>(content.len())
            });
            let sizes = try_join_all(asked).await?;
            Ok(format!("{} contents, {} bytes", sizes.len(), sizes.iter().sum::<usize>()))
        }
        Operation::Stats(count) => {
            let answers = try_join_all((0..count).map(|_| driver.stat(&target))).await?;
            Ok(format!("{} facts", answers.len()))
        }
        Operation::PutContent => driver.put_content(&target, Bytes::from_static(b"x")).await.map(|()| done()),
        Operation::Read => {
            let mut stream = driver.reader(&target, ByteRange::ALL).await?;
            let mut got = 0;
            while let Some(chunk) = stream.next().await {
                got += chunk.map_err(|error| after(error, got))?.len() as u64;
                if got > ENOUGH {
                    return Ok(format!("more than {ENOUGH} bytes"));
                }
            }
            Ok(format!("{got} bytes"))
        }
        Operation::HoldReader => {
            let stream = driver.reader(&target, ByteRange::ALL).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            driver.stat(&path("/quiet")).await?;
            drop(stream);
            Ok("an open file, and other answers beside it".to_owned())
        }
        Operation::HoldListings(count) => {
            let mut kept = Vec::new();
            for _ in 0..count {
                let mut entries = driver.list(&target, None).await?;
                entries.next().await.transpose()?;
                kept.push(entries);
            }
            tokio::time::sleep(HELD).await;
            Ok(format!("{count} listings held"))
        }
        Operation::HoldReaders(count) => {
            let mut kept = Vec::new();
            for _ in 0..count {
                let mut stream = driver.reader(&target, ByteRange::ALL).await?;
                stream.next().await.transpose()?;
                kept.push(stream);
            }
            tokio::time::sleep(HELD).await;
            Ok(format!("{count} files held"))
        }
        Operation::List => entries(driver.list(&target, None).await?).await,
        Operation::Walk => entries(driver.walk(&target, None).await?).await,
        Operation::Uploads => entries(driver.uploads(&target).await?).await,
        Operation::Move => driver.move_file(&target, &path("/b")).await.map(|()| done()),
        Operation::Delete => driver.delete(&target).await.map(|()| done()),
        Operation::DeleteFiles => driver.delete_files(&[target]).await.map(|()| done()),
        Operation::RedirectUrl => {
            let request = RedirectRequest { method: "GET".to_owned(), client_address: None };
            let address = driver.redirect_url(&target, &request).await?;
            Ok(format!("an address of {} bytes", address.map_or(0, |text| text.len())))
        }
        Operation::Close | Operation::Commit | Operation::Cancel => {
            let mut writer = driver.writer(&target, WriteMode::New).await?;
            for _ in 0..8 {
                writer.write(Bytes::from(vec![7; 64 * 1024])).await?;
            }
            match attack.operation {
                Operation::Close => writer.close().await.map(|size| format!("{size} bytes kept")),
                Operation::Commit => writer.commit().await.map(|size| format!("{size} bytes committed")),
                _ => writer.cancel().await.map(|()| done()),
            }
        }
        Operation::OpenWriters(count) => {
            let mut kept = Vec::new();
            for _ in 0..count {
                kept.push(driver.writer(&target, WriteMode::New).await?);
            }
            Ok(format!("{count} uploads open"))
        }
        Operation::OpenReaders(count) => {
            let mut kept = Vec::new();
            for _ in 0..count {
                kept.push(driver.reader(&path("/quiet"), ByteRange::ALL).await?);
            }
            Ok(format!("{count} files open"))
        }
        Operation::Resume => resume(driver).await,
    }
}

fn done() -> String {
    "done".to_owned()
}

/// The same error, with how far it came.
fn after(error: Error, got: u64) -> Error {
    let again = Error::new(error.kind().clone(), format!("after {got} bytes: {}", error.message()));
    match error.limit() {
        Some(limit) => again.with_limit(limit),
        None => again,
    }
}

async fn entries(mut entries: EntryStream) -> Result<String> {
    let mut count = 0;
    while let Some(entry) = entries.next().await {
        entry.map_err(|error| after(error, count))?;
        count += 1;
        if count >= 2_000_000 {
            return Ok(format!("{count} entries, and the caller had enough"));
        }
    }
    Ok(format!("{count} entries"))
}

/// An upload of 8 chunks through a driver whose instance dies in the middle of it.
async fn resume(driver: &Arc<dyn StorageDriver>) -> Result<String> {
    const CHUNK: usize = 64 * 1024;
    const WHOLE: u64 = 8 * CHUNK as u64;
    let target = path("/attack");
    let mut writer = driver.writer(&target, WriteMode::New).await?;
    let mut failed = None;
    for _ in 0..8 {
        if let Err(error) = writer.write(Bytes::from(vec![7; CHUNK])).await {
            failed = Some(error);
            break;
        }
    }
    let first = match failed {
        Some(error) => error,
        None => match writer.commit().await {
            Ok(size) => return Ok(format!("{size} bytes committed at once")),
            Err(error) => error,
        },
    };
    let mut writer = driver.writer(&target, WriteMode::Append).await?;
    let kept = writer.size();
    // Elsewhere, where the attack does not strike again.
    let rest = WHOLE.saturating_sub(kept);
    if rest > 0 {
        writer.write(Bytes::from(vec![7; rest as usize])).await?;
    }
    let size = writer.commit().await?;
    Ok(format!(
        "{}; went on at {}, {size} bytes committed",
        first.kind().name(),
        if kept > 0 { "what was kept" } else { "0" }
    ))
}
