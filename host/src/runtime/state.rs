//! What one store holds: the sandbox's insides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::ceiling::{Ceiling, LimitReached, Stretch};
use super::counters::Counters;
use super::held::{ALLOWANCE, Allowance, Undelivered};
use super::http::{FIELDS, Hooks, HttpClient};
use super::last_words::LastWords;
use super::limits::permits;
use super::log::{Log, LogBudget};
use super::random;
use super::threads::Threads;
use super::{Grants, Limits};
use crate::contract::{Error, ErrorKind, Result};

/// The data of one store.
pub(super) struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) hooks: Hooks,
    pub(super) table: ResourceTable,
    ceiling: Ceiling,
    pub(super) counters: Arc<Counters>,
    pub(super) stretch: Stretch,
    /// One permit for each stream of a file or a directory: it holds a descriptor.
    pub(super) streamed_files: Arc<Semaphore>,
    /// One permit for each call that waits for the file system.
    pub(super) calls: Arc<Semaphore>,
    /// What it printed last.
    pub(super) last_words: Arc<LastWords>,
    /// Where calls wait.
    pub(super) threads: Arc<Threads>,
    /// What the host may hold of its bytes.
    pub(super) allowance: Arc<Allowance>,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// What a store is made from, beside what it runs.
pub(super) struct Sandbox<'a> {
    pub(super) engine: &'a Engine,
    pub(super) grants: &'a Grants,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a Arc<Counters>,
    /// What the driver's instances share of the log.
    pub(super) log: &'a Arc<LogBudget>,
    /// What its requests go through; none: it has none.
    pub(super) http: Option<Arc<HttpClient>>,
    /// What the driver's instances share of the host: threads for files, and memory for what is under way.
    pub(super) share: &'a Share,
}

/// What all instances of a driver share.
pub(super) struct Share {
    pub(super) threads: Arc<Threads>,
    pub(super) allowance: Arc<Allowance>,
    /// The contents on their way to their callers.
    pub(super) undelivered: Arc<Undelivered>,
    /// How many files each of its instances may have open, and how many it may stream.
    pub(super) files: u32,
    /// The places in the pool that its instances may take together.
    places: Arc<Semaphore>,
    most_places: u32,
}

impl Share {
    /// # Errors
    ///
    /// Those of [`Threads::new`].
    pub(super) fn new(limits: &Limits, places: u32) -> Result<Self> {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = limits.files_of(most);
        Ok(Share {
            threads: Arc::new(Threads::new(limits.threads)?),
            allowance: Allowance::new(ALLOWANCE),
            undelivered: Arc::default(),
            files,
            places: permits(places),
            most_places: places,
        })
    }

    /// Takes the places of one more instance out of the driver's share of the pool.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] of `instances` if its other instances have them all.
    pub(super) fn instance(&self, places: u32) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_many_owned(places).map_err(|_| {
            let message = format!(
                "the instances of the driver take its share of {} places already (`RuntimeConfig::instances`), an instance \
                 takes {places}; lower `limits: {{ workers: .. }}`",
                self.most_places
            );
            Error::new(ErrorKind::LimitExceeded { limit: "instances" }, message)
        })
    }
}

impl Sandbox<'_> {
    /// Creates a store with what is granted and no more. `kill` ends a guest that is running, within a tick.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`] if a granted directory or variable is not there; it names the line of the
    /// configuration.
    pub(super) fn store(self, kill: Arc<AtomicBool>, stretch: Stretch) -> Result<Store<State>> {
        let limits = self.limits;
        let files = usize::try_from(self.share.files).unwrap_or(usize::MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(files);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS);
        let last_words = Arc::default();
        let state = State {
            wasi: wasi(self.log, &last_words, self.grants)?,
            last_words,
            http,
            hooks: Hooks::new(self.http),
            table,
            ceiling: Ceiling::new(limits),
            counters: Arc::clone(self.counters),
            stretch: stretch.clone(),
            streamed_files: permits(self.share.files),
            calls: permits(limits.calls.get()),
            threads: Arc::clone(&self.share.threads),
            allowance: Arc::clone(&self.share.allowance),
        };
        let mut store = Store::new(self.engine, state);
        store.limiter(|state| &mut state.ceiling);
        store.set_hostcall_fuel(Limits::bytes(limits.transfer));
        let handles = usize::try_from(limits.handles).unwrap_or(usize::MAX);
        store.set_max_component_handles(handles);
        if let Some(table) = store.concurrent_resource_table() {
            // What stands behind handles: several entries for a stream. The limit of handles is to be found first, since
            // it is the one with a name.
            table.set_max_capacity(handles.saturating_mul(8));
        }
        store.set_epoch_deadline(1);
        let cpu = limits.cpu;
        let undelivered = Arc::clone(&self.share.undelivered);
        // The default yield starves tokio's timers; yielding to tokio itself does not (runtime facts, "Limits").
        store.epoch_deadline_callback(move |_| {
            if kill.load(Ordering::Relaxed) {
                return Err(wasmtime::format_err!("the host ended the instance"));
            }
            if stretch.interrupt() > cpu {
                return Err(LimitReached("cpu").into());
            }
            let undelivered = Arc::clone(&undelivered);
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    undelivered.room().await;
                }),
            ))
        });
        Ok(store)
    }
}

fn wasi(log: &Arc<LogBudget>, last_words: &Arc<LastWords>, grants: &Grants) -> Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    // The builder grants nothing; these two are said again, since everything rests on them.
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    wasi.max_random_size(random::MOST);
    wasi.stdout(Log::standard_output(log)).stderr(Log::standard_error(log, last_words));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_instance_has_no_more_files_than_the_process_lets_it() {
        let limits = Limits { files: u32::MAX, ..Limits::default() };
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert_eq!(Share::new(&limits, 4).unwrap().files, limits.files_of(most));
    }
}
