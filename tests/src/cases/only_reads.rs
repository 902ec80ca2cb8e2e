//! Drivers that only read, on content that their author provides: what they tell is what is there, and nothing changes it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{
    ByteRange, Cursor, Entry, MAX_CONTENT, Position, RedirectRequest, StorageDriver, StoragePath, WriteMode,
};

use super::{Case, case};
use crate::context::{ensure, expect_kind, read, same_bytes};
use crate::provided::Provided;
use crate::{Context, Failure, Outcome};

/// Of so many files the bytes are compared.
const FILES: usize = 200;

/// Of so many files, or directories, it is tried what takes several requests.
const FEW: usize = 20;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(provided_files_are_told, "Stat tells of each file that is there, with its size.").only_reads(),
        case!(provided_files_are_read, "A file reads as its bytes, whole, by get and by reader.").only_reads(),
        case!(provided_ranges_are_read, "A range of a file is those of its bytes.").only_reads(),
        case!(provided_directories_are_told, "Directories are those that files lie in, and no files.").only_reads(),
        case!(provided_directories_are_listed, "A listing is all children of a directory, in order.").only_reads(),
        case!(provided_listings_start_after, "A listing from a position is what comes after it.").only_reads(),
        case!(provided_tree_is_walked, "A walk is all that lies below a directory, in order, from a cursor too.")
            .only_reads(),
        case!(provided_facts_agree, "Stat, reader and listing tell the same of a file, each time.").only_reads(),
        case!(what_is_not_provided_is_missing, "What is not there is path-not-found.").only_reads(),
        case!(provided_to_every_instance, "Every instance tells and reads the same.").only_reads(),
        case!(provided_to_many_readers, "Many readers at once read each its file, whatever becomes of others.")
            .only_reads(),
        case!(provided_addresses, "Each file has an address of its own.").only_reads_with(&["read-only", "redirect"]),
        case!(changes_are_unsupported, "What would change the store is unsupported, and changes nothing.")
            .only_reads()
            .by_base(),
        case!(only_reading_is_promised, "A driver that only reads promises nothing of changes.").only_reads(),
    ]
}

/// So many readers are opened and read to the end: a component may have 1,024 files open.
const READERS: usize = 1100;

async fn entries(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    after: Option<&Position>,
) -> Result<Vec<Entry>, Failure> {
    Ok(driver.list(path, after).await?.try_collect().await?)
}

/// Compares a listing or a walk with what it should be.
fn same_entries(done: &str, provided: &Provided, got: &[Entry], expected: &[Position]) -> Outcome {
    let text = |at: &Position| format!("{}{}", at.path, if at.is_dir { "/" } else { "" });
    let got = got.iter().map(Entry::position).filter(|at| !provided.may_lack(at));
    let got: Vec<String> = got.map(|at| text(&at)).collect();
    let expected: Vec<String> = expected.iter().map(text).collect();
    if got == expected {
        return Ok(());
    }
    let first = |of: &[String], not_in: &[String]| {
        let seen: BTreeSet<&String> = not_in.iter().collect();
        of.iter().find(|name| !seen.contains(name)).cloned()
    };
    let what = match (first(&expected, &got), first(&got, &expected)) {
        (Some(missing), Some(extra)) => format!("{missing} is missing, and {extra} should not be there"),
        (Some(missing), None) => format!("{missing} is missing"),
        (None, Some(extra)) => format!("{extra} should not be there"),
        (None, None) => {
            let at = got.iter().zip(&expected).position(|(got, expected)| got != expected);
            format!("they are in another order, or not once each, from the {}th on", at.unwrap_or(expected.len()) + 1)
        }
    };
    Err(Failure::new(format!("{done}: expected {} entries, got {}: {what}", expected.len(), got.len())))
}

/// Reads a file and compares it, chunk by chunk, so that none is held whole.
async fn same_file(driver: &dyn StorageDriver, provided: &Provided, path: &StoragePath, size: u64) -> Outcome {
    let mut reader = driver.reader(path, ByteRange::ALL).await?;
    let told = reader.info().size;
    ensure!(told == size, "reader of {path}: it tells a size of {told} bytes, and the file has {size}");
    let mut at = 0;
    while let Some(chunk) = reader.try_next().await? {
        let expected = provided.bytes(path, at, chunk.len())?;
        same_bytes(&format!("reading {path} from byte {at}"), &chunk, &expected)?;
        at += chunk.len() as u64;
    }
    ensure!(at == size, "reading {path}: it ended after {at} bytes of {size}");
    Ok(())
}

async fn provided_files_are_told(context: Context) -> Outcome {
    for (path, size) in context.provided()?.files() {
        let info = context.driver().stat(path).await?;
        ensure!(!info.is_dir && info.size == size, "stat of {path}: expected a file of {size} bytes, got {info:?}");
    }
    Ok(())
}

async fn provided_files_are_read(context: Context) -> Outcome {
    let provided = context.provided()?;
    for (path, size) in provided.some(FILES) {
        same_file(context.driver(), provided, path, size).await?;
        let got = context.driver().get_content(path).await;
        if size > MAX_CONTENT {
            expect_kind(&format!("get-content of {path}, of {size} bytes"), got, "too-large")?;
        } else {
            same_bytes(&format!("get-content of {path}"), &got?, &provided.bytes(path, 0, size as usize)?)?;
        }
    }
    Ok(())
}

async fn provided_ranges_are_read(context: Context) -> Outcome {
    let provided = context.provided()?;
    for (path, size) in provided.some(FEW) {
        let some = 70_000;
        let (middle, end) = (size / 2, size.saturating_sub(1));
        let ranges = [
            (0, Some(1)),
            (0, Some(some)),
            (middle, Some(some)),
            (end, None),
            (end, Some(u64::MAX)),
            (size, None),
            (0, Some(0)),
        ];
        for (offset, length) in ranges {
            let got = read(context.driver(), path, ByteRange { offset, length }).await?;
            let count = (size - offset).min(length.unwrap_or(u64::MAX));
            let expected = provided.bytes(path, offset, count as usize)?;
            same_bytes(&format!("reading {path} from byte {offset}, {length:?} bytes"), &got, &expected)?;
        }
        for offset in [size + 1, u64::MAX] {
            let got = context.driver().reader(path, ByteRange { offset, length: None }).await;
            expect_kind(
                &format!("reader of {path}, of {size} bytes, from byte {offset}"),
                got.map(|_| ()),
                "invalid-offset",
            )?;
        }
    }
    Ok(())
}

async fn provided_directories_are_told(context: Context) -> Outcome {
    let provided = context.provided()?;
    for path in provided.directories() {
        let info = context.driver().stat(&path).await?;
        ensure!(info.is_dir && info.size == 0, "stat of {path}: expected a directory, got {info:?}");
        if !path.is_root() {
            let got = context.driver().get_content(&path).await;
            expect_kind(&format!("get-content of the directory {path}"), got, "path-not-found")?;
            let got = context.driver().reader(&path, ByteRange::ALL).await;
            expect_kind(&format!("reader of the directory {path}"), got.map(|_| ()), "path-not-found")?;
        }
    }
    for (path, _) in provided.some(FEW) {
        let got = entries(context.driver(), path, None).await;
        ensure!(got.is_err(), "list of the file {path}: expected the error path-not-found, but it succeeded");
    }
    Ok(())
}

async fn provided_directories_are_listed(context: Context) -> Outcome {
    let provided = context.provided()?;
    for path in provided.directories() {
        let got = entries(context.driver(), &path, None).await?;
        same_entries(&format!("list of {path}"), provided, &got, &provided.children(&path))?;
    }
    Ok(())
}

async fn provided_listings_start_after(context: Context) -> Outcome {
    let provided = context.provided()?;
    for path in provided.directories().into_iter().take(FEW) {
        let children = provided.children(&path);
        let step = children.len().div_ceil(FEW).max(1);
        for (index, after) in children.iter().enumerate().step_by(step) {
            let got = entries(context.driver(), &path, Some(after)).await?;
            same_entries(&format!("list of {path} after {after:?}"), provided, &got, &children[index + 1..])?;
            // Where nothing need be: just behind it.
            let behind = Position { path: StoragePath::parse(format!("{}-", after.path))?, is_dir: false };
            let expected: Vec<Position> = children.iter().filter(|child| **child > behind).cloned().collect();
            let got = entries(context.driver(), &path, Some(&behind)).await?;
            same_entries(&format!("list of {path} after {behind:?}"), provided, &got, &expected)?;
        }
    }
    Ok(())
}

async fn provided_tree_is_walked(context: Context) -> Outcome {
    let provided = context.provided()?;
    for path in provided.directories().into_iter().take(FEW) {
        let got = context.walk(&path, None).await?;
        same_entries(&format!("walk of {path}"), provided, &got, &provided.tree(&path))?;
    }
    let root = StoragePath::root();
    let tree = provided.tree(&root);
    for after in tree.iter().step_by(tree.len().div_ceil(FEW).max(1)) {
        for below in [true, false] {
            let prefix = after.path.as_prefix();
            let is_passed = |at: &Position| after.is_dir && !below && at.path.as_str().starts_with(&*prefix);
            let expected: Vec<Position> = tree.iter().filter(|at| *at > after && !is_passed(at)).cloned().collect();
            let cursor = Cursor { after: after.clone(), below };
            let got = context.walk(&root, Some(&cursor)).await?;
            same_entries(&format!("walk of / from {cursor:?}"), provided, &got, &expected)?;
        }
    }
    Ok(())
}

async fn provided_facts_agree(context: Context) -> Outcome {
    let provided = context.provided()?;
    for (path, _) in provided.some(FEW) {
        let info = context.driver().stat(path).await?;
        let again = context.driver().stat(path).await?;
        ensure!(info == again, "stat of {path}: {info:?}, and then {again:?}");
        let reader = context.driver().reader(path, ByteRange { offset: 0, length: Some(1) }).await?;
        ensure!(*reader.info() == info, "{path}: stat tells {info:?}, and reader {:?}", reader.info());
        drop(reader);
        let Some(parent) = path.parent() else { continue };
        for entry in entries(context.driver(), &parent, None).await? {
            if entry.path != *path || entry.is_dir {
                continue;
            }
            ensure!(
                entry.size.is_none_or(|size| size == info.size)
                    && (entry.modified.is_none() || entry.modified == info.modified),
                "{path}: stat tells {info:?}, and the listing {entry:?}"
            );
        }
    }
    Ok(())
}

async fn what_is_not_provided_is_missing(context: Context) -> Outcome {
    let provided = context.provided()?;
    let mut missing = Vec::new();
    for (path, _) in provided.some(FEW) {
        let shorter = path.as_str().get(..path.as_str().len() - 1).unwrap_or_default();
        let beside = [format!("{path}x"), format!("{path}/x"), shorter.trim_end_matches('/').to_owned()];
        missing.extend(beside.into_iter().filter_map(|text| StoragePath::parse(text).ok()));
    }
    // A driver takes names of 255 bytes, and paths of 1,000.
    missing.extend([
        StoragePath::parse(format!("/{}", "n".repeat(255)))?,
        StoragePath::parse(format!("/{}", "p/".repeat(499) + "p"))?,
    ]);
    missing.extend(provided.directories().iter().take(FEW).filter_map(|path| path.join("no-such-file").ok()));
    for path in missing.iter().filter(|path| !path.is_root() && !provided.may_have(path)) {
        let driver = context.driver();
        expect_kind(&format!("stat of {path}"), driver.stat(path).await, "path-not-found")?;
        expect_kind(&format!("get-content of {path}"), driver.get_content(path).await, "path-not-found")?;
        let got = driver.reader(path, ByteRange::ALL).await;
        expect_kind(&format!("reader of {path}"), got.map(|_| ()), "path-not-found")?;
        let got = match driver.list(path, None).await {
            Ok(listing) => listing.try_collect::<Vec<Entry>>().await,
            Err(error) => Err(error),
        };
        expect_kind(&format!("list of {path}"), got, "path-not-found")?;
    }
    Ok(())
}

async fn provided_to_every_instance(context: Context) -> Outcome {
    let provided = context.provided()?;
    let another = context.another().await?;
    let root = StoragePath::root();
    same_entries(
        "list of / by another instance",
        provided,
        &entries(&*another, &root, None).await?,
        &provided.children(&root),
    )?;
    for (path, size) in provided.some(FEW) {
        same_file(&*another, provided, path, size).await?;
        let (info, theirs) = (context.driver().stat(path).await?, another.stat(path).await?);
        ensure!(info == theirs, "stat of {path}: {info:?} by one instance, and {theirs:?} by another");
    }
    Ok(())
}

async fn provided_to_many_readers(context: Context) -> Outcome {
    let provided = context.provided()?;
    let some = provided.some(FEW);
    let mut readers = Vec::new();
    for (path, _) in &some {
        readers.push((*path, 0, context.driver().reader(path, ByteRange::ALL).await?));
        // One that nobody goes on with.
        let mut dropped = context.driver().reader(path, ByteRange::ALL).await?;
        dropped.try_next().await?;
    }
    // A chunk of each in turn.
    while !readers.is_empty() {
        let mut going_on = Vec::new();
        for (path, at, mut reader) in readers {
            let Some(chunk) = reader.try_next().await? else {
                let size = reader.info().size;
                ensure!(at == size, "reading {path} beside others: it ended after {at} bytes of {size}");
                continue;
            };
            let expected = provided.bytes(path, at, chunk.len())?;
            same_bytes(&format!("reading {path} beside others, from byte {at}"), &chunk, &expected)?;
            going_on.push((path, at + chunk.len() as u64, reader));
        }
        readers = going_on;
    }
    // More than a driver may have open, if it closes none.
    let Some((path, size)) = provided.files().min_by_key(|(_, size)| *size) else { return Ok(()) };
    let again = stream::iter(0..READERS).map(|_| same_file(context.driver(), provided, path, size));
    again.buffer_unordered(16).try_collect().await
}

async fn provided_addresses(context: Context) -> Outcome {
    let request = RedirectRequest { method: "GET".to_owned(), client_address: None };
    let mut seen = BTreeMap::new();
    for (path, _) in context.provided()?.some(FEW) {
        let Some(address) = context.driver().redirect_url(path, &request).await? else { continue };
        if let Some(other) = seen.insert(address.clone(), path).filter(|other| *other != path) {
            return Err(Failure::new(format!("{other} and {path} have the address {address}")));
        }
    }
    ensure!(!seen.is_empty(), "no file has an address, and the driver declares redirect");
    Ok(())
}

async fn changes_are_unsupported(context: Context) -> Outcome {
    let provided = context.provided()?;
    let Some((file, size)) = provided.files().next() else { return Ok(()) };
    let new = StoragePath::parse("/wharf-conformance-new")?;
    let driver = context.driver();
    for path in [file, &new] {
        expect_kind(
            &format!("put-content of {path}"),
            driver.put_content(path, Bytes::from_static(b"x")).await,
            "unsupported",
        )?;
        for mode in [WriteMode::New, WriteMode::Append] {
            let got = driver.writer(path, mode).await.map(|_| ());
            expect_kind(&format!("writer of {path}, {mode:?}"), got, "unsupported")?;
        }
        expect_kind(&format!("delete of {path}"), driver.delete(path).await, "unsupported")?;
        expect_kind(
            &format!("delete-files of {path}"),
            driver.delete_files(std::slice::from_ref(path)).await,
            "unsupported",
        )?;
    }
    expect_kind(&format!("move of {file} to {new}"), driver.move_file(file, &new).await, "unsupported")?;
    same_file(driver, provided, file, size).await?;
    let root = StoragePath::root();
    same_entries(
        "list of / after changes that were refused",
        provided,
        &entries(driver, &root, None).await?,
        &provided.children(&root),
    )
}

async fn only_reading_is_promised(context: Context) -> Outcome {
    let of_reading = ["read-only", "redirect", "native-walk"];
    let others: Vec<_> = context.capabilities().names().filter(|name| !of_reading.contains(name)).collect();
    ensure!(
        others.is_empty(),
        "it declares {} beside read-only, which say nothing of a driver that only reads",
        others.join(", ")
    );
    Ok(())
}
