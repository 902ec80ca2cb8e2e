//! A row of the table: an attack, what its caller must see, who decides that, and the proof that it proves something.

use std::time::Duration;

use serde_json::Value;
use wharf::runtime::Limits;

use crate::attack::Attack;
use crate::raw;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) attack: Attack,
    /// What the caller must see: the beginning of it.
    pub(crate) sees: String,
    /// And what must be in it.
    pub(crate) says: &'static str,
    pub(crate) decided: Decided,
    pub(crate) control: Control,
    /// Whether it burns a processor, and so may cost its neighbours time.
    pub(crate) burns: bool,
    pub(crate) bounds: Bounds,
    /// The version of wasmtime that is needed for it to pass.
    pub(crate) awaits: Option<&'static str>,
}

/// The most that the process may hold at the worst moment of the attack, above what it held before. None: it is only shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) threads: Option<usize>,
    pub(crate) files: Option<usize>,
}

/// What the host may hold for a driver beside the `memory` of its instances.
const BESIDE_MEMORY: u64 = 64 << 20;

impl Bounds {
    /// The limit `memory` and what the host may hold beside it.
    fn of(attack: &Attack) -> Self {
        let limits: Limits = attack
            .config
            .get("limits")
            .map_or_else(Limits::default, |limits| serde_json::from_value(limits.clone()).unwrap());
        Bounds { memory: limits.memory.as_u64() + BESIDE_MEMORY, threads: None, files: None }
    }
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
    /// What the host holds for a driver.
    Bounds,
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
        let bounds = Bounds::of(&attack);
        Row { name, attack, sees: sees.to_owned(), says: "", decided, control, burns: false, bounds, awaits: None }
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

    /// What the host holds is what counts: the `twin` works.
    pub(crate) fn bounded(name: &'static str, attack: Attack, sees: &str, twin: Attack, works: &str) -> Self {
        Self::new(name, attack, sees, Decided::Bounds, Control::Twin(twin, works.to_owned()))
    }

    /// What one component may take of what all share decides: the `twin`, which takes less, works.
    pub(crate) fn slots(name: &'static str, limit: &'static str, attack: Attack, twin: Attack, works: &str) -> Self {
        let sees = format!("limit-exceeded ({limit})");
        Self::new(name, attack, &sees, Decided::Limit(limit), Control::Twin(twin, works.to_owned()))
    }

    /// It fails until wasmtime has this version; should it pass before, that is a failure too.
    pub(crate) fn until(mut self, version: &'static str) -> Self {
        self.awaits = Some(version);
        self
    }

    /// It burns a processor.
    pub(crate) fn burns(mut self) -> Self {
        self.burns = true;
        self
    }

    /// The attack may cost so many threads.
    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.bounds.threads = Some(threads);
        self
    }

    /// The attack may cost so many descriptors.
    pub(crate) fn files(mut self, files: usize) -> Self {
        self.bounds.files = Some(files);
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

    /// What the caller sees has this in it.
    pub(crate) fn says(mut self, says: &'static str) -> Self {
        self.says = says;
        self
    }
}
