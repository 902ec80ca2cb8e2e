//! Components that make the host hold what costs them little: threads, memory, descriptors.

use std::time::Duration;

use serde_json::{Value, json};

use super::{data, hostile, limits, quiet, web};
use crate::attack::{Attack, Operation};
use crate::lab::Lab;
use crate::row::Row;

/// What the program itself may start and end meanwhile.
const THREADS: usize = 16;

/// What the threads of a driver may be that is attacked again and again: those of its predecessors end meanwhile.
const AGAIN: usize = 4 * 32 + THREADS;

/// What an attacker that ends while the next one begins may have open, for so many of each.
fn twice(files: usize) -> usize {
    2 * files + 64
}

pub(crate) fn rows(lab: &Lab) -> Vec<Row> {
    let small = || limits(json!({ "memory": "64MiB" }));
    let stat = |parameters: Value| hostile(Operation::Stat, parameters).with(data(lab, false)).with(small());
    let hoard =
        |attack: &str, target: &str, count: u64| stat(json!({ "attack": attack, "target": target, "count": count }));
    let write = |attack: &str, count: u64| hoard(attack, "file", count).with(data(lab, true));
    let reads = || hoard("read-file", "/data/file", 0);
    let works = "conflict: got inside";
    // The driver's share of the process's descriptors is its one instance's.
    let many = |files: u64| limits(json!({ "files": files, "workers": 1 }));
    let alias = |operation: Operation, count: u64, bytes: u64| {
        let parameters = json!({ "attack": "alias-entries", "at": "stream", "count": count, "after_bytes": bytes });
        hostile(operation, parameters).with(small())
    };
    let one_thread = |attack: Attack| Attack { on_one_thread: true, ..attack };
    let granted = lab.granted.address.to_string();
    let url = format!("http://{granted}/");
    let keeps = |what: &str, count: u64| web(json!({ "url": url, what: count }), &[&granted]).with(small());
    let impatient = |attack: Attack| Attack { patience: Duration::from_secs(5), ..attack };
    vec![
        Row::bounded(
            "opens 500 streams of a directory and reads none",
            hoard("hoard-directories", "", 500),
            "conflict: got 500 directories",
            reads(),
            works,
        )
        .threads(THREADS)
        .files(twice(500)),
        Row::limit(
            "opens 4,000 streams of a directory",
            "files",
            hoard("hoard-directories", "", 4_000),
            many(10_000),
            "conflict: got 4000 directories",
        )
        .threads(THREADS)
        .files(twice(1024))
        .burns(),
        Row::bounded(
            "opens a FIFO that nobody writes to, 100 times",
            impatient(hoard("hoard-opens", "fifo", 100)),
            "conflict: got 100 opened",
            hoard("hoard-opens", "file", 100),
            "conflict: got 100 opened",
        )
        .threads(AGAIN)
        .files(twice(32)),
        Row::bounded(
            "reads a FIFO by its standard library",
            impatient(hoard("read-file", "/data/fifo", 0)),
            "access-denied",
            reads(),
            works,
        )
        .threads(AGAIN),
        Row::bounded(
            "asks for 300 paths of a megabyte at once",
            impatient(hoard("hoard-paths", "fifo", 300)),
            "conflict: got 300 paths",
            reads(),
            works,
        )
        .threads(AGAIN)
        .burns(),
        Row::limit(
            "begins 5,000 calls at once",
            "calls",
            // So few that they are begun between two looks at which of them have ended.
            hoard("hoard-calls", "file", 5_000).with(limits(json!({ "calls": 16 }))),
            limits(json!({ "calls": 10_000 })),
            "conflict: got 5000 calls",
        )
        .threads(AGAIN)
        .burns(),
        Row::bounded(
            "begins to read a file 1,000 times",
            hoard("hoard-reads", "large", 1_000),
            "conflict: got 1000 streams of a file",
            reads(),
            works,
        )
        .threads(AGAIN)
        .burns(),
        Row::bounded(
            "begins to write a file 1,000 times",
            write("hoard-writes", 1_000),
            "conflict: got 1000 streams to a file",
            reads(),
            works,
        )
        .threads(AGAIN)
        .files(twice(1024))
        .burns(),
        Row::limit(
            "writes 4,000 streams to a file",
            "files",
            write("hoard-writes", 4_000),
            many(10_000),
            "conflict: got 4000 streams to a file",
        )
        .threads(AGAIN)
        .files(twice(1024))
        .burns(),
        Row::limit(
            "appends 4,000 streams to a file",
            "files",
            write("hoard-appends", 4_000),
            many(10_000),
            "conflict: got 4000 streams to a file",
        )
        .threads(AGAIN)
        .files(twice(1024))
        .burns(),
        Row::limit(
            "lists entries whose paths are the same megabyte",
            "text",
            alias(Operation::List, 200, 1 << 20),
            limits(json!({ "text": "4MiB", "transfer": "8GiB", "stream_idle": "300ms" })),
            "limit-exceeded (stream_idle): after",
        ),
        Row::bounded(
            "lists entries that are the same bytes 64 times, to slow readers",
            alias(Operation::HoldListings(64), 400, 16_000),
            "64 listings held",
            quiet(Operation::List),
            "0 entries",
        )
        .burns(),
        Row::bounded(
            "sends 400 files that nobody reads",
            hostile(Operation::HoldReaders(400), json!({ "attack": "none", "at": "stream", "count": 1 << 30 }))
                .with(limits(json!({ "memory": "128MiB" }))),
            "400 files held",
            quiet(Operation::HoldReader),
            "an open file",
        )
        .burns(),
        // Each is as large as a content may be.
        Row::bounded(
            "returns 64 contents at once",
            one_thread(hostile(
                Operation::GetContents(64),
                json!({ "attack": "huge-content", "at": "get-content", "count": 16 << 20 }),
            ))
            .with(small()),
            "64 contents, 1073741824 bytes",
            quiet(Operation::GetContent),
            "path-not-found",
        )
        .burns(),
        Row::limit(
            "returns 64 long versions at once",
            "text",
            one_thread(hostile(
                Operation::Stats(64),
                json!({ "attack": "huge-text", "at": "stat", "count": 16 << 20 }),
            ))
            .with(small()),
            limits(json!({ "text": "16MiB" })),
            "64 facts",
        )
        .burns(),
        Row::bounded(
            "makes 1,000 lists of headers, as large as they can be",
            keeps("lists", 1_000),
            "10 bytes",
            keeps("lists", 1),
            "7 bytes",
        )
        .burns(),
        Row::bounded(
            "makes 900 requests with texts of a megabyte",
            keeps("texts", 900),
            "9 bytes",
            keeps("texts", 1),
            "7 bytes",
        )
        .burns(),
    ]
}
