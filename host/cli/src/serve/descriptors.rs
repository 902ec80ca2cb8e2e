//! How many files the process may have open: each connection is one, and each download and upload another.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The number if there is no limit: more than any machine has.
const UNLIMITED: u64 = 1 << 20;

/// Raises the soft limit to the hard one, as servers do: the soft one is small for the sake of programs that ask for
/// descriptors by `select`. Returns how many files may be open then.
pub(crate) fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let (before, hard) = (limit.current, limit.maximum);
    if before != hard {
        limit.current = hard;
        match setrlimit(Resource::Nofile, limit) {
            Ok(()) => {
                tracing::info!(?before, now = ?hard, "raised how many files may be open (RLIMIT_NOFILE) to the hard limit")
            }
            Err(error) => {
                tracing::warn!(?before, hard = ?hard, %error, "how many files may be open could not be raised");
                limit.current = before;
            }
        }
    }
    usize::try_from(limit.current.unwrap_or(UNLIMITED)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_hard_one_afterwards() {
        let most = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(most as u64, limit.current.unwrap_or(UNLIMITED));
    }
}
