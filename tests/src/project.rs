//! Runs the suite on the drivers of this project, against the committed figures, with one table at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Report, Selection, Subject, Verdict, expected, run};

/// A driver, and which cases run on it.
pub struct Planned {
    subject: Arc<dyn Subject>,
    heavy: bool,
    long: bool,
    evidence: Vec<String>,
    timeout: Duration,
    concurrency: usize,
}

impl Planned {
    /// Plans every case but the long ones.
    pub fn of(subject: Arc<dyn Subject>) -> Self {
        let Selection { timeout, concurrency, .. } = Selection::default();
        Planned { subject, heavy: true, long: false, evidence: Vec::new(), timeout, concurrency }
    }

    /// Leaves out the cases that move tens of megabytes or thousands of files.
    #[must_use]
    pub fn without_heavy(mut self) -> Self {
        self.heavy = false;
        self
    }

    /// Adds the long cases, where they are asked for.
    #[must_use]
    pub fn with_long(mut self) -> Self {
        self.long = true;
        self
    }

    /// Gives each case so much time, where the store is slowed on purpose.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs so many cases at a time, where most of their time is waited for a server.
    #[must_use]
    pub fn with_concurrency(mut self, cases: usize) -> Self {
        self.concurrency = cases;
        self
    }

    /// Says that a capability, which no caller can see, is proven by another test of this project.
    #[must_use]
    pub fn with_evidence(mut self, capability: &str) -> Self {
        self.evidence.push(capability.to_owned());
        self
    }
}

/// Runs the suite on each driver, prints each report and then a table of case by driver. Returns whether all is well.
pub async fn run_all(planned: Vec<Planned>, long: bool) -> bool {
    let mut good = true;
    let (mut reports, mut whole) = (Vec::new(), Vec::new());
    for Planned { subject, heavy, long: may_be_long, evidence, timeout, concurrency } in planned {
        let long = long && may_be_long;
        let selection = Selection { heavy, long, evidence, timeout, concurrency, ..Selection::default() };
        let began = Instant::now();
        let report = match run(subject.clone(), &selection).await {
            Ok(report) => report,
            Err(error) => {
                eprintln!("FAILED: {} could not be opened: {error}", subject.name());
                good = false;
                continue;
            }
        };
        println!("{report}\n");
        good &= report.is_success();
        if let Some(fault) = expected::count_fault(&report).filter(|_| !selection.long) {
            eprintln!("FAILED: {fault}");
            good = false;
        }
        whole.push(began.elapsed().as_millis() as u64);
        reports.push(report);
    }
    print_table(&reports);
    print_seconds(&reports, &whole);
    good
}

/// Prints how long each case took on each driver, in seconds, those first that took longest in all; those that took less
/// than a tenth of a second on every driver in one line. Cases run beside one another, so their sum is more than the run.
fn print_seconds(reports: &[Report], whole: &[u64]) {
    let ms = |report: &Report, name: &str| report.cases.iter().find(|ran| ran.case == name).map_or(0, |ran| ran.ms);
    let mut rows: Vec<(&str, Vec<u64>)> = crate::all_cases()
        .iter()
        .map(|case| (case.name, reports.iter().map(|report| ms(report, case.name)).collect()))
        .collect();
    rows.sort_by_key(|(_, ms)| std::cmp::Reverse(ms.iter().sum::<u64>()));
    print!("\n{:<44}", "seconds");
    (1..=reports.len()).for_each(|number| print!("{number:>7}"));
    println!();
    let (slow, quick): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, ms)| ms.iter().any(|ms| *ms >= 100));
    let sums = |rows: &[(&str, Vec<u64>)]| -> Vec<u64> {
        (0..reports.len()).map(|driver| rows.iter().map(|(_, ms)| ms[driver]).sum()).collect()
    };
    let print = |name: &str, ms: &[u64]| {
        print!("{name:<44}");
        ms.iter().for_each(|ms| print!("{:>7.1}", *ms as f64 / 1000.0));
        println!();
    };
    slow.iter().for_each(|(name, ms)| print(name, ms));
    print(&format!("{} others", quick.len()), &sums(&quick));
    let all: Vec<u64> = sums(&slow).into_iter().zip(sums(&quick)).map(|(slow, quick)| slow + quick).collect();
    print("all", &all);
    print("the run", whole);
}

/// Prints what became of each case on each driver.
fn print_table(reports: &[Report]) {
    for (index, report) in reports.iter().enumerate() {
        println!("{:>3}  {}", index + 1, report.driver);
    }
    println!("+ passed, X failed, - ignored\n");
    print!("{:<44}", "case");
    (1..=reports.len()).for_each(|number| print!("{number:>3}"));
    println!();
    for case in crate::all_cases() {
        print!("{:<44}", case.name);
        for report in reports {
            let outcome = report.cases.iter().find(|ran| ran.case == case.name).map(|ran| ran.outcome);
            let mark = match outcome {
                Some(Verdict::Passed) => '+',
                Some(Verdict::Failed) => 'X',
                Some(Verdict::Ignored | Verdict::NotTried) | None => '-',
            };
            print!("{mark:>3}");
        }
        println!();
    }
}
