//! `wharf uploads`: what was begun and neither committed nor cancelled.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::Args;
use futures::TryStreamExt;
use serde_json::json;
use wharf::contract::{Entry, StorageDriverExt};

use crate::location::Location;
use crate::open::Store;
use crate::output;

/// List unfinished uploads, and abort stale ones.
///
/// A store keeps, and charges for, the parts of uploads that nobody ended, and no listing of files shows them.
#[derive(Args, Debug)]
pub(crate) struct Uploads {
    /// NAME:/path or FILE.wasm:/path, or /path with --driver: the uploads at and below it.
    pub(crate) location: String,
    /// Only those that were begun so long ago, for instance 7days or 12h.
    #[arg(long, value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Abort them. Needs --older-than, so that no upload in progress is hit.
    #[arg(long, requires = "older_than")]
    abort: bool,
}

/// Prints each upload, and aborts it where that is asked for.
pub(crate) async fn run(args: &Uploads, store: &Store, driver: Option<&str>, as_json: bool) -> Result<()> {
    let (name, path) = Location::parse_stored(&args.location, driver)?;
    let driver = store.open(&name).await?;
    let before = args.older_than.map_or(SystemTime::now(), |age| SystemTime::now() - age);
    let mut listed: Vec<Entry> = driver.uploads(&path).await?.try_collect().await?;
    // One without a time may be in progress.
    listed.retain(|entry| args.older_than.is_none() || entry.modified.is_some_and(|begun| begun <= before));
    listed.sort_by(|a, b| (&a.path, a.modified).cmp(&(&b.path, b.modified)));
    let mut kept = 0;
    for (index, entry) in listed.iter().enumerate() {
        // Uploads of one path are aborted together.
        let is_first = index == 0 || listed[index - 1].path != entry.path;
        let aborted = if !args.abort {
            None
        } else if is_first {
            Some(driver.abort_uploads(&entry.path, before).await?)
        } else {
            continue;
        };
        kept += usize::from(aborted == Some(0));
        let begun = entry.modified.map(|time| humantime::format_rfc3339_seconds(time).to_string());
        output::print(
            as_json,
            || {
                let begun = begun.as_deref().unwrap_or("-                   ");
                let what = match aborted {
                    None => "",
                    Some(0) => "  kept: another upload of this path is in progress",
                    Some(_) => "  aborted",
                };
                format!("{begun}  {}{what}", entry.path)
            },
            || json!({ "path": entry.path, "begun": begun, "aborted": aborted }),
        )?;
    }
    if kept > 0 {
        bail!("{kept} paths have uploads in progress beside stale ones; run this again later");
    }
    Ok(())
}
