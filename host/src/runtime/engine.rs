//! The engine that all components share, and the thread that interrupts them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::counters::Counters;
use super::files;
use super::state::State;
use crate::contract::{Error, ErrorKind, Result};

/// How often a running guest is interrupted, so that other tasks of the executor get their turn. Measured: with four
/// spinning guests beside it, a neighbour's worst `stat` is 1.3 ms at this tick, and 20 ms at one of 10 ms.
const TICK: Duration = Duration::from_millis(1);

/// How many instances the pool holds, over all drivers. A component written in Rust has one to four core instances.
const POOL_INSTANCES: u32 = 1000;

/// How the engine is set up.
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// The directory where compiled code is kept between runs. None: it is kept nowhere, and every start compiles
    /// anew. Whoever can write to it can run code in this process: give it to nobody else.
    pub cache: Option<PathBuf>,
}

/// The engine that compiles and runs components. One for a process; clones share it.
///
/// Without a clone left, and without a driver opened through it, its thread ends.
#[derive(Clone)]
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<State>>,
    pub(super) counters: Arc<Counters>,
}

impl Runtime {
    /// Sets up the engine and starts its thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] if this machine cannot run WebAssembly as configured, or the cache cannot be used.
    pub fn new(config: RuntimeConfig) -> Result<Self> {
        let engine = engine(config)
            .map_err(|error| Error::new(ErrorKind::Other, format!("the WebAssembly engine cannot start: {error:#}")))?;
        let linker = linker(&engine).map_err(|error| {
            Error::new(ErrorKind::Other, format!("the WebAssembly host interfaces clash: {error:#}"))
        })?;
        let ticking = engine.weak();
        std::thread::Builder::new().name("wharf-epoch".to_owned()).spawn(move || tick(&ticking)).map_err(|error| {
            Error::new(ErrorKind::Other, "the thread that interrupts components cannot start").with_source(error)
        })?;
        Ok(Runtime { engine, linker: Arc::new(linker), counters: Arc::default() })
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

fn engine(config: RuntimeConfig) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOL_INSTANCES)
        .total_core_instances(4 * POOL_INSTANCES)
        .total_memories(POOL_INSTANCES)
        .total_tables(4 * POOL_INSTANCES)
        .total_stacks(4 * POOL_INSTANCES);
    let mut engine = Config::new();
    engine
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    if let Some(directory) = config.cache {
        let mut cache = CacheConfig::new();
        cache.with_directory(directory);
        engine.cache(Some(Cache::new(cache)?));
    }
    Engine::new(&engine)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    files::shadow(&mut linker)?;
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
