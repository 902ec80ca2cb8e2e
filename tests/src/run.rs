//! Choosing the cases and running them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, TryStreamExt, stream};
use wharf::contract::{Capabilities, Entry, StorageDriver, StoragePath};

use crate::large::LargeDirectory;
use crate::{Case, CaseReport, Context, Cost, Failure, Outcome, Report, Subject, Verdict, all_cases};

/// Which cases run.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Only the cases whose name contains this.
    pub filter: Option<String>,
    /// Cases that move tens of megabytes or thousands of files.
    pub heavy: bool,
    /// Cases that take minutes.
    pub long: bool,
    /// How many cases run at a time.
    pub concurrency: usize,
    /// How long a case may take; a long one takes thirty times as long.
    pub timeout: Duration,
    /// Names of capabilities that the caller has proven by other means, such as a trace of system calls for `durable`.
    pub evidence: Vec<String>,
}

impl Default for Selection {
    fn default() -> Self {
        Selection {
            filter: None,
            heavy: true,
            long: false,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            evidence: Vec::new(),
        }
    }
}

/// Returns why a case does not run on a driver that declares `capabilities`; none if it does.
pub fn ignore_reason(
    case: &Case,
    capabilities: &Capabilities,
    behind_base: bool,
    selection: &Selection,
) -> Option<String> {
    if selection.filter.as_ref().is_some_and(|filter| !case.name.contains(filter.as_str())) {
        return Some("not selected by name".to_owned());
    }
    for need in case.needs {
        if !capabilities.names().any(|name| name == *need) {
            return Some(format!("the driver does not declare {need}"));
        }
    }
    if let Some(other) = case.unless.filter(|other| capabilities.names().any(|name| name == *other)) {
        return Some(format!("says nothing of a driver that declares {other}"));
    }
    if case.answered_by_base && !behind_base {
        return Some("answered by base, which is not in front of this driver".to_owned());
    }
    match case.cost {
        Cost::Heavy if !selection.heavy => Some("heavy; not selected".to_owned()),
        Cost::Long if !selection.long => Some("long; runs with --long only".to_owned()),
        _ => None,
    }
}

/// Runs the suite on a driver.
///
/// # Errors
///
/// The driver's error if it cannot be opened. Failed cases are in the report.
pub async fn run(subject: Arc<dyn Subject>, selection: &Selection) -> wharf::contract::Result<Report> {
    run_with_progress(subject, selection, |_| {}).await
}

/// Runs the suite on a driver, and calls `progress` after each case, in the order in which they end.
///
/// # Errors
///
/// The driver's error if it cannot be opened. Failed cases are in the report.
pub async fn run_with_progress(
    subject: Arc<dyn Subject>,
    selection: &Selection,
    mut progress: impl FnMut(&CaseReport),
) -> wharf::contract::Result<Report> {
    let driver = subject.open().await?;
    let capabilities = driver.capabilities();
    let behind_base = subject.behind_base();
    let large = StoragePath::parse(format!("/{}-large", unique()))?;
    let large = Arc::new(LargeDirectory::new(large));
    let run = |(index, case): (usize, Case)| {
        let (subject, large) = (Arc::clone(&subject), Arc::clone(&large));
        async move {
            if let Some(reason) = ignore_reason(&case, &capabilities, behind_base, selection) {
                return (index, report(&case, Verdict::Ignored, Some(reason), Instant::now()));
            }
            (index, run_case(subject, &case, large, selection.timeout).await)
        }
    };
    let (last, others): (Vec<_>, Vec<_>) = all_cases().into_iter().enumerate().partition(|(_, case)| case.last);
    let mut cases = Vec::new();
    for (some, concurrency) in [(others, selection.concurrency.max(1)), (last, 1)] {
        let ran = stream::iter(some).map(run).buffer_unordered(concurrency);
        cases.extend(ran.inspect(|(_, case)| progress(case)).collect::<Vec<_>>().await);
    }
    cases.sort_by_key(|(index, _)| *index);
    let cases: Vec<_> = cases.into_iter().map(|(_, case)| case).collect();
    let left = if large.begun() { teardown(&*driver, large.parent()).await.err() } else { None };
    let unproven = unproven_capabilities(&capabilities, &cases, selection);
    Ok(Report { driver: subject.name().to_owned(), cases, unproven, left: left.map(|left| left.to_string()) })
}

/// Returns the capabilities declared that neither a case that passed nor the caller's evidence proved. A run that was
/// narrowed by name proves none and is asked for none.
pub fn unproven_capabilities(
    capabilities: &Capabilities,
    reports: &[CaseReport],
    selection: &Selection,
) -> Vec<String> {
    if selection.filter.is_some() {
        return Vec::new();
    }
    let cases = all_cases();
    let proven = |name: &str| {
        selection.evidence.iter().any(|evidence| evidence == name)
            || reports.iter().any(|report| {
                report.outcome == Verdict::Passed
                    && cases.iter().any(|case| case.name == report.case && case.needs.contains(&name))
            })
    };
    capabilities.names().filter(|name| !proven(name)).map(str::to_owned).collect()
}

/// Runs one case on a driver, in a directory of its own, and checks that nothing is left of it.
async fn run_case(subject: Arc<dyn Subject>, case: &Case, large: Arc<LargeDirectory>, timeout: Duration) -> CaseReport {
    let started = Instant::now();
    let limit = if case.cost == Cost::Long { timeout * 30 } else { timeout };
    // A task of its own, so that a panic in a driver fails its case and not the run.
    let mut task = tokio::spawn(attempt(subject, case.clone(), large));
    let (outcome, reason) = match tokio::time::timeout(limit, &mut task).await {
        Err(_) => {
            task.abort();
            (Verdict::Failed, Some(format!("not done after {} s: an operation never answered", limit.as_secs())))
        }
        Ok(Err(error)) => (Verdict::Failed, Some(format!("panicked: {error}"))),
        Ok(Ok(Ended::Ignored(reason))) => (Verdict::Ignored, Some(reason)),
        Ok(Ok(Ended::Ran(Ok(())))) => (Verdict::Passed, None),
        Ok(Ok(Ended::Ran(Err(failure)))) => (Verdict::Failed, Some(failure.to_string())),
    };
    report(case, outcome, reason, started)
}

fn report(case: &Case, outcome: Verdict, reason: Option<String>, started: Instant) -> CaseReport {
    CaseReport { case: case.name, promise: case.promise, outcome, reason, ms: started.elapsed().as_millis() as u64 }
}

enum Ended {
    Ran(Outcome),
    Ignored(String),
}

async fn attempt(subject: Arc<dyn Subject>, case: Case, large: Arc<LargeDirectory>) -> Ended {
    let driver = if case.empty_store {
        match subject.open_empty().await {
            None => return Ended::Ignored("needs an empty store, which this subject cannot give".to_owned()),
            Some(driver) => driver,
        }
    } else {
        subject.open().await
    };
    let driver = match driver {
        Ok(driver) => driver,
        Err(error) => return Ended::Ran(Err(Failure::new(format!("the driver could not be opened: {error}")))),
    };
    let directory = match StoragePath::parse(format!("/{}-{}", unique(), case.name)) {
        Ok(directory) => directory,
        Err(error) => return Ended::Ran(Err(error.into())),
    };
    let context = Context { subject, driver: driver.clone(), directory: directory.clone(), large };
    let outcome = (case.run)(context).await;
    let cleaned = teardown(&*driver, &directory).await;
    Ended::Ran(outcome.and(cleaned))
}

/// A name that no other case, run or process uses.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("wharf-{:x}-{:x}-{}", std::process::id(), now, NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn teardown(driver: &dyn StorageDriver, directory: &StoragePath) -> Outcome {
    let mut left = String::new();
    // Writers that a case dropped may still be ending when it returns: their remains count once they have had time.
    for attempt in 0..20 {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        match driver.delete(directory).await {
            Err(error) if !error.is_path_not_found() => return Err(error.into()),
            _ => {}
        }
        left.clear();
        match driver.stat(directory).await {
            Ok(_) => left = "stat still finds it".to_owned(),
            Err(error) if error.is_path_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        match driver.list(directory, None).await {
            Err(error) if error.is_path_not_found() => {}
            Err(error) => return Err(error.into()),
            Ok(listing) => {
                let entries: Vec<Entry> = listing.try_collect().await?;
                if let Some(entry) = entries.first() {
                    left = format!("list still returns {}", entry.path);
                }
            }
        }
        if driver.capabilities().uploads {
            let uploads: Vec<Entry> = driver.uploads(directory).await?.try_collect().await?;
            if let Some(upload) = uploads.first() {
                left = format!("the upload {} is still there", upload.path);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    Err(Failure::new(format!("after delete of the directory {directory}: {left}")))
}
