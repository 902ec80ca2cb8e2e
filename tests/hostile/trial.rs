//! One row, tried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wharf::contract::StorageDriver;

use crate::attack::{Attack, Attacker, File, Saw};
use crate::face::Face;
use crate::lab::{Lab, SECRET};
use crate::neighbour::{self, Fared};
use crate::process::{Held, Sampler, held, panics};
use crate::raw;
use crate::row::{Bounds, Control, Decided, Row};

const MIB: u64 = 1 << 20;

/// How far above its baseline the host's memory may stay.
const MEMORY: u64 = 32 * MIB;

/// How much a thousand repetitions may add.
const LEAK: u64 = 8 * MIB;

/// An attack that is over sooner is cheap enough to be repeated.
const CHEAP: Duration = Duration::from_millis(20);

/// How long things take.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// The neighbour alone.
    alone: Duration,
    /// The neighbour beside the attack.
    beside: Duration,
    repetitions: usize,
    /// By how much the neighbour's limits are multiplied: a second on a machine with other work measures the machine.
    tolerance: u32,
    /// A p99 that is never too slow: a few time slices of the kernel's scheduler, where others want the processors too.
    quick: Duration,
}

impl Pace {
    /// Sees a neighbour that stands still, on any machine.
    pub(crate) const SHORT: Pace = Pace {
        alone: Duration::from_millis(400),
        beside: Duration::from_millis(1200),
        repetitions: 100,
        tolerance: 4,
        quick: Duration::from_millis(20),
    };
    /// Sees one that is slowed down; needs a machine with nothing else to do.
    pub(crate) const LONG: Pace = Pace {
        alone: Duration::from_secs(3),
        beside: Duration::from_secs(10),
        repetitions: 1000,
        tolerance: 1,
        quick: Duration::from_millis(1),
    };

    /// Tells how the neighbour was too slow; none if it was quick enough. Beside an attack that burns a processor it must
    /// also have part of its throughput.
    fn too_slow(&self, burns: bool, alone: &Fared, beside: &Fared) -> Option<String> {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let limit = (2 * alone.p99 * self.tolerance).max(self.quick);
        if beside.p99 > limit {
            return Some(format!(
                "the neighbour's p99 was {:.2} ms, alone {:.2} ms, and may be {:.2} ms",
                ms(beside.p99),
                ms(alone.p99),
                ms(limit)
            ));
        }
        let ratio = beside.rate / alone.rate;
        let least = 0.4 / f64::from(self.tolerance);
        (burns && ratio < least)
            .then(|| format!("the neighbour had {ratio:.2} of its throughput, and must have {least}"))
    }
}

/// What came of a row.
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) decided: Decided,
    pub(crate) saw: Saw,
    pub(crate) control: String,
    pub(crate) alone: Fared,
    pub(crate) beside: Fared,
    /// What the process held at the worst moment of the attack.
    pub(crate) worst: Held,
    /// Above the baseline, in bytes, afterwards.
    pub(crate) memory: i64,
    /// After the repetitions, above what was before; none if it is not cheap.
    pub(crate) leaked: Option<i64>,
    /// What is wrong; empty: it passed.
    pub(crate) wrong: Vec<String>,
    /// What it waits for, if it failed as was expected.
    pub(crate) awaits: Option<&'static str>,
}

pub(crate) struct Bench<'a> {
    lab: &'a Lab,
    neighbour: Arc<dyn StorageDriver>,
    pace: Pace,
    baseline: Held,
}

impl<'a> Bench<'a> {
    /// Warms up, and notes what the process holds then.
    pub(crate) async fn new(lab: &'a Lab, neighbour: Arc<dyn StorageDriver>, pace: Pace) -> Self {
        let quiet = Attack::new(crate::attack::Operation::Stat, serde_json::json!({}));
        neighbour::measure(&neighbour, pace.alone).await;
        let quiet = Attacker::new(&lab.runtime, &quiet, lab.scratch());
        for _ in 0..20 {
            quiet.perform().await;
        }
        // The host of the controls is another engine, with compiled code of its own.
        let ours = wharf_conformance::components::component("hostile").unwrap();
        raw::ask(&ours, &serde_json::json!({}), raw::Question::Stat).await.unwrap();
        Bench { lab, neighbour, pace, baseline: held() }
    }

    pub(crate) async fn run(&self, row: Row) -> Trial {
        let mut wrong = Vec::new();
        self.lab.tidy();
        let forbidden = self.lab.forbidden.connections();
        let panics_before = panics();

        // Three times at most: the machine may have had other things to do.
        let mut tries = 0;
        // What an earlier try left behind is the attack's too.
        let (mut before, mut worst) = (None, Held::default());
        let (saw, alone, beside) = loop {
            tries += 1;
            let alone = neighbour::measure(&self.neighbour, self.pace.alone).await;
            before.get_or_insert_with(held);
            let sampler = Sampler::start();
            let measured = neighbour::measure(&self.neighbour, self.pace.beside);
            let (saw, beside) = self.attacking(&row, measured).await;
            worst = worst.worse(sampler.worst());
            let slow = self.pace.too_slow(row.burns, &alone, &beside);
            if slow.is_none() || tries == 3 {
                wrong.extend(slow);
                break (saw, alone, beside);
            }
        };
        if beside.lost > 0 {
            wrong.push(format!("the neighbour lost {} answers", beside.lost));
        }
        wrong.extend(before.iter().flat_map(|before| too_much(&row.bounds, before, &worst)));
        if !saw.told.starts_with(&row.sees) || !saw.told.contains(row.says) {
            wrong.push(format!("the caller saw {:?} instead of {:?} and {:?}", saw.told, row.sees, row.says));
        }
        if let Some(Err(error)) = &saw.afterwards {
            wrong.push(format!("the driver does not serve afterwards: {error}"));
        }
        wrong.extend(self.lab.touched());
        if self.lab.forbidden.connections() > forbidden {
            wrong.push("a server that was not granted was connected to".to_owned());
        }
        if saw.told.contains(SECRET) {
            wrong.push("the secret came out".to_owned());
        }

        // A panic is caught, and whoever it hit is told of a death: but it is the host's.
        if panics() > panics_before {
            wrong.push("the host panicked".to_owned());
        }
        let leaked = if saw.after < CHEAP { Some(self.repeat(&row, &mut wrong).await) } else { None };
        let memory = self.settle(&mut wrong).await;
        if memory > MEMORY as i64 {
            wrong.push(format!("memory stays {} MiB above the baseline", memory / MIB as i64));
        }
        let control = self.control(&row, &mut wrong).await;
        self.lab.tidy();
        let awaits = row.awaits.filter(|_| !wrong.is_empty());
        if let (Some(version), None) = (row.awaits, awaits) {
            wrong.push(format!("it passes, and was expected to fail until {version}: take the mark away"));
        }
        // What the control did must be over before the next row's baseline.
        self.settle(&mut wrong).await;
        Trial {
            name: row.name,
            decided: row.decided,
            saw,
            control,
            alone,
            beside,
            worst,
            memory,
            leaked,
            wrong,
            awaits,
        }
    }

    /// Attacks again and again while the registry is asked for `/v2/`, alone and beside. Returns how it fared, and what is
    /// wrong with that.
    pub(crate) async fn face(&self, face: &Face, row: &Row) -> (Fared, Fared, Option<String>) {
        let mut tries = 0;
        loop {
            tries += 1;
            let alone = face.measure(self.pace.alone).await;
            let (_, beside) = self.attacking(row, face.measure(self.pace.beside)).await;
            self.idle().await;
            let wrong = self.pace.too_slow(row.burns, &alone, &beside);
            if wrong.is_none() || tries == 3 {
                return (alone, beside, wrong);
            }
        }
    }

    /// Attacks again and again while something is measured. Returns what the first caller saw.
    async fn attacking(&self, row: &Row, measured: impl Future<Output = Fared>) -> (Saw, Fared) {
        let until = Instant::now() + self.pace.beside;
        let attacking = async {
            let attacker = Attacker::new(&self.lab.runtime, &row.attack, self.lab.scratch());
            let first = attacker.perform().await;
            while Instant::now() < until {
                // One that burns does not rest; the others are not to become burners by being repeated.
                if !row.burns {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let left = until.saturating_duration_since(Instant::now());
                attacker.perform_within(left + Duration::from_millis(1)).await;
            }
            first
        };
        tokio::join!(attacking, measured)
    }

    /// Repeats the attack, and returns how much more memory is held then.
    async fn repeat(&self, row: &Row, wrong: &mut Vec<String>) -> i64 {
        let attacker = Attacker::new(&self.lab.runtime, &row.attack, self.lab.scratch());
        for _ in 0..self.pace.repetitions / 10 {
            attacker.perform().await;
        }
        self.idle().await;
        let before = held();
        for _ in 0..self.pace.repetitions {
            attacker.perform().await;
        }
        self.idle().await;
        // The allocator gives back what was freed a moment later.
        let mut after = held();
        for _ in 0..100 {
            if after.memory <= before.memory + LEAK {
                break;
            }
            neighbour::measure(&self.neighbour, Duration::from_millis(50)).await;
            after = held();
        }
        let leaked = after.memory as i64 - before.memory as i64;
        if leaked > LEAK as i64 {
            wrong.push(format!("{} repetitions added {} KiB", self.pace.repetitions, leaked / 1024));
        }
        // Connections that the servers keep for a while are theirs.
        if after.files > before.files + 8 {
            wrong.push(format!("{} files were open before, {} after", before.files, after.files));
        }
        leaked
    }

    /// Waits until only the neighbour is open. False if it never is: one that computed is ended on a thread of a lower
    /// priority, which other work on this machine delays.
    async fn idle(&self) -> bool {
        for _ in 0..1500 {
            if self.lab.runtime.drivers().len() == 1 && self.lab.runtime.instances() == 1 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Waits until the attackers are gone and memory is back; returns how far above the baseline it is.
    async fn settle(&self, wrong: &mut Vec<String>) -> i64 {
        if !self.idle().await {
            wrong.push(format!("{} instances are still there", self.lab.runtime.instances() - 1));
        }
        for _ in 0..80 {
            if self.above() <= MEMORY as i64 {
                break;
            }
            // The neighbour goes on meanwhile: an allocator gives memory back when threads have something to do.
            neighbour::measure(&self.neighbour, Duration::from_millis(50)).await;
        }
        self.above()
    }

    fn above(&self) -> i64 {
        held().memory as i64 - self.baseline.memory as i64
    }

    async fn control(&self, row: &Row, wrong: &mut Vec<String>) -> String {
        self.lab.tidy();
        let of = async |attack| Attacker::new(&self.lab.runtime, attack, self.lab.scratch()).perform().await.told;
        let loopback = "a connection to 127.0.0.1".to_owned();
        let (what, told, expected) = match &row.control {
            Control::Off(attack, harm) => ("off", of(attack).await, harm),
            Control::Twin(twin, works) => ("twin", of(twin).await, works),
            Control::Resolves(address) => {
                let told = match tokio::net::TcpStream::connect(address).await {
                    Ok(stream) => format!("a connection to {}", stream.peer_addr().unwrap().ip()),
                    Err(error) => error.to_string(),
                };
                ("unchecked", told, &loopback)
            }
            Control::Raw(question, harm) => {
                let file = match &row.attack.file {
                    File::Ours(name) => wharf_conformance::components::component(name).unwrap(),
                    File::Bytes(_) => self.lab.scratch().join("attacker.wasm"),
                };
                let told = match raw::ask(&file, &row.attack.parameters, *question).await {
                    Ok(told) => told,
                    Err(error) => format!("{error:#}"),
                };
                ("unchecked", told, harm)
            }
        };
        if !told.starts_with(expected.as_str()) {
            wrong.push(format!("the control ({what}) saw {told:?} instead of {expected:?}"));
        }
        format!("{what}: {}", told.chars().take(60).collect::<String>().escape_debug())
    }
}

/// Tells what the process held too much of.
fn too_much(bounds: &Bounds, before: &Held, worst: &Held) -> Vec<String> {
    let mut wrong = Vec::new();
    let memory = worst.memory.saturating_sub(before.memory);
    if memory > bounds.memory {
        let (memory, most) = (memory / MIB, bounds.memory / MIB);
        wrong.push(format!("the process held {memory} MiB more at the worst moment, and may hold {most} MiB"));
    }
    let counts = [
        ("threads", before.threads, worst.threads, bounds.threads),
        ("descriptors", before.files, worst.files, bounds.files),
    ];
    for (what, before, worst, most) in counts {
        let more = worst.saturating_sub(before);
        if let Some(most) = most.filter(|most| more > *most) {
            wrong.push(format!("the process had {more} {what} more at the worst moment, and may have {most}"));
        }
    }
    wrong
}
