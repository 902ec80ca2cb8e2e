//! Operations of one component run beside one another.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use wharf::contract::StoragePath;

use super::support::{faulty, path};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_operations_that_wait_ten_milliseconds_wait_together() {
    let parameters = json!({ "operation": "stat", "fault": "wait", "wait_ms": 10, "path": "/pattern-1" });
    let driver = faulty(parameters, json!({ "workers": 1 })).await.unwrap();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        for stat in join_all((0..64).map(|_| async { driver.stat(&path("/pattern-1")).await })).await {
            stat.unwrap();
        }
        best = best.min(started.elapsed());
    }
    println!("64 stats that each wait 10 ms: {best:?}");
    // One after the other they take 640 ms; the margin is for a busy machine.
    assert!(best >= Duration::from_millis(10) && best < Duration::from_millis(60), "{best:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spinning_instance_leaves_another_driver_its_turn() {
    let spinning = json!({ "operation": "stat", "fault": "spin" });
    let driver = faulty(spinning, json!({ "operation": "2s" })).await.unwrap();
    let neighbour = faulty(json!({}), json!({})).await.unwrap();
    let spin = tokio::spawn(async move { join_all((0..2).map(|_| driver.stat(root()))).await.len() });
    let started = Instant::now();
    let mut worst = Duration::ZERO;
    while started.elapsed() < Duration::from_secs(1) {
        let began = Instant::now();
        neighbour.stat(root()).await.unwrap();
        worst = worst.max(began.elapsed());
    }
    println!("the worst stat beside a spinning driver: {worst:?}");
    assert!(worst < Duration::from_millis(500), "{worst:?}");
    assert_eq!(spin.await.unwrap(), 2);
}

fn root() -> &'static StoragePath {
    static ROOT: std::sync::LazyLock<StoragePath> = std::sync::LazyLock::new(StoragePath::root);
    &ROOT
}

/// How long a thread of this process has computed, or this one.
#[cfg(target_os = "linux")]
fn computed(thread: &str) -> Duration {
    let told = std::fs::read_to_string(format!("/proc/{thread}/schedstat")).unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_guest_that_computes_leaves_the_thread_that_its_callers_are_on() {
    let spinning = json!({ "operation": "stat", "fault": "spin" });
    let driver = faulty(spinning, json!({ "operation": "1s" })).await.unwrap();
    let before = computed("thread-self");
    driver.stat(root()).await.unwrap_err();
    let took = computed("thread-self") - before;
    println!("a spinning guest took {took:?} of its caller's thread");
    assert!(took < Duration::from_millis(200), "{took:?}");
}
