//! Copying one file so that the destination is known to hold what was read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use wharf::contract::{ErrorKind, FileWriter, StorageDriver, StoragePath, WriteMode};

use crate::interrupt::Interrupt;
use crate::output::Interrupted;
use crate::tree::{Tree, local, stored};

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was there already, with the same size and digest.
    Present,
    /// All of it was copied.
    Copied,
    /// An upload that was interrupted before was continued from this many bytes.
    Resumed(u64),
}

/// The end that a file is written to.
enum Sink {
    Store { writer: Box<dyn FileWriter>, resumable: bool },
    Local { file: tokio::fs::File, part: PathBuf, to: PathBuf },
}

/// Copies one file and reads it back. `progress` is told of every chunk.
///
/// When interrupted, ends with [`Interrupted`]: the upload is closed where it can be continued, else cancelled.
pub(crate) async fn copy_file(
    from: &Tree,
    to: &Tree,
    relative: &str,
    interrupt: &mut Interrupt,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(u64, Outcome)> {
    let size = from.size(relative).await?.with_context(|| format!("{} is gone", from.describe(relative)))?;
    if to.size(relative).await? == Some(size) {
        let (theirs, ours) = tokio::try_join!(to.digest(relative, None), from.digest(relative, None))?;
        if theirs == ours {
            progress(size);
            return Ok((size, Outcome::Present));
        }
    }
    let had = resumable_bytes(from, to, relative, size).await?;
    let written = pump(from, to, relative, had, interrupt, progress).await?;
    if verify(to, relative, written).await? {
        return Ok((written.0, if had > 0 { Outcome::Resumed(had) } else { Outcome::Copied }));
    }
    // What was continued was not the beginning of this file, and could not be looked at before its commit.
    if had > 0 {
        let written = pump(from, to, relative, 0, interrupt, &|_| {}).await?;
        if verify(to, relative, written).await? {
            return Ok((written.0, Outcome::Copied));
        }
    }
    bail!(
        "{} does not hold what was read from {}: the SHA-256 differs. Somebody else may have written it; run it again",
        to.describe(relative),
        from.describe(relative)
    )
}

async fn verify(to: &Tree, relative: &str, written: (u64, [u8; 32])) -> Result<bool> {
    Ok(to.digest(relative, None).await.context("could not read back what was written")? == written)
}

/// Returns how many bytes of an interrupted upload can be kept; 0 begins anew.
async fn resumable_bytes(from: &Tree, to: &Tree, relative: &str, size: u64) -> Result<u64> {
    let Tree::Store { driver, path } = to else { return Ok(0) };
    let capabilities = driver.capabilities();
    if !capabilities.resumable {
        return Ok(0);
    }
    // Where uploads can be read, their bytes are compared first: continuing a committed file would damage it.
    if !capabilities.hidden_uploads {
        let there = to.size(relative).await?.unwrap_or(0);
        if there == 0 || there >= size {
            return Ok(0);
        }
        let (theirs, ours) = tokio::try_join!(to.digest(relative, None), from.digest(relative, Some(there)))?;
        return Ok(if theirs == ours { there } else { 0 });
    }
    // A committed file is there: a driver may continue it instead of an upload, and a commit would damage it.
    if to.size(relative).await?.is_some_and(|size| size > 0) {
        return Ok(0);
    }
    match driver.writer(&stored(path, relative)?, WriteMode::Append).await {
        Ok(writer) => {
            let had = writer.size();
            writer.close().await?;
            Ok(if had <= size { had } else { 0 })
        }
        Err(error) if matches!(error.kind(), ErrorKind::PathNotFound | ErrorKind::Unsupported) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Reads all of the source, so that its digest is known, and writes what lies behind the first `had` bytes.
async fn pump(
    from: &Tree,
    to: &Tree,
    relative: &str,
    had: u64,
    interrupt: &mut Interrupt,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(u64, [u8; 32])> {
    let mut stream = from.read(relative, None).await?;
    let mut sink = Sink::open(to, relative, had).await?;
    let (mut position, mut hash) = (0u64, Sha256::new());
    loop {
        let next = tokio::select! {
            biased;
            () = interrupt.wait() => return Err(Interrupted(sink.interrupt(&to.describe(relative)).await).into()),
            next = stream.try_next() => next,
        };
        let chunk = match next {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                let left = sink.interrupt(&to.describe(relative)).await;
                return Err(error.context(left));
            }
        };
        hash.update(&chunk);
        let skip = had.saturating_sub(position).min(chunk.len() as u64) as usize;
        position += chunk.len() as u64;
        progress(chunk.len() as u64);
        if skip < chunk.len()
            && let Err(error) = sink.write(chunk.slice(skip..)).await
        {
            let left = sink.interrupt(&to.describe(relative)).await;
            return Err(error.context(left));
        }
    }
    sink.commit().await.with_context(|| format!("could not commit {}", to.describe(relative)))?;
    Ok((position, hash.finalize().into()))
}

impl Sink {
    async fn open(to: &Tree, relative: &str, had: u64) -> Result<Self> {
        match to {
            Tree::Store { driver, path } => Self::open_store(driver, &stored(path, relative)?, had).await,
            Tree::Local(root) => Self::open_local(&local(root, relative)).await,
        }
    }

    async fn open_store(driver: &Arc<dyn StorageDriver>, path: &StoragePath, had: u64) -> Result<Self> {
        let mode = if had > 0 { WriteMode::Append } else { WriteMode::New };
        let writer = driver.writer(path, mode).await?;
        let resumable = driver.capabilities().resumable;
        if had > 0 && writer.size() != had {
            let now = writer.size();
            writer.close().await?;
            bail!(
                "the upload at {path} had {had} bytes and now has {now}: somebody else continues it; run it again later"
            );
        }
        Ok(Sink::Store { writer, resumable })
    }

    /// A local file is written under another name beside its own and renamed, so that it is never there by half.
    async fn open_local(to: &Path) -> Result<Self> {
        if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            tokio::fs::create_dir_all(parent)
                .await
                .with_context(|| format!("could not create the directory {}", parent.display()))?;
        }
        let name = to.file_name().with_context(|| format!("{} is no name of a file", to.display()))?;
        let mut part = name.to_owned();
        part.push(".wharf-part");
        let part = to.with_file_name(part);
        let file =
            tokio::fs::File::create(&part).await.with_context(|| format!("could not create {}", part.display()))?;
        Ok(Sink::Local { file, part, to: to.to_owned() })
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        match self {
            Sink::Store { writer, .. } => Ok(writer.write(data).await?),
            Sink::Local { file, part, .. } => {
                file.write_all(&data).await.with_context(|| format!("could not write {}", part.display()))
            }
        }
    }

    async fn commit(self) -> Result<()> {
        match self {
            Sink::Store { writer, .. } => {
                writer.commit().await?;
            }
            Sink::Local { file, part, to } => {
                file.sync_all().await?;
                tokio::fs::rename(&part, &to).await?;
            }
        }
        Ok(())
    }

    /// Ends without a commit, and says what is left.
    async fn interrupt(self, place: &str) -> String {
        match self {
            Sink::Store { writer, resumable: true } => match writer.close().await {
                Ok(size) => format!("the upload to {place} was closed at {size} bytes; the same command continues it"),
                Err(error) => format!("the upload to {place} could not be closed ({error})"),
            },
            Sink::Store { writer, resumable: false } => match writer.cancel().await {
                Ok(()) => format!("the upload to {place} was cancelled; the same command begins it anew"),
                Err(error) => format!("the upload to {place} could not be cancelled ({error})"),
            },
            Sink::Local { part, .. } => match tokio::fs::remove_file(&part).await {
                Ok(()) => format!("{place} was not written"),
                Err(error) => format!("{place} was not written; {} is left over ({error})", part.display()),
            },
        }
    }
}
