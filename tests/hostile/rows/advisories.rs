//! What published advisories say of wasmtime, each until a version without it is there. The last rows: who knows what a
//! host is like after them.

use serde_json::json;

use super::{hostile, limits, quiet};
use crate::attack::Operation;
use crate::row::Row;

/// The version that is to come.
const FIXED: &str = "wasmtime 48.0.9";

pub(crate) fn rows() -> Vec<Row> {
    let stat = |attack: &str, count: u64| {
        hostile(Operation::Stat, json!({ "attack": attack, "count": count })).with(limits(json!({ "memory": "16MiB" })))
    };
    let row = |name, attack, sees: &str| Row::wasmtime(name, attack, sees, quiet(Operation::Stat), "a file of 5 bytes");
    let died = "unavailable: the component's instance died";
    vec![
        row("cancels a write on the end that reads", stat("cancel-wrong-end", 0), died),
        row("cancels a read on the end that writes", stat("cancel-wrong-end", 1), died),
        row(
            "cancels a read on the end that writes, and drops it",
            stat("cancel-wrong-end", 3),
            "conflict: got a copy cancelled on the wrong end",
        ),
        row(
            "writes nothing, 1,000,000 times",
            stat("write-nothing", 1_000_000),
            "conflict: got 1000000 writes of nothing",
        )
        .burns(),
        // The panic is caught, and the caller told of a death, as for a trap; but it is a panic.
        row("cancels a write on the end that reads, and drops it", stat("cancel-wrong-end", 2), died).until(FIXED),
    ]
}
