//! What the s3 driver does that no other driver has to: how many requests it sends, what it makes of lost answers, and what
//! it leaves in the bucket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod budget;
mod checksums;
mod redirects;
mod session;
mod support;
mod uploads;

use support::Bucket;
use wharf::contract::StoragePath;
use wharf_conformance::proxy::Proxy;

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// A bucket on RGW behind a proxy that watches.
fn watched() -> (Bucket, Proxy) {
    let bucket = Bucket::new("RGW").unwrap();
    let proxy = Proxy::start(&bucket.endpoint).unwrap();
    (bucket.through(&proxy.url()), proxy)
}
