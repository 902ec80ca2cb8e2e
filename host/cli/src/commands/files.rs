//! `wharf get put ls stat mv rm`: one operation of one driver each.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::contract::{ByteRange, StorageDriver, StoragePath, WriteMode};

use crate::interrupt::Interrupt;
use crate::location::Location;
use crate::open::Store;
use crate::output::{self, Interrupted};

/// How much is read from a local file at a time.
const CHUNK: usize = 256 * 1024;

/// What is stored at one place.
#[derive(Args, Debug)]
pub(crate) struct One {
    /// NAME:/path or FILE.wasm:/path, or /path with --driver.
    pub(crate) location: String,
}

/// A stored file, and where to put it.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// NAME:/path or FILE.wasm:/path, or /path with --driver.
    pub(crate) location: String,
    /// A local file, or `-` for standard output.
    #[arg(default_value = "-")]
    to: String,
    /// The first byte to read.
    #[arg(long, default_value = "0")]
    offset: u64,
    /// How many bytes to read; all without it.
    #[arg(long)]
    length: Option<u64>,
}

/// A local file, and where to store it.
#[derive(Args, Debug)]
pub(crate) struct Put {
    /// A local file, or `-` for standard input.
    from: String,
    /// NAME:/path or FILE.wasm:/path, or /path with --driver.
    pub(crate) location: String,
}

/// A listing.
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// NAME:/path or FILE.wasm:/path, or /path with --driver.
    pub(crate) location: String,
    /// All that lies below it too.
    #[arg(short, long)]
    recursive: bool,
}

/// Two paths of one driver.
#[derive(Args, Debug)]
pub(crate) struct Mv {
    /// NAME:/path or FILE.wasm:/path, or /path with --driver.
    pub(crate) from: String,
    /// Of the same driver.
    pub(crate) to: String,
}

async fn open(store: &Store, text: &str, driver: Option<&str>) -> Result<(Arc<dyn StorageDriver>, StoragePath)> {
    let (name, path) = Location::parse_stored(text, driver)?;
    Ok((store.open(&name).await?, path))
}

/// Reads a file, or part of one.
pub(crate) async fn get(args: &Get, store: &Store, driver: Option<&str>) -> Result<()> {
    let (driver, path) = open(store, &args.location, driver).await?;
    let range = ByteRange { offset: args.offset, length: args.length };
    let mut reader = driver.reader(&path, range).await?;
    let mut out: Box<dyn tokio::io::AsyncWrite + Unpin> = match Location::parse(&args.to)? {
        Location::Stdio => Box::new(tokio::io::stdout()),
        Location::Local(file) => Box::new(
            tokio::fs::File::create(&file).await.with_context(|| format!("could not create {}", file.display()))?,
        ),
        Location::Store { .. } => bail!("get writes a local file; `wharf cp` copies between drivers"),
    };
    while let Some(chunk) = reader.try_next().await? {
        out.write_all(&chunk).await.with_context(|| format!("could not write {}", args.to))?;
    }
    out.flush().await.with_context(|| format!("could not write {}", args.to))
}

/// Stores a file of any size. Interrupted or failed, it is cancelled: nothing of it stays readable.
pub(crate) async fn put(args: &Put, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let mut from: Box<dyn tokio::io::AsyncRead + Unpin + Send> = match Location::parse(&args.from)? {
        Location::Stdio => Box::new(tokio::io::stdin()),
        Location::Local(file) => {
            Box::new(tokio::fs::File::open(&file).await.with_context(|| format!("could not open {}", file.display()))?)
        }
        Location::Store { .. } => bail!("put reads a local file; `wharf cp` copies between drivers"),
    };
    let (name, path) = Location::parse_stored(&args.location, driver)?;
    let driver = store.open(&name).await?;
    store.warn_if_in_memory(&name).await?;
    let mut interrupt = Interrupt::listen();
    let mut writer = driver.writer(&path, WriteMode::New).await?;
    let stored = async {
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            let count = tokio::select! {
                biased;
                () = interrupt.wait() => return Err(Interrupted("the upload was cancelled".to_owned()).into()),
                count = from.read_buf(&mut chunk) => count.with_context(|| format!("could not read {}", args.from))?,
            };
            if count == 0 {
                return Ok(());
            }
            writer.write(chunk.freeze()).await?;
        }
    };
    let stored: Result<()> = stored.await;
    if let Err(error) = stored {
        if let Err(cancel) = writer.cancel().await {
            return Err(error.context(format!("and the upload could not be cancelled ({cancel})")));
        }
        return Err(error);
    }
    let size = writer.commit().await?;
    output::print(as_json, || format!("{size} bytes stored at {path}"), || json!({ "path": path, "size": size }))
}

/// Lists a directory, or walks a tree. One line or one JSON object for every entry.
pub(crate) async fn ls(args: &Ls, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let (driver, path) = open(store, &args.location, driver).await?;
    let mut entries = if args.recursive { driver.walk(&path, None).await? } else { driver.list(&path, None).await? };
    while let Some(entry) = entries.next().await.transpose()? {
        let slash = if entry.is_dir { "/" } else { "" };
        let size = entry.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        output::print(
            as_json,
            || format!("{size:>14} {}{slash}", entry.path),
            || json!({ "path": entry.path, "directory": entry.is_dir, "size": entry.size }),
        )?;
    }
    Ok(())
}

/// Prints what is stored at a path.
pub(crate) async fn stat(args: &One, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let (driver, path) = open(store, &args.location, driver).await?;
    let info = driver.stat(&path).await?;
    let kind = if info.is_dir { "directory" } else { "file" };
    let modified = info.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|time| time.as_secs());
    output::print(
        as_json,
        || format!("{kind} {} {} bytes", info.path, info.size),
        || {
            json!({ "path": info.path, "directory": info.is_dir, "size": info.size,
                "modified": modified, "version": info.version })
        },
    )
}

/// Moves a file within a driver.
pub(crate) async fn mv(args: &Mv, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let (name, from) = Location::parse_stored(&args.from, driver)?;
    let (other, to) = Location::parse_stored(&args.to, Some(driver.unwrap_or(&name)))?;
    if name != other {
        bail!("mv moves within one driver; `wharf cp {} {}` copies between two", args.from, args.to);
    }
    store.open(&name).await?.move_file(&from, &to).await?;
    output::print(as_json, || format!("{from} moved to {to}"), || json!({ "from": from, "to": to }))
}

/// Deletes a file, or a directory with all below it.
pub(crate) async fn rm(args: &One, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let (driver, path) = open(store, &args.location, driver).await?;
    driver.delete(&path).await?;
    output::print(as_json, || format!("{path} deleted"), || json!({ "deleted": path }))
}
