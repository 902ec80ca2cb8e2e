//! The hostile collection: what components do to their host on purpose, and what comes of it.
//!
//! Each row is an attack. It passes if its caller saw what it must and the driver serves afterwards; if nothing outside the
//! grants was touched; if a well-behaved driver beside it lost nothing and stayed quick; if the process never held more
//! memory than the limit `memory` and 64 MiB, nor more threads and descriptors than the row allows; if the host's memory
//! came back; if its control shows that the row proves something; and, where it is cheap, if repeating it leaks nothing.
//!
//! Measured times are those of this machine, which others may be using: a neighbour that was slow is measured again, up to
//! three times. `--long` takes the full time for each row, 10 s beside the neighbour and 1,000 repetitions, and holds it to
//! the limits: twice its own p99 or 1 ms, and beside one that burns a processor 0.4 of its throughput. The short form takes 1.2 s and 100 repetitions, and allows four times as much, or 20 ms. Names
//! on the command line choose rows.
#![allow(clippy::unwrap_used, reason = "tests")]

mod attack;
#[allow(dead_code, reason = "the program's test uses more of it")]
mod crafted;
mod face;
mod lab;
mod logged;
mod neighbour;
mod process;
mod raw;
mod row;
mod rows;
#[path = "../http/server.rs"]
#[allow(dead_code, reason = "the tests of HTTP use more of it")]
mod server;
mod table;
mod trial;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use wharf::factory::{Factory, Parameters};
use wharf::runtime::ComponentConfig;
use wharf_conformance::components::component;

use lab::{Lab, SECRET, VARIABLE};
use trial::{Bench, Pace};

/// The program's: what is freed goes back to the system, so that the process's size tells what is held.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    #[allow(unsafe_code, reason = "no other thread runs yet")]
    // SAFETY: the executor, and so every other thread, is started below.
    unsafe {
        std::env::set_var(VARIABLE, SECRET);
    }
    logged::install();
    process::count_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Its threads for files hold memory as long as they live.
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .unwrap();
    runtime.block_on(run())
}

async fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pace = if arguments.iter().any(|argument| argument == "--long") { Pace::LONG } else { Pace::SHORT };
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();

    let lab = Lab::new().await;
    let neighbour = {
        let config = ComponentConfig { component: Some(component("inmemory").unwrap()), ..Default::default() };
        let mut factory = Factory::new();
        factory.register_component(&lab.runtime, "neighbour", config).unwrap();
        factory.create("neighbour", Parameters::from(Map::new())).await.unwrap()
    };
    neighbour::prepare(&neighbour).await;
    let bench = Bench::new(&lab, Arc::clone(&neighbour), pace).await;

    let mut trials = Vec::new();
    let mut faced = Vec::new();
    let face = face::Face::start().await;
    for row in rows::all(&lab) {
        if chosen.is_empty() || chosen.iter().any(|name| row.name.contains(name.as_str())) {
            let faces = if face::ROWS.contains(&row.name) { Some(bench.face(&face, &row).await) } else { None };
            let mut trial = bench.run(row).await;
            if let Some((alone, beside, slow)) = faces {
                trial.wrong.extend(slow.map(|slow| format!("asked for /v2/: {slow}")));
                faced.push((trial.name, alone, beside));
            }
            let outcome = match (trial.wrong.is_empty(), trial.awaits) {
                (true, _) => "passed".to_owned(),
                (false, Some(version)) => format!("awaits {version}:"),
                (false, None) => "FAILED".to_owned(),
            };
            println!("{outcome} {}", trial.name);
            for wrong in &trial.wrong {
                println!("    {wrong}");
            }
            trials.push(trial);
        }
    }
    table::print(&trials);
    table::print_faced(&faced);
    let awaiting = trials.iter().filter(|trial| trial.awaits.is_some()).count();
    let failed = trials.iter().filter(|trial| !trial.wrong.is_empty() && trial.awaits.is_none()).count();
    let passed = trials.len() - failed - awaiting;
    // Once more, where whoever sees only the end of a long output finds it.
    for trial in trials.iter().filter(|trial| !trial.wrong.is_empty() && trial.awaits.is_none()) {
        println!("\nFAILED {}", trial.name);
        for wrong in &trial.wrong {
            println!("    {wrong}");
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {awaiting} ignored; 0 measured; 0 filtered out"
    );
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
