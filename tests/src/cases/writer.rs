//! `writer` with append = false, and with append = true.

use std::time::Duration;

use bytes::Bytes;
use wharf::contract::{StoragePath, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern};
use crate::{Context, Failure, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(commit_makes_the_file_whole, "after a commit the file is readable at its path, whole"),
        case!(chunks_of_odd_sizes, "chunks of any sizes, mixed, come back in order and whole"),
        case!(many_small_writes, "2,000 writes of a few bytes each come back whole"),
        case!(
            uploads_at_boundaries,
            "an upload around the sizes at which drivers begin another piece comes back whole"
        )
        .holds_much()
        .heavy(),
        case!(commit_replaces, "a commit replaces what was there"),
        case!(commit_of_nothing, "a commit without a write makes an empty file"),
        case!(commit_returns_the_size, "size, close and commit tell the upload's size in bytes"),
        case!(writer_starts_anew, "a new writer starts anew, whatever was uploaded there").needs(&["resumable"]),
        case!(append_continues, "append continues a closed upload, at any chunk size").needs(&["resumable"]),
        case!(append_in_large_chunks, "append continues an upload in chunks of 10 MiB")
            .holds_much()
            .needs(&["resumable"])
            .heavy(),
        case!(append_after_closing_empty, "append continues an upload closed without a byte").needs(&["resumable"]),
        case!(append_to_an_empty_file, "append continues a committed empty file").needs(&["resumable"]),
        case!(append_to_content, "append to committed content continues it or is unsupported with nothing changed")
            .needs(&["resumable"]),
        case!(append_to_missing, "append where nothing is: path-not-found").needs(&["resumable"]),
        case!(append_by_another_instance, "an upload is continued by another instance").needs(&["resumable"]),
        case!(append_without_resumable, "append without resumable is unsupported").unless("resumable"),
        case!(writer_below_new_directories, "a writer needs no directory"),
        case!(commit_where_a_directory_is, "a writer where a directory is: invalid-path or accepted, never damage"),
        case!(
            two_continue_one_upload,
            "of two that continue one upload, what one has committed is whole, and stays if the other fails"
        )
        .needs(&["resumable"]),
        case!(writer_dropped_half_way, "a dropped writer counts as closed: old content, nothing or a prefix"),
        case!(long_stream, "a stream of 5 GiB goes through, and its size is right").holds_much().long(),
    ]
}

async fn commit_makes_the_file_whole(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    let content = pattern(1, 300_000);
    let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
    for chunk in content.chunks(7001) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.commit().await?;
    cx.expect_content(&path, &content).await
}

async fn in_chunks(cx: &Context, name: &str, content: &Bytes, sizes: impl Iterator<Item = usize>) -> Outcome {
    let path = cx.path(name)?;
    let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
    let (mut at, mut writes) = (0, 0);
    for size in sizes {
        if at == content.len() {
            break;
        }
        let end = content.len().min(at + size);
        writer.write(content.slice(at..end)).await?;
        (at, writes) = (end, writes + 1);
        ensure!(writer.size() == at as u64, "size after {writes} writes of {at} bytes: got {}", writer.size());
    }
    let size = writer.commit().await?;
    ensure!(size == content.len() as u64, "commit of {} bytes: it returned {size}", content.len());
    cx.expect_content(&path, content).await
}

async fn chunks_of_odd_sizes(cx: Context) -> Outcome {
    let sizes = [1, 4095, 70_001, 4097, 3, 65_535, 65_537, 262_145, 0, 7, 1_048_577];
    in_chunks(&cx, "file", &pattern(1, 3_000_017), sizes.into_iter().cycle()).await
}

async fn many_small_writes(cx: Context) -> Outcome {
    let total = (0..2000).map(|index| 1 + index % 50).sum();
    in_chunks(&cx, "file", &pattern(1, total), (0..2000).map(|index| 1 + index % 50)).await
}

async fn uploads_at_boundaries(cx: Context) -> Outcome {
    const MIB: usize = 1 << 20;
    let whole = pattern(6, 16 * MIB + 1);
    for boundary in [MIB, 5 * MIB, 16 * MIB] {
        for size in boundary - 1..=boundary + 1 {
            let content = whole.slice(whole.len() - size..);
            in_chunks(&cx, "at-once", &content, std::iter::once(size)).await?;
            if boundary < 16 * MIB {
                in_chunks(&cx, "in-pieces", &content, std::iter::repeat(MIB)).await?;
            }
        }
    }
    Ok(())
}

async fn commit_replaces(cx: Context) -> Outcome {
    let path = cx.put("file", pattern(1, 5000)).await?;
    cx.write(&path, WriteMode::New, "new").await?.commit().await?;
    cx.expect_content(&path, b"new").await
}

async fn commit_of_nothing(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    cx.write(&path, WriteMode::New, "").await?.commit().await?;
    cx.expect_content(&path, b"").await
}

async fn commit_returns_the_size(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    let writer = cx.write(&path, WriteMode::New, pattern(1, 1234)).await?;
    ensure!(writer.size() == 1234, "size after 1234 bytes: got {}", writer.size());
    let size = writer.commit().await?;
    ensure!(size == 1234, "commit of 1234 bytes: it returned {size}");
    let size = cx.write(&path, WriteMode::New, pattern(1, 77)).await?.close().await?;
    ensure!(size == 77, "close of 77 bytes: it returned {size}");
    Ok(())
}

async fn writer_starts_anew(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    cx.write(&path, WriteMode::New, "first, longer").await?.close().await?;
    let writer = cx.write(&path, WriteMode::New, "second").await?;
    ensure!(writer.size() == 6, "size of a new writer after 6 bytes: got {}", writer.size());
    writer.commit().await?;
    cx.expect_content(&path, b"second").await
}

async fn in_three_steps(cx: &Context, chunk: usize) -> Outcome {
    let path = cx.path("file")?;
    let content = pattern(1, chunk * 3);
    for step in 0..3 {
        let mode = if step == 0 { WriteMode::New } else { WriteMode::Append };
        let mut writer = cx.driver().writer(&path, mode).await?;
        let expected = (step * chunk) as u64;
        ensure!(
            writer.size() == expected,
            "size of the upload opened for step {step}: expected {expected}, got {}",
            writer.size()
        );
        writer.write(content.slice(step * chunk..(step + 1) * chunk)).await?;
        let size = if step == 2 { writer.commit().await? } else { writer.close().await? };
        let expected = expected + chunk as u64;
        ensure!(size == expected, "size at the end of step {step}: expected {expected}, got {size}");
    }
    cx.expect_content(&path, &content).await
}

async fn append_continues(cx: Context) -> Outcome {
    for chunk in [32, 1, 70_000] {
        in_three_steps(&cx, chunk).await?;
    }
    Ok(())
}

async fn append_in_large_chunks(cx: Context) -> Outcome {
    in_three_steps(&cx, 10 << 20).await
}

async fn append_after_closing_empty(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    cx.write(&path, WriteMode::New, "").await?.close().await?;
    cx.write(&path, WriteMode::Append, "content").await?.commit().await?;
    cx.expect_content(&path, b"content").await
}

async fn append_to_an_empty_file(cx: Context) -> Outcome {
    let path = cx.put("file", "").await?;
    cx.write(&path, WriteMode::Append, "content").await?.commit().await?;
    cx.expect_content(&path, b"content").await?;
    let committed = cx.path("committed")?;
    cx.write(&committed, WriteMode::New, "").await?.commit().await?;
    cx.write(&committed, WriteMode::Append, "content").await?.commit().await?;
    cx.expect_content(&committed, b"content").await
}

async fn commit_where_a_directory_is(cx: Context) -> Outcome {
    let kept = cx.put("directory/file", "kept").await?;
    let path = cx.path("directory")?;
    let committed = async {
        let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
        writer.write(Bytes::from_static(b"new")).await?;
        writer.commit().await
    };
    match committed.await {
        Ok(_) => cx.expect_content(&path, b"new").await?,
        Err(error) => expect_kind(&format!("a writer at the directory {path}"), Err::<(), _>(error), "invalid-path")?,
    }
    cx.expect_content(&kept, b"kept").await
}

/// How long one that continues an upload may wait for another before that one goes on.
const TURN: Duration = Duration::from_millis(200);

async fn two_continue_one_upload(cx: Context) -> Outcome {
    for how in ["commits", "closes", "interleaved"] {
        let path = cx.path(how)?;
        cx.write(&path, WriteMode::New, "one,").await?.close().await?;
        let mut first = cx.driver().writer(&path, WriteMode::Append).await?;
        // A driver may let the second wait for the first, refuse it, or find out later.
        let (other, at) = (cx.another().await?, path.clone());
        let mut opening = tokio::spawn(async move { other.writer(&at, WriteMode::Append).await });
        let mut second = match tokio::time::timeout(TURN, &mut opening).await {
            Ok(opened) => Some(opened.map_err(panicked)?),
            Err(_) => None,
        };
        let mut written = false;
        if let (Some(Ok(writer)), "interleaved") = (&mut second, how) {
            written = true;
            if let Err(error) = writer.write(Bytes::from_static(b"second")).await {
                second = Some(Err(error));
            }
        }
        let committed = match first.write(Bytes::from_static(b"first")).await {
            Ok(()) => first.commit().await,
            Err(error) => first.close().await.and(Err(error)),
        };
        let after_first = match how {
            // Whose bytes are where is not said: none of the contract's promises is made to writes that take turns.
            "interleaved" => None,
            _ => expect_continued(&cx, &path, committed.ok(), "first", None).await?,
        };
        let second = match second {
            Some(opened) => opened,
            None => opening.await.map_err(panicked)?,
        };
        let committed = match second {
            Err(error) => Err(error),
            Ok(mut writer) => {
                let wrote = match written {
                    true => Ok(()),
                    false => writer.write(Bytes::from_static(b"second")).await,
                };
                match wrote {
                    Ok(()) if how != "closes" => writer.commit().await,
                    wrote => writer.close().await.and_then(|size| wrote.map(|()| size)),
                }
            }
        };
        match how {
            "commits" => {
                expect_continued(&cx, &path, committed.ok(), "second", after_first).await?;
            }
            "closes" => expect_kept(&cx, &path, after_first).await?,
            _ => expect_kept(&cx, &path, None).await?,
        }
    }
    Ok(())
}

/// Fails unless the path reads as what the first of two has committed, or as more that was appended to it, or, where that is
/// none, as what both continued.
async fn expect_kept(cx: &Context, path: &StoragePath, first: Option<Bytes>) -> Outcome {
    match cx.driver().get_content(path).await {
        Ok(got) => {
            let kept = first.as_deref().unwrap_or(b"one,");
            ensure!(got.starts_with(kept), "after two continued an upload, {kept:?} at {path} became {got:?}");
            Ok(())
        }
        Err(error) => {
            ensure!(first.is_none(), "after two continued an upload, what one had committed is gone: {error}");
            expect_kind("get-content after two continued an upload", Err::<(), _>(error), "path-not-found")
        }
    }
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new(format!("opening an upload panicked: {error}"))
}

/// Fails unless the path reads as what one of two that continue the upload of "one," has committed, or, where it could not,
/// as what was there. Returns the committed content.
async fn expect_continued(
    cx: &Context,
    path: &StoragePath,
    committed: Option<u64>,
    written: &str,
    before: Option<Bytes>,
) -> Result<Option<Bytes>, Failure> {
    let got = match cx.driver().get_content(path).await {
        Ok(got) => Some(got),
        Err(error) => {
            expect_kind("get-content after two continued an upload", Err::<(), _>(error), "path-not-found")?;
            None
        }
    };
    match (committed, got) {
        (Some(size), Some(got)) => {
            let right = got.starts_with(b"one,") && got.ends_with(written.as_bytes()) && got.len() as u64 == size;
            ensure!(
                right,
                "after the {written} of two that continue \"one,\" committed {size} bytes, it reads {got:?}"
            );
            Ok(Some(got))
        }
        (Some(size), None) => {
            Err(Failure::new(format!("the {written} of two committed {size} bytes, and none is there")))
        }
        (None, got) => {
            // Before any commit the path may read as a prefix of the upload.
            let right = match (&before, &got) {
                (Some(before), got) => got.as_ref() == Some(before),
                (None, Some(got)) => got.starts_with(b"one,") || b"one,".starts_with(got),
                (None, None) => true,
            };
            ensure!(right, "the {written} of two could not commit, and {before:?} became {got:?}");
            Ok(before)
        }
    }
}

async fn append_to_content(cx: Context) -> Outcome {
    let path = cx.put("file", "committed").await?;
    match cx.driver().writer(&path, WriteMode::Append).await {
        Ok(mut writer) => {
            ensure!(writer.size() == 9, "size of 9 committed bytes opened for append: got {}", writer.size());
            writer.write(Bytes::from_static(b"+more")).await?;
            writer.commit().await?;
            cx.expect_content(&path, b"committed+more").await
        }
        Err(error) if error.kind().name() == "unsupported" => cx.expect_content(&path, b"committed").await,
        Err(error) => {
            let message = format!("append to committed content: expected success or unsupported, got {error}");
            Err(Failure::of(&error, message))
        }
    }
}

async fn append_to_missing(cx: Context) -> Outcome {
    let path = cx.path("missing")?;
    expect_kind(
        "append to a missing file",
        cx.driver().writer(&path, WriteMode::Append).await.map(|_| ()),
        "path-not-found",
    )?;
    cx.expect_missing(&path, "a refused append").await
}

async fn append_by_another_instance(cx: Context) -> Outcome {
    let path = cx.path("file")?;
    cx.write(&path, WriteMode::New, "one,").await?.close().await?;
    let mut writer = cx.another().await?.writer(&path, WriteMode::Append).await?;
    ensure!(writer.size() == 4, "size of an upload of 4 bytes opened by another instance: got {}", writer.size());
    writer.write(Bytes::from_static(b"two")).await?;
    writer.commit().await?;
    cx.expect_content(&path, b"one,two").await
}

async fn append_without_resumable(cx: Context) -> Outcome {
    let path = cx.put("file", "").await?;
    expect_kind(
        "append without resumable",
        cx.driver().writer(&path, WriteMode::Append).await.map(|_| ()),
        "unsupported",
    )
}

async fn writer_below_new_directories(cx: Context) -> Outcome {
    let path = cx.path("new/and/newer/file")?;
    cx.write(&path, WriteMode::New, "x").await?.commit().await?;
    cx.expect_content(&path, b"x").await
}

async fn writer_dropped_half_way(cx: Context) -> Outcome {
    let content = pattern(1, 100_000);
    for index in 0..10 {
        drop(cx.write(&cx.path(&format!("file{index}"))?, WriteMode::New, content.clone()).await?);
    }
    for index in 0..10 {
        let path = cx.path(&format!("file{index}"))?;
        match cx.driver().get_content(&path).await {
            Ok(got) => ensure!(content.starts_with(&got), "{path} after a dropped writer is no prefix of the upload"),
            Err(error) => expect_kind(&format!("get-content of {path}"), Err::<(), _>(error), "path-not-found")?,
        }
        cx.write(&path, WriteMode::New, "anew").await?.commit().await?;
        cx.expect_content(&path, b"anew").await?;
    }
    Ok(())
}

/// How much of a long stream is written at a time.
const STEP: usize = 1 << 20;

/// The content of a long stream: steps that differ in their number, so that none can stand for another.
struct Numbered(Bytes);

impl Numbered {
    fn step(&self, number: u64) -> Bytes {
        [&number.to_le_bytes(), &self.0[8..]].concat().into()
    }

    /// Returns whether these are the bytes from `at` on.
    fn is_at(&self, mut at: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let (number, from) = (at / STEP as u64, (at % STEP as u64) as usize);
            let (here, rest) = bytes.split_at(bytes.len().min(STEP - from));
            if here != &self.step(number)[from..from + here.len()] {
                return false;
            }
            at += here.len() as u64;
            bytes = rest;
        }
        true
    }
}

async fn long_stream(cx: Context) -> Outcome {
    const SIZE: u64 = 5 << 30;
    let path = cx.path("large")?;
    let content = Numbered(pattern(1, STEP));
    let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
    for number in 0..SIZE / STEP as u64 {
        writer.write(content.step(number)).await?;
    }
    let size = writer.commit().await?;
    ensure!(size == SIZE, "commit of {SIZE} bytes: it returned {size}");
    let mut reader = cx.driver().reader(&path, Default::default()).await?;
    let mut at = 0u64;
    while let Some(part) = futures::StreamExt::next(&mut reader).await {
        let part = part?;
        ensure!(content.is_at(at, &part), "the stream differs in the {} bytes from {at} on", part.len());
        at += part.len() as u64;
    }
    ensure!(at == SIZE, "the reader ended cleanly after {at} of {SIZE} bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_long_stream_stands_for_no_other() {
        let content = Numbered(pattern(1, STEP));
        let two = [content.step(4), content.step(5)].concat();
        assert!(content.is_at(4 * STEP as u64, &two) && content.is_at(4 * STEP as u64 + 3, &two[3..STEP + 5]));
        assert!(!content.is_at(4 * STEP as u64, &[content.step(5), content.step(4)].concat()));
        assert!(!content.is_at(3 * STEP as u64, &two) && !content.is_at(4 * STEP as u64 + 1, &two));
    }
}
