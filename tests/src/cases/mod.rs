//! The cases: each one promise of the contract.

use futures::future::BoxFuture;

use crate::{Context, Outcome};

mod atomic;
mod concurrency;
mod content;
mod delete;
mod dropped;
mod errors;
mod facts;
mod instances;
mod large;
mod listing;
mod moves;
mod names;
mod only_reads;
mod random;
mod reader;
mod reopened;
mod resumption;
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
    /// Whether it holds more than a few megabytes at a time: such cases run one after the other, so that a driver needs
    /// memory for one of them.
    pub holds_much: bool,
    /// Whether it looks at the run's large directory, which is made before its time begins to count.
    pub on_large: bool,
    /// Whether it runs by itself when the others have ended, since it deletes what they look at.
    pub last: bool,
    /// Whether it closes the driver and opens it again; it runs by itself then.
    pub reopens: bool,
    /// Whether it is for drivers that only read, on content that is provided. All other cases are for those that do not.
    pub only_reads: bool,
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
    const fn holds_much(mut self) -> Self {
        self.holds_much = true;
        self
    }
    const fn on_large(mut self) -> Self {
        self.on_large = true;
        self.cost = Cost::Heavy;
        self
    }
    const fn last(mut self) -> Self {
        self.last = true;
        self
    }
    const fn reopens(mut self) -> Self {
        self.reopens = true;
        self.last = true;
        self
    }
    const fn only_reads(self) -> Self {
        self.only_reads_with(&["read-only"])
    }
    const fn only_reads_with(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self.only_reads = true;
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
            holds_much: false,
            on_large: false,
            last: false,
            reopens: false,
            only_reads: false,
            run: |context| Box::pin($run(context)),
        }
    };
}
use case;

/// Returns every case, in the order of the suite.
pub fn all_cases() -> Vec<Case> {
    [
        content::cases(),
        names::cases(),
        reader::cases(),
        writer::cases(),
        uploads::cases(),
        resumption::cases(),
        dropped::cases(),
        stat::cases(),
        facts::cases(),
        listing::cases(),
        walk::cases(),
        large::cases(),
        moves::cases(),
        delete::cases(),
        errors::cases(),
        atomic::cases(),
        instances::cases(),
        concurrency::cases(),
        random::cases(),
        reopened::cases(),
        only_reads::cases(),
    ]
    .concat()
}
