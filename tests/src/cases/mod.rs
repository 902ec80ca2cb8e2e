//! The cases: each one promise of the contract.

use futures::future::BoxFuture;

use crate::{Context, Outcome};

mod concurrency;
mod content;
mod delete;
mod dropped;
mod errors;
mod listing;
mod moves;
mod random;
mod reader;
mod stat;
mod uploads;
mod walk;
mod writer;

/// What a case costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Milliseconds on a store in memory.
    Small,
    /// Tens of megabytes, or thousands of files.
    Heavy,
    /// Minutes.
    Long,
}

/// A named case: one promise.
#[derive(Clone)]
pub struct Case {
    /// The name, unique in the suite.
    pub name: &'static str,
    /// The promise, in one sentence.
    pub promise: &'static str,
    /// The capabilities, as in the WIT, without which the case does not run.
    pub needs: &'static [&'static str],
    /// The capability with which the case does not run: it tests what holds without it.
    pub unless: Option<&'static str>,
    /// Whether `base` answers, so that the case says nothing of a driver without it.
    pub answered_by_base: bool,
    /// Whether it needs a store with nothing in it.
    pub empty_store: bool,
    /// What it costs.
    pub cost: Cost,
    pub(crate) run: fn(Context) -> BoxFuture<'static, Outcome>,
}

impl Case {
    const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }
    const fn unless(mut self, capability: &'static str) -> Self {
        self.unless = Some(capability);
        self
    }
    const fn by_base(mut self) -> Self {
        self.answered_by_base = true;
        self
    }
    const fn empty_store(mut self) -> Self {
        self.empty_store = true;
        self
    }
    const fn heavy(mut self) -> Self {
        self.cost = Cost::Heavy;
        self
    }
    const fn long(mut self) -> Self {
        self.cost = Cost::Long;
        self
    }
}

/// Makes a case of the function that runs it: the function's name is the case's.
macro_rules! case {
    ($run:ident, $promise:expr) => {
        $crate::Case {
            name: stringify!($run),
            promise: $promise,
            needs: &[],
            unless: None,
            answered_by_base: false,
            empty_store: false,
            cost: $crate::Cost::Small,
            run: |context| Box::pin($run(context)),
        }
    };
}
use case;

/// Returns every case, in the order of the suite.
pub fn all_cases() -> Vec<Case> {
    [
        content::cases(),
        reader::cases(),
        writer::cases(),
        uploads::cases(),
        dropped::cases(),
        stat::cases(),
        listing::cases(),
        walk::cases(),
        moves::cases(),
        delete::cases(),
        errors::cases(),
        concurrency::cases(),
        random::cases(),
    ]
    .concat()
}
