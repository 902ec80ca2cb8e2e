//! The table.

use std::time::Duration;

use crate::neighbour::Fared;
use crate::row::Decided;
use crate::trial::Trial;

pub(crate) fn print(trials: &[Trial]) {
    println!();
    println!(
        "{:<52} {:<18} {:<64} {:>9}  {:>14} {:>5} {:>6} {:>7} {:>5} {:>8} {:>8}  control",
        "behaviour",
        "decided by",
        "the caller saw",
        "after",
        "p99, ms",
        "rate",
        "worst",
        "threads",
        "files",
        "memory",
        "leaked"
    );
    for trial in trials {
        let decided = match trial.decided {
            Decided::Limit(limit) => format!("limit {limit}"),
            Decided::Grant => "grant".to_owned(),
            Decided::Check => "check".to_owned(),
            Decided::Bounds => "bounds".to_owned(),
            Decided::Wasmtime => "wasmtime".to_owned(),
        };
        let told: String = trial.saw.told.escape_debug().take(62).collect();
        let p99 = format!("{:.2} -> {:.2}", ms(trial.alone.p99), ms(trial.beside.p99));
        let leaked = trial.leaked.map_or_else(|| "-".to_owned(), kib);
        println!(
            "{:<52} {decided:<18} {told:<64} {:>6.1} ms  {p99:>14} {:>5.2} {:>4} M {:>7} {:>5} {:>8} {leaked:>8}  {}",
            trial.name,
            ms(trial.saw.after),
            trial.beside.rate / trial.alone.rate,
            trial.worst.memory >> 20,
            trial.worst.threads,
            trial.worst.files,
            kib(trial.memory),
            trial.control,
        );
    }
    let mut worst: Vec<&Trial> = trials.iter().collect();
    worst.sort_by_key(|trial| std::cmp::Reverse(trial.beside.p99));
    println!("\nThe neighbour fared worst beside:");
    for trial in worst.iter().take(3) {
        println!(
            "  {:<52} p99 {:.2} ms, alone {:.2} ms; {:.2} of its throughput",
            trial.name,
            ms(trial.beside.p99),
            ms(trial.alone.p99),
            trial.beside.rate / trial.alone.rate
        );
    }
    println!(
        "p99: of the neighbour's stat, 64 callers, alone and beside the attack; rate: its throughput beside by alone; \
         worst, threads, files: resident memory, threads and descriptors of the process at the worst moment of the \
         attack; memory: above the baseline afterwards; leaked: what the repetitions added."
    );
}

/// How the registry's `/v2/` fared, alone and beside.
pub(crate) fn print_faced(faced: &[(&str, Fared, Fared)]) {
    if faced.is_empty() {
        return;
    }
    println!("\n{:<52} {:>18} {:>18} {:>6}", "/v2/, 8 clients, alone -> beside, ms", "p50", "p99", "rate");
    for (name, alone, beside) in faced {
        let pair = |of: fn(&Fared) -> Duration| format!("{:.2} -> {:.2}", ms(of(alone)), ms(of(beside)));
        let rate = beside.rate / alone.rate;
        println!("{name:<52} {:>18} {:>18} {rate:>6.2}", pair(|fared| fared.p50), pair(|fared| fared.p99));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn kib(bytes: i64) -> String {
    let kib = bytes / 1024;
    if kib.abs() < 10_000 { format!("{kib} K") } else { format!("{} M", kib / 1024) }
}
