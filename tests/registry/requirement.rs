//! What a requirement is.

use std::fmt::{Debug, Display};

use futures::future::LocalBoxFuture;
use libtest_mimic::Failed;

use crate::bench::{Bench, Kind};

/// What a test or a step of one comes to: a failure says in words what was wrong.
pub(crate) type Outcome<T = ()> = Result<T, Failed>;

/// How binding a requirement is, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The specification says MUST of a registry.
    Must,
    /// The specification says SHOULD of a registry.
    Should,
    /// The specification leaves it open, and Wharf promises it.
    Wharf,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::Wharf => "wharf",
        }
    }
}

/// On which registries a requirement is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// On all.
    All,
    /// Only on those that the test starts: it sets something in them, or looks into their store.
    Own,
    /// As `Own`, over drivers that continue an upload in another process.
    Resumable,
    /// As `Own`, on files.
    Files,
}

impl Scope {
    pub(crate) fn includes(self, kind: Kind) -> bool {
        match self {
            Scope::All => true,
            Scope::Own => kind != Kind::Remote,
            Scope::Resumable => matches!(kind, Kind::InMemory | Kind::Filesystem),
            Scope::Files => kind == Kind::Filesystem,
        }
    }
}

/// A requirement: what it is called, where it stands, and how it is tried.
#[derive(Clone)]
pub(crate) struct Requirement {
    pub(crate) name: &'static str,
    /// The section of the specification, or what else demands it.
    pub(crate) section: &'static str,
    pub(crate) level: Level,
    pub(crate) scope: Scope,
    pub(crate) test: for<'a> fn(&'a Bench) -> LocalBoxFuture<'a, Outcome>,
}

/// Lists functions as requirements of one section, each with its level and scope.
macro_rules! requirements {
    ($section:literal: $($level:ident $scope:ident $test:ident,)*) => {
        vec![$(crate::requirement::Requirement {
            name: stringify!($test),
            section: $section,
            level: crate::requirement::Level::$level,
            scope: crate::requirement::Scope::$scope,
            test: |bench| Box::pin($test(bench)),
        }),*]
    };
}
pub(crate) use requirements;

/// Fails with a sentence unless the condition holds.
pub(crate) fn ensure(holds: bool, otherwise: impl Display) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

/// Fails unless both are equal, and says what they are.
pub(crate) fn same<T: PartialEq + Debug>(what: impl Display, seen: T, required: T) -> Outcome {
    ensure(seen == required, format_args!("{what}: seen {seen:?}, required {required:?}"))
}
