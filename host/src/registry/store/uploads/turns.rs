//! One request at a time for each upload, within this process.
//!
//! Between processes it is the store that tells: the size is compared when an upload is continued and before it is committed,
//! and the filesystem driver locks the file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, watch};
use uuid::Uuid;

use super::Held;
use crate::registry::RepositoryName;
use crate::registry::admission::Client;

/// How long a request waits for the one before it on the same upload: longer than a client that vanished is waited for.
const PATIENCE: Duration = Duration::from_secs(75);

/// How long an upload that lives in this process alone is kept without a request.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// How many uploads are kept so without a request: a quarter of what a component may have open by default. What is more
/// costs whoever has most of them the one that waited longest.
const MOST_KEPT: usize = 256;

type Key = (RepositoryName, Uuid);

/// The uploads that a request works on, or that are held.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Key, Arc<Slot>>>);

#[derive(Debug)]
struct Slot {
    held: Arc<tokio::sync::Mutex<Option<Held>>>,
    /// How many bytes the upload has, as far as this process saw; none if no request has seen it yet.
    size: watch::Sender<Option<u64>>,
    used: Mutex<Instant>,
    /// Who sent the bytes last.
    client: Mutex<Client>,
}

/// A place in the queue for an upload.
pub(super) struct Queued {
    turns: Arc<Turns>,
    key: Key,
    slot: Arc<Slot>,
}

/// A request's turn. The next one comes when it is dropped.
pub(super) struct Turn {
    held: Option<OwnedMutexGuard<Option<Held>>>,
    queued: Queued,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues for an upload.
    pub(super) fn take(self: &Arc<Self>, name: &RepositoryName, id: Uuid) -> Queued {
        let key = (name.clone(), id);
        let mut slots = self.lock();
        // What nobody came back for. Only where uploads are held does one outlive its request.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.idle() < KEPT);
        let slot = slots.entry(key.clone()).or_insert_with(|| Arc::new(Slot::new()));
        Queued { turns: Arc::clone(self), key, slot: Arc::clone(slot) }
    }

    /// Ends uploads that are kept without a request, until there are no more than there may be.
    fn bound(&self) {
        loop {
            let mut slots = self.lock();
            let mut held_by = HashMap::<Client, usize>::new();
            let waiting = || slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
            for (_, slot) in waiting() {
                *held_by.entry(slot.client()).or_default() += 1;
            }
            if held_by.values().sum::<usize>() <= MOST_KEPT {
                return;
            }
            let longest = waiting().max_by_key(|(_, slot)| (held_by.get(&slot.client()), slot.idle()));
            let Some(key) = longest.map(|(key, _)| key.clone()) else { return };
            let ended = slots.remove(&key);
            // A writer that is dropped may have something to do.
            drop(slots);
            tracing::info!(
                repository = %key.0, upload = %key.1,
                "an upload was given up that waited for its next request: the driver continues none, and {MOST_KEPT} wait"
            );
            drop(ended);
        }
    }
}

impl Slot {
    fn new() -> Self {
        Slot {
            held: Arc::default(),
            size: watch::Sender::new(None),
            used: Mutex::new(Instant::now()),
            client: Mutex::new(Client::Unknown),
        }
    }

    fn client(&self) -> Client {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Queued {
    /// Waits until the request that works on the upload has seen how many bytes it has. For ever if none does.
    pub(super) fn known_size(&self) -> impl Future<Output = u64> + Send + use<> {
        let mut sizes = self.slot.size.subscribe();
        async move {
            let size = sizes.wait_for(Option::is_some).await.ok().and_then(|size| *size);
            match size {
                Some(size) => size,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for the turn; none if it takes too long.
    pub(super) async fn wait(self) -> Option<Turn> {
        let waited = tokio::time::timeout(PATIENCE, Arc::clone(&self.slot.held).lock_owned()).await;
        let held = waited.ok()?;
        Some(Turn { held: Some(held), queued: self })
    }
}

impl Turn {
    /// Returns what is held of the upload between requests.
    pub(super) fn held(&mut self) -> &mut Option<Held> {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("taken away only when the turn is dropped"),
        }
    }

    /// Says who sends the bytes.
    pub(super) fn set_client(&self, client: Client) {
        *self.queued.slot.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// Says how many bytes the upload has.
    pub(super) fn set_size(&self, size: u64) {
        self.queued.slot.size.send_replace(Some(size));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let keeps = self.held.take().is_some_and(|held| held.is_some());
        *self.queued.slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if keeps {
            self.queued.kept();
            self.queued.turns.bound();
        }
    }
}

impl Queued {
    fn kept(&mut self) {
        // Another slot than the map's, so that dropping this place does not take it out.
        self.slot = Arc::new(Slot::new());
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut slots = self.turns.lock();
        let is_ours = slots.get(&self.key).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot));
        // The map's and ours: nobody else waits.
        if is_ours && Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::Ipv4Addr;

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::super::Open;
    use super::*;
    use crate::contract::{FileWriter, Result};

    /// A writer that tells when it is dropped.
    struct Writer(#[allow(dead_code, reason = "what counts is how many there are")] Arc<()>);

    #[async_trait]
    impl FileWriter for Writer {
        fn size(&self) -> u64 {
            1
        }
        async fn write(&mut self, _: Bytes) -> Result<()> {
            Ok(())
        }
        async fn close(self: Box<Self>) -> Result<u64> {
            Ok(1)
        }
        async fn commit(self: Box<Self>) -> Result<u64> {
            Ok(1)
        }
        async fn cancel(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    /// Has a client send something to an upload of its own, which is kept then.
    async fn keep(turns: &Arc<Turns>, writers: &Arc<()>, client: Client) -> Key {
        let key: Key = ("a/b".parse().unwrap(), Uuid::new_v4());
        let mut turn = turns.take(&key.0, key.1).wait().await.unwrap();
        turn.set_client(client);
        let writer = Box::new(Writer(Arc::clone(writers)));
        *turn.held() = Some(Held(Open { writer, hasher: None, resumed: false }));
        key
    }

    #[tokio::test]
    async fn whoever_leaves_the_most_uploads_unfinished_loses_the_oldest_of_them() {
        let (turns, writers) = (Arc::new(Turns::default()), Arc::new(()));
        let client = |last| Client::V4(Ipv4Addr::new(127, 0, 0, last));
        let honest = keep(&turns, &writers, client(1)).await;
        let first = keep(&turns, &writers, client(2)).await;
        for _ in 0..2 * MOST_KEPT {
            keep(&turns, &writers, client(2)).await;
        }
        // Ours is none of them.
        assert_eq!(Arc::strong_count(&writers) - 1, MOST_KEPT, "writers that are open");
        assert!(turns.lock().contains_key(&honest), "the only one of its client");
        assert!(!turns.lock().contains_key(&first));
        let mut turn = turns.take(&honest.0, honest.1).wait().await.unwrap();
        assert!(turn.held().is_some());
    }
}
