//! The outcome of a run, for people and for programs.

use std::fmt;

use serde::Serialize;

/// How one case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The promise was kept.
    Passed,
    /// The promise was broken; the reason says how.
    Failed,
    /// The case did not run; the reason says why.
    Ignored,
    /// The case did not run, since the driver had crashed too often.
    #[serde(rename = "not-tried")]
    NotTried,
}

/// How one case ended, and why.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// The case's name.
    pub case: &'static str,
    /// The promise that it tests.
    pub promise: &'static str,
    /// How it ended.
    pub outcome: Verdict,
    /// Why it failed or was ignored.
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// The outcome of a run of the suite on one driver.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name of the subject.
    pub driver: String,
    /// One entry a case, in the order of the suite.
    pub cases: Vec<CaseReport>,
    /// How many cases of the suite were not asked for by name.
    pub not_named: usize,
    /// The capabilities that the driver declares and that no case or evidence proved.
    pub unproven: Vec<String>,
    /// What could not be deleted at the end of the run; none if nothing is left.
    pub left: Option<String>,
}

impl Report {
    /// Returns how many cases ended so.
    pub fn count(&self, outcome: Verdict) -> usize {
        self.cases.iter().filter(|case| case.outcome == outcome).count()
    }

    /// Returns whether no case failed, every declared capability was proven, and nothing is left of the run.
    pub fn is_success(&self) -> bool {
        self.count(Verdict::Failed) == 0 && self.unproven.is_empty() && self.left.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.driver)?;
        for case in self.cases.iter().filter(|case| case.outcome != Verdict::NotTried) {
            let outcome = match case.outcome {
                Verdict::Passed => "passed",
                Verdict::Failed => "FAILED",
                Verdict::Ignored | Verdict::NotTried => "ignored",
            };
            write!(f, "  {outcome:<8}{:<44}{:>6} ms", case.case, case.ms)?;
            match &case.reason {
                Some(reason) => writeln!(f, "  {reason}")?,
                None => writeln!(f)?,
            }
            if case.outcome == Verdict::Failed {
                writeln!(f, "          the promise: {}", case.promise)?;
            }
        }
        let not_tried = self.cases.iter().filter(|case| case.outcome == Verdict::NotTried);
        if let Some(reason) = not_tried.clone().find_map(|case| case.reason.as_ref()) {
            writeln!(f, "  {} cases {reason}", not_tried.count())?;
        }
        for capability in &self.unproven {
            writeln!(f, "  FAILED  the driver declares {capability}, and neither a case nor evidence proved it")?;
        }
        if let Some(left) = &self.left {
            writeln!(f, "  FAILED  the large directory could not be deleted: {left}")?;
        }
        write!(
            f,
            "  {} passed, {} failed, {} ignored",
            self.count(Verdict::Passed),
            self.count(Verdict::Failed),
            self.count(Verdict::Ignored)
        )?;
        match self.count(Verdict::NotTried) {
            0 => {}
            count => write!(f, ", {count} not tried")?,
        }
        match self.not_named {
            0 => Ok(()),
            others => write!(f, "; {others} others were not asked for"),
        }
    }
}
