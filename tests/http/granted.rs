//! What a granted host is good for: bodies in both directions, which pass the component by.

use bytes::Bytes;
use serde_json::json;
use wharf::contract::{ByteRange, ErrorKind, WriteMode};

use super::server::{Server, byte};
use super::support::{new_runtime, open, open_in, path, read};

#[tokio::test]
async fn a_granted_host_is_reached_and_its_answers_come_through() {
    let server = Server::plain().await;
    let driver = open(json!({ "allow": { "http": [server.address.to_string()] } }), json!({ "url": server.url() }));
    let driver = driver.await.unwrap();
    assert_eq!(driver.get_content(&path("/bytes-1000")).await.unwrap().len(), 1000);
    assert_eq!(driver.stat(&path("/bytes-123456")).await.unwrap().size, 123_456);
    assert!(driver.stat(&path("/missing")).await.unwrap_err().is_path_not_found());
    driver.put_content(&path("/a"), Bytes::from_static(b"x")).await.unwrap();
}

#[tokio::test]
async fn a_download_and_an_upload_pass_the_component_by() {
    const SIZE: usize = 5_000_000;
    let (runtime, server) = (new_runtime(), Server::plain().await);
    let config = json!({ "allow": { "http": [server.address.to_string()] } });
    let driver = open_in(&runtime, config, json!({ "url": server.url() })).await.unwrap();

    let content = read(&*driver, &format!("/bytes-{SIZE}")).await.unwrap();
    assert!(content.iter().enumerate().all(|(at, found)| *found == byte(at as u64)) && content.len() == SIZE);
    let mut writer = driver.writer(&path("/up"), WriteMode::New).await.unwrap();
    for chunk in content.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(writer.commit().await.unwrap(), SIZE as u64);

    let counters = runtime.counters();
    // What the server answers to the upload is read by the component: a number.
    assert!(counters.copied() < 100, "{} bytes were copied", counters.copied());
    assert_eq!(counters.passed_through(), 2 * SIZE as u64);
}

#[tokio::test]
async fn a_range_of_a_download_passes_through_too() {
    let server = Server::plain().await;
    let config = json!({ "allow": { "http": [server.address.to_string()] } });
    let driver = open(config, json!({ "url": server.url() })).await.unwrap();
    let range = ByteRange { offset: 1000, length: Some(300_000) };
    let reader = driver.reader(&path("/bytes-1000000"), range).await.unwrap();
    let chunks: Vec<Bytes> = futures::TryStreamExt::try_collect(reader).await.unwrap();
    let content = chunks.concat();
    assert!(content.iter().enumerate().all(|(at, found)| *found == byte(at as u64 + 1000)));
    assert_eq!(content.len(), 300_000);
}

#[tokio::test]
async fn a_response_that_is_cut_short_is_an_error_and_never_a_short_file() {
    let server = Server::plain().await;
    let config = json!({ "allow": { "http": [server.address.to_string()] } });
    let driver = open(config, json!({ "url": server.url() })).await.unwrap();
    let (got, error) = read(&*driver, "/cut").await.unwrap_err();
    assert!(got <= 500_000);
    assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error}");
    assert_eq!(driver.get_content(&path("/bytes-5")).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_server_that_sends_nothing_more_ends_the_download_and_not_the_instance() {
    let server = Server::plain().await;
    let config = json!({
        "allow": { "http": [server.address.to_string()] }, "limits": { "stream_idle": "300ms", "deaths": 1 }
    });
    let driver = open(config, json!({ "url": server.url() })).await.unwrap();
    let (got, error) = read(&*driver, "/slow").await.unwrap_err();
    assert_eq!(got, 500_000);
    assert_eq!(error.kind(), &ErrorKind::LimitExceeded { limit: "stream_idle" }, "{error}");
    // One death would be quarantine.
    assert_eq!(driver.get_content(&path("/bytes-5")).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_redirect_is_told_and_followed_only_by_the_component() {
    let (server, other) = (Server::plain().await, Server::plain().await);
    let url = format!("{}?to=http://{}/bytes-5", server.url().trim_end_matches('/'), other.address);
    let both = json!({ "allow": { "http": [server.address.to_string(), other.address.to_string()] } });
    let driver = open(both.clone(), json!({ "url": url })).await.unwrap();
    let error = driver.get_content(&path("/x")).await.unwrap_err();
    assert!(error.message().contains("302"), "{error}");
    assert_eq!(other.connections(), 0);
    let driver = open(both, json!({ "url": url, "follow": true })).await.unwrap();
    assert_eq!(driver.get_content(&path("/x")).await.unwrap().len(), 5);
}
