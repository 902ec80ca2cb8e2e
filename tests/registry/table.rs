//! The table at the end of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bench::Kind;
use crate::requirement::Requirement;

/// What came out of one test.
pub(crate) struct Cell {
    pub(crate) passed: bool,
    pub(crate) time: Duration,
}

/// What came out of one requirement.
struct Row {
    level: &'static str,
    cells: BTreeMap<Kind, Cell>,
}

/// What came out of all: by section and name.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<(&'static str, &'static str), Row>,
}

impl Table {
    /// Adds a result.
    pub(crate) fn add(&mut self, requirement: &Requirement, kind: Kind, cell: Cell) {
        let row = self.rows.entry((requirement.section, requirement.name));
        let row = row.or_insert_with(|| Row { level: requirement.level.name(), cells: BTreeMap::new() });
        row.cells.insert(kind, cell);
    }

    /// Prints a line for each requirement and a column for each driver.
    pub(crate) fn print(&self) {
        let kinds: Vec<Kind> = Kind::all().collect();
        let width = self.rows.keys().map(|(_, name)| name.len()).max().unwrap_or(0);
        let mut section = "";
        for ((row_section, name), Row { level, cells }) in &self.rows {
            if section != *row_section {
                section = row_section;
                print!("\n{:<6} {section:<width$}", "");
                for kind in &kinds {
                    print!("  {:<13}", kind.name());
                }
                println!();
            }
            print!("{level:<6} {name:<width$}");
            for kind in &kinds {
                let cell = match cells.get(kind) {
                    None => "-".to_owned(),
                    Some(Cell { passed, time }) => {
                        format!("{} {:.1} s", if *passed { "passed" } else { "FAILED" }, time.as_secs_f32())
                    }
                };
                print!("  {cell:<13}");
            }
            println!();
        }
        for kind in kinds {
            let cells: Vec<&Cell> = self.rows.values().filter_map(|row| row.cells.get(&kind)).collect();
            let passed = cells.iter().filter(|cell| cell.passed).count();
            println!("{}: {passed} of {} requirements passed", kind.name(), cells.len());
        }
    }
}
