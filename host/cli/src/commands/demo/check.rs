//! The steps that change nothing, and compare what the store says with what was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use wharf::contract::{ByteRange, Entry, StorageDriver, StorageDriverExt, StoragePath};

use super::plan::Plan;
use super::source::Content;

/// Returns the directories that lie above files, the root among them.
fn directories(files: &BTreeMap<StoragePath, Content>) -> BTreeSet<StoragePath> {
    files.keys().flat_map(|file| std::iter::successors(file.parent(), StoragePath::parent)).collect()
}

pub(super) async fn list(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let files = plan.files(false)?;
    let directories = directories(&files);
    for directory in &directories {
        let mut found = BTreeSet::new();
        for entry in driver.list_all(directory).await? {
            same_size(&entry, &files)?;
            found.insert((entry.path, entry.is_dir));
        }
        let below = |path: &StoragePath| path.parent().as_ref() == Some(directory);
        let files = files.keys().map(|path| (path, false));
        let expected: BTreeSet<_> = directories
            .iter()
            .map(|path| (path, true))
            .chain(files)
            .filter(|(path, _)| below(path))
            .map(|(path, is_dir)| (path.clone(), is_dir))
            .collect();
        compare(&format!("the listing of {directory}"), &found, &expected)?;
    }
    Ok(())
}

pub(super) async fn walk(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let expected = plan.files(false)?;
    let (mut files, mut found) = (BTreeSet::new(), BTreeSet::new());
    let mut entries = driver.walk(&StoragePath::root(), None).await?;
    while let Some(entry) = entries.try_next().await? {
        if entry.is_dir {
            found.insert(entry.path);
            continue;
        }
        same_size(&entry, &expected)?;
        files.insert(entry.path);
    }
    compare("the walk's files", &files, &expected.keys().cloned().collect())?;
    let mut directories = directories(&expected);
    directories.remove(&StoragePath::root());
    compare("the walk's directories", &found, &directories)
}

/// Compares the size that a listing tells, where it tells one.
fn same_size(entry: &Entry, expected: &BTreeMap<StoragePath, Content>) -> Result<()> {
    if let (Some(told), Some(content)) = (entry.size, expected.get(&entry.path)) {
        ensure!(told == content.size, "a listing says {told} bytes of {}, which has {}", entry.path, content.size);
    }
    Ok(())
}

/// Compares two sets, and tells the first difference of either kind.
fn compare<T: Ord + std::fmt::Debug>(what: &str, found: &BTreeSet<T>, expected: &BTreeSet<T>) -> Result<()> {
    if let Some(missing) = expected.difference(found).next() {
        bail!("{what} lacks {missing:?} ({} found, {} stored)", found.len(), expected.len());
    }
    if let Some(surplus) = found.difference(expected).next() {
        bail!("{what} has {surplus:?}, which was never stored ({} found, {} stored)", found.len(), expected.len());
    }
    Ok(())
}

pub(super) async fn read(plan: &Plan, driver: &Arc<dyn StorageDriver>, below: &str, at_a_time: usize) -> Result<()> {
    let below = StoragePath::parse(below)?;
    let files = plan.files(true)?.into_iter().filter(|(path, _)| below.contains(path));
    stream::iter(files.collect::<Vec<_>>())
        .map(Ok)
        .try_for_each_concurrent(at_a_time, |(path, content)| {
            let driver = Arc::clone(driver);
            async move {
                let mut reader = driver.reader(&path, ByteRange::ALL).await?;
                let (mut hash, mut size) = (Sha256::new(), 0);
                while let Some(chunk) = reader.try_next().await? {
                    hash.update(&chunk);
                    size += chunk.len() as u64;
                }
                let read = Content { size, digest: hash.finalize().into() };
                ensure!(
                    read == content,
                    "{path} does not hold what was stored: {size} bytes were read and {} stored, and the SHA-256 is {} \
                     and not {}",
                    content.size,
                    hex(&read.digest),
                    hex(&content.digest)
                );
                Ok(())
            }
        })
        .await
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
