//! How many cases run on each driver: committed, so that none is lost unseen.

use crate::{Report, Verdict};

const FIGURES: &str = include_str!("../expected/cases.txt");

/// Returns what is wrong with the number of cases that ran on a driver; none if it is the committed one.
pub fn count_fault(report: &Report) -> Option<String> {
    let ran = report.count(Verdict::Passed) + report.count(Verdict::Failed);
    let committed = FIGURES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .find(|(name, _)| *name == report.driver)
        .and_then(|(_, count)| count.parse::<usize>().ok());
    match committed {
        Some(count) if count == ran => None,
        Some(count) => Some(format!(
            "{ran} cases ran on {}, and tests/expected/cases.txt says {count}. If that is meant, change its line to: {} {ran}",
            report.driver, report.driver
        )),
        None => Some(format!("add this line to tests/expected/cases.txt: {} {ran}", report.driver)),
    }
}
