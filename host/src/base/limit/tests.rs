#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use futures::{FutureExt, TryStreamExt, stream};
use tokio::time::timeout;

use super::*;
use crate::drivers::inmemory::InMemory;

/// Longer than anything here takes, so that a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn limited(operations: usize) -> ConcurrencyLimit {
    ConcurrencyLimit::new(Arc::new(InMemory::new()), NonZeroUsize::new(operations).unwrap())
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it waits for ever")
}

/// A stream in front of permits, as a reader has it.
fn stream_of<T: Send + 'static>(
    permits: &Permits,
    items: impl Stream<Item = Result<T>> + Send + 'static,
) -> Limited<T> {
    Limited::new(items.boxed(), permits, Bound::new("test", "streams", 1).take().unwrap(), 1)
}

#[tokio::test]
async fn a_reader_a_writer_and_a_listing_that_nobody_asks_hold_no_permit() {
    let limited = limited(1);
    let (content, root) = (Bytes::from("content"), StoragePath::root());
    limited.put_content(&path("/d/a"), content.clone()).await.unwrap();
    let mut reader = limited.reader(&path("/d/a"), ByteRange::ALL).await.unwrap();
    let mut writer = soon(limited.writer(&path("/d/b"), WriteMode::New)).await.unwrap();
    let listing = soon(limited.list(&root, None)).await.unwrap();
    let walk = soon(limited.walk(&root, None)).await.unwrap();
    soon(writer.write(content.clone())).await.unwrap();
    soon(limited.stat(&path("/d/a"))).await.unwrap();
    // All of them are still good.
    assert_eq!(soon(reader.next()).await.unwrap().unwrap(), content);
    assert_eq!(soon(writer.commit()).await.unwrap(), 7);
    assert_eq!(soon(listing.try_collect::<Vec<_>>()).await.unwrap().len(), 1);
    assert!(soon(walk.try_collect::<Vec<_>>()).await.unwrap().len() >= 2);
}

#[tokio::test]
async fn copies_within_a_driver_end_with_a_limit_of_one() {
    let limited = limited(1);
    limited.put_content(&path("/from"), Bytes::from("content")).await.unwrap();
    let copies = (0..20).map(|number| {
        let limited = &limited;
        async move {
            let mut reader = limited.reader(&path("/from"), ByteRange::ALL).await.unwrap();
            let mut writer = limited.writer(&path(&format!("/to/{number}")), WriteMode::New).await.unwrap();
            while let Some(chunk) = reader.next().await {
                writer.write(chunk.unwrap()).await.unwrap();
            }
            assert_eq!(writer.commit().await.unwrap(), 7);
        }
    });
    soon(futures::future::join_all(copies)).await;
}

#[tokio::test]
async fn a_step_that_nobody_comes_back_for_ends_and_frees_its_permit() {
    let permits = Permits::new("test", 1);
    let (brings, item) = oneshot::channel::<u8>();
    let mut slow = stream_of(&permits, stream::once(async { Ok(item.await.unwrap()) }));
    assert!(slow.next().now_or_never().is_none());
    assert!(permits.at_once().is_none(), "a step under way has no permit");
    brings.send(7).unwrap();
    // Nobody polls the stream meanwhile.
    drop(soon(permits.wait()).await.unwrap());
    assert_eq!(soon(slow.next()).await.unwrap().unwrap(), 7);
    assert!(soon(slow.next()).await.is_none());
}

#[tokio::test]
async fn a_stream_at_the_head_of_the_queue_that_nobody_polls_lets_the_others_pass() {
    let permits = Permits::new("test", 1);
    let held = permits.at_once().unwrap();
    let mut first = stream_of(&permits, stream::iter([Ok(1_u8), Ok(2)]));
    assert!(first.next().now_or_never().is_none());
    tokio::task::yield_now().await;
    let second = permits.wait();
    drop(held);
    drop(soon(second).await.unwrap());
    assert_eq!(soon(first.try_collect::<Vec<_>>()).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_stream_that_is_dropped_within_a_step_frees_its_permit_and_its_place() {
    let permits = Permits::new("test", 1);
    let mut stuck = stream_of(&permits, stream::pending::<Result<u8>>());
    assert!(stuck.next().now_or_never().is_none());
    let mut queued = stream_of(&permits, stream::pending::<Result<u8>>());
    assert!(queued.next().now_or_never().is_none());
    tokio::task::yield_now().await;
    drop(queued);
    drop(stuck);
    drop(soon(permits.wait()).await.unwrap());
}

#[tokio::test]
#[cfg(feature = "filesystem")]
async fn work_in_the_background_keeps_its_permit_until_it_is_done() {
    use super::super::permit::spawn_blocking;
    let permits = Permits::new("test", 1);
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let begins = async {
        // Dropped at once: it goes on all the same.
        drop(spawn_blocking(move || end.recv()));
        Ok(())
    };
    permits.run(begins).await.unwrap();
    assert!(timeout(Duration::from_millis(50), permits.wait()).await.is_err(), "the work has lost its permit");
    ends.send(()).unwrap();
    drop(soon(permits.wait()).await.unwrap());
    // Work that belongs to no step has none.
    spawn_blocking(|| ()).await.unwrap();
}

#[tokio::test]
#[cfg(feature = "filesystem")]
async fn a_stream_whose_step_goes_on_in_the_background_needs_no_task_and_keeps_its_permit() {
    use super::super::permit::spawn_blocking;
    let permits = Permits::new("test", 1);
    let (ends, end) = std::sync::mpsc::channel::<u8>();
    let step = async move { Ok(spawn_blocking(move || end.recv().unwrap()).await.unwrap()) };
    let mut reading = stream_of(&permits, stream::once(step));
    assert!(reading.next().now_or_never().is_none());
    assert!(matches!(reading.state, State::Idle(_)) && permits.at_once().is_none());
    ends.send(3).unwrap();
    drop(soon(permits.wait()).await.unwrap());
    assert_eq!(soon(reading.next()).await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn no_more_steps_run_at_a_time_than_there_are_permits() {
    let permits = Permits::new("test", 3);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let streams = (0..20).map(|_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        let steps = stream::iter(0..5_u8).then(move |item| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(item)
            }
        });
        stream_of(&permits, steps).try_collect::<Vec<_>>()
    });
    for read in soon(futures::future::join_all(streams)).await {
        assert_eq!(read.unwrap(), [0, 1, 2, 3, 4]);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn whoever_comes_first_is_served_first() {
    let permits = Permits::new("test", 1);
    let held = permits.at_once().unwrap();
    let served = std::sync::Mutex::new(Vec::new());
    let waiting = (0..5).map(|number| {
        let (permits, served) = (&permits, &served);
        async move {
            let _permit = permits.wait().await.unwrap();
            served.lock().unwrap().push(number);
            tokio::task::yield_now().await;
        }
    });
    let frees = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    soon(futures::future::join(futures::future::join_all(waiting), frees)).await;
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_stream_beyond_the_bound_is_refused_by_name_and_one_that_ends_makes_room() {
    let limited = limited(1).with_open_streams(NonZeroUsize::new(2).unwrap());
    limited.put_content(&path("/a"), Bytes::from("content")).await.unwrap();
    let mut reader = limited.reader(&path("/a"), ByteRange::ALL).await.unwrap();
    let writer = limited.writer(&path("/b"), WriteMode::New).await.unwrap();
    let root = StoragePath::root();
    let refused = ErrorKind::LimitExceeded { limit: "open-streams" };
    assert_eq!(limited.reader(&path("/a"), ByteRange::ALL).await.unwrap_err().kind(), &refused);
    assert_eq!(limited.writer(&path("/c"), WriteMode::New).await.err().unwrap().kind(), &refused);
    assert_eq!(limited.list(&root, None).await.err().unwrap().kind(), &refused);
    // What needs no stream goes on.
    limited.stat(&path("/a")).await.unwrap();
    // One that has ended counts no more, even if it is kept.
    while reader.next().await.is_some() {}
    drop(limited.list(&root, None).await.unwrap());
    writer.cancel().await.unwrap();
    let _two = (limited.list(&root, None).await.unwrap(), limited.walk(&root, None).await.unwrap());
}

#[tokio::test]
async fn a_queue_that_does_not_move_is_told_of() {
    let permits = Permits::new("a-blocked-driver", 1);
    let of = || {
        let mut all = super::super::capacity::capacities().into_iter();
        all.rfind(|capacity| capacity.owner == "a-blocked-driver").unwrap()
    };
    let held = permits.at_once().unwrap();
    assert_eq!((of().used, of().waiting, of().exhausted_for), (1, 0, None), "in use is not exhausted");
    let mut waits = Box::pin(permits.wait());
    assert!((&mut waits).now_or_never().is_none());
    assert!(of().waiting == 1 && of().exhausted_for.is_some());
    drop(waits);
    assert_eq!((of().waiting, of().refused, of().exhausted_for), (0, 1, None));
    drop(held);
    assert_eq!(of().used, 0);
}
