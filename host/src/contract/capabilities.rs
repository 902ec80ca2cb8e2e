//! What an opened driver promises beyond the contract.

use serde::{Deserialize, Serialize};

/// What an opened driver promises beyond the contract. The conformance suite tests every promise that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Capabilities {
    /// Put, commit and move never leave the destination absent, even for a moment.
    pub atomic_replace: bool,
    /// A put, commit, close or move that returned survives a crash of the machine.
    pub durable: bool,
    /// An upload that was closed can be continued, by any instance that sees the same store.
    pub resumable: bool,
    /// Nothing of an upload can be read before its commit, and what was committed at its path stays readable until
    /// then.
    pub hidden_uploads: bool,
    /// Every later read and listing, by any instance, sees what has returned.
    pub consistent: bool,
    /// `redirect_url` can return an address.
    pub redirect: bool,
    /// `walk` costs less than listing every directory.
    pub native_walk: bool,
    /// `uploads` can tell which uploads are unfinished. They end when a writer begins anew at their path; what is
    /// committed there stays when that writer is cancelled before it wrote.
    pub uploads: bool,
    /// The driver only reads, and whatever would change its store is [unsupported](super::ErrorKind::Unsupported):
    /// [`Base`](crate::base::Base) refuses it before the driver is asked. Beside it only `redirect` and `native_walk` say
    /// anything.
    pub read_only: bool,
}

impl Capabilities {
    /// Returns every capability's name, as in the WIT, and whether it is promised.
    pub fn all(&self) -> [(&'static str, bool); 9] {
        [
            ("atomic-replace", self.atomic_replace),
            ("durable", self.durable),
            ("resumable", self.resumable),
            ("hidden-uploads", self.hidden_uploads),
            ("consistent", self.consistent),
            ("redirect", self.redirect),
            ("native-walk", self.native_walk),
            ("uploads", self.uploads),
            ("read-only", self.read_only),
        ]
    }

    /// Returns the names of the promises made, as in the WIT.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all().into_iter().filter_map(|(name, promised)| promised.then_some(name))
    }
}
