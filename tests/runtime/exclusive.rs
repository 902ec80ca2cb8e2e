//! Drivers of `exclusive` instances: one at a time, and what it stores outlives each. The component is `log-store`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use serde_json::json;
use wharf::contract::{ErrorKind, Result, StorageDriver, WriteMode};
use wharf::factory::{Factory, Parameters};
use wharf::runtime::{ComponentConfig, DirectoryGrant, DriverState, Grants, Limits, Runtime};
use wharf_conformance::components::component;

use super::support::{new_runtime, path};

async fn open(runtime: &Runtime, directory: &Path, limits: serde_json::Value) -> Result<Arc<dyn StorageDriver>> {
    let data = DirectoryGrant { host: directory.to_owned(), guest: "/data".to_owned(), write: true };
    let config = ComponentConfig {
        component: Some(component("log-store").unwrap()),
        allow: Grants { directories: vec![data], ..Grants::default() },
        limits: serde_json::from_value::<Limits>(limits).unwrap(),
        ..ComponentConfig::default()
    };
    let mut factory = Factory::native();
    factory.register_component(runtime, "log", config).unwrap();
    factory.create("log", Parameters::new().with("directory", "/data")).await
}

/// How often the driver was opened in a directory: each time it begins a file.
fn openings(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

/// Makes an instance reach its limit of memory.
async fn crash(driver: &dyn StorageDriver) {
    let mut writer = driver.writer(&path("/large"), WriteMode::New).await.unwrap();
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..128 {
        if let Err(error) = writer.write(chunk.clone()).await {
            assert!(error.is_death(), "{error}");
            return;
        }
    }
    panic!("128 MiB fit in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exclusive_instance_that_died_is_replaced_by_one_that_finds_everything() {
    let (place, runtime) = (tempfile::tempdir().unwrap(), new_runtime());
    let driver = open(&runtime, place.path(), json!({ "memory": "48MiB" })).await.unwrap();
    let files: Vec<_> = (0..40).map(|index| path(&format!("/d/{index}"))).collect();
    for round in 1..=3_u64 {
        let stored =
            join_all(files.iter().map(|file| driver.put_content(file, Bytes::from(format!("{round} {file}")))));
        stored.await.into_iter().collect::<Result<()>>().unwrap();
        crash(&*driver).await;
        // All at once, and none of them opens an instance beside another's.
        for (file, content) in files.iter().zip(join_all(files.iter().map(|file| driver.get_content(file))).await) {
            assert_eq!(content.unwrap(), format!("{round} {file}"));
        }
        let status = runtime.drivers().remove(0);
        assert_eq!((status.state, status.instances, status.restarts), (DriverState::Serving, 1, round));
        assert_eq!(openings(place.path()) as u64, 1 + round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exclusive_driver_is_open_once_whatever_runtime_opens_it() {
    let (place, runtime, another) = (tempfile::tempdir().unwrap(), new_runtime(), new_runtime());
    let limits = || json!({ "open": "300ms" });
    let driver = open(&runtime, place.path(), limits()).await.unwrap();
    driver.put_content(&path("/file"), Bytes::from_static(b"first")).await.unwrap();
    for second in [&runtime, &another] {
        let error = open(second, place.path(), limits()).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("exclusive"), "{error}");
    }
    assert_eq!(openings(place.path()), 1, "none of them got as far as the directory");

    // What is under way keeps it open, and an opening waits for that a little.
    let reader = driver.reader(&path("/file"), wharf::contract::ByteRange::ALL).await.unwrap();
    drop(driver);
    open(&another, place.path(), limits()).await.unwrap_err();
    let begun = Instant::now();
    let (second, ()) = tokio::join!(open(&another, place.path(), json!({ "open": "20s" })), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(reader);
    });
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(second.unwrap().get_content(&path("/file")).await.unwrap(), "first");
}

#[tokio::test]
async fn an_exclusive_driver_that_does_not_open_is_not_held_to_be_open() {
    let (place, runtime) = (tempfile::tempdir().unwrap(), new_runtime());
    std::fs::write(place.path().join("0000000000.log"), "not a record\n").unwrap();
    let error = open(&runtime, place.path(), json!({})).await.unwrap_err();
    assert!(error.message().contains("0000000000.log is damaged at byte 0"), "{error}");
    std::fs::write(place.path().join("0000000000.log"), "put 2 0 0 /a\nok\nput 9 0 0 /b\ncut").unwrap();
    let driver = open(&runtime, place.path(), json!({})).await.unwrap();
    assert_eq!(driver.get_content(&path("/a")).await.unwrap(), "ok");
    assert!(driver.stat(&path("/b")).await.unwrap_err().is_path_not_found(), "its record is not whole");
}
