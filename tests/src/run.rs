//! Running the cases on a driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use wharf::contract::{Capabilities, Entry, Error, ErrorKind, Result, StorageDriver, StoragePath};

use crate::large::LargeDirectory;
use crate::{
    Case, CaseReport, Context, Cost, Failure, Outcome, Report, Selection, Subject, Verdict, all_cases, ignore_reason,
    unproven_capabilities,
};

/// After so many cases that crashed the driver by themselves, the rest is not tried: the author knows enough.
const CRASHES: usize = 3;

/// Runs the suite on a driver.
///
/// # Errors
///
/// The driver's error if it cannot be opened. Failed cases are in the report.
pub async fn run(subject: Arc<dyn Subject>, selection: &Selection) -> Result<Report> {
    run_with_progress(subject, selection, |_| {}).await
}

/// Runs the suite on a driver, and calls `progress` after each case, in the order in which they end.
///
/// When the driver crashes, the cases that failed and those that had not begun run again one by one, each on a driver that
/// was opened after the last crash: so a crash is reported of the case that causes it, and of no other. After three the rest
/// is not tried.
///
/// # Errors
///
/// The driver's error if it cannot be opened. Failed cases are in the report.
pub async fn run_with_progress(
    subject: Arc<dyn Subject>,
    selection: &Selection,
    mut progress: impl FnMut(&CaseReport),
) -> Result<Report> {
    let capabilities = subject.open().await?.capabilities();
    check_provided(&*subject, &capabilities)?;
    let for_it = |case: &Case| case.only_reads == capabilities.read_only;
    let is_asked_for = |(_, case): &(usize, Case)| for_it(case) && selection.names(case);
    let all: Vec<(usize, Case)> = all_cases().into_iter().enumerate().filter(is_asked_for).collect();
    let not_named = all_cases().iter().filter(|case| for_it(case)).count() - all.len();
    let run = Run::new(Arc::clone(&subject), capabilities, selection)?;
    let (ran, again) = run.beside_one_another(all, &mut progress).await;
    if run.has_crashed() {
        subject.crashed().await;
    }
    let mut left = run.clean_up().await;
    let mut cases = ran;
    if !again.is_empty() {
        let (alone, more_left) = one_by_one(&subject, capabilities, selection, again, &mut progress).await?;
        cases.extend(alone);
        left = left.or(more_left);
    }
    cases.sort_by_key(|(index, _)| *index);
    let cases: Vec<_> = cases.into_iter().map(|(_, case)| case).collect();
    let unproven = unproven_capabilities(&capabilities, &cases, selection);
    Ok(Report { driver: subject.name().to_owned(), cases, not_named, unproven, left })
}

/// Fails unless there is content for a driver that only reads, and none for another.
fn check_provided(subject: &dyn Subject, capabilities: &Capabilities) -> Result<()> {
    let message = match (capabilities.read_only, subject.provided().is_some()) {
        (true, false) => {
            "the driver only reads, and the suite does not know what is in its store: say so with `--content DIRECTORY` (in \
             Rust: `Subject::provided`), a directory with the same files"
        }
        (false, true) => {
            "content was provided (`--content`), which is for drivers that only read, and the driver does not declare \
             read-only: the suite stores what it needs by itself"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidParameters, message))
}

/// Cases that run on one state of the store: the large directory is there for all of them, until the driver crashes.
struct Run<'a> {
    subject: Arc<dyn Subject>,
    capabilities: Capabilities,
    selection: &'a Selection,
    large: Arc<LargeDirectory>,
    crashed: AtomicBool,
}

type Indexed<T> = Vec<(usize, T)>;

impl<'a> Run<'a> {
    fn new(subject: Arc<dyn Subject>, capabilities: Capabilities, selection: &'a Selection) -> Result<Self> {
        let large = Arc::new(LargeDirectory::new(StoragePath::parse(format!("/{}-large", unique()))?));
        Ok(Run { subject, capabilities, selection, large, crashed: AtomicBool::new(false) })
    }

    /// Runs cases, several at a time; those that hold much in memory one at a time, and those that come last one at a time
    /// after all others. Returns what became of them, and, if the driver crashed, those to be run again.
    async fn beside_one_another(
        &self,
        cases: Indexed<Case>,
        progress: &mut impl FnMut(&CaseReport),
    ) -> (Indexed<CaseReport>, Indexed<Case>) {
        let (last, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(|(_, case)| case.last);
        let (large, small): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, case)| case.holds_much);
        let others = stream::select(
            self.running(large, 1).boxed(),
            self.running(small, self.selection.concurrency.saturating_sub(1).max(1)).boxed(),
        );
        let (mut ran, mut again) = (Vec::new(), Vec::new());
        let mut all = others.chain(self.running(last, 1));
        while let Some((index, case, ended)) = all.next().await {
            match ended {
                Some((report, false)) if report.outcome != Verdict::Failed || !self.has_crashed() => {
                    progress(&report);
                    ran.push((index, report));
                }
                // Its reason may be the crash, or that a crash took what it had stored.
                _ => again.push((index, case)),
            }
        }
        if self.has_crashed() {
            // A case that failed before the crash was seen may have failed of it too.
            let cases = all_cases();
            let failed = ran.extract_if(.., |(_, report)| report.outcome == Verdict::Failed);
            again.extend(failed.map(|(index, _)| (index, cases[index].clone())));
            again.sort_by_key(|(index, _)| *index);
        }
        (ran, again)
    }

    /// Runs cases, so many at a time, and returns of each what became of it and whether the driver crashed; none where it
    /// was not begun, since the driver had crashed before.
    fn running(
        &self,
        cases: Indexed<Case>,
        concurrency: usize,
    ) -> impl Stream<Item = (usize, Case, Option<(CaseReport, bool)>)> + Send {
        let ran = stream::iter(cases).map(move |(index, case)| async move {
            if self.has_crashed() {
                return (index, case, None);
            }
            let ended = self.one(&case).await;
            (index, case, Some(ended))
        });
        ran.buffer_unordered(concurrency)
    }

    fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// Runs one case, and returns with its report whether the driver crashed in it.
    async fn one(&self, case: &Case) -> (CaseReport, bool) {
        if let Some(reason) = ignore_reason(case, &self.capabilities, self.subject.behind_base(), self.selection) {
            return (report(case, Verdict::Ignored, Some(reason), Instant::now()), false);
        }
        if case.on_large {
            let (begun, limit) = (Instant::now(), self.selection.timeout * 30);
            let made = tokio::time::timeout(limit, self.make_large()).await;
            let made = made.unwrap_or_else(|_| Err(Failure::new(format!("was not made in {} s", limit.as_secs()))));
            if let Err(failure) = made {
                let crashed = failure.is_crash();
                let reason = Some(format!("the directory that it looks at: {failure}"));
                self.crashed.fetch_or(crashed, Ordering::Relaxed);
                return (report(case, Verdict::Failed, reason, begun), crashed);
            }
        }
        let (report, crashed) =
            run_case(Arc::clone(&self.subject), case, Arc::clone(&self.large), self.selection.timeout).await;
        if crashed {
            self.crashed.store(true, Ordering::Relaxed);
        }
        (report, crashed)
    }

    async fn make_large(&self) -> Outcome {
        let driver = self.subject.open().await.map_err(Failure::from)?;
        self.large.get(&driver).await.map(|_| ())
    }

    /// Deletes the large directory, if there is one, and returns why it could not be deleted.
    async fn clean_up(&self) -> Option<String> {
        if !self.large.begun() || self.has_crashed() && self.subject.loses_all() {
            return None;
        }
        match self.subject.open().await {
            Ok(driver) => teardown(&*driver, self.large.parent()).await.err().map(|left| left.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Runs cases one after the other, each on a driver that was opened after the last crash.
async fn one_by_one(
    subject: &Arc<dyn Subject>,
    capabilities: Capabilities,
    selection: &Selection,
    cases: Indexed<Case>,
    progress: &mut impl FnMut(&CaseReport),
) -> Result<(Indexed<CaseReport>, Option<String>)> {
    let (mut ran, mut crashes, mut left) = (Vec::new(), 0, None);
    let mut run = Run::new(Arc::clone(subject), capabilities, selection)?;
    for (index, case) in cases {
        let ended = if crashes < CRASHES {
            let (ended, crashed) = run.one(&case).await;
            if crashed {
                crashes += 1;
                subject.crashed().await;
                left = left.or(run.clean_up().await);
                run = Run::new(Arc::clone(subject), capabilities, selection)?;
            }
            ended
        } else {
            let reason = Some(format!("not tried: the driver crashed in {CRASHES} cases before"));
            report(&case, Verdict::NotTried, reason, Instant::now())
        };
        progress(&ended);
        ran.push((index, ended));
    }
    let left = left.or(run.clean_up().await);
    Ok((ran, left))
}

/// Runs one case on a driver, in a directory of its own, and checks that nothing is left of it. Returns with its report
/// whether the driver crashed.
async fn run_case(
    subject: Arc<dyn Subject>,
    case: &Case,
    large: Arc<LargeDirectory>,
    timeout: Duration,
) -> (CaseReport, bool) {
    let started = Instant::now();
    let limit = if case.cost == Cost::Long { timeout * 30 } else { timeout };
    // A task of its own, so that a panic in a driver fails its case and not the run.
    let mut task = tokio::spawn(attempt(subject, case.clone(), large));
    let mut crashed = false;
    let (outcome, reason) = match tokio::time::timeout(limit, &mut task).await {
        Err(_) => {
            task.abort();
            (Verdict::Failed, Some(format!("not done after {} s: an operation never answered", limit.as_secs())))
        }
        Ok(Err(error)) => (Verdict::Failed, Some(format!("panicked: {error}"))),
        Ok(Ok(Ended::Ignored(reason))) => (Verdict::Ignored, Some(reason)),
        Ok(Ok(Ended::Ran(Ok(())))) => (Verdict::Passed, None),
        Ok(Ok(Ended::Ran(Err(failure)))) => {
            crashed = failure.is_crash();
            (Verdict::Failed, Some(failure.to_string()))
        }
    };
    (report(case, outcome, reason, started), crashed)
}

fn report(case: &Case, outcome: Verdict, reason: Option<String>, started: Instant) -> CaseReport {
    CaseReport { case: case.name, promise: case.promise, outcome, reason, ms: started.elapsed().as_millis() as u64 }
}

enum Ended {
    Ran(Outcome),
    Ignored(String),
}

async fn attempt(subject: Arc<dyn Subject>, case: Case, large: Arc<LargeDirectory>) -> Ended {
    if case.reopens && subject.loses_all() {
        return Ended::Ignored("what this driver stores lives in its memory, and is lost when it is closed".to_owned());
    }
    let driver = if case.empty_store {
        match subject.open_empty().await {
            None => {
                return Ended::Ignored(
                    "needs a second store with nothing in it, which only a driver that stores in memory is given"
                        .to_owned(),
                );
            }
            Some(driver) => driver,
        }
    } else {
        subject.open().await
    };
    let driver = match driver {
        Ok(driver) => driver,
        Err(error) => return Ended::Ran(Err(Failure::of(&error, format!("the driver could not be opened: {error}")))),
    };
    let directory = match StoragePath::parse(format!("/{}-{}", unique(), case.name)) {
        Ok(directory) => directory,
        Err(error) => return Ended::Ran(Err(error.into())),
    };
    // One that closes the driver must have it alone.
    let kept = (!case.reopens).then(|| Arc::clone(&driver));
    let context = Context { subject: Arc::clone(&subject), driver, directory: directory.clone(), large };
    let outcome = (case.run)(context).await;
    if case.only_reads {
        return Ended::Ran(outcome);
    }
    let cleaned = match kept {
        Some(driver) => teardown(&*driver, &directory).await,
        None => match subject.open().await {
            Ok(driver) => teardown(&*driver, &directory).await,
            Err(error) => Err(error.into()),
        },
    };
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
