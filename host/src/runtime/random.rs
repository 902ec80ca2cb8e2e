//! Random bytes for components: so many a call and no more.
//!
//! wasmtime makes them one at a time, where the guest runs, and 32 MiB of them hold a thread for a fifth of a second. Version
//! 0.3 lets a call return fewer than were asked for, and so it does: the maximum that is set in the context. In version 0.2 a
//! call has to return what was asked for; one that asks for more ends its instance with the name of the limit. No standard
//! library asks for so much: those of C and Python take 256 bytes at a time, Rust's as many as a program wants at once.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::random::{insecure, random};

use super::ceiling::LimitReached;
use super::state::State;

/// How many bytes one call returns, at most: as many as a browser's `crypto.getRandomValues`.
pub(super) const MOST: u64 = 64 * 1024;

/// Replaces the functions of version 0.2 in a linker that has wasmtime's own.
pub(super) fn shadow(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance("wasi:random/random@0.2.12")?.func_wrap(
        "get-random-bytes",
        |mut store: StoreContextMut<'_, State>, (length,): (u64,)| {
            let context = store.data_mut().ctx();
            Ok((random::Host::get_random_bytes(context.ctx.random(), checked(length)?)?,))
        },
    )?;
    linker.instance("wasi:random/insecure@0.2.12")?.func_wrap(
        "get-insecure-random-bytes",
        |mut store: StoreContextMut<'_, State>, (length,): (u64,)| {
            let context = store.data_mut().ctx();
            Ok((insecure::Host::get_insecure_random_bytes(context.ctx.random(), checked(length)?)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

fn checked(length: u64) -> Result<u64, LimitReached> {
    if length > MOST { Err(LimitReached("random")) } else { Ok(length) }
}
