//! Components that take the places of a pool that all drivers share.

use std::sync::Arc;

use serde_json::json;
use wharf_conformance::components::component;

use super::quiet;
use crate::attack::{Attack, File, Operation};
use crate::row::Row;

/// `hostile` with a core module in it that is instantiated so many times more.
fn with_instances(module: &[u8], count: u32) -> Attack {
    let mut bytes = std::fs::read(component("hostile").unwrap()).unwrap();
    let index = core_modules(&bytes);
    section(&mut bytes, 1, module);
    let mut instances = Vec::new();
    leb(&mut instances, count);
    for _ in 0..count {
        // Instantiate that module, with no arguments.
        instances.push(0);
        leb(&mut instances, index);
        leb(&mut instances, 0);
    }
    section(&mut bytes, 2, &instances);
    Attack::new(Operation::Open, json!({})).of(File::Bytes(Arc::new(bytes)))
}

/// A core module with one section.
fn module(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    section(&mut bytes, id, content);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    leb(bytes, u32::try_from(content.len()).unwrap());
    bytes.extend_from_slice(content);
}

fn leb(bytes: &mut Vec<u8>, mut value: u32) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return;
        }
    }
}

/// Counts the core modules of a component: each is a section.
fn core_modules(bytes: &[u8]) -> u32 {
    let (mut at, mut count) = (8, 0);
    while at < bytes.len() {
        let id = bytes[at];
        at += 1;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let byte = bytes[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        count += u32::from(id == 1);
        at += length;
    }
    count
}

pub(crate) fn rows() -> Vec<Row> {
    // Memories of no pages, tables of one function.
    let memories = module(5, &[&[5_u8][..], &[0, 0].repeat(5)].concat());
    let tables = |count: u8| module(4, &[&[count][..], &[0x70, 0, 1].repeat(count.into())].concat());
    let nothing = b"\0asm\x01\0\0\0".to_vec();
    let refused = |name, limit, module: &[u8], count, harmless| {
        Row::slots(name, limit, with_instances(module, count), with_instances(module, harmless), "opened")
    };
    vec![
        refused("has 300 memories", "memories", &memories, 60, 1),
        refused("has 960 tables", "tables", &tables(16), 60, 2),
        refused("has 400 core instances", "core instances", &nothing, 400, 16),
        // Valid, and compilers make such modules.
        Row::bounded(
            "has a module with two tables",
            with_instances(&tables(2), 1),
            "opened",
            quiet(Operation::Open),
            "opened",
        ),
    ]
}
