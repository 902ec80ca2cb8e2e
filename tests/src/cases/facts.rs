//! What is told of a file: the same by every operation, new when the content is, and not before.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use wharf::contract::{ByteRange, Entry, FileInfo, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{WHOLE_SECOND, ensure, pattern, tick};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(listings_tell_what_stat_tells, "sizes and times that a listing or a walk tells are those of stat"),
        case!(reader_tells_what_stat_tells, "a reader tells what stat tells: size, time and version"),
        case!(modified_grows, "modified, where it is told, grows when the content changes"),
        case!(modified_never_goes_back, "modified, where it is told, never goes back when the content changes"),
        case!(version_changes, "version, where it is told, changes when the content does"),
        case!(version_of_similar_contents, "version, where it is told, tells contents of one size and beginning apart"),
        case!(version_never_repeats, "no content has the version of another one that was at its path before"),
        case!(
            modified_is_now,
            "modified, where it is told, is when the file was stored, by a clock that is about right"
        ),
        case!(capabilities_stay, "capabilities are the same at every call and in every instance"),
        case!(facts_stay, "modified and version stay while nothing is written"),
    ]
}

/// Files that came to their paths in different ways.
async fn files(cx: &Context) -> Outcome {
    cx.put("d/put", pattern(1, 5000)).await?;
    cx.put("d/empty", "").await?;
    cx.write(&cx.path("d/committed")?, WriteMode::New, pattern(2, 70_000)).await?.commit().await?;
    let source = cx.put("source", pattern(3, 300)).await?;
    cx.driver().move_file(&source, &cx.path("d/e/moved")?).await?;
    Ok(())
}

async fn listings_tell_what_stat_tells(cx: Context) -> Outcome {
    files(&cx).await?;
    let listed: Vec<Entry> = cx.driver().list(&cx.path("d")?, None).await?.try_collect().await?;
    let walked = cx.walk(cx.directory(), None).await?;
    let entries = listed.iter().map(|entry| ("list", entry)).chain(walked.iter().map(|entry| ("walk", entry)));
    for (by, entry) in entries {
        let stat = cx.driver().stat(&entry.path).await?;
        let right = entry.is_dir == stat.is_dir
            && entry.size.is_none_or(|size| size == stat.size)
            && (entry.modified.is_none() || entry.modified == stat.modified);
        ensure!(right, "{by} tells {entry:?}, and stat {stat:?}");
    }
    Ok(())
}

async fn reader_tells_what_stat_tells(cx: Context) -> Outcome {
    files(&cx).await?;
    for name in ["d/put", "d/empty", "d/committed", "d/e/moved"] {
        let path = cx.path(name)?;
        let stat = cx.driver().stat(&path).await?;
        for range in [ByteRange::ALL, ByteRange::new(0, 10), ByteRange::from(stat.size)] {
            let reader = cx.driver().reader(&path, range).await?;
            ensure!(*reader.info() == stat, "a reader with {range:?} tells {:?}, and stat {stat:?}", reader.info());
        }
    }
    Ok(())
}

async fn modified_grows(cx: Context) -> Outcome {
    let path = cx.put("file", "one").await?;
    let Some(first) = cx.driver().stat(&path).await?.modified else { return Ok(()) };
    let put = grown(&cx, &path, "a put", first).await?;
    grown(&cx, &path, "a commit", put).await?;
    Ok(())
}

/// Changes a file a little later, and returns the time that is told then. A clock that is less fine than what it tells has
/// a second chance, after more than a second.
async fn grown(cx: &Context, path: &StoragePath, how: &str, before: SystemTime) -> Result<SystemTime, Failure> {
    let mut told = None;
    for (round, wait) in [tick(Some(before)), WHOLE_SECOND].into_iter().enumerate() {
        tokio::time::sleep(wait).await;
        let content = pattern(round as u64, 100);
        match how {
            "a put" => cx.driver().put_content(path, content).await?,
            _ => {
                cx.write(path, WriteMode::New, content).await?.commit().await?;
            }
        }
        told = cx.driver().stat(path).await?.modified;
        match told {
            Some(now) if now > before => return Ok(now),
            _ => {}
        }
    }
    Err(Failure::new(format!("modified after {how}: {before:?} became {told:?}")))
}

async fn modified_never_goes_back(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    let mut before: Option<SystemTime> = None;
    for round in 0..12 {
        let how = if round % 2 == 0 { "a put" } else { "a commit" };
        match how {
            "a put" => cx.driver().put_content(&path, pattern(round, 100)).await?,
            _ => {
                cx.write(&path, WriteMode::New, pattern(round, 100)).await?.commit().await?;
            }
        }
        let now = cx.driver().stat(&path).await?.modified;
        ensure!(now >= before, "modified after {how}, in round {round}: {before:?} went back to {now:?}");
        before = now;
    }
    Ok(())
}

async fn version_changes(cx: Context) -> Outcome {
    let path = cx.put("file", "one").await?;
    let before = cx.driver().stat(&path).await?.version;
    cx.put("file", "two").await?;
    let after = cx.driver().stat(&path).await?.version;
    ensure!(before.is_none() || before != after, "version after a change of content is still {before:?}");
    Ok(())
}

async fn version_of_similar_contents(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    let mut versions: Vec<String> = Vec::new();
    for round in 0..12u8 {
        let mut content = pattern(1, 100_000).to_vec();
        if let Some(last) = content.last_mut() {
            *last = round;
        }
        match round % 2 {
            0 => cx.driver().put_content(&path, content.into()).await?,
            _ => {
                cx.write(&path, WriteMode::New, content).await?.commit().await?;
            }
        }
        let Some(version) = cx.driver().stat(&path).await?.version else { return Ok(()) };
        ensure!(
            !versions.contains(&version),
            "of contents that differ in their last byte, stored one after the other, two have the version {version:?}"
        );
        versions.push(version);
    }
    Ok(())
}

async fn version_never_repeats(cx: Context) -> Outcome {
    let path = cx.path("d/file")?;
    let other = cx.another().await?;
    let mut versions: Vec<String> = Vec::new();
    for (round, how) in
        ["put", "put", "delete", "commit", "move", "directory", "another", "delete"].into_iter().enumerate()
    {
        // All of one size.
        let content = pattern(round as u64, 5000);
        match how {
            "commit" => {
                cx.write(&path, WriteMode::New, content).await?.commit().await?;
            }
            "move" => {
                let source = cx.put("source", content).await?;
                cx.driver().move_file(&source, &path).await?;
            }
            // What another instance has done may be seen late.
            "another" if cx.capabilities().consistent => other.put_content(&path, content).await?,
            "another" => continue,
            "delete" | "directory" => {
                let gone = if how == "delete" { path.clone() } else { cx.path("d")? };
                cx.driver().delete(&gone).await?;
                cx.driver().put_content(&path, content).await?;
            }
            _ => cx.driver().put_content(&path, content).await?,
        }
        let Some(version) = cx.driver().stat(&path).await?.version else { return Ok(()) };
        ensure!(
            !versions.contains(&version),
            "in round {round} ({how}), the version {version:?} was that of another content before"
        );
        versions.push(version);
    }
    Ok(())
}

/// How far a store's clock may be off.
const OFF: Duration = Duration::from_secs(300);

async fn modified_is_now(cx: Context) -> Outcome {
    let began = SystemTime::now();
    files(&cx).await?;
    for entry in cx.walk(cx.directory(), None).await?.iter().filter(|entry| !entry.is_dir) {
        let Some(modified) = cx.driver().stat(&entry.path).await?.modified else { continue };
        let right = modified > began - OFF && modified < SystemTime::now() + OFF;
        ensure!(right, "stat of {}, which was stored just now, tells {modified:?}", entry.path);
    }
    Ok(())
}

async fn capabilities_stay(cx: Context) -> Outcome {
    let first = cx.driver().capabilities();
    cx.put("file", "x").await?;
    let other = cx.another().await?;
    for (when, now) in [("after a put", cx.driver().capabilities()), ("of another instance", other.capabilities())] {
        ensure!(now == first, "the capabilities {when} are {now:?}, and were {first:?}");
    }
    Ok(())
}

async fn facts_stay(cx: Context) -> Outcome {
    let path = cx.put("d/file", pattern(1, 3000)).await?;
    let (other, upload) = (cx.path("d/other")?, cx.path("d/upload")?);
    let before = cx.driver().stat(&path).await?;
    tokio::time::sleep(tick(before.modified)).await;
    let expect = |after: &str, now: &FileInfo| {
        ensure!(*now == before, "stat after {after}, of a file that nobody wrote: {before:?} became {now:?}");
        Ok(())
    };
    expect("a wait", &cx.driver().stat(&path).await?)?;
    cx.driver().get_content(&path).await?;
    cx.expect_content(&path, &pattern(1, 3000)).await?;
    expect("reading", &cx.driver().stat(&path).await?)?;
    cx.driver().put_content(&other, "other".into()).await?;
    cx.write(&upload, WriteMode::New, "upload").await?.cancel().await?;
    cx.list(&cx.path("d")?, None).await?;
    cx.driver().delete(&other).await?;
    expect("writing other files", &cx.driver().stat(&path).await?)?;
    // Another instance may know the file only later.
    match cx.capabilities().consistent {
        true => expect("another stat", &cx.another().await?.stat(&path).await?),
        false => Ok(()),
    }
}
