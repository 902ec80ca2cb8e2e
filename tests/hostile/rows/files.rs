//! Files, variables and sockets that were not granted.

use serde_json::{Value, json};

use super::{data, hostile, quiet};
use crate::attack::{Attack, Operation};
use crate::lab::{Lab, VARIABLE};
use crate::row::Row;

pub(crate) fn rows(lab: &Lab) -> Vec<Row> {
    let stat = |parameters: Value| hostile(Operation::Stat, parameters);
    let target = |attack: &str, target: &str| stat(json!({ "attack": attack, "target": target }));
    let inside = |attack: Attack| attack.with(data(lab, true));
    let reads = || inside(target("read-file", "/data/file"));
    let writes = || inside(target("write-file", "/data/new"));
    // wasmtime decides all that begins in a granted directory.
    let read = |name, path: &str| {
        Row::wasmtime(name, inside(target("read-file", path)), "access-denied", reads(), "conflict: got inside")
    };
    // For a component, what is in no granted directory does not exist.
    let nowhere = "path-not-found";
    let write = |name, path: &str| {
        Row::wasmtime(
            name,
            inside(target("write-file", path)),
            "access-denied",
            writes(),
            "conflict: got /data/new written",
        )
    };
    let link = |name, attack: &str, to: &str, twin: &str| {
        let made = |to: &str| inside(stat(json!({ "attack": attack, "target": to, "link": "made" })));
        Row::wasmtime(name, made(to), "access-denied", made(twin), "conflict: got inside")
    };
    vec![
        read("reads outside by `..`", "/data/../outside/secret"),
        read("reads outside by an absolute path", "/etc/passwd").sees(nowhere),
        read("reads through an absolute link that was left there", "/data/left-absolute"),
        read("reads through a relative link that was left there", "/data/left-relative"),
        read("reads through a link to a directory", "/data/left-directory/secret"),
        link("makes a relative link that leads outside", "symbolic-link", "../outside/secret", "file"),
        link("makes an absolute link", "symbolic-link", "/etc/passwd", "file"),
        link("makes a hard link to a file outside", "hard-link", "/data/../outside/secret", "/data/file"),
        link("makes a hard link through a link", "hard-link", "/data/left-directory/secret", "/data/file"),
        write("writes outside by `..`", "/data/../outside/new"),
        write("writes outside by an absolute path", lab.outside().join("new").to_str().unwrap()).sees(nowhere),
        write("writes through a link to a directory", "/data/left-directory/new"),
        write("writes through a link to a file", "/data/left-relative"),
        Row::wasmtime(
            "moves a file outside",
            inside(stat(json!({ "attack": "rename", "target": "/data/file", "link": "/data/../outside/moved" }))),
            "access-denied",
            inside(stat(json!({ "attack": "rename", "target": "/data/file", "link": "/data/moved" }))),
            "conflict: got /data/file renamed",
        ),
        Row::wasmtime(
            "lists a directory outside",
            inside(target("list-directory", "/data/left-directory")),
            "access-denied",
            inside(target("list-directory", "/data")),
            "conflict: got [",
        ),
        Row::grant(
            "reads a directory that is not granted",
            target("read-file", "/data/file"),
            nowhere,
            data(lab, false),
            "conflict: got inside",
        ),
        Row::grant(
            "writes to a directory that is granted for reading",
            target("write-file", "/data/file").with(data(lab, false)),
            "access-denied",
            data(lab, true),
            "conflict: got /data/file written",
        ),
        Row::grant(
            "reads a variable that is not granted",
            target("read-variable", VARIABLE),
            "access-denied",
            json!({ "allow": { "environment": [VARIABLE] } }),
            "conflict: got the secret",
        ),
        Row::wasmtime(
            "opens a socket",
            target("connect", &lab.forbidden.address.to_string()),
            "access-denied",
            quiet(Operation::Stat),
            "a file of 5 bytes",
        ),
        Row::wasmtime(
            "looks up a name",
            target("look-up", "localhost"),
            "access-denied",
            quiet(Operation::Stat),
            "a file of 5 bytes",
        ),
    ]
}
