//! The queue of passwords that are to be checked.
//!
//! A check keeps a processor busy for up to a second, and anybody may ask for one. So few run at a time, and one client has few
//! in the queue: who guesses passwords in numbers waits behind himself, and others log in beside him. Requests that bring the
//! same credentials, as a client's first ones do, share one check.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::verified::Digest;

/// How long a request waits for its check.
const TURN: Duration = Duration::from_secs(10);

/// How many checks all clients together have in the queue, those that run included.
const CHECKS: usize = 64;

/// How many one client has.
const CHECKS_OF_CLIENT: usize = 8;

/// How many requests of one client wait for its checks.
const REQUESTS_OF_CLIENT: usize = 128;

/// Why a password is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The client has as many checks in the queue as one may have.
    OfClient,
    /// All clients together have; or the check did not come in time.
    OfAll,
}

/// Bounds the checks of passwords.
pub(super) struct Queue {
    pub(super) turns: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    /// The checks that wait or run, with what becomes of each.
    checks: HashMap<Digest, watch::Receiver<Option<bool>>>,
    clients: HashMap<Client, Counts>,
}

/// Who counts as one client: an address, and of IPv6 a network of 64 bits, which one client has for itself. Clients whose
/// addresses nobody knows are one.
type Client = Option<IpAddr>;

#[derive(Clone, Copy, Default)]
struct Counts {
    checks: usize,
    requests: usize,
}

/// A check in the queue. It leaves the queue when this is dropped; requests that wait for it then begin another, if it has not
/// ended.
struct Check {
    waiting: Arc<Mutex<Waiting>>,
    client: Client,
    digest: Digest,
    outcome: watch::Sender<Option<bool>>,
}

/// A request that waits.
struct Request {
    waiting: Arc<Mutex<Waiting>>,
    client: Client,
}

enum Place {
    /// Nobody checks these credentials yet.
    First(Check),
    /// Somebody does.
    Beside(watch::Receiver<Option<bool>>),
}

impl Queue {
    /// A queue of which so many checks run at a time.
    pub(super) fn new(at_a_time: usize) -> Self {
        Queue { turns: Arc::new(Semaphore::new(at_a_time)), waiting: Arc::default() }
    }

    /// Returns whether credentials are right, by `check`, which runs in a thread that may block; or by that of another request
    /// with the same credentials. `digest` is theirs.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the check runs, it does not run; a check that runs goes on, and counts until it ends.
    pub(super) async fn check(
        &self,
        client: Option<IpAddr>,
        digest: Digest,
        check: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool, Full> {
        let client = client.map(network);
        let _request = self.admit(client)?;
        let mut check = Some(check);
        let checked = async {
            loop {
                match (self.enter(client, digest)?, check.take()) {
                    (Place::First(entry), Some(check)) => {
                        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Full::OfAll)?;
                        let run = spawn_blocking(move || {
                            let right = check();
                            let _ = entry.outcome.send(Some(right));
                            // In the thread, and not with the request, which may be dropped while the processor is busy.
                            drop(entry);
                            drop(turn);
                            right
                        });
                        // It ends early only if the runtime does.
                        return Ok(run.await.unwrap_or(false));
                    }
                    (Place::First(_), None) => return Err(Full::OfAll),
                    (Place::Beside(mut outcome), unused) => {
                        check = unused;
                        if let Ok(right) = outcome.wait_for(Option::is_some).await {
                            return Ok(right.unwrap_or(false));
                        }
                        // The request that had it is gone: this one takes its place.
                    }
                }
            }
        };
        timeout(TURN, checked).await.unwrap_or(Err(Full::OfAll))
    }

    /// Counts a request of a client.
    fn admit(&self, client: Client) -> Result<Request, Full> {
        let mut waiting = lock(&self.waiting);
        let counts = waiting.clients.entry(client).or_default();
        if counts.requests >= REQUESTS_OF_CLIENT {
            return Err(Full::OfClient);
        }
        counts.requests += 1;
        Ok(Request { waiting: Arc::clone(&self.waiting), client })
    }

    /// Finds the check of these credentials, or puts one into the queue.
    fn enter(&self, client: Client, digest: Digest) -> Result<Place, Full> {
        let mut waiting = lock(&self.waiting);
        if let Some(outcome) = waiting.checks.get(&digest) {
            return Ok(Place::Beside(outcome.clone()));
        }
        if waiting.clients.get(&client).is_some_and(|counts| counts.checks >= CHECKS_OF_CLIENT) {
            return Err(Full::OfClient);
        }
        if waiting.checks.len() >= CHECKS {
            return Err(Full::OfAll);
        }
        let (outcome, receiver) = watch::channel(None);
        waiting.checks.insert(digest, receiver);
        waiting.clients.entry(client).or_default().checks += 1;
        Ok(Place::First(Check { waiting: Arc::clone(&self.waiting), client, digest, outcome }))
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    /// Changes a client's counts, and forgets a client that has nothing here.
    fn leave(&mut self, client: &Client, change: impl FnOnce(&mut Counts)) {
        if let Some(counts) = self.clients.get_mut(client) {
            change(counts);
            if counts.checks == 0 && counts.requests == 0 {
                self.clients.remove(client);
            }
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiting);
        waiting.checks.remove(&self.digest);
        waiting.leave(&self.client, |counts| counts.checks = counts.checks.saturating_sub(1));
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        lock(&self.waiting).leave(&self.client, |counts| counts.requests = counts.requests.saturating_sub(1));
    }
}

/// Returns what of an address counts.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn digest(number: usize) -> Digest {
        let mut digest = Digest::default();
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        digest
    }

    fn client(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    /// A queue whose only thread is busy until the sender is dropped.
    async fn busy() -> (Arc<Queue>, mpsc::Sender<()>) {
        let queue = Arc::new(Queue::new(1));
        let (release, wait) = mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let first = Arc::clone(&queue);
        tokio::spawn(async move {
            let check = move || {
                let _ = begun.send(());
                let _ = wait.recv();
                true
            };
            first.check(client(255), digest(usize::MAX), check).await
        });
        begins.await.unwrap();
        (queue, release)
    }

    /// Asks for checks, and returns once all of them are in the queue.
    async fn ask(
        queue: &Arc<Queue>,
        client: Option<IpAddr>,
        numbers: std::ops::Range<usize>,
    ) -> Vec<tokio::task::JoinHandle<Result<bool, Full>>> {
        let asked: Vec<_> = numbers
            .map(|number| {
                let queue = Arc::clone(queue);
                tokio::spawn(async move { queue.check(client, digest(number), || true).await })
            })
            .collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        asked
    }

    #[tokio::test]
    async fn a_client_has_few_checks_in_the_queue_and_others_log_in_beside_it() {
        let (queue, release) = busy().await;
        let guesses = ask(&queue, client(1), 0..100).await;
        let other = ask(&queue, client(2), 1000..1001).await;
        drop(release);
        let mut full = 0;
        for guess in guesses {
            match guess.await.unwrap() {
                Ok(right) => assert!(right),
                Err(why) => {
                    assert_eq!(why, Full::OfClient);
                    full += 1;
                }
            }
        }
        assert_eq!(full, 100 - CHECKS_OF_CLIENT);
        for other in other {
            assert_eq!(other.await.unwrap(), Ok(true));
        }
        assert!(lock(&queue.waiting).clients.is_empty() && lock(&queue.waiting).checks.is_empty());
    }

    #[tokio::test]
    async fn all_clients_together_have_a_bounded_queue() {
        let (queue, release) = busy().await;
        let mut asked = Vec::new();
        for last in 0..20_u8 {
            let first = usize::from(last) * 10;
            asked.extend(ask(&queue, client(last), first..first + CHECKS_OF_CLIENT).await);
        }
        drop(release);
        let mut full = 0;
        for asked in asked {
            full += usize::from(asked.await.unwrap() == Err(Full::OfAll));
        }
        assert_eq!(full, 20 * CHECKS_OF_CLIENT - (CHECKS - 1));
    }

    #[tokio::test]
    async fn the_same_credentials_share_one_check_whoever_goes() {
        let (queue, release) = busy().await;
        let checks = Arc::new(AtomicUsize::new(0));
        let request = || {
            let (queue, checks) = (Arc::clone(&queue), Arc::clone(&checks));
            tokio::spawn(async move {
                let check = move || checks.fetch_add(1, Ordering::Relaxed) < usize::MAX;
                queue.check(client(1), digest(1), check).await
            })
        };
        let first = request();
        tokio::task::yield_now().await;
        let others: Vec<_> = (0..50).map(|_| request()).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        drop(release);
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(true));
        }
        assert_eq!(checks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn requests_of_one_client_are_bounded_too() {
        let (queue, release) = busy().await;
        let same: Vec<_> = (0..REQUESTS_OF_CLIENT + 10)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.check(client(1), digest(1), || true).await })
            })
            .collect();
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        drop(release);
        let mut full = 0;
        for same in same {
            full += usize::from(same.await.unwrap() == Err(Full::OfClient));
        }
        assert_eq!(full, 10);
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
