//! `wharf bench`: drivers side by side, measured in one run.

mod operation;
mod report;
mod rounds;
mod samples;
mod sets;
mod wanted;

use std::io::IsTerminal;

use anyhow::{Context, Result};
use bytesize::ByteSize;
use clap::Args;
use serde_json::json;

use crate::interrupt::Interrupt;
use crate::open::{self, Store};
use crate::output;
use operation::Material;
use sets::{FILES_STREAM, STREAM};

/// Measure drivers side by side, in one run.
///
/// Without a driver the project's own are measured: in memory, native beside component; on files, native beside component
/// beside plain `tokio::fs`, in a temporary directory (TMPDIR names another place); and a component whose operations wait.
/// Ratios are to the first driver: of times, and for streams of rates. Rounds are interleaved, so that a busy machine
/// hits all alike.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Drivers to measure instead, by name or by a component's file. What is stored in them lies below /wharf-bench, and is
    /// deleted afterwards.
    #[arg(value_name = "NAME|FILE")]
    pub(crate) names: Vec<String>,
    /// How much a stream of named drivers has, as in `1GiB`, or one of the project's drivers on files. Default: 64 MiB, and
    /// on files 1 GiB.
    #[arg(long)]
    stream: Option<ByteSize>,
    /// Streams of 64 MiB on files too.
    #[arg(long, conflicts_with = "stream")]
    small: bool,
}

impl Bench {
    /// Runs the command. Figures that are not as wanted are told, and are no error: the machine may be busy.
    pub(crate) async fn run(&self, store: &Store, no_cache: bool, as_json: bool) -> Result<()> {
        let mut interrupt = Interrupt::listen();
        let place = tempfile::Builder::new()
            .prefix("wharf-bench-")
            .tempdir()
            .context("could not create a temporary directory; TMPDIR names another place")?;
        if cfg!(debug_assertions) {
            eprintln!("this build is not optimised: its figures say little; `cargo build --release` makes one that is");
        }
        let stream = self.stream.map(|stream| stream.as_u64());
        let sets = if self.names.is_empty() {
            let stream = stream.unwrap_or(if self.small { STREAM } else { FILES_STREAM });
            sets::standard(&open::engine(no_cache)?, place.path(), stream).await?
        } else {
            vec![sets::named(store, &self.names, stream.unwrap_or(STREAM)).await?]
        };
        let progress: fn(&str) =
            if !as_json && std::io::stderr().is_terminal() { |text| eprintln!("  measuring: {text}") } else { |_| () };
        let (material, mut measured) = (Material::new(), Vec::new());
        for set in sets {
            let set = tokio::select! {
                biased;
                () = interrupt.wait() => {
                    return Err(output::Interrupted("what was stored may lie at /wharf-bench".to_owned()).into());
                }
                set = set.measure(material.clone(), progress) => set?,
            };
            if !as_json {
                output::print(false, || set.text(), || json!(null))?;
            }
            measured.push(set.json());
        }
        if as_json {
            output::print(true, String::new, || json!({ "optimised": !cfg!(debug_assertions), "sets": measured }))?;
        }
        Ok(())
    }
}
