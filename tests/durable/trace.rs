//! Reading what `strace` wrote.

use std::collections::HashMap;
use std::path::Path;

/// The system calls that change files, and the one that ends each scenario's preparations.
pub(crate) const CALLS: &str = "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,rmdir";

/// What a scenario prints between its preparations and what is looked at.
pub(crate) const BEGIN: &str = "begin";

/// Returns what was done below `root` after the beginning, in the order in which it was done, a temporary's name written
/// as `~`. Writes to one file in a row count once.
pub(crate) fn read(trace: &str, root: &Path) -> Result<Vec<String>, String> {
    let root = root.to_str().ok_or("the root's name is no text")?;
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    let mut events: Vec<String> = Vec::new();
    let mut begun = false;
    for line in trace.lines() {
        let (process, call) = line.split_once(char::is_whitespace).ok_or_else(|| format!("cannot read {line:?}"))?;
        let mut call = call.trim().to_owned();
        // A call during which another thread was traced is written in two halves.
        if let Some(first) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(process, first.to_owned());
            continue;
        }
        if call.starts_with("<... ") {
            let rest = call.split_once("resumed>").map_or("", |(_, rest)| rest);
            call = unfinished.remove(process).unwrap_or_default() + rest;
        }
        if !begun {
            begun = call.starts_with("write(1<") && call.contains(BEGIN);
            continue;
        }
        if let Some(event) = event(&call, root)
            && !(event.starts_with("write ") && events.last() == Some(&event))
        {
            events.push(event);
        }
    }
    if begun { Ok(events) } else { Err("the scenario never began".to_owned()) }
}

/// Returns a call that succeeded, in words: `fsync a/b`.
fn event(call: &str, root: &str) -> Option<String> {
    let (name, arguments) = call.split_once('(')?;
    let (arguments, result) = arguments.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let verb = match name {
        "write" | "pwrite64" | "writev" | "pwritev" => "write",
        "fsync" | "fdatasync" => "fsync",
        // A link gives a file its name as a rename does, where nothing has it yet; its old name is then unlinked.
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => "rename",
        "mkdir" | "mkdirat" => "mkdir",
        "unlink" | "unlinkat" | "rmdir" => "unlink",
        _ => return None,
    };
    let paths = paths(arguments, verb);
    let paths: Option<Vec<String>> = paths.iter().map(|path| below(path, root)).collect();
    let paths = paths.filter(|paths| !paths.is_empty())?;
    Some(format!("{verb} {}", paths.join(" ")))
}

/// Returns the files that a call names: each a descriptor's path, a quoted path, or both together.
fn paths(arguments: &str, verb: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut directory: Option<String> = None;
    let mut rest = arguments;
    while let Some(at) = rest.find(['<', '"']) {
        let quoted = rest.as_bytes().get(at) == Some(&b'"');
        let Some(inner) = rest.get(at + 1..) else { break };
        let Some(end) = inner.find(if quoted { '"' } else { '>' }) else { break };
        let text = &inner[..end];
        rest = &inner[end + 1..];
        match (verb, quoted) {
            // What is written is quoted too, and no path.
            ("write" | "fsync", true) => break,
            ("write" | "fsync", false) => return vec![text.to_owned()],
            (_, false) => directory = Some(text.to_owned()),
            (_, true) => found.push(match directory.take() {
                Some(directory) if !text.starts_with('/') => format!("{directory}/{text}"),
                _ => text.to_owned(),
            }),
        }
    }
    found
}

/// Returns a path relative to the root, with `.` for the root and `..` for what holds it; none for what is elsewhere.
fn below(path: &str, root: &str) -> Option<String> {
    let path = path.trim_end_matches("/.").trim_end_matches(" (deleted)");
    if Path::new(root).parent().is_some_and(|holder| holder == Path::new(path)) {
        return Some("..".to_owned());
    }
    let relative = path.strip_prefix(root)?.trim_start_matches('/');
    if relative.is_empty() {
        return Some(".".to_owned());
    }
    let names: Vec<&str> = relative.split('/').map(|name| if name.starts_with('~') { "~" } else { name }).collect();
    Some(names.join("/"))
}
