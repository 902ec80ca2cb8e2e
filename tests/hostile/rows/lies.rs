//! Answers that would harm whoever believes them.

use serde_json::json;

use super::hostile;
use crate::attack::Operation;
use crate::raw::Question;
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let stat = |attack: &str| hostile(Operation::Stat, json!({ "attack": attack }));
    let list = |attack: &str| hostile(Operation::List, json!({ "attack": attack, "at": "stream" }));
    let broke = "other: the component broke the contract";
    vec![
        Row::check(
            "lists a path that leads outside",
            list("escaping-entry"),
            "other: after 0 bytes: the component broke",
            Question::List,
            "listed Some(\"/attack/../../../outside\")",
        ),
        Row::check(
            "lists another directory",
            list("other-path"),
            "other: after 0 bytes",
            Question::List,
            "listed Some(\"/elsewhere/a\")",
        ),
        Row::check("answers for another path", stat("other-path"), broke, Question::Stat, "\"/../../outside\""),
        Row::check(
            "returns a version that forges a header",
            stat("control-text"),
            broke,
            Question::Stat,
            "\"/attack\", of None, version Some(\"a\\r\\nset-cookie",
        ),
        Row::check(
            "returns an address that forges a header",
            hostile(Operation::RedirectUrl, json!({ "attack": "control-text", "at": "redirect-url" })),
            broke,
            Question::RedirectUrl,
            "Some(\"http://a/\\r\\nset-cookie",
        ),
        Row::check(
            "tells a time that does not exist",
            stat("impossible-time"),
            broke,
            Question::Stat,
            "\"/attack\", of Some(9223372036854775807)",
        ),
        Row::check(
            "returns an error of 10 MB that drives a terminal",
            hostile(Operation::Stat, json!({ "attack": "huge-error", "count": 10_000_000 })),
            "other:  [2J [2J",
            Question::Stat,
            "an error of 10000000 bytes",
        ),
        Row::check(
            "returns more content than it may",
            hostile(
                Operation::GetContent,
                json!({ "attack": "huge-content", "at": "get-content", "count": 20_000_000 }),
            ),
            broke,
            Question::GetContent,
            "20000000 bytes",
        )
        .burns(),
    ]
}
