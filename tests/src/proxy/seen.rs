//! The requests that went through.

use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::{Fault, lock};

/// A request that went through the proxy, or into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Such as `GET`.
    pub method: String,
    /// As it was sent, percent-encoded.
    pub path: String,
    /// As it was sent, without the question mark.
    pub query: String,
    /// The status that the client was given. None if it was given none, or not yet.
    pub status: Option<u16>,
    /// The status that the server gave, the first time.
    pub server_status: Option<u16>,
    /// How often it was forwarded, wholly or in part.
    pub forwarded: u32,
    /// How many bytes of its body were taken from the client.
    pub up: u64,
    /// How many bytes of an answer's body were given to the client.
    pub down: u64,
    /// What struck it.
    pub struck: Option<Fault>,
}

impl Seen {
    /// Returns whether the query has a parameter of that name, with a value or without.
    pub fn has_query(&self, name: &str) -> bool {
        self.query_value(name).is_some()
    }

    /// Returns a parameter of the query, percent-encoded as it was sent, empty if it has no value.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        let parameters = self.query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
        parameters.filter(|(found, _)| !found.is_empty()).find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { method, path, query, .. } = self;
        write!(f, "{method} {path}{}{query}", if query.is_empty() { "" } else { "?" })?;
        match self.status {
            Some(status) => write!(f, ": {status}")?,
            None => write!(f, ": no answer")?,
        }
        match self.struck {
            Some(fault) => write!(f, " ({fault})"),
            None => Ok(()),
        }
    }
}

/// The requests so far.
#[derive(Default)]
pub(super) struct Seens {
    entries: Mutex<Vec<Arc<Entry>>>,
    total: AtomicU64,
}

/// A request that may be under way.
#[derive(Default)]
pub(super) struct Entry {
    request: Seen,
    status: AtomicU16,
    server_status: AtomicU16,
    forwarded: AtomicU32,
    up: AtomicU64,
    down: AtomicU64,
    struck: OnceLock<Fault>,
}

impl Seens {
    /// Adds a request, of which nothing is known but what was asked, and returns it with its number.
    pub(super) fn add(&self, request: Seen) -> (Arc<Entry>, u64) {
        let entry = Arc::new(Entry { request, ..Entry::default() });
        lock(&self.entries).push(Arc::clone(&entry));
        (entry, self.total.fetch_add(1, Ordering::SeqCst))
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        lock(&self.entries).iter().map(|entry| entry.seen()).collect()
    }

    pub(super) fn clear(&self) {
        lock(&self.entries).clear();
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::SeqCst)
    }
}

impl Entry {
    /// What was asked.
    pub(super) fn request(&self) -> &Seen {
        &self.request
    }

    pub(super) fn strike(&self, fault: Fault) {
        self.struck.get_or_init(|| fault);
    }

    pub(super) fn forward(&self) {
        self.forwarded.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn server_answers(&self, status: u16) {
        let _ = self.server_status.compare_exchange(0, status, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(super) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(super) fn count_up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn count_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn seen(&self) -> Seen {
        let status = |status: &AtomicU16| Some(status.load(Ordering::SeqCst)).filter(|status| *status != 0);
        Seen {
            status: status(&self.status),
            server_status: status(&self.server_status),
            forwarded: self.forwarded.load(Ordering::SeqCst),
            up: self.up.load(Ordering::SeqCst),
            down: self.down.load(Ordering::SeqCst),
            struck: self.struck.get().copied(),
            ..self.request.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_querys_parameters_are_found_with_a_value_and_without() {
        let seen = Seen { query: "uploads&prefix=a%2Fb&x=".to_owned(), ..Seen::default() };
        assert_eq!(seen.query_value("uploads"), Some(""));
        assert_eq!(seen.query_value("prefix"), Some("a%2Fb"));
        assert!(!seen.has_query("upload") && !Seen::default().has_query(""));
    }
}
