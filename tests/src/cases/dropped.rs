//! Callers that go away: what they leave never undoes what comes after them.
//!
//! A fault of this kind shows in one of some tens of rounds, so each case has hundreds, in every way in which a caller can go;
//! on a store at the other end of a network fewer, in three seconds.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::{StreamExt, stream};
use wharf::contract::{ByteRange, FileWriter, StorageDriver, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern, read, same_bytes};
use crate::{Context, Failure, Outcome};

/// How many rounds are under way at a time.
const CONCURRENCY: usize = 32;

/// How long rounds are begun: on a store where each takes long, a tenth of them is enough.
const TIME: Duration = Duration::from_secs(3);

/// How long what was dropped may still do something: long for a close in the background, and short for a test.
const LATER: Duration = Duration::from_millis(150);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_commit_wins, "a dropped writer undoes no later commit, put, delete or move (1,000 times)").heavy(),
        case!(another_instances_commit_wins, "a dropped writer undoes no later commit by another instance")
            .needs(&["consistent"])
            .heavy(),
        case!(a_put_wins, "a dropped put, move or delete undoes no later put or delete").heavy(),
        case!(append_after_a_dropped_writer, "an upload continued after a dropped writer gets no byte from it later")
            .needs(&["resumable"])
            .heavy(),
    ]
}

/// What is at a path in the end: a content, or nothing.
type Left = Option<Bytes>;

/// Polls a future until it has begun something, as a caller does whose time runs out, and drops it.
async fn drop_begun<F: Future>(future: F, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if futures::poll!(future.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Leaves a writer in one of the ways in which a caller can go.
async fn leave_a_writer(driver: &dyn StorageDriver, path: &StoragePath, round: usize, content: &Bytes) -> Outcome {
    let mut writer = driver.writer(path, WriteMode::New).await?;
    let polls = 1 + round % 3;
    match round % 4 {
        0 => {
            writer.write(content.clone()).await?;
            drop(writer);
        }
        1 => {
            drop_begun(writer.write(content.clone()), polls).await;
            drop(writer);
        }
        2 => {
            writer.write(content.clone()).await?;
            drop_begun(writer.close(), polls).await;
        }
        _ => {
            writer.write(content.clone()).await?;
            drop_begun(writer.commit(), polls).await;
        }
    }
    Ok(())
}

/// Commits or puts a content, deletes, or moves another file there; returns what is there then.
async fn follow(driver: &dyn StorageDriver, path: &StoragePath, how: usize, content: &Bytes) -> Result<Left, Failure> {
    match how % 4 {
        0 => {
            let mut writer = driver.writer(path, WriteMode::New).await?;
            writer.write(content.clone()).await?;
            writer.commit().await?;
        }
        1 => driver.put_content(path, content.clone()).await?,
        2 => {
            let other = path.parent().unwrap_or_else(StoragePath::root).join("other")?;
            driver.put_content(&other, content.clone()).await?;
            driver.move_file(&other, path).await?;
        }
        _ => {
            match driver.delete(path).await {
                Err(error) if !error.is_path_not_found() => return Err(error.into()),
                _ => {}
            }
            return Ok(None);
        }
    }
    Ok(Some(content.clone()))
}

async fn expect(driver: &dyn StorageDriver, path: &StoragePath, left: &Left, when: &str) -> Outcome {
    match left {
        Some(content) => match read(driver, path, ByteRange::ALL).await {
            Ok(got) => same_bytes(&format!("reading {path} {when}"), &got, content),
            Err(error) => Err(Failure::of(&error, format!("{path} {when}: what was stored cannot be read: {error}"))),
        },
        None => expect_kind(&format!("stat of {path} {when}"), driver.stat(path).await, "path-not-found"),
    }
}

/// Runs rounds beside one another, and looks at what each left when it ends and when everything in the background has ended.
async fn rounds<F>(cx: &Context, count: usize, round: F) -> Outcome
where
    F: Fn(usize, StoragePath) -> BoxFuture<'static, Result<(StoragePath, Left), Failure>>,
{
    let driver = Arc::clone(&cx.driver);
    let paths = (0..count).map(|index| cx.path(&format!("round{index}"))).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let in_time = paths.into_iter().enumerate().take_while(|(index, _)| *index < count / 10 || began.elapsed() < TIME);
    let begun = in_time.map(|(index, path)| {
        let (driver, round) = (Arc::clone(&driver), round(index, path));
        let looked_at = async move {
            let (path, left) = round.await?;
            expect(&*driver, &path, &left, &format!("at once, in round {index}")).await?;
            Ok((path, left))
        };
        looked_at.boxed()
    });
    let left: Vec<Result<(StoragePath, Left), Failure>> = stream::iter(begun).buffered(CONCURRENCY).collect().await;
    let count = left.len();
    tokio::time::sleep(LATER).await;
    let looks = left.into_iter().enumerate().map(|(index, left)| {
        let driver = Arc::clone(&driver);
        async move {
            let (path, left) = left?;
            expect(&*driver, &path, &left, &format!("later, in round {index}")).await
        }
        .boxed()
    });
    let looks: Vec<Outcome> = stream::iter(looks).buffered(CONCURRENCY).collect().await;
    let mut failures = looks.iter().filter_map(|look| look.as_ref().err());
    match failures.next() {
        None => Ok(()),
        Some(first) => {
            let message = format!("in {} of {count} rounds; in the first of them, {first}", failures.count() + 1);
            Err(Failure { message, is_crash: first.is_crash() })
        }
    }
}

async fn a_commit_wins(cx: Context) -> Outcome {
    let (dropped, new) = (pattern(1, 100_000), Bytes::from_static(b"new!"));
    let driver = Arc::clone(&cx.driver);
    let round = |index: usize, directory: StoragePath| {
        let (driver, dropped, new) = (Arc::clone(&driver), dropped.clone(), new.clone());
        async move {
            let path = directory.join("file")?;
            if index / 16 % 2 == 1 {
                driver.put_content(&path, Bytes::from_static(b"old")).await?;
            }
            leave_a_writer(&*driver, &path, index, &dropped).await?;
            let left = follow(&*driver, &path, index / 4, &new).await?;
            Ok((path, left))
        }
        .boxed()
    };
    rounds(&cx, 1000, round).await
}

async fn another_instances_commit_wins(cx: Context) -> Outcome {
    let (dropped, new) = (pattern(1, 100_000), Bytes::from_static(b"new!"));
    let (driver, another) = (Arc::clone(&cx.driver), cx.another().await?);
    let round = |index: usize, directory: StoragePath| {
        let (driver, another) = (Arc::clone(&driver), Arc::clone(&another));
        let (dropped, new) = (dropped.clone(), new.clone());
        async move {
            let path = directory.join("file")?;
            // Only what had no end: two ends of two writers at the same time are both right.
            leave_a_writer(&*driver, &path, index % 2, &dropped).await?;
            let left = follow(&*another, &path, index / 2 % 2, &new).await?;
            Ok((path, left))
        }
        .boxed()
    };
    rounds(&cx, 400, round).await
}

async fn a_put_wins(cx: Context) -> Outcome {
    let (old, new) = (pattern(1, 50_000), Bytes::from_static(b"new!"));
    let driver = Arc::clone(&cx.driver);
    let round = |index: usize, directory: StoragePath| {
        let (driver, old, new) = (Arc::clone(&driver), old.clone(), new.clone());
        async move {
            let (path, other) = (directory.join("below/file")?, directory.join("other")?);
            let polls = 1 + index % 3;
            driver.put_content(&other, old.clone()).await?;
            match index % 4 {
                0 => drop_begun(driver.put_content(&path, old), polls).await,
                1 => drop_begun(driver.move_file(&other, &path), polls).await,
                2 => {
                    driver.put_content(&path, old).await?;
                    drop_begun(driver.delete(&path), polls).await;
                }
                _ => {
                    driver.put_content(&path, old).await?;
                    drop_begun(driver.delete(&directory.join("below")?), polls).await;
                }
            }
            let how = if (index / 4).is_multiple_of(2) { 1 } else { 3 };
            let left = follow(&*driver, &path, how, &new).await?;
            Ok((path, left))
        }
        .boxed()
    };
    rounds(&cx, 400, round).await
}

async fn append_after_a_dropped_writer(cx: Context) -> Outcome {
    let (first, dropped) = (pattern(1, 3000), pattern(2, 400_000));
    let last = Bytes::from_static(b"the end");
    let driver = Arc::clone(&cx.driver);
    let round = |index: usize, directory: StoragePath| {
        let (driver, first, dropped, last) = (Arc::clone(&driver), first.clone(), dropped.clone(), last.clone());
        async move {
            let path = directory.join("file")?;
            let mut writer = driver.writer(&path, WriteMode::New).await?;
            writer.write(first.clone()).await?;
            writer.close().await?;
            let mut writer = driver.writer(&path, WriteMode::Append).await?;
            if index.is_multiple_of(2) {
                writer.write(dropped.clone()).await?;
            } else {
                drop_begun(writer.write(dropped.clone()), 1 + index % 3).await;
            }
            drop(writer);
            let mut writer = driver.writer(&path, WriteMode::Append).await?;
            let whole = [first, dropped].concat();
            let size = usize::try_from(writer.size()).unwrap_or(usize::MAX);
            ensure!(
                (3000..=whole.len()).contains(&size),
                "an upload that was closed with 3000 bytes and given {} more has {size}",
                whole.len() - 3000
            );
            writer.write(last.clone()).await?;
            commit(writer, (size + last.len()) as u64).await?;
            Ok((path, Some([&whole[..size], &last].concat().into())))
        }
        .boxed()
    };
    rounds(&cx, 200, round).await
}

async fn commit(writer: Box<dyn FileWriter>, expected: u64) -> Outcome {
    let size = writer.commit().await?;
    ensure!(size == expected, "commit of {expected} bytes: it returned {size}");
    Ok(())
}
