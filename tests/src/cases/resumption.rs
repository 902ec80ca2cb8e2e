//! Uploads that are continued: every step of them counts, whoever takes it, and nothing else does.

use futures::TryStreamExt;
use wharf::contract::{ByteRange, Entry, StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern, read, same_bytes};
use crate::{Context, Outcome};

const MIB: usize = 1 << 20;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(append_then_commit, "an upload that is continued and committed without a write is whole")
            .needs(&["resumable"]),
        case!(append_in_many_writes, "an append takes many writes, by one instance after the other")
            .needs(&["resumable"]),
        case!(append_in_unequal_steps, "an upload in steps of very different sizes is whole")
            .needs(&["resumable"])
            .heavy()
            .holds_much(),
        case!(append_in_twelve_steps, "an upload of twelve steps is whole and in order")
            .needs(&["resumable"])
            .heavy()
            .holds_much(),
        case!(append_beside_the_old, "an upload over an old file is continued, and not the file").needs(&["resumable"]),
        case!(append_takes_the_newer, "of uploads that were begun from the start at one path, an append continues the last")
            .needs(&["resumable"]),
        case!(uploads_of_similar_paths, "what is done at a path leaves the uploads at paths that it begins")
            .needs(&["resumable"]),
        case!(close_replaces_nothing, "a close replaces nothing that somebody stored since the writer was opened"),
        case!(
            append_beside_a_put,
            "of an upload beside which somebody stores the file, a commit stores the whole or is a conflict, and a close \
             replaces nothing"
        )
        .needs(&["consistent", "resumable"]),
        case!(
            lists_hide_uploads,
            "listings show nothing of an upload but its file, and not that where uploads are hidden"
        ),
        case!(cancel_of_flushed_bytes, "a cancel leaves nothing of bytes that were long stored").heavy().holds_much(),
    ]
}

/// Fails unless the writer that was opened has this size.
fn expect_size(done: &str, got: u64, expected: usize) -> Outcome {
    ensure!(got == expected as u64, "{done}: expected {expected} bytes, got {got}");
    Ok(())
}

/// Uploads a content in steps, each by the other of two instances, in writes of at most `write` bytes; a step may be empty.
async fn in_steps(cx: &Context, name: &str, steps: &[usize], write: usize) -> Outcome {
    let path = cx.path(name)?;
    let content = pattern(steps.len() as u64, steps.iter().sum());
    let other = cx.another().await?;
    let mut at = 0;
    for (step, size) in steps.iter().enumerate() {
        let driver = if step % 2 == 0 { cx.driver() } else { &*other };
        let mode = if step == 0 { WriteMode::New } else { WriteMode::Append };
        let mut writer = driver.writer(&path, mode).await?;
        expect_size(&format!("the upload opened for step {step}"), writer.size(), at)?;
        let end = at + size;
        while at < end {
            let next = end.min(at + write);
            writer.write(content.slice(at..next)).await?;
            at = next;
        }
        let told = if step + 1 == steps.len() { writer.commit().await? } else { writer.close().await? };
        expect_size(&format!("the end of step {step}"), told, at)?;
    }
    // By the instance that committed: without `consistent` another may see it later.
    let last = if steps.len() % 2 == 1 { cx.driver() } else { &*other };
    same_bytes(&format!("reading {path}"), &read(last, &path, ByteRange::ALL).await?, &content)
}

async fn append_then_commit(cx: Context) -> Outcome {
    for size in [1, 70_001, 6 * MIB] {
        in_steps(&cx, &format!("file{size}"), &[size, 0], size).await?;
    }
    Ok(())
}

async fn append_in_many_writes(cx: Context) -> Outcome {
    in_steps(&cx, "file", &[1, 4097, 70_001, 30_000, 12, 0, 65_536, 5], 4001).await
}

async fn append_in_unequal_steps(cx: Context) -> Outcome {
    in_steps(&cx, "file", &[5 * MIB + 1, 1, 6 * MIB, 0, 70_001, 5 * MIB], 65_537).await
}

async fn append_in_twelve_steps(cx: Context) -> Outcome {
    in_steps(&cx, "file", &[5 * MIB; 12], MIB).await?;
    let (from, to) = (cx.path("file")?, cx.path("moved")?);
    cx.driver().move_file(&from, &to).await?;
    cx.expect_content(&to, &pattern(12, 60 * MIB)).await
}

async fn append_beside_the_old(cx: Context) -> Outcome {
    let path = cx.put("file", "old").await?;
    cx.write(&path, WriteMode::New, "new!").await?.close().await?;
    if cx.capabilities().hidden_uploads {
        cx.expect_content(&path, b"old").await?;
        let size = cx.driver().stat(&path).await?.size;
        ensure!(size == 3, "stat of an old file of 3 bytes beside an upload that was closed: got {size}");
        let listed = cx.list(cx.directory(), None).await?;
        ensure!(listed == ["file"], "list of an old file beside an upload that was closed: got {listed:?}");
    }
    let mut writer = cx.driver().writer(&path, WriteMode::Append).await?;
    expect_size("append to an upload over an old file", writer.size(), 4)?;
    writer.write("+".into()).await?;
    writer.commit().await?;
    cx.expect_content(&path, b"new!+").await
}

async fn append_takes_the_newer(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    for content in ["the first of all", "second", "the third"] {
        cx.write(&path, WriteMode::New, content).await?.close().await?;
    }
    let mut writer = cx.driver().writer(&path, WriteMode::Append).await?;
    expect_size("append to the last of three uploads", writer.size(), "the third".len())?;
    writer.write("+".into()).await?;
    writer.commit().await?;
    cx.expect_content(&path, b"the third+").await?;
    // None of the others can come back.
    cx.driver().delete(&path).await?;
    let appended = cx.driver().writer(&path, WriteMode::Append).await.map(|_| ());
    expect_kind("append after the last of three uploads was committed and deleted", appended, "path-not-found")
}

async fn uploads_of_similar_paths(cx: Context) -> Outcome {
    let similar = ["f2", "f-2", "f.2", "d-x/u", "d.u", "d2/u"];
    for name in similar {
        cx.write(&cx.path(name)?, WriteMode::New, name).await?.close().await?;
    }
    let (file, inner, directory) = (cx.path("f")?, cx.path("d/y")?, cx.path("d")?);
    let appended = cx.driver().writer(&file, WriteMode::Append).await.map(|_| ());
    expect_kind("append to f, of which only longer names have uploads", appended, "path-not-found")?;
    cx.driver().writer(&file, WriteMode::New).await?.cancel().await?;
    cx.write(&file, WriteMode::New, "f").await?.commit().await?;
    cx.driver().delete(&file).await?;
    cx.driver().put_content(&inner, "y".into()).await?;
    cx.driver().delete(&directory).await?;
    for name in similar {
        let path = cx.path(name)?;
        let mut writer = cx.driver().writer(&path, WriteMode::Append).await?;
        expect_size(&format!("the upload at {name}, after what was done at f and d"), writer.size(), name.len())?;
        writer.write("+".into()).await?;
        writer.commit().await?;
        cx.expect_content(&path, format!("{name}+").as_bytes()).await?;
    }
    Ok(())
}

async fn close_replaces_nothing(cx: Context) -> Outcome {
    let other = cx.another().await?;
    for (index, old) in [None, Some("old")].into_iter().enumerate() {
        for how in ["put", "commit", "move"] {
            let path = cx.path(&format!("{how}{index}"))?;
            if let Some(old) = old {
                cx.driver().put_content(&path, old.into()).await?;
            }
            let writer = cx.write(&path, WriteMode::New, "of one size").await?;
            match how {
                "put" => other.put_content(&path, "theirs, too".into()).await?,
                "commit" => {
                    let mut theirs = other.writer(&path, WriteMode::New).await?;
                    theirs.write("theirs, too".into()).await?;
                    theirs.commit().await?;
                }
                _ => {
                    let source = cx.path("source")?;
                    other.put_content(&source, "theirs, too".into()).await?;
                    other.move_file(&source, &path).await?;
                }
            }
            match writer.close().await {
                Ok(_) => {}
                Err(error) => expect_kind("close of an upload beside another's file", Err::<(), _>(error), "conflict")?,
            }
            // Without `consistent` only the instance that stored it is sure to see it.
            let reading = if cx.capabilities().consistent { cx.driver() } else { &*other };
            let done = format!("reading after a {how} by another instance, and then a close of an upload begun before");
            same_bytes(&done, &read(reading, &path, ByteRange::ALL).await?, b"theirs, too")?;
        }
    }
    Ok(())
}

async fn append_beside_a_put(cx: Context) -> Outcome {
    let other = cx.another().await?;
    for how in ["commit", "close"] {
        let path = cx.path(&format!("d/{how}"))?;
        cx.write(&path, WriteMode::New, "one,").await?.close().await?;
        let mut writer = cx.write(&path, WriteMode::Append, "two,").await?;
        other.put_content(&path, "theirs".into()).await?;
        let written = writer.write("three".into()).await;
        let ended = match (how, written) {
            ("commit", Ok(())) => writer.commit().await,
            (_, written) => writer.close().await.and_then(|size| written.map(|()| size)),
        };
        let expected: &[u8] = match ended {
            Ok(_) if how == "commit" => b"one,two,three",
            Ok(_) => b"theirs",
            Err(error) => {
                expect_kind(&format!("{how} of an upload beside a put"), Err::<(), _>(error), "conflict")?;
                b"theirs"
            }
        };
        let done = format!("reading after a put by another instance, and then a {how} of an upload continued before");
        same_bytes(&done, &read(cx.driver(), &path, ByteRange::ALL).await?, expected)?;
    }
    Ok(())
}

/// Fails if a listing or a walk of a directory shows anything but the kept file and, where uploads are not hidden, the
/// upload's file `f`.
async fn expect_hidden(cx: &Context, directory: &str, when: &str) -> Outcome {
    let directory = cx.path(directory)?;
    let hidden = cx.capabilities().hidden_uploads;
    let listed: Vec<Entry> = match cx.driver().list(&directory, None).await {
        Ok(entries) => entries.try_collect().await?,
        Err(error) if error.is_path_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let walked: Vec<Entry> = match cx.driver().walk(&directory, None).await {
        Ok(entries) => entries.try_collect().await?,
        Err(error) if error.is_path_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for (by, entries) in [("list", listed), ("walk", walked)] {
        let allowed = |entry: &Entry| match entry.path.file_name() {
            Some("kept") => true,
            Some("f") => !hidden,
            _ => false,
        };
        ensure!(entries.iter().all(allowed), "{by} of {directory} {when}: got {:?}", cx.names(&entries));
    }
    Ok(())
}

async fn lists_hide_uploads(cx: Context) -> Outcome {
    // A directory that is there by itself, and one that nothing but the upload is in.
    cx.put("e/kept", "x").await?;
    for directory in ["d", "e"] {
        let path = cx.path(&format!("{directory}/f"))?;
        let mut writer = cx.write(&path, WriteMode::New, pattern(1, 100)).await?;
        expect_hidden(&cx, directory, "while 100 bytes are uploaded").await?;
        writer.write(pattern(2, 6 * MIB)).await?;
        expect_hidden(&cx, directory, "while 6 MiB are uploaded").await?;
        writer.close().await?;
        expect_hidden(&cx, directory, "after a close").await?;
        cx.write(&path, WriteMode::New, pattern(1, 100)).await?.cancel().await?;
        expect_hidden(&cx, directory, "after a cancel").await?;
    }
    Ok(())
}

async fn expect_nothing(cx: &Context, path: &StoragePath, when: &str) -> Outcome {
    cx.expect_missing(path, when).await?;
    if cx.capabilities().uploads {
        let uploads: Vec<Entry> = cx.driver().uploads(path).await?.try_collect().await?;
        ensure!(uploads.is_empty(), "uploads after {when}: got {:?}", cx.names(&uploads));
    }
    if cx.capabilities().resumable {
        let appended = cx.driver().writer(path, WriteMode::Append).await.map(|_| ());
        expect_kind(&format!("append after {when}"), appended, "path-not-found")?;
    }
    Ok(())
}

async fn cancel_of_flushed_bytes(cx: Context) -> Outcome {
    let content = pattern(1, 6 * MIB);
    let path = cx.path("file")?;
    let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
    for at in (0..6).map(|index| index * MIB) {
        writer.write(content.slice(at..at + MIB)).await?;
    }
    writer.cancel().await?;
    expect_nothing(&cx, &path, "a cancel of 6 MiB").await?;
    if cx.capabilities().resumable {
        cx.write(&path, WriteMode::New, content.clone()).await?.close().await?;
        cx.write(&path, WriteMode::Append, "x").await?.cancel().await?;
        expect_nothing(&cx, &path, "a cancel of 6 MiB that were closed").await?;
    }
    Ok(())
}
