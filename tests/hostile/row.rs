//! A row of the table: an attack, what its caller must see, who decides that, and the proof that it proves something.

use std::time::Duration;

use serde_json::Value;

use crate::attack::Attack;
use crate::raw;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) attack: Attack,
    /// What the caller must see: the beginning of it.
    pub(crate) sees: String,
    pub(crate) decided: Decided,
    pub(crate) control: Control,
    /// Whether it burns a processor, and so may cost its neighbours time.
    pub(crate) burns: bool,
}

/// Who decides what the caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// A limit of the configuration.
    Limit(&'static str),
    /// The configuration's grants.
    Grant,
    /// A check of the host's.
    Check,
    /// wasmtime itself.
    Wasmtime,
}

/// What shows that the row proves something.
pub(crate) enum Control {
    /// The same attack with the limit off, or the grant made, does the harm: this is what its caller sees.
    Off(Attack, String),
    /// The same component on a host that checks nothing does the harm: this is what its caller sees.
    Raw(raw::Question, String),
    /// This address, which the check keeps from the system's resolver, leads it to loopback.
    Resolves(String),
    /// A component that is alike and harmless works.
    Twin(Attack, String),
}

impl Row {
    fn new(name: &'static str, attack: Attack, sees: &str, decided: Decided, control: Control) -> Self {
        Row { name, attack, sees: sees.to_owned(), decided, control, burns: false }
    }

    /// A limit decides: with `off` in the configuration, the caller sees `harm`.
    pub(crate) fn limit(name: &'static str, limit: &'static str, attack: Attack, off: Value, harm: &str) -> Self {
        let control = Control::Off(attack.clone().with(off), harm.to_owned());
        Self::new(name, attack, &format!("limit-exceeded ({limit})"), Decided::Limit(limit), control)
    }

    /// The grants decide: with `granted` in the configuration, the caller sees `harm`.
    pub(crate) fn grant(name: &'static str, attack: Attack, sees: &str, granted: Value, harm: &str) -> Self {
        let control = Control::Off(attack.clone().with(granted), harm.to_owned());
        Self::new(name, attack, sees, Decided::Grant, control)
    }

    /// A check of the host's decides: a host without it is told `harm`.
    pub(crate) fn check(name: &'static str, attack: Attack, sees: &str, asked: raw::Question, harm: &str) -> Self {
        Self::new(name, attack, sees, Decided::Check, Control::Raw(asked, harm.to_owned()))
    }

    /// The check of an address's notation decides: the system's resolver would take it.
    pub(crate) fn notation(name: &'static str, attack: Attack, sees: &str, address: String) -> Self {
        Self::new(name, attack, sees, Decided::Check, Control::Resolves(address))
    }

    /// wasmtime decides: the `twin` works.
    pub(crate) fn wasmtime(name: &'static str, attack: Attack, sees: &str, twin: Attack, works: &str) -> Self {
        Self::new(name, attack, sees, Decided::Wasmtime, Control::Twin(twin, works.to_owned()))
    }

    /// It burns a processor.
    pub(crate) fn burns(mut self) -> Self {
        self.burns = true;
        self
    }

    /// The control is watched for a while, in which it brings nothing.
    pub(crate) fn watched(mut self, time: Duration) -> Self {
        if let Control::Off(attack, _) = &mut self.control {
            attack.patience = time;
        }
        self
    }

    /// The caller sees this instead.
    pub(crate) fn sees(mut self, sees: &str) -> Self {
        self.sees = sees.to_owned();
        self
    }
}
