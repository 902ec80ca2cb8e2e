//! Traps, in each operation and in the middle of each stream.

use serde_json::json;

use super::{hostile, quiet};
use crate::attack::{Attack, Operation};
use crate::row::Row;

/// Without any host that clients may be sent to, nobody asks for an address.
fn redirecting(attack: Attack) -> Attack {
    attack.with(json!({ "allow": { "redirect": ["a.example:443"] } }))
}

pub(crate) fn rows() -> Vec<Row> {
    let (read, changed) =
        ("unavailable: the component's instance died: it trapped", "outcome-unknown: the component's instance died");
    let trap = |name, operation, at: &str, sees, works| {
        Row::wasmtime(name, hostile(operation, json!({ "attack": "trap", "at": at })), sees, quiet(operation), works)
    };
    let between = |name, operation, sees| {
        let parameters = json!({ "attack": "trap-between", "at": "stream" });
        Row::wasmtime(
            name,
            hostile(operation, parameters),
            sees,
            quiet(operation),
            if operation == Operation::Read { "1000000 bytes" } else { "0 entries" },
        )
    };
    let kept = "524288 bytes committed";
    vec![
        trap(
            "traps in open",
            Operation::Open,
            "open",
            "unavailable: the component could not be opened: it trapped",
            "opened",
        ),
        trap("traps in stat", Operation::Stat, "stat", read, "a file of 5 bytes"),
        trap("traps in get-content", Operation::GetContent, "get-content", read, "path-not-found"),
        trap("traps in put-content", Operation::PutContent, "put-content", changed, "done"),
        trap("traps in reader", Operation::Read, "reader", read, "1000000 bytes"),
        trap("traps in list", Operation::List, "list", read, "0 entries"),
        trap("traps in walk", Operation::Walk, "walk", read, "0 entries"),
        trap("traps in uploads", Operation::Uploads, "uploads", read, "0 entries"),
        trap("traps in move", Operation::Move, "move", changed, "done"),
        trap("traps in delete", Operation::Delete, "delete", changed, "done"),
        trap("traps in delete-files", Operation::DeleteFiles, "delete-files", changed, "done"),
        Row::wasmtime(
            "traps in redirect-url",
            redirecting(hostile(Operation::RedirectUrl, json!({ "attack": "trap", "at": "redirect-url" }))),
            read,
            redirecting(quiet(Operation::RedirectUrl)),
            "an address of 0 bytes",
        ),
        trap("traps in writer", Operation::Commit, "writer", changed, kept),
        trap("traps in write", Operation::Commit, "write", changed, kept),
        trap("traps in close", Operation::Close, "close", changed, "524288 bytes kept"),
        trap("traps in commit", Operation::Commit, "commit", changed, kept),
        trap("traps in cancel", Operation::Cancel, "cancel", changed, "done"),
        between("traps in the middle of a file", Operation::Read, "unavailable: after 100000 bytes"),
        between("traps in the middle of a listing", Operation::List, "unavailable: after 1 bytes"),
        between("traps in the middle of a walk", Operation::Walk, "unavailable: after 1 bytes"),
        Row::wasmtime(
            "traps in the middle of an upload",
            hostile(Operation::Commit, json!({ "attack": "trap", "at": "write", "after_bytes": 200_000 })),
            changed,
            quiet(Operation::Commit),
            kept,
        ),
        Row::wasmtime(
            "exits the process",
            hostile(Operation::Stat, json!({ "attack": "exit" })),
            "unavailable: the component's instance died",
            quiet(Operation::Stat),
            "a file of 5 bytes",
        ),
        Row::wasmtime(
            "recurses for ever",
            hostile(Operation::Stat, json!({ "attack": "recurse" })),
            "unavailable: the component's instance died",
            quiet(Operation::Stat),
            "a file of 5 bytes",
        ),
    ]
}
