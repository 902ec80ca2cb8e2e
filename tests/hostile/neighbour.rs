//! A well-behaved driver beside the attack: 64 callers that ask it for one file's size, over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;
use wharf::contract::StorageDriver;

use crate::attack::path;

const CALLERS: usize = 64;

/// How the neighbour fared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fared {
    /// The median of the times that answers took.
    pub(crate) p50: Duration,
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
    fared(callers, begun.elapsed()).await
}

/// Waits for callers that were told to stop after so long, and puts together how they fared.
pub(crate) async fn fared(callers: Vec<JoinHandle<(Vec<u32>, u64)>>, took: Duration) -> Fared {
    let (mut times, mut lost) = (Vec::new(), 0);
    for caller in callers {
        let (some, wrong) = caller.await.unwrap();
        times.extend(some);
        lost += wrong;
    }
    let rate = times.len() as f64 / took.as_secs_f64();
    times.sort_unstable();
    let at = |hundredths: usize| {
        let micros = times.get((times.len() * hundredths / 100).min(times.len().saturating_sub(1)));
        micros.map_or(Duration::MAX, |micros| Duration::from_micros(u64::from(*micros)))
    };
    Fared { p50: at(50), p99: at(99), rate, lost }
}

/// Stores what the callers ask for.
pub(crate) async fn prepare(driver: &Arc<dyn StorageDriver>) {
    driver.put_content(&path("/neighbour"), Bytes::from_static(b"hello")).await.unwrap();
}
