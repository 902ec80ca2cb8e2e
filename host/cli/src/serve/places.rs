//! Places for connections: so many in all, of which no client address takes what the others need.
//!
//! A connection costs a file descriptor even if nothing is asked on it. The rule is the registry's for downloads and uploads: an
//! address that has some gets no more than a share of what it then leaves free.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wharf::registry::TrustedProxies;

/// How often it is logged that a connection was refused.
const LOGGED: Duration = Duration::from_secs(10);

/// The places of one server.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    /// In percent.
    share: usize,
    proxies: TrustedProxies,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    clients: HashMap<IpAddr, usize>,
    refused: u64,
    logged: Option<Instant>,
}

/// One of them. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    client: Option<IpAddr>,
}

impl Places {
    /// So many connections, of which one address may have at most `share` percent. Those of proxies that are named are many
    /// clients', and count for no address.
    pub(super) fn new(most: usize, share: u8, proxies: TrustedProxies) -> Self {
        Places(Arc::new(Shared { most, share: usize::from(share.clamp(1, 100)), proxies, state: Mutex::default() }))
    }

    /// Takes a place; none, and a line in the log now and then, if the client may have none. At a Unix socket, and from proxies that
    /// are named, only the whole is bounded.
    pub(super) fn take(&self, client: Option<SocketAddr>) -> Option<Place> {
        let client = client.map(|client| client.ip()).filter(|client| !self.0.proxies.name(*client)).map(key);
        let mut state = self.0.lock();
        let free = self.0.most.saturating_sub(state.used);
        let held = client.and_then(|client| state.clients.get(&client)).copied().unwrap_or(0);
        let share = self.0.share;
        if free == 0 || (held > 0 && (held + 1).saturating_mul(100 - share) > (free - 1).saturating_mul(share)) {
            state.refused += 1;
            if state.logged.is_none_or(|logged| logged.elapsed() >= LOGGED) {
                let (used, of, refused) = (state.used, self.0.most, state.refused);
                tracing::warn!(target: "wharf::capacity", ?client, held, used, of, refused, "connections were refused");
                (state.logged, state.refused) = (Some(Instant::now()), 0);
            }
            return None;
        }
        state.used += 1;
        if let Some(client) = client {
            *state.clients.entry(client).or_default() += 1;
        }
        Some(Place { shared: Arc::clone(&self.0), client })
    }
}

/// What counts as one client: an address, or the network of 64 bits that one of IPv6 is in.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.used -= 1;
        let Some(client) = self.client else { return };
        if let Some(held) = state.clients.get_mut(&client) {
            *held -= 1;
            if *held == 0 {
                state.clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greedy(places: &Places, client: &str) -> Vec<Place> {
        let client = client.parse().ok();
        std::iter::from_fn(|| places.take(client)).collect()
    }

    #[test]
    fn one_address_does_not_take_all_places_and_who_leaves_makes_room() {
        let places = Places::new(100, 50, TrustedProxies::Everybody);
        let first = greedy(&places, "192.0.2.1:1");
        assert_eq!(first.len(), 50);
        assert_eq!(greedy(&places, "192.0.2.2:1").len(), 25);
        let of_a_network = greedy(&places, "[2001:db8::1]:1");
        assert!(of_a_network.len() > 1 && greedy(&places, "[2001:db8::2]:1").is_empty());
        drop((first, of_a_network));
        assert!(places.0.lock().clients.is_empty() && places.0.lock().used == 0);
        assert_eq!(greedy(&Places::new(100, 100, TrustedProxies::Everybody), "192.0.2.1:1").len(), 100);
        // At a Unix socket.
        assert_eq!(greedy(&Places::new(3, 50, TrustedProxies::Everybody), "").len(), 3);
    }

    #[test]
    fn connections_of_a_named_proxy_count_for_no_address() {
        let proxies = TrustedProxies::Networks { networks: vec![([10, 0, 0, 0].into(), 8)], local: false };
        let places = Places::new(100, 50, proxies);
        let other = greedy(&places, "192.0.2.1:1");
        assert_eq!(other.len(), 50);
        assert_eq!(greedy(&places, "10.0.0.1:1").len(), 50);
    }
}
