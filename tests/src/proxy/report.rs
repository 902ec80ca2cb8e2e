//! What struck how often.

use std::collections::BTreeMap;
use std::fmt;

use super::Fault;

/// What struck how often; as text, a table.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) requests: u64,
    pub(super) classes: BTreeMap<Fault, u64>,
}

impl Report {
    /// Returns how many requests there were.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns how many of them a fault struck.
    pub fn struck(&self) -> u64 {
        self.classes.values().sum()
    }

    /// Returns the classes that were asked for or struck, and how many requests each has struck.
    pub fn classes(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.classes.iter().map(|(fault, count)| (*fault, *count))
    }

    /// Returns the classes that were asked for and never struck: what such a run proves of them is nothing.
    pub fn idle_classes(&self) -> Vec<Fault> {
        self.classes().filter(|(_, count)| *count == 0).map(|(fault, _)| fault).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20}{:>10}", "fault", "requests")?;
        for (fault, count) in self.classes() {
            let mark = if count == 0 { "  never struck" } else { "" };
            writeln!(f, "{fault:<20}{count:>10}{mark}")?;
        }
        writeln!(f, "{:<20}{:>10}", "struck", self.struck())?;
        write!(f, "{:<20}{:>10}", "all", self.requests)
    }
}
