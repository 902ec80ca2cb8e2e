//! The operations that are measured, on a driver and on plain files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::contract::{ByteRange, StorageDriver, StorageDriverExt, StoragePath, WriteMode};

use crate::pattern::{Pattern, STEP};

/// How many stats are under way at once.
pub(super) const AT_ONCE: usize = 64;

/// The buffer of plain files.
const PLAIN_BUFFER: usize = 1 << 20;

/// Under this directory everything that a benchmark stores lies.
const DIRECTORY: &str = "/wharf-bench";

/// What is measured.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A driver, behind `base`, as the factory opens it.
    Driver(Arc<dyn StorageDriver>),
    /// Plain files in a directory, by `tokio::fs` with buffers of 1 MiB.
    Plain(PathBuf),
}

/// One operation to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// One stat.
    Stat,
    /// [`AT_ONCE`] stats begun together, until the last one has answered.
    StatsAtOnce,
    /// Reading a file of so many bytes in one piece.
    Get(usize),
    /// Storing so many bytes in one piece, in place of as many.
    Put(usize),
    /// Writing a file of so many bytes as a stream, in place of as many, with its commit.
    Up(u64),
    /// Reading the file that [`Up`](Operation::Up) wrote as a stream.
    Down(u64),
}

/// The bytes to write, made once.
#[derive(Clone, Debug)]
pub(super) struct Material {
    steps: Pattern,
    plain: Pattern,
    small: Bytes,
    large: Bytes,
}

impl Material {
    pub(super) fn new() -> Self {
        let steps = Pattern::new(STEP);
        let (small, large) = (steps.content(1 << 10), steps.content(1 << 20));
        Material { plain: Pattern::new(PLAIN_BUFFER), steps, small, large }
    }

    /// Returns content of that size.
    fn content(&self, size: usize) -> Bytes {
        match size {
            1024 => self.small.clone(),
            1_048_576 => self.large.clone(),
            size => self.steps.content(size),
        }
    }
}

impl Operation {
    /// Returns how many bytes it moves, if it is the rate that counts.
    pub(super) fn bytes(self) -> Option<u64> {
        match self {
            Operation::Up(size) | Operation::Down(size) => Some(size),
            _ => None,
        }
    }

    /// Stores what the operation needs, before it is measured.
    pub(super) async fn prepare(self, target: &Target, material: &Material) -> Result<()> {
        match (self, target) {
            (Operation::Stat | Operation::StatsAtOnce, Target::Driver(driver)) => {
                driver.put_content(&path(1024)?, material.content(1024)).await?;
            }
            (Operation::Get(size) | Operation::Put(size), Target::Driver(driver)) => {
                driver.put_content(&path(size as u64)?, material.content(size)).await?;
            }
            // `Up` comes before it, and leaves the file there.
            _ => {}
        }
        Ok(())
    }

    /// Does it once, and returns what it took; none if there is no such operation on plain files.
    pub(super) async fn once(self, target: &Target, material: &Material) -> Result<Option<Duration>> {
        match target {
            Target::Driver(driver) => self.on_driver(&**driver, material).await.map(Some),
            Target::Plain(directory) => self.on_files(directory.join("plain"), material).await,
        }
    }

    async fn on_driver(self, driver: &dyn StorageDriver, material: &Material) -> Result<Duration> {
        match self {
            Operation::Stat => {
                let path = path(1024)?;
                let started = Instant::now();
                let info = driver.stat(&path).await?;
                let taken = started.elapsed();
                ensure!(info.size == 1024, "stat tells {} bytes of a file of 1024", info.size);
                Ok(taken)
            }
            Operation::StatsAtOnce => {
                let path = path(1024)?;
                let started = Instant::now();
                try_join_all((0..AT_ONCE).map(|_| driver.stat(&path))).await?;
                Ok(started.elapsed())
            }
            Operation::Get(size) => {
                let path = path(size as u64)?;
                let started = Instant::now();
                let content = driver.get_content(&path).await?;
                let taken = started.elapsed();
                ensure!(content.len() == size, "get returned {} of {size} bytes", content.len());
                Ok(taken)
            }
            Operation::Put(size) => {
                let (path, content) = (path(size as u64)?, material.content(size));
                let started = Instant::now();
                driver.put_content(&path, content).await?;
                Ok(started.elapsed())
            }
            Operation::Up(size) => {
                let path = stream()?;
                let started = Instant::now();
                let mut writer = driver.writer(&path, WriteMode::New).await?;
                for chunk in material.steps.chunks(0..size) {
                    writer.write(chunk).await?;
                }
                writer.commit().await?;
                Ok(started.elapsed())
            }
            Operation::Down(size) => {
                let path = stream()?;
                let started = Instant::now();
                let mut reader = driver.reader(&path, ByteRange::ALL).await?;
                let mut read = 0;
                while let Some(chunk) = reader.try_next().await? {
                    read += chunk.len() as u64;
                }
                let taken = started.elapsed();
                ensure!(read == size, "{read} of {size} bytes came down");
                Ok(taken)
            }
        }
    }

    /// The same with plain files: written with a sync, as the filesystem drivers do it.
    async fn on_files(self, file: PathBuf, material: &Material) -> Result<Option<Duration>> {
        let started = Instant::now();
        let could_not = || format!("could not use the plain file {}", file.display());
        match self {
            Operation::Up(size) => {
                let mut to = tokio::fs::File::create(&file).await.with_context(could_not)?;
                for chunk in material.plain.chunks(0..size) {
                    to.write_all(&chunk).await.with_context(could_not)?;
                }
                to.flush().await.with_context(could_not)?;
                to.sync_all().await.with_context(could_not)?;
                Ok(Some(started.elapsed()))
            }
            Operation::Down(size) => {
                let mut from = tokio::fs::File::open(&file).await.with_context(could_not)?;
                let mut buffer = vec![0; PLAIN_BUFFER];
                let mut read = 0;
                loop {
                    match from.read(&mut buffer).await.with_context(could_not)? {
                        0 => break,
                        count => read += count as u64,
                    }
                }
                let taken = started.elapsed();
                ensure!(read == size, "{read} of {size} bytes came from the plain file");
                Ok(Some(taken))
            }
            _ => Ok(None),
        }
    }
}

/// Looks that nothing is where a benchmark stores, so that nothing of anybody else's is deleted afterwards.
pub(super) async fn claim(target: &Target, name: &str) -> Result<()> {
    if let Target::Driver(driver) = target {
        let there = driver.exists(&StoragePath::parse(DIRECTORY)?).await?;
        ensure!(
            !there,
            "{name} has something at {DIRECTORY}: another benchmark, or the rest of one that was killed; delete it, or wait"
        );
    }
    Ok(())
}

/// Takes away what a benchmark stored.
pub(super) async fn clean(target: &Target) -> Result<()> {
    match target {
        Target::Driver(driver) => match driver.delete(&StoragePath::parse(DIRECTORY)?).await {
            Err(error) if !error.is_path_not_found() => Err(error.into()),
            _ => Ok(()),
        },
        Target::Plain(directory) => match tokio::fs::remove_file(directory.join("plain")).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not clean {}", directory.display()))
            }
            _ => Ok(()),
        },
    }
}

fn path(size: u64) -> Result<StoragePath> {
    Ok(StoragePath::parse(format!("{DIRECTORY}/{size}"))?)
}

fn stream() -> Result<StoragePath> {
    Ok(StoragePath::parse(format!("{DIRECTORY}/stream"))?)
}
