//! Users and their passwords from a file: Distribution's `auth: htpasswd`.

mod basic;
mod entries;
mod file;
mod queue;
mod verified;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use ring::rand::SystemRandom;

use self::basic::Credentials;
use self::file::File;
use self::queue::{Full, Queue};
use self::verified::Verified;
use super::challenge::challenge;
use super::{AccessController, AccessRequest, Denied, OpenError, User};

/// When a client comes again that has too many passwords in the queue.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Users and their passwords from a file, as `htpasswd -B` writes it: Distribution's `auth: htpasswd`.
///
/// A user who gives the right password may do everything. Only hashes by bcrypt with a cost of at most 14 count; a user whose
/// entry has any other cannot log in, and is named in the log. Serve it over TLS: the password is in every request.
///
/// # Behaviour
///
/// - The file is looked at again at most once a second, when requests come, and read if it changed. While it is missing
///   or wrong, nobody is let in: requests end as [`Denied::Unavailable`].
/// - Passwords are checked outside the executor, at most on half of the processors at once. Requests with the same credentials
///   share one check. A client has at most 8 checks in the queue, by its address, of IPv6 by its network of 64 bits: more end
///   as [`Denied::TooManyRequests`]. All clients together have 64, and a request waits up to 10 s: then it ends as
///   [`Denied::Unavailable`].
/// - The last 1,024 credentials that were right are remembered, as keyed digests, so that a client's later requests cost
///   no bcrypt. They count no longer once the user's entry changes.
/// - A user who does not exist takes as long as the costliest of those that do.
///
/// # Unlike Distribution
///
/// - A missing file is an error. Distribution creates it, with a user `docker` whose password it prints.
/// - Entries with a cost above 14 do not count. Distribution checks each password for as long as it takes: at 20, a minute.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use wharf::drivers::inmemory::InMemory;
/// use wharf::registry::Registry;
/// use wharf::registry::auth::Htpasswd;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("htpasswd");
/// // Written by `htpasswd -Bbn alice secret`.
/// std::fs::write(&path, "alice:$2y$05$L50RfUt1/lX6HMo1u6ENZepEokg3sIuTHkptvcEdm299S0NZ89Zfe\n")?;
/// let users = Htpasswd::open(&path, "Registry of Example Ltd")?;
/// let registry = Registry::builder(Arc::new(InMemory::new())).access(Arc::new(users)).build();
/// # Ok(())
/// # }
/// ```
pub struct Htpasswd {
    realm: String,
    path: PathBuf,
    file: File,
    verified: Arc<Verified>,
    queue: Queue,
    /// How many passwords went through bcrypt.
    #[cfg(test)]
    checks: Arc<std::sync::atomic::AtomicU64>,
}

impl Htpasswd {
    /// Reads the file. Blocks for as long as that takes.
    ///
    /// `realm` is what clients show to their users when they ask for a password.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is larger than 16 MiB, or holds a line that is no entry or an entry that is not by
    /// bcrypt; if the realm is empty or has control characters.
    pub fn open(path: impl AsRef<Path>, realm: impl Into<String>) -> Result<Self, OpenError> {
        let (path, realm) = (path.as_ref().to_owned(), realm.into());
        if realm.trim().is_empty() || realm.chars().any(char::is_control) {
            return Err(OpenError::new("`realm` of `auth: htpasswd` must be a text, and without control characters"));
        }
        let file = File::open(&path)?;
        let verified = Verified::new(&SystemRandom::new())
            .map(Arc::new)
            .map_err(|_| OpenError::new("the system gives no random bytes for `auth: htpasswd`"))?;
        // Half of the processors stay for requests of users who are already known.
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        let queue = Queue::new((processors / 2).max(1));
        #[cfg(test)]
        let checks = Default::default();
        Ok(Htpasswd {
            realm,
            path,
            file,
            verified,
            queue,
            #[cfg(test)]
            checks,
        })
    }

    fn unauthenticated(&self, message: &str) -> Denied {
        Denied::Unauthenticated {
            challenge: challenge("Basic", &[("realm", &self.realm)]),
            message: message.to_owned(),
        }
    }

    /// Returns whether the user is who he says. The work is the same for a user who does not exist.
    async fn is_right(&self, credentials: Credentials, client: Option<IpAddr>) -> Result<bool, Denied> {
        let entries = self.file.entries().await.map_err(|message| Denied::Unavailable { message })?;
        let hash = entries.hash(&credentials.user);
        // Nobody is right about the password of a user who does not exist.
        let (exists, hash) = (hash.is_some(), hash.unwrap_or(entries.dummy()).to_owned());
        let digest = self.verified.digest(&credentials, &hash);
        if exists && self.verified.contains(&digest) {
            return Ok(true);
        }
        let verified = self.verified.clone();
        #[cfg(test)]
        let checks = Arc::clone(&self.checks);
        let check = move || {
            // Between the look above and the place in the queue, another request with them may have ended.
            if exists && verified.contains(&digest) {
                return true;
            }
            #[cfg(test)]
            checks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // An error is a hash of another form, of which there are none among the entries.
            let right = bcrypt::verify(&credentials.password, &hash).unwrap_or(false) && exists;
            if right {
                verified.insert(digest);
            }
            right
        };
        self.queue.check(client, digest, check).await.map_err(|full| match full {
            Full::OfClient => Denied::TooManyRequests {
                message: "too many of this client's passwords are being checked; try again later".to_owned(),
                retry_after: RETRY_AFTER,
            },
            Full::OfAll => {
                Denied::Unavailable { message: "too many passwords are being checked; try again later".to_owned() }
            }
        })
    }
}

#[async_trait]
impl AccessController for Htpasswd {
    async fn authorize(&self, request: AccessRequest<'_>) -> Result<Option<User>, Denied> {
        let credentials = request.authorization.and_then(|header: &HeaderValue| Credentials::read(header.as_bytes()));
        let Some(credentials) = credentials else {
            return Err(self.unauthenticated("a user and a password are needed"));
        };
        let name = String::from_utf8_lossy(&credentials.user).into_owned();
        if self.is_right(credentials, request.client).await? {
            Ok(Some(User { name }))
        } else {
            // Which of the two is nobody's business.
            Err(self.unauthenticated("the user or the password is wrong"))
        }
    }
}

impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Htpasswd").field("realm", &self.realm).field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
