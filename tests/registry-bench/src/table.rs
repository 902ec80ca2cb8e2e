//! What is printed at the end.

use crate::contender::Contender;
use crate::sample::{Sample, Samples};

const MIB: f64 = 1_048_576.0;

/// Prints a table for each figure, a line for each measurement, and memory by contender.
pub(crate) fn print(names: &[String], contenders: &[Contender], samples: &Samples) {
    let large = |name: &str| name.contains("100 MiB");
    let rate = |name: &str, sample: &Sample| if large(name) { sample.bytes / MIB } else { sample.rate };
    let cost = |name: &str, sample: &Sample| sample.cost * if large(name) { 1e3 } else { 1e6 };
    section(
        "throughput: requests or pushes in a second; of 100 MiB, MiB in a second",
        names,
        contenders,
        samples,
        rate,
    );
    section("time within which 99 of 100 are answered, ms", names, contenders, samples, |_, sample| {
        sample.slowest * 1e3
    });
    let title = "processor time of the registry, us for each; of 100 MiB, ms for each GiB";
    section(title, names, contenders, samples, cost);
    section("peak memory, MiB", names, contenders, samples, |_, sample| sample.peak / MIB);
    println!("\nmemory without requests, MiB");
    for contender in contenders {
        let (idle, after) = (contender.idle as f64 / MIB, contender.after_pulls as f64 / MIB);
        println!("  {:<20} before the first {idle:>7.1}   after all pulls {after:>7.1}", contender.name);
    }
    println!(
        "\nratios are to docker-registry. It acknowledges what the disk may not have yet; Wharf's filesystem drivers \
         answer when it is on the disk, so that pushes are no equal work."
    );
}

fn section(
    title: &str,
    names: &[String],
    contenders: &[Contender],
    samples: &Samples,
    figure: impl Fn(&str, &Sample) -> f64,
) {
    let width = names.iter().map(String::len).max().unwrap_or_default();
    print!("\n{title}\n{:width$}", "");
    for contender in contenders {
        print!("  {:>20}", contender.name);
    }
    println!();
    for name in names {
        print!("{name:<width$}");
        let first = samples.median(name, 0, |sample| figure(name, sample));
        for number in 0..contenders.len() {
            let median = samples.median(name, number, |sample| figure(name, sample));
            let ratio = if number == 0 || first == 0.0 || median == 0.0 {
                String::new()
            } else {
                format!(" {:>6.2}x", median / first)
            };
            print!("  {:>20}", format!("{}{ratio}", short(median)));
        }
        println!();
    }
}

/// A number with about three digits that matter.
fn short(number: f64) -> String {
    match number {
        // Nothing was answered to its end within the time.
        0.0 => "-".to_owned(),
        number if number >= 100.0 => format!("{number:.0}"),
        number if number >= 10.0 => format!("{number:.1}"),
        number => format!("{number:.2}"),
    }
}
