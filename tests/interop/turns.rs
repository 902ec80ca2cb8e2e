//! Uploads to which both sides add bytes, one after the other.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use wharf::contract::{FileWriter, StorageDriverExt, WriteMode};

use crate::Promise;
use crate::bench::{Bench, Kind};
use crate::check::{Outcome, ensure, same};
use crate::content::{KIB, MIB, content};
use crate::image::Content;
use crate::layout;
use crate::registry::Upload;
use crate::table::Direction;

/// Who opens the upload and adds so many bytes.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Ours(usize),
    Theirs(usize),
}

use Turn::{Ours, Theirs};

/// Whose turn it is at the end.
#[derive(Clone, Copy, Debug)]
enum Finish {
    /// The registry makes the upload a blob.
    Theirs,
    /// The driver commits it and moves it, as a registry on it does.
    Ours,
}

/// The name of each, and the turns. Whoever takes the first begins the upload. S3 takes parts from 5 MiB, but for the
/// last: a smaller one makes the next side begin the upload anew from what is there.
const UPLOADS: &[(&str, &[Turn], Finish)] = &[
    ("begun_there_without_a_byte", &[Theirs(0), Ours(3 * MIB + 5), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_there_with_1_mib", &[Theirs(MIB), Ours(3 * MIB + 5), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_there_with_6_mib", &[Theirs(6 * MIB), Ours(3 * MIB + 5), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_there_with_12_mib_and_17", &[Theirs(12 * MIB + 17), Ours(11 * MIB), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_there_with_two_chunks", &[Theirs(6 * MIB), Theirs(300 * KIB), Ours(7 * MIB), Theirs(9)], Finish::Theirs),
    ("begun_there_with_three_chunks", &[Theirs(MIB), Theirs(MIB), Theirs(5 * MIB), Ours(1), Theirs(9)], Finish::Theirs),
    ("begun_there_and_only_looked_at_here", &[Theirs(2 * MIB), Ours(0), Theirs(2 * MIB)], Finish::Theirs),
    ("begun_there_and_committed_here", &[Theirs(6 * MIB), Theirs(MIB), Ours(2 * MIB)], Finish::Ours),
    ("begun_here_without_a_byte", &[Ours(0), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_here_with_1_mib", &[Ours(MIB), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_here_with_6_mib", &[Ours(6 * MIB), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_here_with_12_mib_and_17", &[Ours(12 * MIB + 17), Theirs(13 * MIB), Theirs(2 * MIB + 1)], Finish::Theirs),
    ("begun_here_with_two_chunks", &[Ours(6 * MIB), Ours(300 * KIB), Theirs(7 * MIB)], Finish::Theirs),
    ("begun_here_and_only_finished_there", &[Ours(MIB)], Finish::Theirs),
    (
        "passed_to_and_fro",
        &[Ours(MIB), Theirs(MIB), Ours(4 * MIB), Theirs(6 * MIB), Ours(17), Theirs(17), Ours(5 * MIB), Theirs(MIB)],
        Finish::Theirs,
    ),
    (
        "passed_to_and_fro_and_committed_here",
        &[Theirs(100), Ours(100), Theirs(11 * MIB), Ours(100), Theirs(100), Ours(100)],
        Finish::Ours,
    ),
];

const NAME: &str = "team/turns";

/// When an upload began, in the notation of `startedat`: RFC 3339, in UTC and without fractions.
const STARTED: &str = "2026-01-02T03:04:05Z";

pub(crate) fn promises() -> Vec<Promise> {
    let promise = |&(name, turns, finish): &(&str, &'static [Turn], Finish)| {
        Promise::new(Direction::ByTurns, format!("an_upload_{name}_becomes_the_blob"), &Kind::EACH, move |bench| {
            Box::pin(take_turns(bench, turns, finish))
        })
    };
    UPLOADS.iter().map(promise).collect()
}

async fn take_turns(bench: &Bench, turns: &[Turn], finish: Finish) -> Outcome<String> {
    let sizes = turns.iter().map(|turn| match turn {
        Ours(size) | Theirs(size) => *size,
    });
    let blob = Content::from(content(40, sizes.sum()));
    let mut rest = blob.bytes.clone();
    let uuid = match turns[0] {
        Theirs(_) => bench.client.begin(NAME)?.uuid,
        Ours(length) => begin_here(bench, rest.split_to(length)).await?,
    };
    let begun_here = usize::from(matches!(turns[0], Ours(_)));
    for (number, turn) in turns.iter().enumerate().skip(begun_here) {
        let size = blob.bytes.len() - rest.len();
        let piece = match *turn {
            Ours(length) | Theirs(length) => rest.split_to(length),
        };
        let added = match turn {
            Theirs(_) => there(bench, &uuid, size, piece),
            Ours(_) => here(bench, &uuid, size, piece).await,
        };
        added.map_err(|failed| format!("turn {number}, {turn:?}: {}", failed.message().unwrap_or_default()))?;
    }
    match finish {
        Finish::Theirs => {
            let upload = bench.client.adopt(NAME, &uuid, blob.bytes.len())?;
            upload.finish(Bytes::new(), &blob.digest)?;
        }
        Finish::Ours => commit_here(bench, &uuid, &blob).await?,
    }
    bench.client.pull(NAME, &blob)?;
    let path = layout::path(layout::blob(&blob.digest))?;
    same("the blob's size here", bench.driver.stat(&path).await?.size, blob.bytes.len() as u64)?;
    bench.expect_no_uploads().await?;
    Ok(format!("{} turns, {} bytes", turns.len(), blob.bytes.len()))
}

/// Begins an upload by the driver, as a registry on it does, and returns its name.
async fn begin_here(bench: &Bench, first: Bytes) -> Outcome<String> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let uuid = format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), nanos & 0xffff_ffff_ffff);
    let directory = layout::path(layout::upload(NAME, &uuid))?;
    let writer = bench.driver.writer(&directory.join("data")?, WriteMode::New).await?;
    bench.driver.put_content(&directory.join("startedat")?, Bytes::from_static(STARTED.as_bytes())).await?;
    write(writer, first).await?;
    Ok(uuid)
}

/// Adds bytes by the registry, which checks the size that the upload has.
fn there(bench: &Bench, uuid: &str, size: usize, added: Bytes) -> Outcome {
    let mut upload: Upload = bench.client.adopt(NAME, uuid, size)?;
    upload.expect_size(size)?;
    let total = size + added.len();
    if !added.is_empty() {
        upload.patch(added)?;
    }
    upload.expect_size(total)
}

/// Adds bytes by the driver.
async fn here(bench: &Bench, uuid: &str, size: usize, added: Bytes) -> Outcome {
    let directory = layout::path(layout::upload(NAME, uuid))?;
    let began = bench.driver.get_content(&directory.join("startedat")?).await?;
    let began = String::from_utf8_lossy(&began).into_owned();
    ensure(began.len() == STARTED.len() && began.ends_with('Z'), format_args!("startedat: {began}"))?;
    let writer = bench.driver.writer(&directory.join("data")?, WriteMode::Append).await?;
    same("the size that the upload has", writer.size(), size as u64)?;
    write(writer, added).await
}

/// Writes in pieces, as they come from a network, and closes.
async fn write(mut writer: Box<dyn FileWriter>, mut rest: Bytes) -> Outcome {
    let total = writer.size() + rest.len() as u64;
    while !rest.is_empty() {
        let length = rest.len().min(700 * KIB);
        writer.write(rest.split_to(length)).await?;
    }
    same("the size after writing", writer.size(), total)?;
    same("the size after closing", writer.close().await?, total)
}

/// Commits the upload and makes it a blob, in the steps of Distribution's `blobWriter.Commit`.
async fn commit_here(bench: &Bench, uuid: &str, blob: &Content) -> Outcome {
    let directory = layout::path(layout::upload(NAME, uuid))?;
    let data = directory.join("data")?;
    let writer = bench.driver.writer(&data, WriteMode::Append).await?;
    same("the size after committing", writer.commit().await?, blob.bytes.len() as u64)?;
    bench.driver.move_file(&data, &layout::path(layout::blob(&blob.digest))?).await?;
    let link = layout::path(layout::layer_link(NAME, &blob.digest))?;
    bench.driver.put_content(&link, Bytes::from(blob.digest.clone())).await?;
    bench.driver.delete(&directory).await?;
    same("whether the upload is there still", bench.driver.exists(&directory).await?, false)
}
