//! Components that take memory: their own, or the host's.

use std::time::Duration;

use serde_json::json;

use super::{hostile, limits, quiet};
use crate::attack::Operation;
use crate::raw::Question;
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let stat = |attack: &str, count: u64| hostile(Operation::Stat, json!({ "attack": attack, "count": count }));
    let small = limits(json!({ "memory": "64MiB" }));
    let large = limits(json!({ "memory": "1GiB" }));
    vec![
        Row::limit(
            "grows in small steps",
            "memory",
            stat("grow-small", 200_000_000).with(small.clone()),
            large.clone(),
            "conflict: got 2000",
        )
        .burns(),
        Row::limit(
            "grows in one step",
            "memory",
            stat("grow-large", 200_000_000).with(small),
            large.clone(),
            "conflict: got 2000",
        )
        .burns(),
        Row::limit(
            "is larger than it may be from the start",
            "memory",
            quiet(Operation::Open).with(limits(json!({ "memory": "1MiB" }))),
            large,
            "opened",
        ),
        Row::limit(
            "has larger tables than it may",
            "tables",
            quiet(Operation::Open).with(limits(json!({ "tables": 10 }))),
            limits(json!({ "tables": 65536 })),
            "opened",
        ),
        Row::limit(
            "returns a text of 1 GiB",
            "transfer",
            stat("huge-text", 1 << 30).with(limits(json!({ "memory": "4GiB" }))),
            limits(json!({ "transfer": "4GiB", "text": "4GiB" })),
            "a file of 5 bytes, version of 1073741824",
        )
        // Without the limits a busy machine takes its time for all that.
        .watched(Duration::from_secs(120))
        .burns(),
        Row::limit(
            "returns a long version",
            "text",
            stat("huge-text", 100_000),
            limits(json!({ "text": "1MiB" })),
            "a file of 5 bytes, version of 100000",
        ),
        Row::limit(
            "returns a long address",
            "text",
            hostile(Operation::RedirectUrl, json!({ "attack": "huge-text", "count": 2_000, "at": "redirect-url" }))
                .with(json!({ "allow": { "redirect": ["a.example:80"] }, "limits": { "text": "1KiB" } })),
            limits(json!({ "text": "16KiB" })),
            "an address of 2017 bytes",
        ),
        Row::limit(
            "lists a long path",
            "text",
            hostile(Operation::List, json!({ "attack": "huge-text", "count": 100_000, "at": "stream" })),
            limits(json!({ "text": "1MiB" })),
            "1 entries",
        ),
        Row::check(
            "asks for 300 MB of random bytes",
            stat("huge-random", 300_000_000),
            "conflict: got 65536 random bytes",
            Question::Stat,
            // "got 67108864 random bytes", wasmtime's own limit.
            "an error of 25 bytes",
        )
        .burns(),
        // There a call has to return what was asked for.
        Row::bounded(
            "asks for 300 MB of random bytes by version 0.2",
            stat("old-random", 300_000_000),
            "limit-exceeded (random)",
            stat("old-random", 65_536),
            "conflict: got 65536 random bytes",
        )
        .burns(),
        Row::limit(
            "floods the log with 50 MB",
            "log",
            hostile(Operation::StatAndLog, json!({ "attack": "flood-log", "count": 50_000_000 })),
            limits(json!({ "log": "1GiB" })),
            "more than 1 MiB of log",
        )
        .sees("at most 1 MiB of log")
        .burns(),
    ]
}
