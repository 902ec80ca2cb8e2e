//! Which credentials were right before.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use ring::error::Unspecified;
use ring::hmac;
use ring::rand::SecureRandom;

use super::basic::Credentials;

/// How many are remembered. Each takes about 100 bytes; the oldest is forgotten for a new one.
const REMEMBERED: usize = 1024;

/// A keyed digest of a user, a password, and the hash that it was right for.
pub(super) type Digest = [u8; 32];

/// Which credentials were right before, so that a client's next request costs no bcrypt.
///
/// It holds no passwords: a digest says nothing to who does not know the key, which is random and this process's own.
/// The hash is part of it, so that a changed password is never taken for the old one.
pub(super) struct Verified {
    key: hmac::Key,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    digests: HashSet<Digest>,
    /// The same, the oldest first.
    order: VecDeque<Digest>,
}

impl Verified {
    pub(super) fn new(random: &dyn SecureRandom) -> Result<Self, Unspecified> {
        Ok(Verified { key: hmac::Key::generate(hmac::HMAC_SHA256, random)?, seen: Mutex::default() })
    }

    pub(super) fn digest(&self, credentials: &Credentials, hash: &str) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        // With their lengths, so that no two parts can be cut differently.
        for part in [credentials.user.as_slice(), credentials.password.as_slice(), hash.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = Digest::default();
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).digests.contains(digest)
    }

    pub(super) fn insert(&self, digest: Digest) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.digests.insert(digest) {
            return;
        }
        seen.order.push_back(digest);
        if seen.order.len() > REMEMBERED
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.digests.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    fn digest(verified: &Verified, user: &str, password: &str, hash: &str) -> Digest {
        verified.digest(&Credentials { user: user.into(), password: password.into() }, hash)
    }

    #[test]
    fn a_digest_differs_by_user_password_hash_and_process() {
        let verified = Verified::new(&SystemRandom::new()).unwrap();
        let of = |user, password, hash| digest(&verified, user, password, hash);
        let one = of("ab", "cd", "ef");
        assert_eq!(one, of("ab", "cd", "ef"));
        for other in [of("a", "bcd", "ef"), of("ab", "c", "def"), of("ab", "cd", "eg"), of("xb", "cd", "ef")] {
            assert_ne!(one, other);
        }
        assert_ne!(one, digest(&Verified::new(&SystemRandom::new()).unwrap(), "ab", "cd", "ef"));
    }

    #[test]
    fn the_oldest_is_forgotten_for_one_too_many() {
        let verified = Verified::new(&SystemRandom::new()).unwrap();
        let of = |number: usize| digest(&verified, &number.to_string(), "", "");
        for number in 0..=REMEMBERED {
            verified.insert(of(number));
            verified.insert(of(number));
        }
        assert!(!verified.contains(&of(0)) && verified.contains(&of(1)) && verified.contains(&of(REMEMBERED)));
        let seen = verified.seen.lock().unwrap();
        assert_eq!((seen.digests.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
    }
}
