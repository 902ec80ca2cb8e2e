//! Moves and deletes: what is changed once, and looked at when nobody knows whether it was.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Retrying;
use super::attempts::Attempts;
use super::policy::Repeat;
use crate::contract::{ErrorKind, Result, StoragePath};

impl Retrying {
    /// Moves a file. After an unknown outcome it is looked at both names first:
    ///
    /// | source | destination | then |
    /// |---|---|---|
    /// | gone | there | it has happened |
    /// | there | whatever | it is moved again: that is right whether the first attempt never began, is still under way, or ended between copying and deleting |
    /// | gone | gone | nobody knows, and the error says what was seen |
    ///
    /// The first line cannot tell a move that was done from one whose source was missing all along, where something is at
    /// the destination: to know that, each move would need one more request.
    pub(super) async fn move_with_looks(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let mut attempts = Attempts::begin();
        // Whether the source was seen after an attempt that may come through all the same.
        let mut may_come_late = false;
        loop {
            // Its time is its own: some stores copy the bytes, and there may be many.
            let error = match self.inner.move_file(source, destination).await {
                Ok(()) => {
                    self.retry.earn();
                    return Ok(());
                }
                Err(error) => error,
            };
            let is_unknown = error.kind() == &ErrorKind::OutcomeUnknown;
            if self.retry.policy().attempts <= 1 || !(is_unknown || may_come_late && error.is_path_not_found()) {
                attempts.wait_after(&self.retry, error, Repeat::UnlessUnknown).await?;
                continue;
            }
            // After a while: what is still under way has time to end.
            let may_repeat = attempts.pause(&self.retry, &error, Repeat::Always).await;
            let seen = match self.look(source, destination).await {
                Ok(Seen::Moved) => return Ok(()),
                Ok(Seen::Source) if is_unknown && may_repeat => {
                    attempts.remember(error);
                    may_come_late = true;
                    continue;
                }
                Ok(Seen::Source) => "the source is still there".to_owned(),
                Ok(Seen::Neither) => "neither the source nor the destination is there".to_owned(),
                Err(look) => format!("it could not be looked at: {look}"),
            };
            return Err(attempts.end(error.with_note(seen)));
        }
    }

    async fn look(&self, source: &StoragePath, destination: &StoragePath) -> Result<Seen> {
        if self.is_file(source).await? {
            return Ok(Seen::Source);
        }
        Ok(if self.is_file(destination).await? { Seen::Moved } else { Seen::Neither })
    }

    async fn is_file(&self, path: &StoragePath) -> Result<bool> {
        match self.retry.run(Repeat::Always, || self.inner.stat(path)).await {
            Ok(info) => Ok(!info.is_dir),
            Err(error) if error.is_path_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes, and takes it for done when nothing is found after an attempt that may have happened.
    pub(super) async fn delete_again(&self, path: &StoragePath) -> Result<()> {
        let may_have_happened = AtomicBool::new(false);
        let attempt = || async {
            let earlier = may_have_happened.swap(true, Ordering::Relaxed);
            match self.inner.delete(path).await {
                Err(error) if earlier && error.is_path_not_found() => Ok(()),
                Err(error) => {
                    // Then the store has not even begun.
                    if matches!(error.kind(), ErrorKind::Throttled { .. }) {
                        may_have_happened.store(earlier, Ordering::Relaxed);
                    }
                    Err(error)
                }
                Ok(()) => Ok(()),
            }
        };
        // Its time is its own: there may be much below.
        self.retry.run_untimed(Repeat::Always, attempt).await
    }
}

/// What was seen after a move of which nobody knew the outcome.
enum Seen {
    Moved,
    Source,
    Neither,
}
