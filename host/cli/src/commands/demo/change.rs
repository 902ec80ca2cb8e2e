//! The steps that change the store.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use futures::{TryStreamExt, stream};
use tokio::io::AsyncReadExt;
use wharf::contract::{StorageDriver, StorageDriverExt, StoragePath, WriteMode};

use super::plan::{FILES_AT_A_TIME, Plan};
use crate::pattern::STEP;

/// Files up to this size are put in one piece, larger ones as a stream.
const IN_ONE_PIECE: u64 = 1 << 20;

pub(super) async fn store_tree(plan: &Arc<Plan>, driver: &Arc<dyn StorageDriver>) -> Result<()> {
    let files: Vec<_> = plan.source.files.iter().map(|(path, content)| (path.clone(), *content)).collect();
    stream::iter(files.into_iter().map(Ok))
        .try_for_each_concurrent(FILES_AT_A_TIME, |(relative, content)| {
            let (plan, driver) = (Arc::clone(plan), Arc::clone(driver));
            async move {
                let (from, to) = (plan.source.root.join(&relative), StoragePath::parse(format!("/tree/{relative}"))?);
                let could_not = || format!("could not read {}", from.display());
                if content.size <= IN_ONE_PIECE {
                    let bytes = tokio::fs::read(&from).await.with_context(could_not)?;
                    return Ok(driver.put_content(&to, bytes.into()).await?);
                }
                let mut file = tokio::fs::File::open(&from).await.with_context(could_not)?;
                let mut writer = driver.writer(&to, WriteMode::New).await?;
                loop {
                    let mut chunk = bytes::BytesMut::with_capacity(STEP);
                    if file.read_buf(&mut chunk).await.with_context(could_not)? == 0 {
                        writer.commit().await?;
                        return Ok(());
                    }
                    writer.write(chunk.freeze()).await?;
                }
            }
        })
        .await
}

pub(super) async fn store_stream(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let mut writer = driver.writer(&StoragePath::parse("/streams/whole")?, WriteMode::New).await?;
    for chunk in plan.pattern.chunks(0..plan.stream.size) {
        writer.write(chunk).await?;
    }
    let stored = writer.commit().await?;
    ensure!(stored == plan.stream.size, "{} bytes were written, and the commit says {stored}", plan.stream.size);
    Ok(())
}

pub(super) async fn interrupt(plan: &Plan, driver: &dyn StorageDriver) -> Result<()> {
    let mut writer = driver.writer(&StoragePath::parse("/streams/resumed")?, WriteMode::New).await?;
    for chunk in plan.pattern.chunks(0..plan.cut()) {
        writer.write(chunk).await?;
    }
    let kept = writer.close().await?;
    ensure!(kept == plan.cut(), "{} bytes were written, and {kept} were kept", plan.cut());
    Ok(())
}

pub(super) async fn resume(plan: &Plan, another: &dyn StorageDriver) -> Result<()> {
    let mut writer = another.writer(&StoragePath::parse("/streams/resumed")?, WriteMode::Append).await?;
    let had = writer.size();
    if had != plan.cut() {
        writer.cancel().await?;
        bail!("the upload was closed at {} bytes, and goes on at {had}", plan.cut());
    }
    for chunk in plan.pattern.chunks(had..plan.upload.size) {
        writer.write(chunk).await?;
    }
    let stored = writer.commit().await?;
    ensure!(stored == plan.upload.size, "the upload has {} bytes, and the commit says {stored}", plan.upload.size);
    Ok(())
}

pub(super) async fn move_all(plan: &Plan, driver: &Arc<dyn StorageDriver>) -> Result<()> {
    let moves: Vec<_> = plan.files(false)?.into_keys().zip(plan.files(true)?).collect();
    stream::iter(moves.into_iter().map(Ok))
        .try_for_each_concurrent(FILES_AT_A_TIME, |(from, (to, content))| {
            let driver = Arc::clone(driver);
            async move {
                driver.move_file(&from, &to).await?;
                ensure!(!driver.exists(&from).await?, "{from} is still there after its move to {to}");
                let size = driver.stat(&to).await?.size;
                ensure!(size == content.size, "{to} has {size} bytes after its move, and {from} had {}", content.size);
                Ok(())
            }
        })
        .await
}

/// Deletes what is left, and looks that nothing is there then. Directories may be left behind, empty.
pub(super) async fn delete(driver: &dyn StorageDriver) -> Result<()> {
    for entry in driver.list_all(&StoragePath::root()).await? {
        driver.delete(&entry.path).await?;
    }
    let mut left = driver.walk(&StoragePath::root(), None).await?;
    while let Some(entry) = left.try_next().await? {
        ensure!(entry.is_dir, "{} is still there after it was deleted", entry.path);
    }
    Ok(())
}
