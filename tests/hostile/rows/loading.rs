//! Files that are no good component, or not what they say.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wharf_conformance::components::component;

use super::quiet;
use crate::attack::{Attack, File, Operation};
use crate::crafted;
use crate::raw::Question;
use crate::row::Row;

/// `hostile`, with something in it replaced by something as long.
fn patched(from: &str, to: &str) -> Arc<Vec<u8>> {
    assert_eq!(from.len(), to.len(), "a file keeps its shape only if nothing moves");
    let mut bytes = std::fs::read(component("hostile").unwrap()).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "{from} is not in the file");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    Arc::new(bytes)
}

fn opens(bytes: Arc<Vec<u8>>) -> Attack {
    Attack::new(Operation::Open, json!({})).of(File::Bytes(bytes))
}

pub(crate) fn rows() -> Vec<Row> {
    let whole = std::fs::read(component("hostile").unwrap()).unwrap();
    let cut = |length: usize| opens(Arc::new(whole[..length].to_vec()));
    let mut corrupt = whole.clone();
    for byte in &mut corrupt[whole.len() / 3..whole.len() / 3 + 64] {
        *byte ^= 0x5a;
    }
    let describes = |how: &str| opens(patched("hostile-describe:STEADY", &format!("hostile-describe:{how}")));
    // A module that is none of the driver's: eight bytes of header are all that it needs.
    let module = b"\0asm\x01\0\0\0".to_vec();
    let component_of_nothing = b"\0asm\x0d\0\x01\0".to_vec();
    let bytes = |bytes: Vec<u8>| opens(Arc::new(bytes));
    // Nothing of it may reach the compiler: what that would take is shown by the test of the program, in a process of its own.
    let heavy = |name, bytes| {
        Row::wasmtime(name, opens(bytes), "other: ", quiet(Operation::Open), "opened").says("takes too much to compile")
    };
    let wasmtime = |name, attack, sees| Row::wasmtime(name, attack, sees, quiet(Operation::Open), "opened");
    vec![
        wasmtime("is an empty file", bytes(Vec::new()), "other:"),
        wasmtime("is a text", bytes(b"#!/bin/sh\necho hello\n".to_vec()), "other:"),
        wasmtime("is a core module", bytes(module), "other:"),
        wasmtime("is a component that exports nothing", bytes(component_of_nothing), "other:"),
        wasmtime("is cut after its header", cut(8 + 5), "other:"),
        wasmtime("is cut in the middle", cut(whole.len() / 2), "other:"),
        wasmtime("is cut before its last byte", cut(whole.len() - 1), "other:"),
        wasmtime("is corrupt", bytes(corrupt), "other:").burns(),
        heavy("has 5,000 locals and 8,000 blocks in a function", crafted::locals_and_blocks()),
        heavy("has a function of 6 MB", crafted::long_function()),
        heavy("has 50,000 loops in a function", crafted::loops_in_a_row()),
        heavy("has 20,000 indirect calls in a function", crafted::indirect_calls()),
        heavy("has 300,000 functions", crafted::tiny_functions()),
        heavy("has 30,000 types inside one another", crafted::nested_types()),
        heavy("makes a hundred million instances of itself", crafted::exploding_instances()),
        heavy("has a tuple of a million numbers", crafted::exploding_types()),
        wasmtime(
            "speaks another version of the contract",
            opens(patched("wharf:storage/driver@0.2.0", "wharf:storage/driver@0.9.0")),
            "other:",
        ),
        wasmtime(
            "imports what does not exist",
            opens(patched("wasi:random/random@0.3.0", "evil:random/random@0.3.0")),
            "other:",
        ),
        Row::check(
            "describes itself otherwise at every call",
            describes("CHANGE"),
            "other:",
            Question::Describe,
            "hostile 1, then hostile 2",
        ),
        wasmtime("traps in describe", describes("TRAP.."), "other:"),
        Row::check(
            "has a name that drives a terminal",
            describes("NAME.."),
            "other:",
            Question::Describe,
            "\u{1b}[2J../../x 1",
        ),
        Row::limit(
            "takes 1 GiB in describe",
            "memory",
            describes("GROW.."),
            json!({ "limits": { "memory": "2GiB" } }),
            "opened",
        ),
        Row::limit(
            "spins in describe",
            "open",
            describes("SPIN..").with(json!({ "limits": { "open": "300ms" } })),
            json!({ "limits": { "open": "1500ms", "cpu": "1h" } }),
            "nothing within",
        )
        .watched(Duration::from_secs(1))
        .burns(),
    ]
}
