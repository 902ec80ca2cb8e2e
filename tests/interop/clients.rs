//! Addresses that the driver signed, in the hands of a client without keys.

use std::time::Duration;

use bytes::Bytes;
use wharf::contract::{RedirectRequest, StorageDriver, StoragePath};

use crate::Promise;
use crate::bench::{Bench, Kind};
use crate::check::{Outcome, ensure, same};
use crate::content::{MIB, content};
use crate::curl::Request;
use crate::image::Image;
use crate::layout;
use crate::table::Direction;

pub(crate) fn promises() -> Vec<Promise> {
    const KINDS: &[Kind] = &[Kind::S3, Kind::S3Below];
    let direction = Direction::OursToClients;
    vec![
        Promise::new(direction, "an_address_for_get_gives_the_file_and_its_ranges", KINDS, |bench| {
            Box::pin(get_and_ranges(bench))
        }),
        Promise::new(direction, "an_address_is_for_one_method_one_file_and_one_host", KINDS, |bench| {
            Box::pin(bound(bench))
        }),
        Promise::new(direction, "an_address_expires_after_redirectexpiry", &[Kind::S3], |bench| {
            Box::pin(expires(bench))
        }),
        Promise::new(direction, "an_address_has_the_host_of_redirectendpoint", KINDS, |bench| {
            Box::pin(other_endpoint(bench))
        }),
        Promise::new(direction, "what_the_registry_pushed_has_an_address_here", &[Kind::S3], |bench| {
            Box::pin(pushed_there(bench))
        }),
    ]
}

async fn address(driver: &dyn StorageDriver, path: &StoragePath, method: &str) -> Outcome<String> {
    let request = RedirectRequest { method: method.to_owned(), client_address: None };
    let address = driver.redirect_url(path, &request).await?;
    Ok(address.ok_or_else(|| format!("no address for {method} of {path}"))?)
}

/// Stores a file and returns its content. With characters that an address has to escape or must not.
async fn store(bench: &Bench) -> Outcome<(StoragePath, Bytes)> {
    let path = layout::path("/docker/a-b_c.d/file")?;
    let bytes = content(100, MIB + 3);
    bench.driver.put_content(&path, bytes.clone()).await?;
    Ok((path, bytes))
}

async fn get_and_ranges(bench: &Bench) -> Outcome<String> {
    let (path, bytes) = store(bench).await?;
    let address = address(&*bench.driver, &path, "GET").await?;
    let reply = Request::get(&*address).expect(200)?;
    ensure(reply.body == bytes, "the address gives other bytes")?;
    same("Content-Length", reply.header("Content-Length")?, &*bytes.len().to_string())?;
    let ranges = [("bytes=100-199", 100..200), ("bytes=1048570-", 1_048_570..MIB + 3), ("bytes=-7", MIB - 4..MIB + 3)];
    for (header, range) in ranges {
        let reply = Request::get(&*address).header(&format!("Range: {header}")).expect(206)?;
        ensure(reply.body == bytes[range], format_args!("{header} gives other bytes"))?;
    }
    Ok("200 and three 206".to_owned())
}

async fn bound(bench: &Bench) -> Outcome<String> {
    let (path, bytes) = store(bench).await?;
    let get = address(&*bench.driver, &path, "GET").await?;
    let head = address(&*bench.driver, &path, "HEAD").await?;
    let reply = Request::new("HEAD", &*head).expect(200)?;
    same("Content-Length", reply.header("Content-Length")?, &*bytes.len().to_string())?;
    Request::get(&*head).expect(403)?;
    Request::new("HEAD", &*get).expect(403)?;
    Request::new("DELETE", &*get).expect(403)?;
    Request::new("PUT", &*get).body("application/octet-stream", Bytes::from_static(b"other")).expect(403)?;

    let other = path.parent().ok_or("no parent")?.join("other")?;
    bench.driver.put_content(&other, Bytes::from_static(b"other")).await?;
    Request::get(get.replacen("/file?", "/other?", 1)).expect(403)?;
    Request::get(get.replacen("127.0.0.1", "localhost", 1)).expect(403)?;
    Request::get(get.replacen("X-Amz-Expires=1200", "X-Amz-Expires=1201", 1)).expect(403)?;
    ensure(get.contains("X-Amz-Expires=1200"), "an address is not valid for Distribution's 20 minutes")?;

    for method in ["PUT", "DELETE", "PATCH"] {
        let request = RedirectRequest { method: method.to_owned(), client_address: None };
        same(method, bench.driver.redirect_url(&path, &request).await?, None)?;
    }
    // Unchanged, it is good still.
    ensure(Request::get(get).expect(200)?.body == bytes, "the address gives other bytes")?;
    Ok("seven times 403".to_owned())
}

async fn expires(bench: &Bench) -> Outcome<String> {
    let (path, bytes) = store(bench).await?;
    let driver = bench.open_with(&[("redirectexpiry", "1s")]).await?;
    let old = address(&*driver, &path, "GET").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    Request::get(old).expect(403)?;
    // A second is short on a busy machine, and signatures count whole ones: in time once in a few attempts.
    for _ in 0..5 {
        let reply = Request::get(address(&*driver, &path, "GET").await?).send()?;
        if reply.status == 200 {
            ensure(reply.body == bytes, "the address gives other bytes")?;
            return Ok("200 at once, 403 after 3 s".to_owned());
        }
    }
    Err("no address was good at once".into())
}

async fn other_endpoint(bench: &Bench) -> Outcome<String> {
    let (path, bytes) = store(bench).await?;
    let endpoint = bench.endpoint()?.replacen("127.0.0.1", "localhost", 1);
    ensure(endpoint != bench.endpoint()?, "the server's address has no other name here: it is not 127.0.0.1")?;
    let driver = bench.open_with(&[("redirectendpoint", &endpoint)]).await?;
    for method in ["GET", "HEAD"] {
        let address = address(&*driver, &path, method).await?;
        ensure(address.starts_with(&format!("{endpoint}/")), format_args!("{address} is not at {endpoint}"))?;
        let reply = Request::new(method, address).expect(200)?;
        ensure(method == "HEAD" || reply.body == bytes, "the address gives other bytes")?;
    }
    // The driver itself does not go there.
    let elsewhere = bench.open_with(&[("redirectendpoint", "https://registry.invalid")]).await?;
    let address = address(&*elsewhere, &path, "GET").await?;
    ensure(address.starts_with("https://registry.invalid/"), format_args!("{address} has another host"))?;
    ensure(elsewhere.get_content(&path).await? == bytes, "the driver reads other bytes")?;
    Ok("another name of the server".to_owned())
}

async fn pushed_there(bench: &Bench) -> Outcome<String> {
    let image = Image::new("team/app", &["v1"], 101, &[12 * MIB]);
    bench.client.push(&image)?;
    for blob in image.blobs() {
        let path = layout::path(layout::blob(&blob.digest))?;
        let reply = Request::get(address(&*bench.driver, &path, "GET").await?).expect(200)?;
        ensure(reply.body == blob.bytes, format_args!("{} is another at its address", blob.digest))?;
    }
    Ok(format!("{} blobs", image.blobs().count()))
}
