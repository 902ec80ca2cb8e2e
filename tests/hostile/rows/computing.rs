//! Components that burn a processor, or never answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::{hostile, limits};
use crate::attack::{Attack, Operation};
use crate::row::Row;

/// How long the control of a time limit is watched: several times the limit.
const WATCHED: Duration = Duration::from_millis(1200);

/// A row whose limit of 300 ms is far off in the control, as is that of computing: then nothing comes. Not for ever, since
/// the attack of the control must end before the next row.
fn timed(name: &'static str, limit: &'static str, attack: Attack) -> Row {
    let mut on = json!({});
    on[limit] = "300ms".into();
    let off = json!({ "open": "2s", "operation": "2s", "stream_idle": "2s", "cpu": "1h" });
    Row::limit(name, limit, attack.with(limits(on)), limits(off), "nothing within").watched(WATCHED)
}

fn strikes(attack: &str, at: &str) -> Value {
    json!({ "attack": attack, "at": at })
}

fn spins(attack: &str, count: u64) -> Value {
    json!({ "attack": attack, "at": "stat", "count": count })
}

pub(crate) fn rows() -> Vec<Row> {
    let unknown = "outcome-unknown (operation)";
    vec![
        timed("spins in open", "open", hostile(Operation::Open, strikes("spin", "open"))).burns(),
        timed("spins in stat", "operation", hostile(Operation::Stat, strikes("spin", "stat"))).burns(),
        timed("spins in stat, longer than it may compute", "cpu", hostile(Operation::Stat, strikes("spin", "stat")))
            .burns(),
        timed("spins in stat and calls the host", "cpu", hostile(Operation::Stat, strikes("spin-calling", "stat")))
            .burns(),
        timed("spins in stat and yields", "cpu", hostile(Operation::Stat, strikes("spin-yielding", "stat"))).burns(),
        timed("spins in stat and returns", "cpu", hostile(Operation::Stat, strikes("spin-returning", "stat"))).burns(),
        timed("spins in stat and polls", "cpu", hostile(Operation::Stat, strikes("spin-polling", "stat"))).burns(),
        timed(
            "spins in stat and toggles backpressure",
            "cpu",
            hostile(Operation::Stat, strikes("spin-backpressure", "stat")),
        )
        .burns(),
        timed("spins in stat and waits for no time", "cpu", hostile(Operation::Stat, strikes("spin-waiting", "stat")))
            .burns(),
        timed("sends nothing again and again", "cpu", hostile(Operation::Read, strikes("empty-writes", "stream")))
            .burns(),
        timed(
            "fills 200 MB of memory over and over",
            "cpu",
            hostile(Operation::Stat, spins("spin-filling", 200_000_000)),
        )
        .burns(),
        timed(
            "asks for 32 MB of random bytes over and over",
            "cpu",
            hostile(Operation::Stat, spins("spin-random", 32 << 20)),
        )
        .burns(),
        timed("spins in a destructor", "operation", hostile(Operation::Commit, strikes("none", "destructor")))
            .sees(unknown)
            .burns(),
        timed(
            "spins between the bytes of a file",
            "stream_idle",
            hostile(Operation::Read, strikes("spin-between", "stream")),
        )
        .burns(),
        timed(
            "spins between the entries of a listing",
            "stream_idle",
            hostile(Operation::List, strikes("spin-between", "stream")),
        )
        .burns(),
        timed("sleeps for ever", "operation", hostile(Operation::Stat, strikes("sleep", "stat"))),
        timed(
            "sleeps for ever and blocks its instance",
            "operation",
            hostile(Operation::Stat, strikes("sleep-blocking", "stat")),
        ),
        timed("sleeps for ever in a commit", "operation", hostile(Operation::Commit, strikes("sleep", "commit")))
            .sees(unknown),
        timed(
            "never writes to a file's stream",
            "stream_idle",
            hostile(Operation::Read, strikes("leave-stream", "stream")),
        ),
        timed(
            "never says how a file ended",
            "stream_idle",
            hostile(Operation::Read, strikes("silent-future", "stream")),
        ),
        timed(
            "never says how a listing ended",
            "stream_idle",
            hostile(Operation::List, strikes("silent-future", "stream")),
        ),
        timed("never reads an upload", "operation", hostile(Operation::Commit, strikes("leave-stream", "write")))
            .sees(unknown),
    ]
}
