//! Comparing what was seen with what was promised.

use std::fmt::{Debug, Display};

use libtest_mimic::Failed;

/// What a step of a test comes to: a failure says in words what was wrong.
pub(crate) type Outcome<T = ()> = Result<T, Failed>;

/// Fails with a sentence unless the condition holds.
pub(crate) fn ensure(holds: bool, otherwise: impl Display) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

/// Fails unless both are equal, and says what they are.
pub(crate) fn same<T: PartialEq + Debug>(what: impl Display, seen: T, promised: T) -> Outcome {
    ensure(seen == promised, format_args!("{what}: seen {seen:?}, promised {promised:?}"))
}
