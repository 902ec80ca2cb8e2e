//! The program `wharf`: storage drivers for container registries.
//!
//! Exit codes: 0 all done, 1 something failed, 2 wrong use, 130 interrupted.

mod cache;
mod commands;
mod config;
mod grant;
mod interrupt;
mod limit;
mod location;
mod logging;
mod open;
mod output;
mod pattern;
mod serve;
mod transfer;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use commands::{bench, check, conformance, cp, demo, drivers, files, inspect, serve as registry, uploads, whoami};
use config::{CommandLine, Config, Environment, Given, Notice, ServeConfig};
use grant::Grant;
use limit::Limit;
use open::{Settings, Store};

/// What is freed goes back to the system, and threads that wait for the disk hold little: glibc would keep what one component
/// made the host allocate once, and mimalloc kept a hundred MiB after 64 pulls at a time. `.cargo/config.toml` tunes it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Storage drivers for container registries.
#[derive(Parser, Debug)]
#[command(version, about = "Storage drivers for container registries: native, or WebAssembly components")]
struct Cli {
    /// A configuration file: Distribution's config.yml, of which `storage:` counts, with `drivers:` beside it. Default:
    /// the one that REGISTRY_CONFIGURATION_PATH names. Variables such as REGISTRY_STORAGE_S3_REGION override what it says.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// The driver that plain /paths are in: its name, or the file of a component.
    #[arg(short, long, global = true)]
    driver: Option<String>,
    /// Parameters: a JSON object, KEY=VALUE, or NAME={JSON} for one of two drivers. May be repeated.
    #[arg(long, global = true)]
    params: Vec<String>,
    /// The directory of components: each FILE.wasm in it is offered under its name. Default: ./drivers, if it is there.
    #[arg(long, global = true, value_name = "DIR")]
    drivers: Option<PathBuf>,
    /// What components may touch: dir:HOST=GUEST:rw, dir:HOST=GUEST:ro or env:NAME. May be repeated.
    #[arg(long, global = true)]
    grant: Vec<Grant>,
    /// How much components may use: NAME=VALUE, as under `limits:` in a configuration, for instance memory=512MiB. May be
    /// repeated.
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    limit: Vec<Limit>,
    /// Compile components anew; keep nothing of it.
    #[arg(long, global = true)]
    no_cache: bool,
    /// Write JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Log more on standard error; RUST_LOG says it in detail.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(registry::Serve),
    /// Show which drivers there are.
    Drivers(drivers::Drivers),
    Inspect(inspect::Inspect),
    Conformance(conformance::Conformance),
    /// Read a file, or part of one.
    Get(files::Get),
    /// Store a file.
    Put(files::Put),
    /// List a directory.
    Ls(files::Ls),
    /// Show what is stored at a path.
    Stat(files::One),
    /// Move a file within a driver.
    Mv(files::Mv),
    /// Delete a file, or a directory with all below it.
    Rm(files::One),
    Cp(cp::Cp),
    Uploads(uploads::Uploads),
    Whoami(whoami::Whoami),
    Demo(demo::Demo),
    Bench(bench::Bench),
}

impl Command {
    /// Returns the drivers that the command's arguments name, by name or file: a file must be known before any is opened.
    fn drivers(&self) -> Vec<String> {
        match self {
            Command::Serve(_) | Command::Drivers(_) | Command::Demo(_) => Vec::new(),
            Command::Inspect(args) => vec![args.component.clone()],
            Command::Conformance(args) => vec![args.subject.clone()],
            Command::Bench(args) => args.names.clone(),
            Command::Get(args) => location::drivers([&*args.location]),
            Command::Put(args) => location::drivers([&*args.location]),
            Command::Ls(args) => location::drivers([&*args.location]),
            Command::Stat(args) | Command::Rm(args) => location::drivers([&*args.location]),
            Command::Uploads(args) => location::drivers([&*args.location]),
            Command::Whoami(args) => args.name.iter().cloned().collect(),
            Command::Mv(args) => location::drivers([&*args.from, &*args.to]),
            Command::Cp(args) => location::drivers([&*args.from, &*args.to]),
        }
    }
}

/// How long the end of the program waits for work on other threads, such as the removal of what was given up.
const LAST_WORK: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What a registry logs, and how, stands in its configuration.
    let serve = match &cli.command {
        Command::Serve(args) => {
            let file = args.file.as_deref().or(cli.config.as_deref());
            let environment = Environment::of_process();
            let given = match Given::parse(&cli.params) {
                Ok(given) => given,
                Err(error) => return output::report(&error, cli.json),
            };
            let line = CommandLine { given: &given, drivers: cli.drivers.as_deref() };
            if args.check {
                return check::run(file, &environment, line, cli.json);
            }
            match Config::for_serve(file, &environment, line) {
                Ok(serve) => Some(serve),
                Err(error) => return output::report(&error, cli.json),
            }
        }
        _ => None,
    };
    match &serve {
        Some((config, _)) => logging::log_as(&config.log, cli.verbose),
        None => logging::log_to_people(cli.verbose),
    }
    raise_open_files();
    take_small_pages();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::report(
                &anyhow::Error::new(error).context("could not start the program's threads"),
                cli.json,
            );
        }
    };
    let code = match runtime.block_on(run(&cli, serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::report(&error, cli.json),
    };
    // A read of standard input cannot be taken back: without a limit, an interrupted `put -` would wait for its line.
    runtime.shutdown_timeout(LAST_WORK);
    code
}

/// Lets this process open as many files as the system allows it: each file that a component holds is one of its own, and
/// the usual 1,024 are for programs that use `select`. Where it cannot, it stays as it is.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Takes memory in pages of the usual size. Where the system gives huge ones unasked, each of a hundred threads that wait for
/// the disk would hold 2 MiB for its stack. Where it cannot, it stays as it is.
fn take_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory is taken in huge pages too");
    }
}

async fn run(cli: &Cli, serve: Option<(ServeConfig, Vec<Notice>)>) -> Result<()> {
    let settings = Settings {
        config: match &serve {
            Some((serve, _)) => serve.config.clone(),
            None => Config::read(cli.config.as_deref(), &Environment::of_process())?,
        },
        given: Given::parse(&cli.params)?,
        directory: cli.drivers.clone(),
        grants: cli.grant.clone(),
        limits: cli.limit.clone(),
        no_cache: cli.no_cache,
    };
    let mut named = cli.command.drivers();
    named.extend(serve.iter().map(|(serve, _)| serve.storage.driver.clone()));
    named.extend(cli.driver.clone());
    let store = Arc::new(Store::new(settings, &named)?);
    let driver = cli.driver.as_deref();
    if let Some((config, notices)) = serve {
        return registry::run(config, &notices, &store).await;
    }
    match &cli.command {
        // Its configuration has been read, so that it has been run.
        Command::Serve(_) => Ok(()),
        Command::Drivers(args) => drivers::run(args, &store, cli.json).await,
        Command::Inspect(args) => inspect::run(args, &store, cli.json).await,
        Command::Conformance(args) => conformance::run(args, &store, cli.json).await,
        Command::Get(args) => files::get(args, &store, driver).await,
        Command::Put(args) => files::put(args, &store, driver, cli.json).await,
        Command::Ls(args) => files::ls(args, &store, driver, cli.json).await,
        Command::Stat(args) => files::stat(args, &store, driver, cli.json).await,
        Command::Mv(args) => files::mv(args, &store, driver, cli.json).await,
        Command::Rm(args) => files::rm(args, &store, driver, cli.json).await,
        Command::Cp(args) => args.run(&store, cli.json).await,
        Command::Uploads(args) => uploads::run(args, &store, driver, cli.json).await,
        Command::Whoami(args) => whoami::run(args, &store, driver, cli.json).await,
        Command::Demo(args) => args.run(&open::engine(cli.no_cache)?, cli.json).await,
        Command::Bench(args) => args.run(&store, cli.no_cache, cli.json).await,
    }
}
