//! One end of a copy: a tree of files, local or in a driver.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use wharf::contract::{ByteRange, StorageDriver, StoragePath};

/// How much is read from a local file at a time.
const CHUNK: usize = 256 * 1024;

/// How many names are held between the walk of a tree and the copying.
const NAMES_AHEAD: usize = 256;

/// One end of a copy.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// A file or directory of this machine.
    Local(PathBuf),
    /// A path in a driver.
    Store {
        /// The driver, opened.
        driver: Arc<dyn StorageDriver>,
        /// The path in it.
        path: StoragePath,
    },
}

/// What the walk of a tree finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A file, by its path below the tree's root; empty if the root is the file.
    File(String),
    /// Something that no driver can store, and why.
    Unstorable(String, &'static str),
}

impl Tree {
    /// Lists the files of the tree. Holds a bounded number of names.
    pub(crate) async fn files(&self) -> Result<BoxStream<'static, Result<Found>>> {
        match self {
            Tree::Local(root) => {
                let (sender, receiver) = mpsc::channel(NAMES_AHEAD);
                let root = root.clone();
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = walk_local(&root, &sender) {
                        // The receiver is gone when the copy ended early; nobody is left to tell.
                        let _ = sender.blocking_send(Err(error));
                    }
                });
                Ok(futures::stream::unfold(receiver, |mut receiver| async {
                    receiver.recv().await.map(|found| (found, receiver))
                })
                .boxed())
            }
            Tree::Store { driver, path } => {
                if !driver.stat(path).await?.is_dir {
                    return Ok(futures::stream::iter([Ok(Found::File(String::new()))]).boxed());
                }
                let prefix = path.as_prefix();
                let entries = driver.walk(path, None).await?;
                Ok(entries
                    .map_err(anyhow::Error::from)
                    .try_filter_map(move |entry| {
                        let below = entry.path.as_str().strip_prefix(&prefix).map(str::to_owned);
                        std::future::ready(Ok(below.filter(|_| !entry.is_dir).map(Found::File)))
                    })
                    .boxed())
            }
        }
    }

    /// Returns the place of a file of the tree, for messages.
    pub(crate) fn describe(&self, relative: &str) -> String {
        match self {
            Tree::Local(root) => local(root, relative).display().to_string(),
            Tree::Store { driver, path } => {
                let slash = if relative.is_empty() || path.is_root() { "" } else { "/" };
                format!("{}:{path}{slash}{relative}", driver.name())
            }
        }
    }

    /// Returns the size of a file, none if it is missing.
    pub(crate) async fn size(&self, relative: &str) -> Result<Option<u64>> {
        match self {
            Tree::Local(root) => match tokio::fs::metadata(local(root, relative)).await {
                Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("could not look at {}", self.describe(relative))),
            },
            Tree::Store { driver, path } => match driver.stat(&stored(path, relative)?).await {
                Ok(info) => Ok((!info.is_dir).then_some(info.size)),
                Err(error) if error.is_path_not_found() => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Opens the first `length` bytes of a file, or all of it.
    pub(crate) async fn read(&self, relative: &str, length: Option<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self {
            Tree::Local(root) => {
                let path = local(root, relative);
                let file =
                    tokio::fs::File::open(&path).await.with_context(|| format!("could not open {}", path.display()))?;
                let file = file.take(length.unwrap_or(u64::MAX));
                Ok(futures::stream::try_unfold((file, path), |(mut file, path)| async move {
                    let mut chunk = BytesMut::with_capacity(CHUNK);
                    let count = file
                        .read_buf(&mut chunk)
                        .await
                        .with_context(|| format!("could not read {}", path.display()))?;
                    Ok((count > 0).then(|| (chunk.freeze(), (file, path))))
                })
                .boxed())
            }
            Tree::Store { driver, path } => {
                let range = ByteRange { offset: 0, length };
                let reader = driver.reader(&stored(path, relative)?, range).await?;
                Ok(reader.map_err(anyhow::Error::from).boxed())
            }
        }
    }

    /// Returns the SHA-256 of a file, or of its first `length` bytes, and how many bytes that were.
    pub(crate) async fn digest(&self, relative: &str, length: Option<u64>) -> Result<(u64, [u8; 32])> {
        let mut stream = self.read(relative, length).await?;
        let (mut size, mut hash) = (0, Sha256::new());
        while let Some(chunk) = stream.try_next().await? {
            size += chunk.len() as u64;
            hash.update(&chunk);
        }
        Ok((size, hash.finalize().into()))
    }
}

/// Returns the path of a file below a local root.
pub(crate) fn local(root: &Path, relative: &str) -> PathBuf {
    if relative.is_empty() { root.to_owned() } else { root.join(relative) }
}

/// Returns the path of a file below a path in a driver.
pub(crate) fn stored(path: &StoragePath, relative: &str) -> Result<StoragePath> {
    Ok(if relative.is_empty() { path.clone() } else { path.join(relative)? })
}

/// Sends the files below `root`, one directory after the other. Symbolic links are not followed: a link could lead
/// out of the tree, or back into it for ever.
fn walk_local(root: &Path, sender: &mpsc::Sender<Result<Found>>) -> Result<()> {
    let metadata = std::fs::metadata(root).with_context(|| format!("could not look at {}", root.display()))?;
    if metadata.is_file() {
        let _ = sender.blocking_send(Ok(Found::File(String::new())));
        return Ok(());
    }
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        let path = local(root, &directory);
        let entries = std::fs::read_dir(&path).with_context(|| format!("could not list {}", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("could not list {}", path.display()))?;
            let kind = entry.file_type().with_context(|| format!("could not look at {}", entry.path().display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let relative = if directory.is_empty() { name.to_string() } else { format!("{directory}/{name}") };
            let found = if !StoragePath::is_component(&name) {
                Found::Unstorable(relative, "a name holds letters, digits, '.', '_' and '-' only")
            } else if kind.is_dir() {
                open.push(relative);
                continue;
            } else if kind.is_file() {
                Found::File(relative)
            } else {
                Found::Unstorable(relative, "neither a file nor a directory")
            };
            if sender.blocking_send(Ok(found)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
