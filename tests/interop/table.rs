//! The table at the end of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bench::Kind;

/// Who left something in the store for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// `docker-registry` wrote, Wharf reads.
    TheirsToOurs,
    /// Both write to one upload.
    ByTurns,
    /// Wharf wrote, `docker-registry` reads.
    OursToTheirs,
    /// Wharf signed an address, a client without keys uses it.
    OursToClients,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::TheirsToOurs => "registry -> wharf",
            Direction::ByTurns => "by turns",
            Direction::OursToTheirs => "wharf -> registry",
            Direction::OursToClients => "wharf -> clients",
        }
    }
}

/// What came out of one test.
pub(crate) struct Cell {
    /// What it saw; none if it failed.
    pub(crate) note: Option<String>,
    pub(crate) time: Duration,
}

/// What came out of all.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<(Direction, String), BTreeMap<Kind, Cell>>,
}

impl Table {
    /// Adds a result.
    pub(crate) fn add(&mut self, direction: Direction, promise: String, kind: Kind, cell: Cell) {
        self.rows.entry((direction, promise)).or_default().insert(kind, cell);
    }

    /// Prints a line for each promise and a column for each kind of store.
    pub(crate) fn print(&self) {
        let width = self.rows.keys().map(|(_, promise)| promise.len()).max().unwrap_or(0);
        print!("\n{:<18} {:<width$}", "direction", "promise");
        for kind in Kind::ALL {
            print!("  {:<12}", kind.name());
        }
        println!("  seen");
        for ((direction, promise), cells) in &self.rows {
            print!("{:<18} {promise:<width$}", direction.name());
            for kind in Kind::ALL {
                let cell = match cells.get(&kind) {
                    None => "-".to_owned(),
                    Some(Cell { note: Some(_), time }) => format!("passed {:>3} s", time.as_secs()),
                    Some(Cell { note: None, time }) => format!("FAILED {:>3} s", time.as_secs()),
                };
                print!("  {cell:<12}");
            }
            // What is seen differs by storage only in details; the first that passed tells it.
            println!("  {}", cells.values().find_map(|cell| cell.note.as_deref()).unwrap_or_default());
        }
    }
}
