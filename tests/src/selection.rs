//! Which cases run on a driver.

use std::time::Duration;

use wharf::contract::Capabilities;

use crate::{Case, CaseReport, Cost, Verdict, all_cases};

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

impl Selection {
    /// Returns whether a case is asked for by its name. One that is not is no part of the run.
    pub fn names(&self, case: &Case) -> bool {
        self.filter.as_ref().is_none_or(|filter| case.name.contains(filter.as_str()))
    }
}

/// Returns why a case does not run on a driver that declares `capabilities`; none if it does.
pub fn ignore_reason(
    case: &Case,
    capabilities: &Capabilities,
    behind_base: bool,
    selection: &Selection,
) -> Option<String> {
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

/// Returns the capabilities declared that neither a case that passed nor the caller's evidence proved. A run that was
/// narrowed by name, or ended since the driver crashed, proves none and is asked for none.
pub fn unproven_capabilities(
    capabilities: &Capabilities,
    reports: &[CaseReport],
    selection: &Selection,
) -> Vec<String> {
    if selection.filter.is_some() || reports.iter().any(|report| report.outcome == Verdict::NotTried) {
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
