//! `wharf serve` beside Debian's `docker-registry`, on the same machine and disk, in one run.
//!
//! `cargo run --release -- --wharf PROGRAM`, in this directory; `--short` takes a few minutes less. Pulls are measured with
//! `wrk`, pushes with a client of this program's own. The contenders take turns within each round, and what is printed are
//! medians over the rounds with their ratios to docker-registry. Neither writes a log.

mod contender;
mod pull;
mod push;
mod sample;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use contender::Contender;
use sample::Samples;

/// The sizes of blobs, in bytes.
const SIZES: [(&str, usize); 3] = [("1 KiB", 1 << 10), ("1 MiB", 1 << 20), ("100 MiB", 100 << 20)];

/// Compares `wharf serve` with `docker-registry`: pulls, pushes, memory and processor time.
#[derive(Parser)]
struct Arguments {
    /// The program `wharf`, built with `--release`.
    #[arg(long)]
    wharf: PathBuf,
    /// Leaves out Wharf with the filesystem component, which `cargo xtask guests` builds.
    #[arg(long)]
    without_component: bool,
    /// How long each measurement takes, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many rounds there are.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// One second a measurement and three rounds.
    #[arg(long, conflicts_with_all = ["seconds", "rounds"])]
    short: bool,
    /// Only what has this in its name, such as `push` or `manifest`.
    #[arg(long)]
    only: Option<String>,
    /// How many connections there are at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    connections: Vec<usize>,
}

/// What is measured.
#[derive(Clone, Debug)]
enum Work {
    Pull { target: pull::Target, connections: usize },
    Push { size: usize, connections: usize },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("registry-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let (seconds, rounds) = if arguments.short { (1, 3) } else { (arguments.seconds, arguments.rounds) };
    let duration = Duration::from_secs(seconds.max(1));
    let works = works(&arguments.connections, arguments.only.as_deref());
    if works.is_empty() {
        return Err("nothing has that in its name".to_owned());
    }
    let mut contenders = Contender::all(&arguments.wharf, !arguments.without_component)?;
    let content = pull::Content::new()?;
    println!(
        "{} contenders, {} measurements of {} s, {rounds} rounds: about {} min",
        contenders.len(),
        works.len(),
        duration.as_secs(),
        (contenders.len() * works.len() * rounds) as u64 * (duration.as_secs() + 1) / 60 + 1
    );
    for contender in &mut contenders {
        contender.start()?;
        std::thread::sleep(Duration::from_secs(1));
        contender.note_idle()?;
        content.push(contender)?;
    }
    let mut samples = Samples::default();
    // The store is emptied between pushes, so that all pulls come first.
    for pulls in [true, false] {
        for round in 0..rounds {
            for (name, work) in works.iter().filter(|(_, work)| matches!(work, Work::Pull { .. }) == pulls) {
                eprintln!("round {} of {rounds}: {name}", round + 1);
                for number in 0..contenders.len() {
                    // Another begins each round, so that none always follows the same.
                    let contender = (number + round) % contenders.len();
                    let sample = match work {
                        Work::Pull { target, connections } => {
                            // Anew, so that its memory is what this takes, and not what is left of another.
                            contenders[contender].start()?;
                            content.pull(&contenders[contender], *target, *connections, duration)?
                        }
                        Work::Push { size, connections } => {
                            push::push(&mut contenders[contender], *size, *connections, duration, round)?
                        }
                    };
                    samples.add(name, contender, sample);
                }
            }
        }
        if pulls {
            for contender in &mut contenders {
                contender.note_after_pulls()?;
            }
        }
    }
    table::print(&works.iter().map(|(name, _)| name.clone()).collect::<Vec<String>>(), &contenders, &samples);
    Ok(())
}

fn works(connections: &[usize], only: Option<&str>) -> Vec<(String, Work)> {
    let mut works = Vec::new();
    for target in pull::Target::ALL {
        for &connections in connections {
            works
                .push((format!("pull {}, {connections} at a time", target.name()), Work::Pull { target, connections }));
        }
    }
    for (name, size) in SIZES {
        // More large ones at a time measure the disk and nothing else.
        for &connections in connections.iter().filter(|&&connections| size <= 1 << 20 || connections <= 4) {
            let work = Work::Push { size, connections };
            works.push((format!("push blob of {name}, {connections} at a time"), work));
        }
    }
    works.retain(|(name, _)| only.is_none_or(|only| name.contains(only)));
    works
}
