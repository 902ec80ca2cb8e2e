//! A well-behaved driver beside the attack: 64 callers that ask it for one file's size, over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wharf::contract::StorageDriver;

use crate::attack::path;

const CALLERS: usize = 64;

/// How the neighbour fared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fared {
    /// The time that 99 of 100 answers took at most.
    pub(crate) p99: Duration,
    /// Answers in a second.
    pub(crate) rate: f64,
    /// Answers that were errors, or wrong.
    pub(crate) lost: u64,
}

/// Runs the callers for a while.
pub(crate) async fn measure(driver: &Arc<dyn StorageDriver>, time: Duration) -> Fared {
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (driver, stop) = (Arc::clone(driver), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut times, mut lost) = (Vec::new(), 0);
                let file = path("/neighbour");
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let good = driver.stat(&file).await.is_ok_and(|info| info.size == 5);
                    times.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
                    lost += u64::from(!good);
                }
                (times, lost)
            })
        })
        .collect();
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let took = begun.elapsed();
    let (mut times, mut lost) = (Vec::new(), 0);
    for caller in callers {
        let (some, wrong) = caller.await.unwrap();
        times.extend(some);
        lost += wrong;
    }
    let rate = times.len() as f64 / took.as_secs_f64();
    let at = (times.len() * 99 / 100).min(times.len() - 1);
    let (_, p99, _) = times.select_nth_unstable(at);
    Fared { p99: Duration::from_micros(u64::from(*p99)), rate, lost }
}

/// Stores what the callers ask for.
pub(crate) async fn prepare(driver: &Arc<dyn StorageDriver>) {
    driver.put_content(&path("/neighbour"), Bytes::from_static(b"hello")).await.unwrap();
}
