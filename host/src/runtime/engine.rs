//! The engine that all components share, and the thread that interrupts them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::compiler::Compiler;
use super::counters::Counters;
use super::exclusive::InUse;
use super::guests::GuestThreads;
use super::http::{Resolver, SystemResolver};
use super::limits::{TABLE_ELEMENTS, permits};
use super::state::State;
use super::status::{DriverStatus, OpenedDrivers};
use super::{files, http, random};
use crate::contract::{Error, ErrorKind, Result};

/// How often a running guest is interrupted, so that other tasks of the executor get their turn. Measured: with four
/// spinning guests beside it, a neighbour's worst `stat` is 1.3 ms at this tick, and 20 ms at one of 10 ms.
const TICK: Duration = Duration::from_millis(1);

/// How many memories, tables and core instances one component may have. One written in Rust has one memory, one table and
/// up to four core instances; one linked from many libraries, as Python's are, some twenty core instances.
const MEMORIES: u32 = 8;
const TABLES: u32 = 64;
const CORES: u32 = 64;

/// How many tables the pool holds for each place in it. A component that has more takes several places, as one does that
/// has several memories.
const TABLES_IN_A_PLACE: u32 = 4;

/// The most that the runtime's own structures for one component's instances may take, in bytes. wasmtime's own limit of
/// 1 MiB is close to what a large component needs.
const STRUCTURES: usize = 4 * 1024 * 1024;

/// The part of the pool's places that one driver may take.
const SHARE: u32 = 4;

/// How many fibers it holds for each: a call has one while it runs, and hands it back while it waits. Each takes two of
/// the mappings that the system allows a process, some 65,000.
const FIBERS: u32 = 2;

/// How large the image of a module's memory may be whatever its data segments hold, in bytes; a larger one must be half full.
/// Two bytes that lie far apart would make one of 16 MiB if wasmtime's default were left.
const DENSE_IMAGE: u64 = 1024 * 1024;

/// How the engine is set up.
#[derive(Clone)]
pub struct RuntimeConfig {
    /// The directory where compiled code is kept between runs. None: it is kept nowhere, and every start compiles
    /// anew. Whoever can write to it can run code in this process: give it to nobody else.
    pub cache: Option<PathBuf>,
    /// How many instances of components there may be at a time, over all drivers; one that has several memories, or more
    /// than four tables, counts as several. A driver takes a quarter of them at most. Each costs some 6 GiB of addresses,
    /// and memory only as it uses it. Default 2,048.
    pub instances: NonZeroU32,
    /// Finds the addresses of the names that components ask for. Default: the system's resolver.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        const INSTANCES: NonZeroU32 = NonZeroU32::new(2048).expect("it is not zero");
        RuntimeConfig { cache: None, instances: INSTANCES, resolver: Arc::new(SystemResolver) }
    }
}

impl std::fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuntimeConfig")
            .field("cache", &self.cache)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}

/// The engine that compiles and runs components. One for a process; clones share it.
///
/// Without a clone left, and without a driver opened through it, its thread ends.
#[derive(Clone)]
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<State>>,
    pub(super) counters: Arc<Counters>,
    pub(super) opened: Arc<OpenedDrivers>,
    /// The drivers that may be open once.
    pub(super) exclusive: Arc<InUse>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) compiler: Compiler,
    pub(super) guests: Arc<GuestThreads>,
    instances: Arc<Semaphore>,
    limit: NonZeroU32,
}

impl Runtime {
    /// Sets up the engine and starts its thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] if this machine cannot run WebAssembly as configured, or the cache cannot be used.
    pub fn new(config: RuntimeConfig) -> Result<Self> {
        let RuntimeConfig { cache, instances, resolver } = config;
        let engine = engine(cache, instances)
            .map_err(|error| Error::new(ErrorKind::Other, format!("the WebAssembly engine cannot start: {error:#}")))?;
        let linker = linker(&engine).map_err(|error| {
            Error::new(ErrorKind::Other, format!("the WebAssembly host interfaces clash: {error:#}"))
        })?;
        let ticking = engine.weak();
        std::thread::Builder::new().name("wharf-epoch".to_owned()).spawn(move || tick(&ticking)).map_err(|error| {
            Error::new(ErrorKind::Other, "the thread that interrupts components cannot start").with_source(error)
        })?;
        Ok(Runtime {
            engine,
            linker: Arc::new(linker),
            counters: Arc::default(),
            opened: Arc::default(),
            exclusive: Arc::default(),
            resolver,
            compiler: Compiler::new(),
            guests: Arc::new(GuestThreads::start()?),
            instances: permits(instances.get()),
            limit: instances,
        })
    }

    /// Returns how each component driver is that is open now, in the order in which they were opened.
    ///
    /// # Example
    ///
    /// ```
    /// use wharf::runtime::{Runtime, RuntimeConfig};
    ///
    /// let runtime = Runtime::new(RuntimeConfig::default())?;
    /// assert_eq!(runtime.drivers(), []);
    /// # Ok::<(), wharf::contract::Error>(())
    /// ```
    pub fn drivers(&self) -> Vec<DriverStatus> {
        self.opened.open().iter().map(|driver| driver.status()).collect()
    }

    /// Forgets the deaths of the drivers of that name, so that those in quarantine are tried again at the next call.
    /// Returns how many were in quarantine.
    ///
    /// For an operator who has removed the cause. A quarantine ends by itself as well, a minute after it began.
    pub fn end_quarantine(&self, name: &str) -> usize {
        self.opened.open().iter().filter(|driver| driver.name() == name && driver.forget_deaths()).count()
    }

    /// Returns how many instances of components run now, over all drivers.
    pub fn instances(&self) -> usize {
        usize::try_from(self.limit.get()).unwrap_or(usize::MAX).saturating_sub(self.instances.available_permits())
    }

    /// Takes the places of one more instance.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] of `instances` if there are none.
    pub(super) fn instance(&self, places: u32) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.instances).try_acquire_many_owned(places).map_err(|_| {
            let message = format!(
                "{} instances of components run in this process, which is its limit (`RuntimeConfig::instances`)",
                self.limit
            );
            Error::new(ErrorKind::LimitExceeded { limit: "instances" }, message)
        })
    }

    /// Returns how many places one driver may take, whose instances take so many each: four instances in any case.
    pub(super) fn share(&self, places: u32) -> u32 {
        (self.limit.get() / SHARE).max(places.saturating_mul(4))
    }

    /// Returns the counters of the bytes that were moved.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("counters", &self.counters).finish_non_exhaustive()
    }
}

fn engine(cache: Option<PathBuf>, instances: NonZeroU32) -> wasmtime::Result<Engine> {
    let instances = instances.get();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .max_component_instance_size(STRUCTURES)
        .max_core_instance_size(STRUCTURES)
        .max_core_instances_per_component(CORES)
        .total_core_instances(instances.saturating_mul(CORES))
        .max_memories_per_component(MEMORIES)
        .max_memories_per_module(MEMORIES)
        .total_memories(instances)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .total_tables(instances.saturating_mul(TABLES_IN_A_PLACE))
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(instances.saturating_mul(FIBERS));
    let mut engine = Config::new();
    engine
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .memory_guaranteed_dense_image_size(DENSE_IMAGE)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    if let Some(directory) = cache {
        let mut cache = CacheConfig::new();
        cache.with_directory(directory);
        engine.cache(Some(Cache::new(cache)?));
    }
    Engine::new(&engine)
}

/// Returns how many places of the pool an instance of a component takes.
pub(super) fn places(component: &Component) -> u32 {
    // A component is made of modules of its own only: there is none without an answer.
    component
        .resources_required()
        .map_or(MEMORIES, |required| required.num_memories.max(required.num_tables.div_ceil(TABLES_IN_A_PLACE)).max(1))
}

/// Returns the limit that a component reaches by what it is made of, and in words what it may have.
///
/// wasmtime's errors have no type that could be asked for; the rows of the hostile collection would fail if their words
/// changed.
pub(super) fn too_many(error: &wasmtime::Error) -> Option<(&'static str, String)> {
    let words = format!("{error:#}");
    let limits = [
        ("Wasm linear memories, which", "memories", MEMORIES),
        ("defined memories count of", "memories", MEMORIES),
        ("tables, which exceeds", "tables", TABLES),
        ("defined tables count of", "tables", TABLES),
        ("core module instances, which", "core instances", CORES),
    ];
    let (_, limit, most) = limits.into_iter().find(|(said, ..)| words.contains(said))?;
    Some((limit, format!("has too many {limit}: a component may have {most}")))
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    files::shadow(&mut linker)?;
    random::shadow(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    http::shadow(&mut linker)?;
    Ok(linker)
}

/// Advances the epoch until the engine is gone. A thread and not a task: a guest that spins may hold every thread of
/// the executor.
fn tick(engine: &EngineWeak) {
    loop {
        std::thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
    }
}
