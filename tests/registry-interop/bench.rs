//! Both registries on one store.

use serde_json::json;
use wharf_conformance::registry_client::Client;
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::Outcome;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// `wharf serve`.
    Ours,
    /// `docker-registry`.
    Theirs,
}

impl Side {
    /// Who does something first, and who goes on with it.
    pub(crate) const BOTH_WAYS: [(Side, Side); 2] = [(Side::Ours, Side::Theirs), (Side::Theirs, Side::Ours)];
}

/// What a promise is tried on.
pub(crate) struct Bench {
    pub(crate) ours: RegistryProcess,
    pub(crate) theirs: RegistryProcess,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new(kind: Kind) -> Outcome<Self> {
        let store = Store::new(kind)?;
        let configuration = store.configuration(&json!({}));
        let (ours, theirs) = (RegistryProcess::wharf(&configuration)?, RegistryProcess::distribution(&configuration)?);
        Ok(Bench { ours, theirs, store })
    }

    /// Returns a client of one of them.
    pub(crate) fn client(&self, side: Side) -> Client {
        Client::new(match side {
            Side::Ours => self.ours.address(),
            Side::Theirs => self.theirs.address(),
        })
    }
}
