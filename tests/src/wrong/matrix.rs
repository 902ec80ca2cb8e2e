//! The matrix of wrong driver by case.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde::Serialize;
use wharf::contract::{Result, StorageDriver};

use super::{Fault, Wrong};
use crate::{Report, Selection, Subject, Verdict, run};

/// Makes a right driver, behind `base`, on a new and empty store.
pub type MakeDriver = Arc<dyn Fn() -> Arc<dyn StorageDriver> + Send + Sync>;

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
    /// How many other cases failed too.
    pub others: usize,
}

/// The matrix of wrong driver by case, and the right driver's report.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// The run of the right driver, which must pass every case that a fault breaks.
    pub right: Report,
    /// One row a wrong driver.
    pub rows: Vec<Row>,
}

impl Matrix {
    /// Runs the suite on the right driver and on each wrong one.
    ///
    /// # Errors
    ///
    /// The driver's error if it cannot be opened.
    pub async fn run(make: MakeDriver, concurrency: usize) -> Result<Matrix> {
        let selection =
            Selection { heavy: false, concurrency: 8, timeout: Duration::from_secs(20), ..Selection::default() };
        let right = run(Arc::new(WrongSubject::new(make.clone(), None)), &selection).await?;
        let rows: Vec<Result<Row>> = stream::iter(Fault::ALL.iter().copied())
            .map(|fault| {
                let (make, selection) = (make.clone(), &selection);
                async move {
                    let report = run(Arc::new(WrongSubject::new(make, Some(fault))), selection).await?;
                    Ok(row(fault, &report))
                }
            })
            .buffered(concurrency.max(1))
            .collect()
            .await;
        Ok(Matrix { right, rows: rows.into_iter().collect::<Result<_>>()? })
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
            let right = self.right.cases.iter().find(|case| case.case == row.breaks);
            // The wrong driver alone declares that it redirects, so the right one does not run that case.
            let needs_redirect = row.fault == Fault::RedirectsNowhere;
            if !needs_redirect && right.is_none_or(|case| case.outcome != Verdict::Passed) {
                faults.push(format!("the right driver does not pass {}: {:?}", row.breaks, right));
            }
        }
        faults
    }
}

fn row(fault: Fault, report: &Report) -> Row {
    let case = report.cases.iter().find(|case| case.case == fault.breaks());
    let caught = case.is_some_and(|case| case.outcome == Verdict::Failed);
    let reason = match case {
        None => Some("there is no such case".to_owned()),
        Some(case) => case.reason.clone(),
    };
    let others = report.count(Verdict::Failed) - usize::from(caught);
    Row { fault, what: fault.what(), breaks: fault.breaks(), caught, reason, others }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30}{:<32}{:<12}others failed", "wrong driver", "case", "outcome")?;
        for row in &self.rows {
            let outcome = if row.caught { "failed" } else { "NOT CAUGHT" };
            writeln!(f, "{:<30}{:<32}{outcome:<12}{:>3}", format!("{:?}", row.fault), row.breaks, row.others)?;
        }
        let caught = self.rows.iter().filter(|row| row.caught).count();
        write!(
            f,
            "{caught} of {} wrong drivers caught; the right driver: {} passed, {} failed",
            self.rows.len(),
            self.right.count(Verdict::Passed),
            self.right.count(Verdict::Failed)
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

    async fn open_empty(&self) -> Option<Result<Arc<dyn StorageDriver>>> {
        Some(Ok(self.wrap((self.make)())))
    }
}
