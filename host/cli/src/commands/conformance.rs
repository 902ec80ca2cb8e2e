//! `wharf conformance`: the suite, on a driver by its name or file.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use wharf::base::retry::RetryPolicy;
use wharf::contract::{Capabilities, StorageDriver};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::Runtime;
use wharf_conformance::{OneOpening, Provided, Report, Selection, Subject, Verdict, all_cases, run_with_progress};

use crate::interrupt::Interrupt;
use crate::open::Store;
use crate::output::{self, Interrupted};

/// Run the conformance suite on a driver, and say which promises it keeps.
///
/// The suite writes below directories of its own in the root of the store, named wharf-..., and deletes them. A driver that only
/// reads is held to what --content says is in its store. Exits with 1 if a case failed, or if the driver declares a
/// capability that neither a case nor evidence proved.
#[derive(Args, Debug)]
pub(crate) struct Conformance {
    /// The driver's name, or the file of a component.
    pub(crate) subject: String,
    /// Run only the cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run the cases that take minutes too.
    #[arg(long)]
    long: bool,
    /// Leave out the cases that move tens of megabytes or thousands of files.
    #[arg(long)]
    no_heavy: bool,
    /// A capability that you have proven by other means: `durable` (by the order of the system calls) and `native-walk`
    /// (by the count of the store's requests) cannot be seen by a caller. May be repeated.
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    evidence: Vec<String>,
    /// For a driver that only reads: a directory with the same files as its store. A link to a file counts as that file; a directory
    /// without files may be listed or not. Of 200 files all bytes are compared.
    #[arg(long, value_name = "DIRECTORY")]
    content: Option<PathBuf>,
}

fn capability(text: &str) -> Result<String, String> {
    let names = Capabilities::default().all().map(|(name, _)| name);
    if names.contains(&text) { Ok(text.to_owned()) } else { Err(format!("the capabilities are {}", names.join(", "))) }
}

/// A driver of the factory, under test.
struct Named {
    /// What the command line says, for the report.
    shown: String,
    /// The name in the factory.
    registered: String,
    factory: Factory,
    parameters: Parameters,
    /// Set if all openings are one: a second would see another store, in its memory, or may not be.
    one: Option<OneOpening>,
    runtime: Option<Runtime>,
    /// Whether each opening has a store of its own, in memory.
    is_in_memory: bool,
    provided: Option<Provided>,
}

impl Named {
    async fn open_new(&self) -> wharf::contract::Result<Arc<dyn StorageDriver>> {
        self.factory.create(&self.registered, self.parameters.clone()).await
    }
}

#[async_trait]
impl Subject for Named {
    fn name(&self) -> &str {
        &self.shown
    }

    async fn open(&self) -> wharf::contract::Result<Arc<dyn StorageDriver>> {
        match &self.one {
            Some(one) => one.get(self.open_new()).await,
            None => self.open_new().await,
        }
    }

    async fn reopen(&self) -> wharf::contract::Result<Arc<dyn StorageDriver>> {
        if let Some(one) = &self.one {
            one.close().await;
        }
        self.open().await
    }

    fn provided(&self) -> Option<&Provided> {
        self.provided.as_ref()
    }

    async fn crashed(&self) {
        // Each case is to crash by itself, and not to find the driver in quarantine.
        if let Some(runtime) = &self.runtime {
            runtime.end_quarantine(&self.registered);
        }
        if let Some(one) = self.one.as_ref().filter(|_| self.is_in_memory) {
            one.close().await;
        }
    }

    fn loses_all(&self) -> bool {
        self.is_in_memory
    }

    async fn open_empty(&self) -> Option<wharf::contract::Result<Arc<dyn StorageDriver>>> {
        if self.is_in_memory { Some(self.open_new().await) } else { None }
    }
}

/// Runs the suite and prints the report.
pub(crate) async fn run(args: &Conformance, store: &Store, as_json: bool) -> Result<()> {
    let subject = Arc::new(subject(args, store).await?);
    let selection = Selection {
        filter: args.filter.clone(),
        heavy: !args.no_heavy,
        long: args.long,
        evidence: args.evidence.clone(),
        ..Selection::default()
    };
    let count = all_cases().iter().filter(|case| selection.names(case)).count();
    let bar = output::bar(as_json, ProgressBar::new(count as u64), "{bar:30} {pos}/{len} {elapsed} {msg}");
    let mut interrupt = Interrupt::listen();
    let running = run_with_progress(subject, &selection, |case| {
        if case.outcome == Verdict::Failed {
            bar.suspend(|| eprintln!("failed: {}", case.case));
        }
        bar.set_message(case.case);
        bar.inc(1);
    });
    let report = tokio::select! {
        biased;
        () = interrupt.wait() => {
            bar.finish_and_clear();
            let left = "directories named wharf-... may be left in the root of the store; `wharf ls` shows them";
            return Err(Interrupted(left.to_owned()).into());
        }
        report = running => report,
    };
    bar.finish_and_clear();
    let report = report.with_context(|| format!("could not run the suite on the driver `{}`", args.subject))?;
    print(&report, as_json)?;
    judge(&report, args)
}

async fn subject(args: &Conformance, store: &Store) -> Result<Named> {
    let name = store.name_of(&args.subject);
    let factory = store.factory();
    let is_in_memory = store.is_in_memory(&args.subject).await?;
    let is_one = is_in_memory || store.is_exclusive(&args.subject).await?;
    let provided = args.content.as_deref().map(Provided::from_directory).transpose().map_err(anyhow::Error::msg)?;
    Ok(Named {
        shown: args.subject.clone(),
        registered: name.to_owned(),
        // A fault that a second attempt hides is what the suite is there to show.
        factory: factory.clone().with_retries(RetryPolicy::never()),
        parameters: store.parameters(&args.subject)?,
        one: is_one.then(OneOpening::default),
        runtime: store.runtime().cloned(),
        is_in_memory,
        provided,
    })
}

fn print(report: &Report, as_json: bool) -> Result<()> {
    output::print(
        as_json,
        || report.to_string(),
        || {
            json!({
                "driver": report.driver, "success": report.is_success(),
                "passed": report.count(Verdict::Passed), "failed": report.count(Verdict::Failed),
                "ignored": report.count(Verdict::Ignored), "not_tried": report.count(Verdict::NotTried),
                "not_named": report.not_named, "left": report.left, "unproven": report.unproven, "cases": report.cases,
            })
        },
    )
}

/// Turns a report into an error, unless the driver kept what it promised.
fn judge(report: &Report, args: &Conformance) -> Result<()> {
    let failed = report.count(Verdict::Failed);
    if report.count(Verdict::Passed) + failed == 0 {
        bail!("no case ran on {}; `--filter` is a part of a case's name", report.driver);
    }
    let mut faults = Vec::new();
    if failed > 0 {
        faults.push(format!("{failed} cases failed on {}", report.driver));
    }
    let (unseen, unrun): (Vec<&str>, Vec<&str>) = report
        .unproven
        .iter()
        .map(String::as_str)
        .partition(|name| !all_cases().iter().any(|case| case.needs.contains(name)));
    if !unseen.is_empty() {
        faults.push(format!(
            "it declares {}, which no caller can see: prove it by other means and say --evidence {}, or do not declare it",
            unseen.join(" and "),
            unseen.join(" --evidence ")
        ));
    }
    if !unrun.is_empty() {
        let heavy = if args.no_heavy { "; run it without --no-heavy" } else { "" };
        faults.push(format!("it declares {}, and no case that proves it passed{heavy}", unrun.join(" and ")));
    }
    if report.left.is_some() {
        faults.push("what it stored for the suite could not be deleted".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("; ")) }
}
