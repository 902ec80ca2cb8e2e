//! Streams without end, without a reader, and in the smallest steps.

use serde_json::json;

use super::{hostile, quiet};
use crate::attack::Operation;
use crate::raw::Question;
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let stream = |operation, attack: &str, count: u64| {
        hostile(operation, json!({ "attack": attack, "at": "stream", "count": count }))
    };
    vec![
        Row::check(
            "sends a file without end",
            stream(Operation::Read, "endless", 1_000_000),
            "1000000 bytes",
            Question::Read,
            "more than",
        )
        .burns(),
        Row::check(
            "ends a file before it began",
            stream(Operation::Read, "drop-stream", 1_000_000),
            "unavailable: after 0 bytes",
            Question::Read,
            "0 bytes",
        ),
        Row::wasmtime(
            "lists without end",
            stream(Operation::List, "endless", 0),
            "2000000 entries, and the caller had enough",
            stream(Operation::List, "many-entries", 10),
            "10 entries",
        )
        .burns(),
        Row::wasmtime(
            "lists a million entries at once",
            stream(Operation::List, "many-entries", 1_000_000),
            "1000000 entries",
            stream(Operation::List, "many-entries", 10),
            "10 entries",
        )
        .burns(),
        Row::wasmtime(
            "sends a file byte by byte",
            stream(Operation::Read, "byte-by-byte", 20_000),
            "20000 bytes",
            stream(Operation::Read, "none", 20_000),
            "20000 bytes",
        )
        .burns(),
        Row::wasmtime(
            "sends a file that nobody reads",
            stream(Operation::HoldReader, "endless", 1 << 40),
            "an open file, and other answers beside it",
            quiet(Operation::HoldReader),
            "an open file, and other answers beside it",
        ),
    ]
}
