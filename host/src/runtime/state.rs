//! What one store holds: the sandbox's insides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::counters::Counters;
use super::log::Log;
use super::{Grants, Limits};
use crate::contract::{Error, ErrorKind, Result};

/// The data of one store.
pub(super) struct State {
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    limits: StoreLimits,
    pub(super) counters: Arc<Counters>,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Creates a store with what is granted and no more. `kill` ends a guest that is running, within a tick.
///
/// # Errors
///
/// [`ErrorKind::InvalidParameters`] if a granted directory or variable is not there; it names the line of the
/// configuration.
pub(super) fn new_store(
    engine: &Engine,
    driver: &str,
    grants: &Grants,
    limits: &Limits,
    counters: &Arc<Counters>,
    kill: Arc<AtomicBool>,
) -> Result<Store<State>> {
    let memory = usize::try_from(limits.memory.as_u64()).unwrap_or(usize::MAX);
    let state = State {
        wasi: wasi(driver, grants)?,
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new().memory_size(memory).build(),
        counters: Arc::clone(counters),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_epoch_deadline(1);
    // The default yield starves tokio's timers; yielding to tokio itself does not (runtime facts, "Limits").
    store.epoch_deadline_callback(move |_| {
        if kill.load(Ordering::Relaxed) {
            return Err(wasmtime::format_err!("the host ended the instance"));
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    Ok(store)
}

fn wasi(driver: &str, grants: &Grants) -> Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    // The builder grants nothing; these two are said again, since everything rests on them.
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    wasi.stdout(Log::new(driver)).stderr(Log::new(driver));
    for name in &grants.environment {
        let value = std::env::var(name).map_err(|error| {
            let message = format!(
                "the environment variable {name}, granted by `allow: {{ environment: [{name}] }}`, cannot be had: \
                 {error}; set it, or take it out of the configuration"
            );
            Error::new(ErrorKind::InvalidParameters, message)
        })?;
        wasi.env(name, value);
    }
    for directory in &grants.directories {
        let permissions = if directory.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(&directory.host, &directory.guest, permissions).map_err(|error| {
            let message = format!(
                "the directory {}, granted by `{}`, cannot be opened: {error:#}; create it, or correct the configuration",
                directory.host.display(),
                directory.as_configuration(),
            );
            Error::new(ErrorKind::InvalidParameters, message)
        })?;
    }
    Ok(wasi.build())
}
