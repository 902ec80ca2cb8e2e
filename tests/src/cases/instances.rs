//! Instances beside each other: what one has done is seen by another, whatever that one has looked at before.

use futures::TryStreamExt;
use wharf::contract::{ByteRange, Entry, StorageDriver, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern, read, same_bytes};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(another_instance_sees_it, "what has returned is seen by every instance").needs(&["consistent"]),
        case!(a_replacement_is_seen, "a replacement is seen by an instance that has looked at the old file")
            .needs(&["consistent"]),
        case!(a_creation_is_seen, "a new file is seen by an instance that has looked for it in vain")
            .needs(&["consistent"]),
        case!(a_deletion_is_seen, "a deletion is seen by an instance that has looked at the file")
            .needs(&["consistent"]),
        case!(a_cancellation_is_seen, "a cancelled upload is gone for an instance that has looked at it")
            .needs(&["consistent", "resumable"]),
        case!(readers_outlive_the_driver, "a reader and a writer of an instance that was dropped come to their ends"),
        case!(list_after_a_delete, "a listing right after a delete shows what is left and nothing else")
            .needs(&["consistent"]),
    ]
}

/// Fails unless every operation of an instance that reads shows this content; none: that nothing is there.
async fn expect_seen(
    cx: &Context,
    driver: &dyn StorageDriver,
    path: &StoragePath,
    content: Option<&[u8]>,
    after: &str,
) -> Outcome {
    let parent = path.parent().unwrap_or_else(StoragePath::root);
    let listed: Result<Vec<Entry>, _> = match driver.list(&parent, None).await {
        Ok(entries) => entries.try_collect().await,
        Err(error) if error.is_path_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let listed: Vec<Entry> = listed?.into_iter().filter(|entry| entry.path == *path).collect();
    let walked: Vec<Entry> = match driver.walk(cx.directory(), None).await {
        Ok(entries) => entries.try_collect().await?,
        Err(error) if error.is_path_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let walked = walked.iter().any(|entry| entry.path == *path);
    ensure!(walked == content.is_some(), "walk {after}: that it shows {} is {walked}", cx.relative(path));
    let Some(content) = content else {
        expect_kind(&format!("get-content of {path} {after}"), driver.get_content(path).await, "path-not-found")?;
        expect_kind(&format!("stat of {path} {after}"), driver.stat(path).await, "path-not-found")?;
        let reader = driver.reader(path, ByteRange::ALL).await;
        expect_kind(&format!("reader of {path} {after}"), reader, "path-not-found")?;
        ensure!(listed.is_empty(), "list of {parent} {after}: {} is still there", cx.relative(path));
        return Ok(());
    };
    same_bytes(&format!("get-content of {path} {after}"), &driver.get_content(path).await?, content)?;
    same_bytes(&format!("reading {path} {after}"), &read(driver, path, ByteRange::ALL).await?, content)?;
    let size = driver.stat(path).await?.size;
    ensure!(size == content.len() as u64, "stat of {path} {after}: expected {} bytes, got {size}", content.len());
    let right = matches!(&listed[..], [entry] if entry.size.is_none_or(|size| size == content.len() as u64));
    ensure!(right, "list of {parent} {after}: for {} bytes at {} got {listed:?}", content.len(), cx.relative(path));
    Ok(())
}

/// Stores a file in one of the ways in which a file comes to its path.
async fn store(cx: &Context, how: &str, path: &StoragePath, content: &'static str) -> Outcome {
    match how {
        "a put" => cx.driver().put_content(path, content.into()).await?,
        "a commit" => {
            cx.write(path, WriteMode::New, content).await?.commit().await?;
        }
        _ => {
            let source = cx.put("source", content).await?;
            cx.driver().move_file(&source, path).await?;
        }
    }
    Ok(())
}

const WAYS: [&str; 3] = ["a put", "a commit", "a move"];

async fn another_instance_sees_it(cx: Context) -> Outcome {
    let path = cx.put("file", "content").await?;
    let other = cx.another().await?;
    let got = other.get_content(&path).await?;
    ensure!(&got[..] == b"content", "another instance reads {got:?}");
    other.delete(&path).await?;
    cx.expect_missing(&path, "a delete by another instance").await
}

async fn a_replacement_is_seen(cx: Context) -> Outcome {
    let other = cx.another().await?;
    let path = cx.put("d/file", "first").await?;
    expect_seen(&cx, &*other, &path, Some(b"first"), "by another instance").await?;
    for how in WAYS {
        for content in ["of one size", "of the same", "and a longer one"] {
            store(&cx, how, &path, content).await?;
            expect_seen(&cx, &*other, &path, Some(content.as_bytes()), &format!("after {how} by another instance"))
                .await?;
        }
    }
    Ok(())
}

async fn a_creation_is_seen(cx: Context) -> Outcome {
    let other = cx.another().await?;
    cx.put("d/beside", "x").await?;
    for (index, how) in WAYS.into_iter().enumerate() {
        for path in [cx.path(&format!("d/file{index}"))?, cx.path(&format!("new{index}/file"))?] {
            expect_seen(&cx, &*other, &path, None, "before it was there").await?;
            store(&cx, how, &path, "new").await?;
            expect_seen(&cx, &*other, &path, Some(b"new"), &format!("after {how} by another instance")).await?;
        }
    }
    Ok(())
}

async fn a_deletion_is_seen(cx: Context) -> Outcome {
    let other = cx.another().await?;
    cx.put("d/beside", "x").await?;
    let path = cx.path("d/file")?;
    for how in ["a delete", "delete-files", "a move away", "a delete of its directory"] {
        cx.driver().put_content(&path, how.into()).await?;
        expect_seen(&cx, &*other, &path, Some(how.as_bytes()), "before").await?;
        match how {
            "a delete" => cx.driver().delete(&path).await?,
            "delete-files" => cx.driver().delete_files(std::slice::from_ref(&path)).await?,
            "a move away" => cx.driver().move_file(&path, &cx.path("away")?).await?,
            _ => cx.driver().delete(&cx.path("d")?).await?,
        }
        expect_seen(&cx, &*other, &path, None, &format!("after {how} by another instance")).await?;
    }
    Ok(())
}

async fn uploads(driver: &dyn StorageDriver, path: &StoragePath) -> Result<Vec<Entry>, Failure> {
    match driver.capabilities().uploads {
        true => Ok(driver.uploads(path).await?.try_collect().await?),
        false => Ok(Vec::new()),
    }
}

async fn a_cancellation_is_seen(cx: Context) -> Outcome {
    let other = cx.another().await?;
    let path = cx.path("d/file")?;
    cx.write(&path, WriteMode::New, "upload").await?.close().await?;
    let told = uploads(&*other, cx.directory()).await?;
    ensure!(told.len() == usize::from(cx.capabilities().uploads), "uploads by another instance: got {told:?}");
    match other.get_content(&path).await {
        Ok(_) => {}
        Err(error) => expect_kind("get-content by another instance", Err::<(), _>(error), "path-not-found")?,
    }
    cx.driver().writer(&path, WriteMode::Append).await?.cancel().await?;
    let told = uploads(&*other, cx.directory()).await?;
    ensure!(told.is_empty(), "uploads after a cancel by another instance: got {told:?}");
    let appended = other.writer(&path, WriteMode::Append).await.map(|_| ());
    expect_kind("append after a cancel by another instance", appended, "path-not-found")?;
    expect_seen(&cx, &*other, &path, None, "after a cancel by another instance").await
}

async fn readers_outlive_the_driver(cx: Context) -> Outcome {
    let content = pattern(1, 2_000_000);
    let (path, written) = (cx.put("file", content.clone()).await?, cx.path("written")?);
    let other = cx.another().await?;
    let mut reader = other.reader(&path, ByteRange::ALL).await?;
    let mut writer = other.writer(&written, WriteMode::New).await?;
    writer.write(content.slice(..1_000_000)).await?;
    let mut got = reader.try_next().await?.unwrap_or_default().to_vec();
    drop(other);
    writer.write(content.slice(1_000_000..)).await?;
    writer.commit().await?;
    while let Some(chunk) = reader.try_next().await? {
        got.extend_from_slice(&chunk);
    }
    same_bytes("a reader of an instance that was dropped", &got, &content)?;
    match cx.capabilities().consistent {
        true => cx.expect_content(&written, &content).await,
        false => Ok(()),
    }
}

async fn list_after_a_delete(cx: Context) -> Outcome {
    let other = cx.another().await?;
    let mut names: Vec<String> = (10..24).map(|index| format!("d/{index}")).collect();
    for name in &names {
        cx.put(name, "x").await?;
    }
    let directory = cx.path("d")?;
    for round in 0.. {
        let listed = cx.list(&directory, None).await?;
        ensure!(listed == names, "list after {round} deletes: expected {names:?}, got {listed:?}");
        let entries: Vec<Entry> = other.list(&directory, None).await?.try_collect().await?;
        let listed = cx.names(&entries);
        ensure!(listed == names, "list by another instance after {round} deletes: expected {names:?}, got {listed:?}");
        if names.len() == 1 {
            return Ok(());
        }
        let path = cx.path(&names.remove(round * 5 % names.len()))?;
        match round % 2 {
            0 => cx.driver().delete(&path).await?,
            _ => cx.driver().delete_files(&[path]).await?,
        }
    }
    Ok(())
}
