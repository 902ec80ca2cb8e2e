//! Which drivers are measured against which, and what is wanted of them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use bytesize::ByteSize;
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, DirectoryGrant, Grants, Limits, Runtime};
use wharf_conformance::components::component;

use super::operation::{AT_ONCE, Operation, Target};
use super::rounds::{Contender, Row, Set};
use super::wanted::Wanted;
use crate::open::Store;

const MIB: u64 = 1 << 20;

/// How long a stat of the waiting driver waits, in milliseconds.
const WAIT: u64 = 10;

/// How much is streamed through drivers in memory, and through those that are named, if nothing else is asked for.
pub(super) const STREAM: u64 = 64 * MIB;

/// How much is streamed through files.
pub(super) const FILES_STREAM: u64 = 1024 * MIB;

/// Returns all operations, with streams of that size.
fn rows(stream: u64) -> Vec<Row> {
    let row = |title: &str, operation, times| Row { title: title.to_owned(), operation, rounds: 20, times };
    // Large streams last long enough to need few rounds.
    let rounds = if stream > 256 * MIB { 5 } else { 15 };
    let streamed = |title: &str, operation| Row {
        title: format!("stream {title} {}", ByteSize::b(stream).display().iec()),
        operation,
        rounds,
        times: 1,
    };
    vec![
        row("stat", Operation::Stat, 500),
        row(&format!("{AT_ONCE} stats at once"), Operation::StatsAtOnce, 20),
        row("get 1 KiB", Operation::Get(1 << 10), 200),
        row("put 1 KiB", Operation::Put(1 << 10), 200),
        row("get 1 MiB", Operation::Get(1 << 20), 20),
        row("put 1 MiB", Operation::Put(1 << 20), 20),
        streamed("up", Operation::Up(stream)),
        streamed("down", Operation::Down(stream)),
    ]
}

/// The drivers that the command line names.
pub(super) async fn named(store: &Store, drivers: &[String], stream: u64) -> Result<Set> {
    let mut contenders = Vec::new();
    for driver in drivers {
        contenders.push(Contender {
            name: store.name_of(driver).to_owned(),
            target: Target::Driver(store.open(driver).await?),
        });
    }
    Ok(Set {
        title: "the drivers that were named".to_owned(),
        contenders,
        rows: rows(stream),
        wanted: Vec::new(),
        runtime: store.runtime().cloned(),
    })
}

/// The project's own drivers, native and component. Those on files have theirs below `place`, and streams of that size.
pub(super) async fn standard(runtime: &Runtime, place: &Path, stream: u64) -> Result<Vec<Set>> {
    Ok(vec![memory(runtime).await?, files(runtime, place, stream).await?, waiting(runtime).await?])
}

async fn memory(runtime: &Runtime) -> Result<Set> {
    let mut factory = Factory::native();
    // Two contents of the stream while one replaces the other, and what growing takes.
    let limits = Limits { memory: ByteSize::b(8 * STREAM), ..Limits::default() };
    offer(&mut factory, runtime, "inmemory", ComponentConfig { limits, ..ComponentConfig::default() })?;
    let native = open(&factory, "inmemory", Parameters::new()).await?;
    let guest = open(&factory, "inmemory.wasm", Parameters::new()).await?;
    Ok(Set {
        title: "in memory: native, which copies no byte, and a component that makes every byte itself".to_owned(),
        contenders: vec![native, guest],
        rows: rows(STREAM),
        wanted: vec![
            Wanted::AtMostAbove { operation: Operation::Stat, one: 1, other: 0, limit: Duration::from_micros(6) },
            Wanted::Rate { operation: Operation::Down(STREAM), one: 1, least: 2e9 },
        ],
        runtime: Some(runtime.clone()),
    })
}

async fn files(runtime: &Runtime, place: &Path, stream: u64) -> Result<Set> {
    let directory = |name: &str| {
        let directory = place.join(name);
        std::fs::create_dir(&directory).with_context(|| format!("could not create {}", directory.display()))?;
        anyhow::Ok(directory)
    };
    let (native, granted, plain) = (directory("native")?, directory("component")?, directory("plain")?);
    let grant = DirectoryGrant { host: granted, guest: "/data".to_owned(), write: true };
    let allow = Grants { directories: vec![grant], ..Grants::default() };
    let mut factory = Factory::native();
    offer(&mut factory, runtime, "filesystem", ComponentConfig { allow, ..ComponentConfig::default() })?;
    let root = Parameters::new().with("rootdirectory", native.display().to_string());
    let native = open(&factory, "filesystem", root).await?;
    let guest = open(&factory, "filesystem.wasm", Parameters::new().with("rootdirectory", "/data")).await?;
    let plain = Contender { name: "tokio::fs, 1 MiB".to_owned(), target: Target::Plain(plain) };
    let down = Operation::Down(stream);
    Ok(Set {
        title: "files: native, a component that the bytes pass by, and plain tokio::fs".to_owned(),
        contenders: vec![native, guest, plain],
        rows: rows(stream),
        wanted: vec![
            Wanted::RateOf { operation: down, one: 1, other: 0, least: 0.9 },
            Wanted::RateOf { operation: down, one: 0, other: 2, least: 0.9 },
        ],
        runtime: Some(runtime.clone()),
    })
}

async fn waiting(runtime: &Runtime) -> Result<Set> {
    let mut factory = Factory::new();
    // One instance: what is shown is that its operations wait beside one another, not that there are many instances.
    let limits = Limits { workers: std::num::NonZeroUsize::MIN, ..Limits::default() };
    offer(&mut factory, runtime, "faulty", ComponentConfig { limits, ..ComponentConfig::default() })?;
    let wait = Parameters::new().with("operation", "stat").with("fault", "wait").with("wait_ms", WAIT);
    let operation = Operation::StatsAtOnce;
    let title = format!("{AT_ONCE} stats at once");
    Ok(Set {
        title: format!("waiting: one instance of a component, whose stats wait {WAIT} ms each"),
        contenders: vec![open(&factory, "faulty.wasm", wait).await?],
        rows: vec![Row { title, operation, rounds: 20, times: 1 }],
        wanted: vec![Wanted::AtMost { operation, one: 0, limit: Duration::from_millis(WAIT + 3) }],
        runtime: None,
    })
}

/// Offers one of the project's components under its file's name.
fn offer(factory: &mut Factory, runtime: &Runtime, name: &str, config: ComponentConfig) -> Result<()> {
    let file = component(name).map_err(anyhow::Error::msg)?;
    let config = ComponentConfig { component: Some(file), ..config };
    Ok(factory.register_component(runtime, &format!("{name}.wasm"), config)?)
}

async fn open(factory: &Factory, name: &str, parameters: Parameters) -> Result<Contender> {
    let driver =
        factory.create(name, parameters).await.with_context(|| format!("could not open the driver `{name}`"))?;
    Ok(Contender { name: name.to_owned(), target: Target::Driver(driver) })
}
