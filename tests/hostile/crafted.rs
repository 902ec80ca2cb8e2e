//! Components made by hand that take far more to look at than their size suggests. None is a driver: what is tested is what
//! becomes of whoever looks at them.

use std::sync::Arc;

/// A number as WebAssembly writes it.
fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// A number below two thousand million, as WebAssembly writes one that may be negative.
fn signed(value: u32) -> Vec<u8> {
    let mut bytes = number(u64::from(value));
    if let Some(last) = bytes.last_mut().filter(|last| **last & 0x40 != 0) {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], number(content.len() as u64), content.to_vec()].concat()
}

/// The content of a section: so many entries, which are these bytes together.
fn entries(count: usize, bytes: &[u8]) -> Vec<u8> {
    [&number(count as u64), bytes].concat()
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0", &sections.concat()[..]].concat()
}

fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", &sections.concat()[..]].concat()
}

/// A component of one module, of one function, with one parameter and so many locals.
fn function(locals: usize, code: &[u8]) -> Vec<u8> {
    let body = [&entries(1, &[&number(locals as u64)[..], b"\x7f"].concat())[..], code, b"\x0b"].concat();
    let bodies = [number(body.len() as u64), body].concat();
    let types = section(1, &entries(1, b"\x60\x01\x7f\0"));
    let module = module(&[types, section(3, b"\x01\0"), section(10, &entries(1, &bodies))]);
    component(&[section(1, &module)])
}

/// One function with many locals, all of which are read after many blocks: 44 KB, for which the compiler keeps a table of
/// their product.
pub(crate) fn locals_and_blocks() -> Arc<Vec<u8>> {
    let (locals, blocks) = (5_000, 8_000);
    let mut code = b"\x03\x40\x0b".repeat(blocks);
    for local in 0..locals {
        code.extend([&b"\x20"[..], &number(local), b"\x1a"].concat());
    }
    Arc::new(function(locals as usize, &code))
}

/// One function of 6 MB.
pub(crate) fn long_function() -> Arc<Vec<u8>> {
    Arc::new(function(1, &b"\x20\0\x41\x03\x6a\x21\0".repeat(857_000)))
}

/// 50,000 loops one after another, which do nothing: 150 KB, and the compiler goes through all for each.
pub(crate) fn loops_in_a_row() -> Arc<Vec<u8>> {
    Arc::new(function(0, &b"\x03\x40\x0b".repeat(50_000)))
}

/// 20,000 indirect calls, each of which makes blocks of its own.
pub(crate) fn indirect_calls() -> Arc<Vec<u8>> {
    let code = b"\x20\0\x41\0\x11\0\0".repeat(20_000);
    let body = [&b"\0"[..], &code, b"\x0b"].concat();
    let bodies = [number(body.len() as u64), body].concat();
    let table = section(4, b"\x01\x70\0\x01");
    let types = section(1, &entries(1, b"\x60\x01\x7f\0"));
    let module = module(&[types, section(3, b"\x01\0"), table, section(10, &entries(1, &bodies))]);
    Arc::new(component(&[section(1, &module)]))
}

/// Blocks in blocks.
pub(crate) fn deep_blocks() -> Arc<Vec<u8>> {
    let depth = 30_000;
    Arc::new(function(1, &[b"\x03\x40".repeat(depth), b"\x20\0\x0d\0\x0b".repeat(depth)].concat()))
}

/// 300,000 functions that do nothing: 1.2 MB.
pub(crate) fn tiny_functions() -> Arc<Vec<u8>> {
    let count = 300_000;
    let module = module(&[
        section(1, b"\x01\x60\0\0"),
        section(3, &entries(count, &vec![0; count])),
        section(10, &entries(count, &b"\x02\0\x0b".repeat(count))),
    ]);
    Arc::new(component(&[section(1, &module)]))
}

/// Calls of functions with 900 parameters and results: two bytes for each.
pub(crate) fn wide_calls() -> Arc<Vec<u8>> {
    let width = 900;
    let types = [&b"\x60"[..], &entries(width, &vec![0x7f; width]), &entries(width, &vec![0x7f; width])].concat();
    let mut code: Vec<u8> = vec![0];
    for local in 0..width {
        code.extend([&b"\x20"[..], &number(local as u64)].concat());
    }
    code.extend(b"\x10\0".repeat(5_000));
    code.push(0x0b);
    let body = [number(code.len() as u64), code].concat();
    let module = module(&[section(1, &entries(1, &types)), section(3, b"\x01\0"), section(10, &entries(1, &body))]);
    Arc::new(component(&[section(1, &module)]))
}

/// Types of components in types of components: whoever parses them by recursion has no stack left.
pub(crate) fn nested_types() -> Arc<Vec<u8>> {
    let types = [&b"\x01"[..], &b"\x41\x01\x01".repeat(30_000), b"\x40\0\x01\0"].concat();
    Arc::new(component(&[section(7, &types)]))
}

/// Components in components.
pub(crate) fn nested_components() -> Arc<Vec<u8>> {
    let mut inner = component(&[]);
    for _ in 0..500 {
        inner = component(&[section(4, &inner)]);
    }
    Arc::new(inner)
}

/// Components that instantiate the one in them ten times, eight levels of them: a hundred million instances of a module.
pub(crate) fn exploding_instances() -> Arc<Vec<u8>> {
    let mut inner = component(&[section(1, &module(&[])), section(2, &entries(1, b"\0\0\0"))]);
    for _ in 0..8 {
        inner = component(&[section(4, &inner), section(5, &entries(10, &b"\0\0\0".repeat(10)))]);
    }
    Arc::new(inner)
}

/// A tuple of tuples of tuples, of nearly a million numbers, that is compared 900 times.
pub(crate) fn exploding_types() -> Arc<Vec<u8>> {
    let (depth, width, times) = (5, 15, 900);
    let mut types = [&b"\x6f"[..], &entries(width, &vec![0x7d; width])].concat();
    for below in 0..depth - 1 {
        types.extend([&b"\x6f"[..], &entries(width, &signed(below).repeat(width))].concat());
    }
    types.extend([&b"\x40\x01\x01a"[..], &signed(depth - 1), b"\x01\0"].concat());
    let types = section(7, &entries(depth as usize + 1, &types));
    let import = section(10, &entries(1, &[&b"\0\x01f\x01"[..], &number(u64::from(depth))].concat()));
    let child = component(&[types.clone(), import.clone()]);
    let instances = section(5, &entries(times, &b"\0\0\x01\x01f\x01\0".repeat(times)));
    Arc::new(component(&[types, import, section(4, &child), instances]))
}

/// Tables with an element at their end.
pub(crate) fn large_tables() -> Arc<Vec<u8>> {
    let (count, size) = (50, 1 << 20);
    let table = [&b"\x70\0"[..], &number(size)].concat();
    let mut elements = Vec::new();
    for table in 0..count {
        let at = [&b"\x41"[..], &signed(size as u32 - 1), b"\x0b"].concat();
        elements.extend([&b"\x02"[..], &number(table), &at, b"\0\x01\0"].concat());
    }
    let module = module(&[
        section(1, b"\x01\x60\0\0"),
        section(3, b"\x01\0"),
        section(4, &entries(count as usize, &table.repeat(count as usize))),
        section(9, &entries(count as usize, &elements)),
        section(10, b"\x01\x02\0\x0b"),
    ]);
    Arc::new(component(&[section(1, &module)]))
}

/// Modules without anything in them.
pub(crate) fn many_modules() -> Arc<Vec<u8>> {
    Arc::new(component(&vec![section(1, &module(&[])); 900]))
}

/// Names for a million functions that are not there.
pub(crate) fn many_names() -> Arc<Vec<u8>> {
    let count = 1_200_000;
    let mut names = Vec::new();
    for index in 0..count {
        names.extend([&number(index)[..], b"\x01x"].concat());
    }
    let names = section(1, &entries(count as usize, &names));
    let module = module(&[section(0, &[&b"\x04name"[..], &names].concat())]);
    Arc::new(component(&[section(1, &module)]))
}
