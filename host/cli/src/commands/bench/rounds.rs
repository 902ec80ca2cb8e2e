//! Measuring drivers side by side: in rounds, so that whatever else the machine does hits all of them alike.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wharf::runtime::Runtime;

use super::operation::{Material, Operation, Target, claim, clean};
use super::samples::Samples;
use super::wanted::Wanted;
use crate::interrupt::Interrupt;
use crate::output::Interrupted;

/// In a round, one driver is at it no longer than this, and does the operation once at least.
const TURN: Duration = Duration::from_millis(50);

/// A driver, or what stands beside drivers to be compared with.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) target: Target,
}

/// An operation that is measured on every contender.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) title: String,
    pub(super) operation: Operation,
    /// How many rounds count. One more comes before them, to warm up.
    pub(super) rounds: usize,
    /// How often a contender does it in one round, at most.
    pub(super) times: usize,
}

/// What is measured in one table.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) title: String,
    /// The first is what the others are compared with.
    pub(super) contenders: Vec<Contender>,
    pub(super) rows: Vec<Row>,
    pub(super) wanted: Vec<Wanted>,
    /// The engine, if a component takes part: it counts the bytes of streams.
    pub(super) runtime: Option<Runtime>,
}

/// A set, measured.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) set: Arc<Set>,
    /// By row, then by contender.
    pub(super) samples: Vec<Vec<Samples>>,
    /// The bytes of the set's streams, where a component took part.
    pub(super) streamed: Option<Streamed>,
}

/// The bytes of streams that the bridge to components moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streamed {
    pub(super) copied: u64,
    pub(super) passed_through: u64,
}

impl Set {
    /// Measures every row. What was stored is taken away, also after a failure or an interrupt.
    pub(super) async fn measure(
        self,
        material: Material,
        progress: fn(&str),
        interrupt: &mut Interrupt,
    ) -> Result<Measured> {
        for contender in &self.contenders {
            claim(&contender.target, &contender.name).await?;
        }
        let set = Arc::new(self);
        let measuring = Arc::clone(&set);
        // A task of its own: the runtime's main task is slower to be woken, and that would be measured.
        let mut task = tokio::spawn(async move { measuring.rows(&material, progress).await });
        let measured = tokio::select! {
            biased;
            () = interrupt.wait() => {
                task.abort();
                // What it was aborted with says nothing; after this it does nothing any more.
                let _ = (&mut task).await;
                Err(Interrupted("what was stored is deleted again".to_owned()).into())
            }
            done = &mut task => done.context("the measurement ended before it was done").and_then(|rows| rows),
        };
        let mut cleaned = Ok(());
        for contender in &set.contenders {
            let done = clean(&contender.target).await;
            cleaned = cleaned.and(done.with_context(|| format!("could not clean up in {}", contender.name)));
        }
        let (samples, streamed) = measured?;
        cleaned?;
        Ok(Measured { set, samples, streamed })
    }

    async fn rows(&self, material: &Material, progress: fn(&str)) -> Result<(Vec<Vec<Samples>>, Option<Streamed>)> {
        let (mut all, mut streamed) = (Vec::new(), Streamed::default());
        for row in &self.rows {
            progress(&row.title);
            let before = self.counted();
            all.push(self.row(row, material).await?);
            if row.operation.bytes().is_some() {
                let after = self.counted();
                streamed.copied += after.copied - before.copied;
                streamed.passed_through += after.passed_through - before.passed_through;
            }
        }
        Ok((all, self.runtime.is_some().then_some(streamed)))
    }

    async fn row(&self, row: &Row, material: &Material) -> Result<Vec<Samples>> {
        let mut samples = vec![Samples::default(); self.contenders.len()];
        let failed = |contender: &Contender| format!("`{}` failed on {}", row.title, contender.name);
        for contender in &self.contenders {
            row.operation.prepare(&contender.target, material).await.with_context(|| failed(contender))?;
        }
        for round in 0..=row.rounds {
            for turn in 0..self.contenders.len() {
                // Another one begins each time: who comes first may find the machine in another state.
                let index = (round + turn) % self.contenders.len();
                let contender = &self.contenders[index];
                let began = Instant::now();
                for time in 0..row.times {
                    if time > 0 && began.elapsed() > TURN {
                        break;
                    }
                    let taken = row.operation.once(&contender.target, material).await;
                    match taken.with_context(|| failed(contender))? {
                        Some(taken) if round > 0 => samples[index].push(taken),
                        Some(_) => {}
                        None => break,
                    }
                }
            }
        }
        Ok(samples)
    }

    fn counted(&self) -> Streamed {
        self.runtime.as_ref().map_or_else(Streamed::default, |runtime| {
            let counters = runtime.counters();
            Streamed { copied: counters.copied(), passed_through: counters.passed_through() }
        })
    }
}
