//! Answers that would harm whoever believes them.

use serde_json::json;

use super::{hostile, redirects};
use crate::attack::Operation;
use crate::raw::Question;
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let stat = |attack: &str| hostile(Operation::Stat, json!({ "attack": attack }));
    let list = |attack: &str| hostile(Operation::List, json!({ "attack": attack, "at": "stream" }));
    let broke = "other: the component broke the contract";
    let address = |target: &str, granted: &[&str]| {
        let parameters = json!({ "attack": "address", "at": "redirect-url", "target": target });
        hostile(Operation::RedirectUrl, parameters).with(redirects(granted))
    };
    // Whatever is granted.
    let no_address = |name, target: &str| {
        let harm = format!("Some({target:?}");
        Row::check(name, address(target, &["*:*"]), broke, Question::RedirectUrl, &harm)
    };
    let not_granted = |name, target: &str, granted: &[&str], grant: &str| {
        let harm = format!("an address of {} bytes", target.len());
        Row::grant(name, address(target, granted), "an address of 0 bytes", redirects(&[grant]), &harm)
    };
    let says = |text: &str| hostile(Operation::Stat, json!({ "attack": "error-text", "target": text }));
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
            hostile(Operation::RedirectUrl, json!({ "attack": "control-text", "at": "redirect-url" }))
                .with(redirects(&["*:*"])),
            broke,
            Question::RedirectUrl,
            "Some(\"http://a/\\r\\nset-cookie",
        ),
        no_address("sends clients to a script", "javascript:alert(1)"),
        no_address("sends clients to a file", "file:///etc/passwd"),
        no_address("sends clients somewhere in disguise", "http://a.example\\@b.example/"),
        no_address("sends clients somewhere as somebody", "http://somebody:secret@a.example/"),
        not_granted(
            "sends clients to a host that is not granted",
            "https://b.example/?secret",
            &["a.example:443"],
            "*:443",
        ),
        not_granted("sends clients somewhere without any grant", "https://a.example/", &[], "a.example:443"),
        not_granted(
            "sends clients to a link-local address",
            "http://169.254.169.254/latest/meta-data",
            &["*:*"],
            "169.254.0.0/16:80",
        ),
        not_granted("sends clients to themselves", "http://localhost:8080/", &["*:*"], "localhost:8080"),
        Row::check(
            "asks for a rest of half a billion years",
            stat("throttle"),
            "throttled for 3600 s: come back later",
            Question::Stat,
            "an error of 15 bytes, ErrorKind::Throttled(Some(18446744073709551615))",
        ),
        Row::check(
            "reverses what a log shows",
            says("a\u{202e}b\u{2066}c"),
            "other: a b c",
            Question::Stat,
            r#"an error of 9 bytes, ErrorKind::Other, "a\u{202e}b"#,
        ),
        Row::check(
            "forges a line of the log",
            says("a\u{2028}b\u{85}c\nd"),
            "other: a b c d",
            Question::Stat,
            r#"an error of 10 bytes, ErrorKind::Other, "a\u{2028}b"#,
        ),
        Row::check(
            "hides what it says",
            says("a\u{200b}b\u{e0041}c\u{fe0f}"),
            "other: a b c ",
            Question::Stat,
            r#"an error of 13 bytes, ErrorKind::Other, "a\u{200b}b"#,
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
