//! The table at the end of the run: what each client was seen to do on each driver.

use std::collections::BTreeMap;
use std::time::Duration;

use wharf_conformance::stores::Kind;

/// What came out of one test.
pub(crate) struct Cell {
    /// What it saw; none if it failed.
    pub(crate) note: Option<String>,
    pub(crate) time: Duration,
}

/// What came out of all.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<(&'static str, &'static str), BTreeMap<Kind, Cell>>,
}

impl Table {
    /// Adds a result.
    pub(crate) fn add(&mut self, client: &'static str, promise: &'static str, kind: Kind, cell: Cell) {
        self.rows.entry((client, promise)).or_default().insert(kind, cell);
    }

    /// Prints a line for each promise and a column for each driver; then how many each client passed on each.
    pub(crate) fn print(&self) {
        let width = self.rows.keys().map(|(_, promise)| promise.len()).max().unwrap_or(0);
        let head = || Kind::ALL.iter().for_each(|kind| print!("  {:<15}", kind.name()));
        print!("\n{:<8} {:<width$}", "client", "promise");
        head();
        println!("  seen");
        for ((client, promise), cells) in &self.rows {
            print!("{client:<8} {promise:<width$}");
            for kind in Kind::ALL {
                let cell = match cells.get(&kind) {
                    None => "-".to_owned(),
                    Some(Cell { note: Some(_), time }) => format!("passed {:>4.1} s", time.as_secs_f64()),
                    Some(Cell { note: None, time }) => format!("FAILED {:>4.1} s", time.as_secs_f64()),
                };
                print!("  {cell:<15}");
            }
            // What is seen differs by driver only in details; the first that passed tells it.
            println!("  {}", cells.values().find_map(|cell| cell.note.as_deref()).unwrap_or_default());
        }
        print!("\n{:<8}", "client");
        head();
        println!();
        let mut clients: Vec<&str> = self.rows.keys().map(|(client, _)| *client).collect();
        clients.dedup();
        for client in clients {
            print!("{client:<8}");
            for kind in Kind::ALL {
                let cells: Vec<&Cell> = self
                    .rows
                    .iter()
                    .filter(|((of, _), _)| *of == client)
                    .filter_map(|(_, row)| row.get(&kind))
                    .collect();
                let passed = cells.iter().filter(|cell| cell.note.is_some()).count();
                print!("  {:<15}", format!("{passed} of {}", cells.len()));
            }
            println!();
        }
    }
}
