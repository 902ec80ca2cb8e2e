//! Runs the suite on the drivers of this project, against the committed figures, with one table at the end.

use std::sync::Arc;
use std::time::Duration;

use crate::{Report, Selection, Subject, Verdict, expected, run};

/// A driver, and which cases run on it.
pub struct Planned {
    subject: Arc<dyn Subject>,
    heavy: bool,
    long: bool,
    evidence: Vec<String>,
    timeout: Duration,
}

impl Planned {
    /// Plans every case but the long ones.
    pub fn of(subject: Arc<dyn Subject>) -> Self {
        Planned { subject, heavy: true, long: false, evidence: Vec::new(), timeout: Selection::default().timeout }
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
    let mut reports = Vec::new();
    for Planned { subject, heavy, long: may_be_long, evidence, timeout } in planned {
        let selection = Selection { heavy, long: long && may_be_long, evidence, timeout, ..Selection::default() };
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
        reports.push(report);
    }
    print_table(&reports);
    good
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
                Some(Verdict::Ignored) | None => '-',
            };
            print!("{mark:>3}");
        }
        println!();
    }
}
