//! How a driver is, and how it comes back: what an operator sees, and what is left of callers who went away.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use wharf::contract::{ErrorKind, StorageDriver};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, DriverState, Limits, Runtime, RuntimeConfig};
use wharf_conformance::components::component;

use super::support::{cache, faulty_in, new_runtime, path};

/// Waits for something that happens in the background.
async fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_driver_in_quarantine_is_shown_with_its_reason_and_an_operator_can_end_it() {
    let runtime = new_runtime();
    let trapping = json!({ "operation": "stat", "fault": "trap", "path": "/trap" });
    let driver = faulty_in(&runtime, trapping, json!({ "deaths": 2, "workers": 1 })).await.unwrap();
    assert_eq!(runtime.drivers()[0].state, DriverState::Serving);
    for _ in 0..2 {
        driver.stat(&path("/trap")).await.unwrap_err();
    }
    let error = driver.stat(&path("/pattern-5")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Quarantined, "{error}");

    let status = runtime.drivers().remove(0);
    assert!(matches!(status.state, DriverState::Quarantined { seconds_left: 50..=61 }), "{status:?}");
    assert_eq!((status.name.as_str(), status.instances, status.deaths), ("faulty", 0, 2));
    assert!(status.last_death.unwrap().contains("trapped"));
    let json = serde_json::to_value(status.state).unwrap();
    assert_eq!(json["is"], "quarantined");

    assert_eq!(runtime.end_quarantine("another"), 0);
    assert_eq!(runtime.end_quarantine("faulty"), 1);
    assert_eq!(driver.stat(&path("/pattern-5")).await.unwrap().size, 5);
    assert_eq!(runtime.drivers()[0].state, DriverState::Serving);
}

#[tokio::test]
async fn a_crash_is_counted_before_anybody_calls_again_and_what_takes_its_place_too() {
    let runtime = new_runtime();
    let trapping = json!({ "operation": "stat", "fault": "trap", "path": "/trap" });
    let driver = faulty_in(&runtime, trapping, json!({ "workers": 1 })).await.unwrap();
    let counted = || (runtime.drivers()[0].crashes, runtime.drivers()[0].restarts);
    assert_eq!(counted(), (0, 0));
    driver.stat(&path("/trap")).await.unwrap_err();
    assert_eq!(counted(), (1, 0));
    driver.stat(&path("/pattern-5")).await.unwrap();
    assert_eq!(counted(), (1, 1));
}

#[tokio::test]
async fn a_driver_in_quarantine_costs_its_neighbour_nothing() {
    let runtime = new_runtime();
    let trapping = json!({ "operation": "stat", "fault": "trap", "path": "/trap" });
    let limits = json!({ "deaths": 1, "workers": 1 });
    let bad = faulty_in(&runtime, trapping.clone(), limits.clone()).await.unwrap();
    let neighbour = faulty_in(&runtime, trapping, limits).await.unwrap();
    bad.stat(&path("/trap")).await.unwrap_err();
    assert_eq!(bad.stat(&path("/pattern-5")).await.unwrap_err().kind(), &ErrorKind::Quarantined);
    assert_eq!(neighbour.stat(&path("/pattern-5")).await.unwrap().size, 5);
    let states: Vec<_> = runtime.drivers().into_iter().map(|driver| driver.state).collect();
    assert!(matches!(states[..], [DriverState::Quarantined { .. }, DriverState::Serving]), "{states:?}");
}

#[tokio::test]
async fn the_only_instance_of_a_driver_is_lost_with_what_it_stored_and_says_so_until_it_is_opened_again() {
    let runtime = new_runtime();
    let limits: Limits = serde_json::from_value(json!({ "memory": "48MiB" })).unwrap();
    let config = ComponentConfig { component: Some(component("inmemory").unwrap()), limits, ..Default::default() };
    let mut factory = Factory::new();
    factory.register_component(&runtime, "memory", config).unwrap();
    let driver = factory.create("memory", Parameters::new()).await.unwrap();
    let content = Bytes::from(vec![1; 16 << 20]);
    let error = async {
        for number in 0..8 {
            driver.put_content(&path(&format!("/{number}")), content.clone()).await?;
        }
        Ok::<_, wharf::contract::Error>(())
    };
    let error = error.await.unwrap_err();
    assert_eq!((error.kind(), error.limit()), (&ErrorKind::OutcomeUnknown, Some("memory")), "{error}");
    let error = driver.stat(&path("/0")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert!(error.message().contains("what it stored is lost"), "{error}");
    assert_eq!(runtime.drivers()[0].state, DriverState::Lost);
    assert_eq!(runtime.end_quarantine("memory"), 0, "what is lost is in no quarantine");
    let again = factory.create("memory", Parameters::new()).await.unwrap();
    assert!(again.stat(&path("/0")).await.unwrap_err().is_path_not_found());
}

#[tokio::test]
async fn an_instance_is_added_once_a_driver_has_more_than_one_call_at_a_time() {
    let runtime = new_runtime();
    let waiting = json!({ "operation": "stat", "fault": "wait", "wait_ms": 200 });
    let driver = faulty_in(&runtime, waiting, json!({ "workers": 3 })).await.unwrap();
    assert_eq!(runtime.drivers()[0].instances, 1);
    for _ in 0..4 {
        let calls = (0..8).map(|_| {
            let driver = Arc::clone(&driver);
            async move { driver.stat(&path("/pattern-5")).await }
        });
        futures::future::try_join_all(calls).await.unwrap();
    }
    soon("three instances", || runtime.drivers()[0].instances == 3).await;
}

#[tokio::test]
async fn one_driver_takes_no_more_than_its_share_of_the_processs_instances() {
    let instances = NonZeroU32::new(16).unwrap();
    let runtime = Runtime::new(RuntimeConfig { cache: Some(cache()), instances, ..RuntimeConfig::default() }).unwrap();
    let driver = faulty_in(&runtime, json!({}), json!({ "workers": 8 })).await.unwrap();
    let begun = Instant::now();
    let mut most = 0;
    // Once it has as many as it gets, it is watched for a while.
    while begun.elapsed() < Duration::from_secs(if most < 4 { 10 } else { 1 }) {
        let calls = (0..16).map(|_| {
            let driver = Arc::clone(&driver);
            async move { driver.stat(&path("/pattern-5")).await }
        });
        futures::future::try_join_all(calls).await.unwrap();
        most = most.max(runtime.drivers()[0].instances);
    }
    assert_eq!(most, 4, "a quarter");
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_instance_that_runs_for_ever() {
    for fault in ["spin", "never"] {
        let runtime = new_runtime();
        let parameters = json!({ "operation": "stat", "fault": fault, "path": "/stuck" });
        let driver = faulty_in(&runtime, parameters, json!({ "operation": "400ms" })).await.unwrap();
        let stuck = path("/stuck");
        let gone = tokio::time::timeout(Duration::from_millis(50), driver.stat(&stuck)).await;
        assert!(gone.is_err());
        drop(driver);
        soon("the end of the instance", || runtime.instances() == 0).await;
        assert_eq!(runtime.drivers(), []);
    }
}

#[tokio::test]
async fn an_opener_who_goes_away_leaves_no_instance() {
    for fault in ["spin", "never"] {
        let runtime = new_runtime();
        let opening = faulty_in(&runtime, json!({ "operation": "open", "fault": fault }), json!({ "open": "1h" }));
        assert!(tokio::time::timeout(Duration::from_millis(500), opening).await.is_err());
        soon("the end of the instance", || runtime.instances() == 0).await;
    }
}

#[tokio::test]
async fn instances_beyond_the_processs_limit_are_refused_by_name_until_one_is_closed() {
    let instances = NonZeroU32::new(2).unwrap();
    let runtime = Runtime::new(RuntimeConfig { cache: Some(cache()), instances, ..RuntimeConfig::default() }).unwrap();
    // Loading takes an instance for a moment too.
    let open = || faulty_in(&runtime, json!({}), json!({ "workers": 1 }));
    let first = open().await.unwrap();
    let second: Arc<dyn StorageDriver> = open().await.unwrap();
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::LimitExceeded { limit: "instances" }, "{error}");
    drop(second);
    soon("room", || runtime.instances() == 1).await;
    open().await.unwrap();
    assert_eq!(first.stat(&path("/pattern-5")).await.unwrap().size, 5);
}
