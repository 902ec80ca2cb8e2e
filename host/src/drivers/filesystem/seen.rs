//! Roots that have been seen: what was there once and is gone is no root that the first write makes. A disk that is not mounted
//! any more looks like that.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::base::directory::check_writable;
use crate::contract::{Error, ErrorKind, Result};

/// Which roots were there when somebody looked.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashSet<PathBuf>>);

impl Seen {
    /// Returns whether a root could be written to, as [`check_writable`] does, and whether it is still there.
    ///
    /// # Errors
    ///
    /// Those of [`check_writable`]; [`ErrorKind::Unavailable`] if it was there at an earlier call, and is not now.
    pub(super) fn check(&self, root: &Path) -> Result<()> {
        let is_there = root.is_dir();
        let was_there = {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if is_there { !seen.insert(root.to_owned()) } else { seen.contains(root) }
        };
        if was_there && !is_there {
            let message = format!(
                "{} is gone, and was there: mount its disk again, or restart if it is meant to begin empty",
                root.display()
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        check_writable(root)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_root_that_was_there_and_is_gone_is_missing_until_it_is_back() {
        let place = tempfile::tempdir().unwrap();
        let (root, seen) = (place.path().join("root"), Seen::default());
        seen.check(&root).unwrap();
        std::fs::create_dir(&root).unwrap();
        seen.check(&root).unwrap();
        std::fs::remove_dir(&root).unwrap();
        let error = seen.check(&root).unwrap_err();
        assert!(error.kind() == &ErrorKind::Unavailable && error.message().contains("is gone"), "{error}");
        std::fs::create_dir(&root).unwrap();
        seen.check(&root).unwrap();
    }
}
