//! Where clients are sent: the middlewares over the driver itself. That its own addresses work, `tests/interop` shows with
//! curl.

use wharf::contract::RedirectRequest;
use wharf::factory::Factory;
use wharf::middleware::MiddlewareConfig;

use crate::path;
use crate::support::Bucket;

/// Asks for the address of one file, over the middlewares of a `config.yml`.
async fn address(bucket: &Bucket, root: &str, middlewares: serde_json::Value, client: &str) -> String {
    let configs: Vec<MiddlewareConfig> = serde_json::from_value(middlewares).unwrap();
    let parameters = bucket.parameters(root);
    let driver = Factory::native().create_with_middleware("s3", parameters, &configs).await.unwrap();
    let request = RedirectRequest { method: "GET".to_owned(), client_address: Some(client.to_owned()) };
    driver.redirect_url(&path("/docker/blob"), &request).await.unwrap().unwrap()
}

fn cloudfront(filter: &str) -> serde_json::Value {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/src/middleware/testdata/rsa.pkcs8.pem");
    serde_json::json!([{ "name": "cloudfront", "options": {
        "baseurl": "https://d1.cloudfront.net", "privatekey": key, "keypairid": "K1",
        "ipfilteredby": filter, "iprangesurl": "http://127.0.0.1:9/ip-ranges.json",
    }}])
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudfront_signs_the_drivers_own_keys() {
    let bucket = Bucket::new("RGW").unwrap();
    let url = address(&bucket, "/a/b/", cloudfront("none"), "192.0.2.1").await;
    let key = url.strip_prefix("https://d1.cloudfront.net/").and_then(|rest| rest.split('?').next()).unwrap();
    assert!(key.ends_with("/a/b/docker/blob") && !key.starts_with('/'), "{url}");
    assert!(url.contains("Hash-Algorithm=SHA256") && url.contains("Key-Pair-Id=K1"), "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rewrite_changes_the_host_and_the_path_of_the_drivers_address() {
    let bucket = Bucket::new("RGW").unwrap();
    let plain = address(&bucket, "/r", serde_json::json!([]), "192.0.2.1").await;
    let rewritten = serde_json::json!([{ "name": "rewrite", "options": { "scheme": "https", "host": "cdn.test" } }]);
    let url = address(&bucket, "/r", rewritten, "192.0.2.1").await;
    let path_of =
        |url: &str| url.split("://").nth(1).unwrap().split_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    assert!(url.starts_with("https://cdn.test/") && plain.starts_with(&bucket.endpoint), "{url}");
    assert_eq!(path_of(&url), path_of(&plain));
}
