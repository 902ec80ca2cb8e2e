//! The matrix of wrong driver by case.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde::Serialize;
use wharf::contract::{Result, StorageDriver};

use super::redeclared::Redeclared;
use super::{Fault, Wrong};
use crate::{Case, Cost, Report, Selection, Subject, Verdict, all_cases, run};

/// Makes a right driver, behind `base`, on a new and empty store.
pub type MakeDriver = Arc<dyn Fn() -> Arc<dyn StorageDriver> + Send + Sync>;

/// How many wrong drivers run a heavy case at a time.
const HEAVY: usize = 4;

/// How many wrong drivers a line of the table names; the JSON has all.
const SHOWN: usize = 4;

/// One wrong driver's row.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The fault.
    pub fault: Fault,
    /// What is wrong, in words.
    pub what: &'static str,
    /// The case that must fail.
    pub breaks: &'static str,
    /// Whether it failed, as it must.
    pub caught: bool,
    /// Why the case did not fail, or how it failed.
    pub reason: Option<String>,
    /// The other cases that failed too, where every case ran.
    pub others: Vec<&'static str>,
}

/// The matrix of wrong driver by case, and the right driver's report.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// The run of the right driver, which must pass every case that a fault breaks.
    pub right: Report,
    /// The run of a right driver that declares other capabilities, for the cases that ask for them.
    pub right_redeclared: Report,
    /// One row a wrong driver.
    pub rows: Vec<Row>,
}

impl Matrix {
    /// Runs the suite on the right driver, and on each wrong one the case that must fail; with `whole` every case that is not
    /// heavy, for the table of all that it fails.
    ///
    /// # Errors
    ///
    /// The driver's error if it cannot be opened.
    pub async fn run(make: MakeDriver, concurrency: usize, whole: bool) -> Result<Matrix> {
        let selection =
            Selection { heavy: false, concurrency: 32, timeout: Duration::from_secs(20), ..Selection::default() };
        let with_heavy = Selection { heavy: true, ..selection.clone() };
        let right = WrongSubject::new(make.clone(), None);
        let redeclared: MakeDriver = {
            let make = make.clone();
            Arc::new(move || Arc::new(Redeclared(make())))
        };
        let right_redeclared = WrongSubject::new(redeclared, None);
        let (right, right_redeclared) =
            futures::try_join!(run(Arc::new(right), &with_heavy), run(Arc::new(right_redeclared), &selection))?;
        let is_heavy =
            |fault: &Fault| all_cases().iter().any(|case| case.name == fault.breaks() && case.cost != Cost::Small);
        let (heavy, small): (Vec<Fault>, Vec<Fault>) = Fault::ALL.iter().copied().partition(is_heavy);
        let row = |fault: Fault, selection: Selection| {
            let make = make.clone();
            async move {
                let report = run(Arc::new(WrongSubject::new(make, Some(fault))), &selection).await?;
                Ok(row(fault, &report))
            }
        };
        let its_own = |fault: Fault| Selection { filter: Some(fault.breaks().to_owned()), ..with_heavy.clone() };
        let of_small = |fault: Fault| row(fault, if whole { selection.clone() } else { its_own(fault) });
        // A heavy case is run only on the drivers that it is there to catch, and few at a time: some look at what a driver
        // does a little later, which nothing else may hold up.
        let of_heavy = |fault: Fault| row(fault, its_own(fault));
        let small = stream::iter(small).map(of_small).buffered(concurrency.max(1));
        let mut rows: Vec<Result<Row>> = small.collect().await;
        rows.extend(stream::iter(heavy).map(of_heavy).buffered(HEAVY).collect::<Vec<_>>().await);
        Ok(Matrix { right, right_redeclared, rows: rows.into_iter().collect::<Result<_>>()? })
    }

    /// Returns what is wrong with the suite: wrong drivers that were not caught, and named cases that the right driver
    /// did not pass.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for row in &self.rows {
            if !row.caught {
                let reason = row.reason.as_deref().unwrap_or("it passed");
                faults.push(format!("{:?} was not caught by {}: {reason}", row.fault, row.breaks));
            }
            let mut right = [&self.right, &self.right_redeclared].into_iter().flat_map(|report| &report.cases);
            if !right.any(|case| case.case == row.breaks && case.outcome == Verdict::Passed) {
                faults.push(format!("no right driver passes {}", row.breaks));
            }
        }
        // That some driver which breaks everything fails a case too says little: each must be there to catch one.
        for case in all_cases().iter().filter(|case| case.cost != Cost::Long && !case.only_reads) {
            if !self.rows.iter().any(|row| row.breaks == case.name) {
                faults.push(format!("no wrong driver breaks the promise of {}", case.name));
            }
        }
        let right = self.right.cases.iter().chain(&self.right_redeclared.cases);
        faults.extend(right.filter(|case| case.outcome == Verdict::Failed).map(|case| {
            format!("the right driver fails {}: {}", case.case, case.reason.as_deref().unwrap_or("without a reason"))
        }));
        faults
    }

    /// Returns for each case the wrong drivers that fail it: first those whose promise it names.
    pub fn by_case(&self) -> Vec<(Case, Vec<Fault>)> {
        let caught_by = |case: &Case| {
            let named = self.rows.iter().filter(|row| row.caught && row.breaks == case.name);
            let others = self.rows.iter().filter(|row| row.others.contains(&case.name));
            named.chain(others).map(|row| row.fault).collect()
        };
        let cases = all_cases().into_iter().filter(|case| !case.only_reads);
        cases.map(|case| (case.clone(), caught_by(&case))).collect()
    }
}

fn row(fault: Fault, report: &Report) -> Row {
    let case = report.cases.iter().find(|case| case.case == fault.breaks());
    let caught = case.is_some_and(|case| case.outcome == Verdict::Failed);
    let reason = match case {
        None => Some("there is no such case".to_owned()),
        Some(case) => case.reason.clone(),
    };
    let others = report
        .cases
        .iter()
        .filter(|case| case.outcome == Verdict::Failed && case.case != fault.breaks())
        .map(|case| case.case)
        .collect();
    Row { fault, what: fault.what(), breaks: fault.breaks(), caught, reason, others }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30}{:<32}{:<12}others failed", "wrong driver", "case", "outcome")?;
        for row in &self.rows {
            let outcome = if row.caught { "failed" } else { "NOT CAUGHT" };
            writeln!(f, "{:<30}{:<32}{outcome:<12}{:>3}", format!("{:?}", row.fault), row.breaks, row.others.len())?;
        }
        writeln!(f, "\n{:<32}wrong drivers that fail it", "case")?;
        for (case, caught) in self.by_case() {
            let names: Vec<_> = caught.iter().take(SHOWN).map(|fault| format!("{fault:?}")).collect();
            let more = match caught.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            writeln!(f, "{:<32}{}{more}", case.name, names.join(", "))?;
        }
        let caught = self.rows.iter().filter(|row| row.caught).count();
        write!(
            f,
            "{caught} of {} wrong drivers caught; the right driver: {} passed, {} failed; the right driver that declares \
             other capabilities: {} passed, {} failed",
            self.rows.len(),
            self.right.count(Verdict::Passed),
            self.right.count(Verdict::Failed),
            self.right_redeclared.count(Verdict::Passed),
            self.right_redeclared.count(Verdict::Failed)
        )
    }
}

struct WrongSubject {
    name: String,
    make: MakeDriver,
    store: Arc<dyn StorageDriver>,
    fault: Option<Fault>,
}

impl WrongSubject {
    fn new(make: MakeDriver, fault: Option<Fault>) -> Self {
        let name = fault.map_or("the right driver".to_owned(), |fault| format!("{fault:?}"));
        WrongSubject { name, store: make(), make, fault }
    }

    fn wrap(&self, store: Arc<dyn StorageDriver>) -> Arc<dyn StorageDriver> {
        match self.fault {
            None => store,
            Some(fault) => Arc::new(Wrong::new(store, fault)),
        }
    }
}

#[async_trait]
impl Subject for WrongSubject {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self) -> Result<Arc<dyn StorageDriver>> {
        let store = if self.fault == Some(Fault::SecondInstanceBlind) { (self.make)() } else { self.store.clone() };
        Ok(self.wrap(store))
    }

    async fn reopen(&self) -> Result<Arc<dyn StorageDriver>> {
        if self.fault == Some(Fault::TimesAreOfTheOpening) {
            return Ok(Arc::new(Wrong::new(self.store.clone(), Fault::ModifiedIsNow)));
        }
        let forgets = self.fault == Some(Fault::ForgetsWhenClosed);
        Ok(self.wrap(if forgets { (self.make)() } else { self.store.clone() }))
    }

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        Some(Ok(self.wrap((self.make)())))
    }
}
