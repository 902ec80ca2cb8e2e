//! What was pushed to `docker-registry`, as Wharf's driver shows it.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use wharf::contract::{ByteRange, Entry, StorageDriverExt};

use crate::Promise;
use crate::bench::{Bench, Kind};
use crate::check::{Outcome, during, ensure, same};
use crate::content::{KIB, MIB, named};
use crate::image::{Content, Image};
use crate::layout;
use crate::table::Direction;

pub(crate) fn promises() -> Vec<Promise> {
    const SEEN: &str = "every_file_of_pushed_images_is_seen_and_whole";
    const LISTED: &str = "every_directory_of_pushed_images_lists_what_the_walk_shows";
    const EMPTY: &str = "an_empty_blob_is_empty";
    let direction = Direction::TheirsToOurs;
    vec![
        Promise::new(direction, SEEN, &Kind::ALL, |bench| Box::pin(files(bench))),
        Promise::new(direction, LISTED, &Kind::ALL, |bench| Box::pin(directories(bench))),
        Promise::new(direction, EMPTY, &Kind::EACH, |bench| Box::pin(empty(bench))),
    ]
}

/// Blobs below, at and above a part of a multipart upload.
const SIZES: [usize; 4] = [KIB, 3 * MIB, 12 * MIB, 33 * MIB];

async fn files(bench: &Bench) -> Outcome<String> {
    let whole = Image::new("plain/whole", &["one", "two"], 1, &SIZES);
    let chunked = Image::new("plain/chunked", &["one", "two"], 2, &SIZES);
    let copied = Image::new("copied", &["latest", "1.0"], 3, &[17, 2 * MIB]);
    bench.client.push(&whole)?;
    bench.client.push_whole(&chunked.name, &chunked.configuration)?;
    for (blob, length) in chunked.layers.iter().zip([100, MIB, 5 * MIB + 1, 12 * MIB]) {
        bench.client.push_chunked(&chunked.name, blob, length)?;
    }
    bench.client.push_manifest(&chunked)?;
    copied.push_with_skopeo(&bench.host())?;

    let entries = bench.walk().await?;
    let seen: BTreeSet<String> =
        entries.iter().filter(|entry| !entry.is_dir).map(|entry| entry.path.to_string()).collect();
    let promised = layout::files([&whole, &chunked, &copied]);
    let missing: Vec<&String> = promised.difference(&seen).collect();
    let others: Vec<&String> = seen.difference(&promised).collect();
    ensure(missing.is_empty() && others.is_empty(), format_args!("not seen: {missing:?}; not pushed: {others:?}"))?;

    let pushed: BTreeMap<&str, &Content> = [&whole, &chunked, &copied]
        .iter()
        .flat_map(|image| image.blobs().chain([&image.manifest]))
        .map(|content| (&*content.digest, content))
        .collect();
    let mut blobs = 0;
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        if layout::is_link(entry.path.as_str()) {
            let content = bench.driver.get_content(&entry.path).await?;
            let digest = std::str::from_utf8(&content)?;
            ensure(pushed.contains_key(digest), format_args!("{} holds {digest:?}", entry.path))?;
            sizes(bench, entry, content.len() as u64).await?;
        } else {
            blob(bench, entry, &pushed).await?;
            blobs += 1;
        }
    }
    bench.expect_no_uploads().await?;
    Ok(format!("{blobs} blobs, {} links", seen.len() - blobs))
}

/// Reads the bytes of a blob, as a whole and from within.
async fn blob(bench: &Bench, entry: &Entry, pushed: &BTreeMap<&str, &Content>) -> Outcome {
    let path = &entry.path;
    let digest = layout::digest_in(path.as_str()).ok_or_else(|| format!("{path} is no path of a blob"))?;
    let content = pushed.get(&*digest).ok_or_else(|| format!("{path} was not pushed"))?;
    let mut reader = during(path, bench.driver.reader(path, ByteRange::ALL).await)?;
    same(format_args!("size that the reader of {path} tells"), reader.info().size, content.bytes.len() as u64)?;
    let (mut hash, mut length) = (Sha256::new(), 0);
    while let Some(bytes) = during(path, reader.try_next().await)? {
        length += bytes.len() as u64;
        hash.update(&bytes);
    }
    same(format_args!("digest of {path}"), named(hash.finalize()), digest)?;
    sizes(bench, entry, length).await?;
    // Across the end of the first part, where there are several.
    let middle = content.bytes.len() / 3;
    let end = content.bytes.len().min(middle + 2 * MIB);
    let range = ByteRange::new(middle as u64, (end - middle) as u64);
    let seen = during(path, bench.driver.read_range(path, range).await)?;
    ensure(seen == content.bytes[middle..end], format_args!("{path}: a range from {middle} is another"))
}

/// Compares what the walk and `stat` say of a file's size with what was read.
async fn sizes(bench: &Bench, entry: &Entry, read: u64) -> Outcome {
    let info = during(&entry.path, bench.driver.stat(&entry.path).await)?;
    ensure(!info.is_dir, format_args!("{} is a directory to stat", entry.path))?;
    same(format_args!("size of {} to stat", entry.path), info.size, read)?;
    same(format_args!("size of {} to the walk", entry.path), entry.size.unwrap_or(read), read)
}

async fn directories(bench: &Bench) -> Outcome<String> {
    // Names of which one is the other's beginning, and which order otherwise with their slash than without.
    let names = ["team/app", "team/app-two", "team/app.three", "team/app/nested", "team2"];
    for (seed, name) in (10..).zip(names) {
        bench.client.push(&Image::new(name, &["v1", "v1-rc", "v1.0"], seed, &[KIB]))?;
    }
    let entries = bench.walk().await?;
    ensure(entries.is_sorted_by_key(Entry::position), "the walk is out of order")?;
    let root = Entry::directory(wharf::contract::StoragePath::root());
    let mut count = 0;
    for directory in [&root].into_iter().chain(entries.iter().filter(|entry| entry.is_dir)) {
        let path = &directory.path;
        let listed = match bench.driver.list_all(path).await {
            // A directory that was left behind empty.
            Err(error) if error.is_path_not_found() => Vec::new(),
            listed => during(path, listed)?,
        };
        let children = |list: &[Entry]| -> Vec<(String, bool)> {
            let here = list.iter().filter(|entry| entry.path.parent().as_ref() == Some(path));
            here.map(|entry| (entry.path.to_string(), entry.is_dir)).collect()
        };
        same(format_args!("children of {path}"), children(&listed), children(&entries))?;
        same(format_args!("{path} has only children listed"), children(&listed).len(), listed.len())?;
        if !listed.is_empty() {
            let info = during(path, bench.driver.stat(path).await)?;
            ensure(info.is_dir && info.size == 0, format_args!("{path} is no directory to stat: {info:?}"))?;
        }
        count += 1;
    }
    Ok(format!("{count} directories of {} repositories", names.len()))
}

async fn empty(bench: &Bench) -> Outcome<String> {
    let blob = Content::from(bytes::Bytes::new());
    let reply = bench.client.begin("empty")?.try_finish(blob.bytes.clone(), &blob.digest)?;
    let path = layout::path(layout::blob(&blob.digest))?;
    if reply.status != 201 {
        // Version 2.8 ends a multipart upload without a part, which S3 refuses.
        same("whether the blob is there after a refusal", bench.driver.exists(&path).await?, false)?;
        return Ok(format!("the registry refuses it with {}", reply.status));
    }
    same("its size", bench.driver.stat(&path).await?.size, 0)?;
    same("its content", bench.driver.get_content(&path).await?.len(), 0)?;
    same("its bytes", bench.driver.read_range(&path, ByteRange::ALL).await?.len(), 0)?;
    bench.client.pull("empty", &blob)?;
    Ok("the registry takes it".to_owned())
}
