//! Who may open one more download or upload: so many in all, of which no client takes what the others need.
//!
//! What a transfer holds it holds for as long as its client takes, so it is not waited for but bounded. The rule is the one
//! by which switches share buffers among ports (dynamic thresholds): a client may hold no more than a share of what it would
//! leave free. Alone, with the share of 50 %, one client gets half of all; two that are as greedy a third each; the more greedy clients there
//! are, the less each of them gets, and there is always something left for one that holds nothing. A client is an address,
//! or the network of 64 bits that an address of IPv6 is in.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::RETRY_AFTER;
use tokio::sync::oneshot;

use super::error::{Code, Failure};
use crate::base::capacity::{self, Bounded, Capacity};

/// How often it is logged that somebody was refused.
const LOGGED: Duration = Duration::from_secs(10);

/// After how many seconds a client that was refused should ask again.
const RETRY: HeaderValue = HeaderValue::from_static("5");

/// For whom something is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// At a Unix socket, or where the server does not say.
    Unknown,
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl Client {
    /// The client at that address.
    pub(super) fn new(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Client::Unknown,
            Some(IpAddr::V4(address)) => Client::V4(address),
            Some(IpAddr::V6(address)) => Client::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Unknown => f.write_str("unknown"),
            Client::V4(address) => address.fmt(f),
            Client::V6(network) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*network) << 64)),
        }
    }
}

/// So many of something, shared out among clients. Clones share them.
#[derive(Clone)]
pub(super) struct Admission(Arc<Shared>);

struct Shared {
    what: &'static str,
    most: usize,
    /// In percent.
    share: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    clients: HashMap<Client, usize>,
    queue: VecDeque<Waiting>,
    refused: u64,
    /// Since when nothing is left, and nothing came free.
    full_since: Option<Instant>,
    logged: Option<Instant>,
    unlogged: u64,
}

struct Waiting {
    client: Client,
    weight: usize,
    answer: oneshot::Sender<Admitted>,
}

/// What was opened. Dropping it makes room.
pub(super) struct Admitted {
    shared: Arc<Shared>,
    client: Client,
    weight: usize,
}

/// Returns the failure of an upload in flight that got no more room.
pub(super) fn no_more_room() -> Failure {
    let message = "the registry has no memory left for the rest of it; try again later";
    Failure::new(Code::Unavailable, message).with_header(RETRY_AFTER, RETRY)
}

/// Why somebody was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client holds its share.
    Share,
    /// Nothing is left.
    Full,
}

impl Admission {
    /// So many of `what`, of which one client may hold at most `share` percent; with 100, as many as there are.
    pub(super) fn new(what: &'static str, most: usize, share: u8) -> Self {
        let share = usize::from(share.clamp(1, 100));
        let shared = Arc::new(Shared { what, most: most.max(1), share, state: Mutex::default() });
        capacity::register(&shared);
        Admission(shared)
    }

    /// Returns how many one client may hold while nobody else holds any. At least one.
    pub(super) fn most_of_client(&self) -> usize {
        (self.0.most * self.0.share / 100).max(1)
    }

    /// How many there are, and how many there may be.
    pub(super) fn used(&self) -> (usize, usize) {
        (self.0.lock().used, self.0.most)
    }

    /// Takes one for a client, if it may have it now. A refusal does not count as one.
    pub(super) fn try_enter(&self, client: Client) -> Option<Admitted> {
        let mut state = self.0.lock();
        self.0.admits(&state, client, 1).ok()?;
        Some(self.0.admit(&mut state, client, 1))
    }

    /// Takes `weight` for a client; if it may not have them now, waits that long. Of those who wait and are below their
    /// share, the one that holds least is served first.
    pub(super) async fn enter(&self, client: Client, weight: usize, patience: Duration) -> Result<Admitted, Failure> {
        // What is larger than all may come alone.
        let weight = weight.clamp(1, self.0.most);
        let waited = {
            let mut state = self.0.lock();
            match self.0.admits(&state, client, weight) {
                Ok(()) => return Ok(self.0.admit(&mut state, client, weight)),
                Err(refused) if patience.is_zero() => Err(refused),
                Err(_) => {
                    let (answer, waited) = oneshot::channel();
                    state.queue.push_back(Waiting { client, weight, answer });
                    Ok(waited)
                }
            }
        };
        let refused = match waited {
            Err(refused) => refused,
            Ok(waited) => match tokio::time::timeout(patience, waited).await {
                Ok(Ok(admitted)) => return Ok(admitted),
                _ => self.0.may(&self.0.lock(), client, weight).err().unwrap_or(Refused::Full),
            },
        };
        Err(self.0.refuse(client, refused))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may(&self, state: &State, client: Client, weight: usize) -> Result<(), Refused> {
        let free = self.most.saturating_sub(state.used);
        if weight > free {
            return Err(Refused::Full);
        }
        match state.clients.get(&client) {
            // Whoever holds nothing gets something.
            None => Ok(()),
            Some(held) if (held + weight) * (100 - self.share) <= (free - weight) * self.share => Ok(()),
            Some(_) => Err(if self.share == 100 { Refused::Full } else { Refused::Share }),
        }
    }

    /// Whether somebody who comes now may have it: not before those who wait for want of room alone.
    fn admits(&self, state: &State, client: Client, weight: usize) -> Result<(), Refused> {
        self.may(state, client, weight)?;
        let waits = |waiting: &Waiting| {
            !waiting.answer.is_closed() && self.may(state, waiting.client, waiting.weight) == Err(Refused::Full)
        };
        if state.queue.iter().any(waits) { Err(Refused::Full) } else { Ok(()) }
    }

    fn admit(self: &Arc<Self>, state: &mut State, client: Client, weight: usize) -> Admitted {
        state.used += weight;
        *state.clients.entry(client).or_default() += weight;
        if state.used == self.most {
            state.full_since = Some(Instant::now());
        }
        Admitted { shared: Arc::clone(self), client, weight }
    }

    /// Serves those who wait and may have what they wait for.
    fn serve(self: &Arc<Self>) {
        loop {
            let served = {
                let mut state = self.lock();
                state.queue.retain(|waiting| !waiting.answer.is_closed());
                let held = |waiting: &Waiting| state.clients.get(&waiting.client).copied().unwrap_or(0);
                let may = |waiting: &Waiting| self.may(&state, waiting.client, waiting.weight);
                // The first of those that hold least. If there is no room for it, it is waited for.
                let all = state.queue.iter().enumerate().filter(|(_, waiting)| may(waiting) != Err(Refused::Share));
                let Some((next, _)) = all.min_by_key(|(at, waiting)| (held(waiting), *at)) else { return };
                if state.queue.get(next).is_none_or(|next| may(next).is_err()) {
                    return;
                }
                let Some(waiting) = state.queue.remove(next) else { return };
                let admitted = self.admit(&mut state, waiting.client, waiting.weight);
                (waiting.answer, admitted)
            };
            // Outside of the lock: what nobody waits for any more is dropped here, and makes room.
            let (answer, admitted) = served;
            let _ = answer.send(admitted);
        }
    }

    fn refuse(&self, client: Client, refused: Refused) -> Failure {
        let what = self.what;
        let (count, used) = {
            let mut state = self.lock();
            state.refused += 1;
            state.unlogged += 1;
            let count = state.unlogged;
            let is_due = state.logged.is_none_or(|logged| logged.elapsed() >= LOGGED);
            if is_due {
                (state.logged, state.unlogged) = (Some(Instant::now()), 0);
            }
            (is_due.then_some(count), state.used)
        };
        if let Some(count) = count {
            let of = self.most;
            tracing::warn!(target: "wharf::capacity", %client, what, used, of, refused = count, "refused for want of capacity");
        }
        let failure = match refused {
            Refused::Share => Failure::new(
                Code::TooManyRequests,
                format_args!("your address has as many {what} open as one client may; end some, or try again later"),
            ),
            Refused::Full => Failure::new(
                Code::Unavailable,
                format_args!("the registry has as many {what} open as it may; try again later"),
            ),
        };
        failure.with_header(RETRY_AFTER, RETRY)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let is_waited_for = {
            let mut state = self.shared.lock();
            state.used -= self.weight;
            if let Some(held) = state.clients.get_mut(&self.client) {
                *held -= self.weight;
                if *held == 0 {
                    state.clients.remove(&self.client);
                }
            }
            state.full_since = None;
            !state.queue.is_empty()
        };
        if is_waited_for {
            self.shared.serve();
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("what", &self.0.what).field("most", &self.0.most).finish_non_exhaustive()
    }
}

impl Bounded for Shared {
    fn capacity(&self) -> Capacity {
        let state = self.lock();
        Capacity {
            owner: "registry".to_owned(),
            limit: self.what,
            most: self.most,
            used: state.used,
            waiting: state.queue.len(),
            refused: state.refused,
            exhausted_for: state.full_since.map(|since| since.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests;
