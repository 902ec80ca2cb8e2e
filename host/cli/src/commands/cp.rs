//! `wharf cp`: copies a tree, verified, and goes on where it was interrupted.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::TryStreamExt;
use indicatif::ProgressBar;
use serde_json::json;

use crate::interrupt::Interrupt;
use crate::location::Location;
use crate::open::Store;
use crate::output;
use crate::transfer::{Outcome, copy_file};
use crate::tree::{Found, Tree};

/// Copy a file or a tree between a local directory and a driver, or between two drivers.
///
/// Every file is read back and compared by SHA-256. Files that are already there whole are passed over; an upload that
/// was interrupted is continued where the driver can.
#[derive(Args, Debug)]
pub(crate) struct Cp {
    /// A local path, NAME:/path or FILE.wasm:/path.
    pub(crate) from: String,
    /// A local path, NAME:/path or FILE.wasm:/path. A tree's files keep their paths below it.
    pub(crate) to: String,
    /// How many files are copied at a time.
    #[arg(long, default_value = "4")]
    jobs: NonZeroUsize,
    /// Do not fail because of names that cannot be stored; they are reported all the same.
    #[arg(long)]
    skip_invalid: bool,
}

#[derive(Default)]
struct Totals {
    copied: AtomicU64,
    resumed: AtomicU64,
    present: AtomicU64,
    bytes: AtomicU64,
}

impl Cp {
    /// Runs the command.
    pub(crate) async fn run(&self, store: &Store, as_json: bool) -> Result<()> {
        let started = Instant::now();
        let from = tree(store, &self.from).await?;
        let to = tree(store, &self.to).await?;
        if let Location::Store { driver, .. } = Location::parse(&self.to)? {
            store.warn_if_in_memory(&driver).await?;
        }
        let interrupt = Interrupt::listen();
        let totals = Totals::default();
        let bar =
            output::bar(as_json, ProgressBar::new_spinner(), "{spinner} {bytes} {binary_bytes_per_sec} {elapsed}");
        let unstorable = Mutex::new(Vec::new());
        let failed = Mutex::new(Vec::new());

        let files = from.files().await.with_context(|| format!("could not list {}", self.from))?;
        let copied = files
            .try_for_each_concurrent(self.jobs.get(), |found| {
                let (from, to, totals, bar, unstorable, failed) = (&from, &to, &totals, &bar, &unstorable, &failed);
                let mut interrupt = interrupt.clone();
                async move {
                    let relative = match found {
                        Found::File(relative) => relative,
                        Found::Unstorable(name, why) => {
                            bar.suspend(|| output::note(&format!("not copied: {name}: {why}")));
                            if let Ok(mut names) = unstorable.lock() {
                                names.push(name);
                            }
                            return Ok(());
                        }
                    };
                    // The files in progress end themselves at an interrupt; none is begun.
                    if interrupt.is_set() {
                        return Ok(());
                    }
                    let done = copy_file(from, to, &relative, &mut interrupt, &|count| bar.inc(count)).await;
                    match done {
                        Ok((size, outcome)) => totals.add(size, outcome),
                        // One interrupted file must not end the others before they are closed: remember and go on.
                        Err(error) if error.downcast_ref::<output::Interrupted>().is_some() => {
                            bar.suspend(|| output::note(&error.to_string()));
                        }
                        // Nor must a failed one: dropping them would leave it open what became of their uploads.
                        Err(error) => {
                            bar.suspend(|| {
                                output::note(&format!("could not copy {}: {error:#}", from.describe(&relative)))
                            });
                            if let Ok(mut failed) = failed.lock() {
                                failed.push((from.describe(&relative), error));
                            }
                        }
                    }
                    Ok(())
                }
            })
            .await;
        bar.finish_and_clear();
        copied?;
        let unstorable = unstorable.into_inner().unwrap_or_default();
        totals.print(as_json, started, &unstorable)?;
        if interrupt.is_set() {
            return Err(output::Interrupted("run the same command again to go on".to_owned()).into());
        }
        let failed = failed.into_inner().unwrap_or_default();
        let count = failed.len();
        if let Some((file, error)) = failed.into_iter().next() {
            return Err(error.context(format!("{count} files could not be copied; the first is {file}")));
        }
        if !unstorable.is_empty() && !self.skip_invalid {
            bail!(
                "{} names cannot be stored and were not copied; rename them, or say --skip-invalid",
                unstorable.len()
            );
        }
        Ok(())
    }
}

impl Totals {
    fn add(&self, size: u64, outcome: Outcome) {
        let count = match outcome {
            Outcome::Present => &self.present,
            Outcome::Copied => &self.copied,
            Outcome::Resumed(had) => {
                self.bytes.fetch_sub(had, Ordering::Relaxed);
                &self.resumed
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Present {
            self.bytes.fetch_add(size, Ordering::Relaxed);
        }
    }

    fn print(&self, as_json: bool, started: Instant, unstorable: &[String]) -> Result<()> {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (copied, resumed, present) = (get(&self.copied), get(&self.resumed), get(&self.present));
        // Subtracted before added, so that it wraps for a moment and ends right.
        let (bytes, seconds) = (get(&self.bytes), started.elapsed().as_secs_f64());
        output::print(
            as_json,
            || {
                format!(
                    "{copied} files copied, {resumed} resumed, {present} already there; {bytes} bytes written and \
                     verified in {seconds:.2} s"
                )
            },
            || {
                json!({ "copied": copied, "resumed": resumed, "present": present, "bytes": bytes,
                    "seconds": seconds, "not_stored": unstorable })
            },
        )
    }
}

async fn tree(store: &Store, text: &str) -> Result<Tree> {
    Ok(match Location::parse(text)? {
        Location::Stdio => bail!("cp takes files and directories; `wharf put - NAME:/path` stores standard input"),
        Location::Local(path) => Tree::Local(path),
        Location::Store { driver, path } => Tree::Store { driver: store.open(&driver).await?, path },
    })
}
