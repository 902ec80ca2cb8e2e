#![allow(clippy::unwrap_used, reason = "tests")]
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;

use super::*;
use crate::contract::StorageDriver;
use crate::drivers::inmemory::InMemory;

/// What a client sends, with what happens elsewhere before each piece comes.
struct Script(VecDeque<(BoxFuture<'static, ()>, Option<&'static [u8]>)>);

impl Script {
    /// One piece, and something that happens before its end.
    fn with(meanwhile: impl Future<Output = ()> + Send + 'static) -> Self {
        let piece: (BoxFuture<'static, ()>, _) = (Box::pin(async {}), Some(&b"0123456789"[..]));
        Script([piece, (Box::pin(meanwhile), None)].into())
    }
}

#[async_trait]
impl Incoming for Script {
    async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        let Some((before, piece)) = self.0.pop_front() else { return Ok(None) };
        before.await;
        Ok(piece.map(Bytes::from_static))
    }

    fn client(&self) -> Client {
        Client::Unknown
    }

    fn at_most(&self) -> Option<u64> {
        None
    }
}

fn two_processes() -> (Arc<InMemory>, Uploads, Uploads) {
    let driver = Arc::new(InMemory::new());
    let uploads = || Uploads::new(Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>), 0);
    (Arc::clone(&driver), uploads(), uploads())
}

#[tokio::test]
async fn an_upload_that_another_process_deletes_while_bytes_come_is_not_brought_back() {
    let name: RepositoryName = "a/b".parse().unwrap();
    // As far as it came before the bytes were there: all, or what it had listed.
    for whole in [true, false] {
        let (driver, ours, others) = two_processes();
        let id = ours.begin(&name).await.unwrap();
        let (deleting, store, of) = (others.clone(), Arc::clone(&driver), name.clone());
        let script = Script::with(async move {
            match whole {
                true => deleting.cancel(&of, id).await.unwrap(),
                false => store.delete(&layout::upload_started(&of, id)).await.unwrap(),
            }
        });
        let added = ours.append(&name, id, None, script).await;
        assert!(matches!(added, Err(UploadError::Unknown)), "{added:?}");
        let left = driver.stat(&layout::upload(&name, id)).await;
        assert!(left.is_err_and(|error| is_missing(&error)), "something is left of it");
        assert!(matches!(others.size(&name, id).await, Err(UploadError::Unknown)));
    }
}

#[tokio::test]
async fn what_is_left_of_an_upload_without_its_beginning_is_purged_by_when_it_was_written() {
    let (driver, ours, _) = two_processes();
    let name: RepositoryName = "a/b".parse().unwrap();
    let id = ours.begin(&name).await.unwrap();
    ours.append(&name, id, None, Script::with(async {})).await.unwrap();
    driver.delete(&layout::upload_started(&name, id)).await.unwrap();
    let store = Store::new(Arc::clone(&driver) as Arc<dyn StorageDriver>);
    let (earlier, later) = (SystemTime::now() - Duration::from_secs(60), SystemTime::now() + Duration::from_secs(60));
    assert_eq!(store.purge(earlier, false).await.unwrap().uploads, 0);
    assert_eq!(store.purge(later, true).await.unwrap().uploads, 1);
    assert!(driver.stat(&layout::upload(&name, id)).await.is_ok(), "a dry run deletes nothing");
    assert_eq!(store.purge(later, false).await.unwrap().uploads, 1);
    assert!(driver.stat(&layout::upload(&name, id)).await.is_err_and(|error| is_missing(&error)));
}
