//! Driver, operation and path on every error.

use std::sync::Arc;

use crate::contract::{Error, Operation, StoragePath};

/// What errors of an operation are marked with.
pub(super) struct Stamp<'a> {
    pub(super) driver: &'a Arc<str>,
    pub(super) operation: Operation,
    pub(super) path: &'a StoragePath,
}

impl Stamp<'_> {
    /// Marks an error with what it lacks. What is there stays: whoever set it was nearer to what failed, as a driver
    /// that names a move's destination, or one behind a wrapper.
    pub(super) fn on(&self, mut error: Error) -> Error {
        if error.driver().is_none() {
            error = error.with_driver(&**self.driver);
        }
        if error.operation().is_none() {
            error = error.with_operation(self.operation);
        }
        if error.path().is_none() {
            error = error.with_path(self.path);
        }
        error
    }

    /// Returns a stamp that outlives the call, for streams.
    pub(super) fn to_owned(&self) -> OwnedStamp {
        OwnedStamp { driver: self.driver.clone(), operation: self.operation, path: self.path.clone() }
    }
}

/// A stamp for what goes on after the call: streams and writers.
pub(super) struct OwnedStamp {
    driver: Arc<str>,
    operation: Operation,
    path: StoragePath,
}

impl OwnedStamp {
    pub(super) fn path(&self) -> &StoragePath {
        &self.path
    }

    /// As [`Stamp::on`].
    pub(super) fn on(&self, error: Error) -> Error {
        self.of(self.operation).on(error)
    }

    /// Returns the stamp of another operation on the same path.
    pub(super) fn of(&self, operation: Operation) -> Stamp<'_> {
        Stamp { driver: &self.driver, operation, path: &self.path }
    }
}
