//! Handles: too many, used twice, made up.

use std::time::Duration;

use serde_json::json;

use super::{data, hostile, limits, quiet};
use crate::attack::Operation;
use crate::lab::Lab;
use crate::row::Row;

pub(crate) fn rows(lab: &Lab) -> Vec<Row> {
    let stat = |attack: &str, count: u64| hostile(Operation::Stat, json!({ "attack": attack, "count": count }));
    let many = limits(json!({ "handles": 10_000_000 }));
    let read =
        hostile(Operation::Stat, json!({ "attack": "read-file", "target": "/data/file" })).with(data(lab, false));
    let files = Row::limit(
        "opens 3,000 descriptors and keeps them",
        "files",
        stat("leak-files", 3_000).with(data(lab, false)),
        // One instance, so that the driver's share of the process's descriptors is its own.
        limits(json!({ "files": 20_000, "workers": 1 })),
        "nothing within",
    )
    .watched(Duration::from_secs(3))
    .burns();
    vec![
        Row::limit(
            "leaks 100,000 streams",
            "handles",
            stat("leak-streams", 100_000),
            many.clone(),
            "conflict: got 100000 streams",
        )
        .burns(),
        Row::limit("leaks 100,000 waits", "handles", stat("leak-tasks", 100_000), many, "conflict: got 100000 tasks")
            .burns(),
        files,
        Row::wasmtime(
            "drops a handle twice",
            stat("drop-twice", 0).with(data(lab, false)),
            "unavailable: the component's instance died",
            read.clone(),
            "conflict: got inside",
        ),
        Row::wasmtime(
            "uses a handle that it never had",
            stat("forge-handle", 0).with(data(lab, false)),
            "unavailable: the component's instance died",
            read,
            "conflict: got inside",
        ),
        Row::limit(
            "has more files open than it may",
            "readers",
            quiet(Operation::OpenReaders(5)).with(limits(json!({ "readers": 3 }))),
            limits(json!({ "readers": 5 })),
            "5 files open",
        ),
        Row::limit(
            "has more uploads open than it may",
            "writers",
            quiet(Operation::OpenWriters(5)).with(limits(json!({ "writers": 3 }))),
            limits(json!({ "writers": 5 })),
            "5 uploads open",
        ),
    ]
}
