//! Many large pushes at once, then as many pulls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use wharf_conformance::content::{content, named};
use wharf_conformance::http1::Connection;
use wharf_conformance::images::Blob;
use wharf_conformance::registry_client::Client;
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure, same};

const COUNT: usize = 64;
const MIB: u64 = 1 << 20;

/// How much the peak may lie above the idle size, in MiB: for each of them a buffer of a MiB, and as much again for what
/// the connections hold and for the allocator.
const LIMIT: u64 = 2 * COUNT as u64 + 64;

pub(crate) fn session(long: bool) -> Outcome {
    let size = if long { 256 << 20 } else { 64 << 20 };
    let store = Store::new(Kind::Filesystem)?;
    let registry = RegistryProcess::wharf(&store.configuration(&json!({})))?;
    crate::with_logs(pushes_and_pulls(&registry, size), &[&registry])
}

fn pushes_and_pulls(registry: &RegistryProcess, size: usize) -> Outcome {
    let process = registry.process()?;
    Client::new(registry.address()).push_blob("memory/small", &Blob::from(content(1, 1000)))?;
    let idle = process.usage()?.resident / MIB;
    // The blobs share their bytes but for the last, which costs this process no memory.
    let body = content(2, size);
    let peak = |what: &str, work: &(dyn Fn(u64) -> Outcome + Sync)| -> Outcome {
        process.reset_peak()?;
        let began = Instant::now();
        at_once(work)?;
        let seconds = began.elapsed().as_secs_f64();
        let above = (process.usage()?.peak / MIB).saturating_sub(idle);
        let rate = (COUNT * size) as f64 / MIB as f64 / seconds;
        println!("memory: {COUNT} {what} of {} MiB at once: {above} MiB above {idle}, {rate:.0} MiB/s", size >> 20);
        ensure(above <= LIMIT, format_args!("{what} took {above} MiB, more than {LIMIT}, above the idle {idle} MiB"))
    };
    let address = registry.address();
    peak("pushes", &|number| push(address, &body, number))?;
    peak("pulls", &|number| pull(address, &body, number))
}

fn at_once(work: &(dyn Fn(u64) -> Outcome + Sync)) -> Outcome {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..COUNT as u64).map(|number| scope.spawn(move || work(number))).collect();
        let ends = clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into())));
        // All of them end before the first failure is told.
        ends.collect::<Vec<Outcome>>().into_iter().collect()
    })
}

fn digest(body: &Bytes, number: u64) -> String {
    named(Sha256::new_with_prefix(body).chain_update(number.to_be_bytes()).finalize())
}

fn push(address: SocketAddr, body: &Bytes, number: u64) -> Outcome {
    let upload = Client::new(address).begin("memory/app")?;
    let separator = if upload.location.contains('?') { '&' } else { '?' };
    let target = format!("{}{separator}digest={}", upload.location, digest(body, number));
    // A turn may be long in coming.
    let mut connection = Connection::open(address, Duration::from_secs(300))?;
    connection.begin("PUT", &target, &[("Content-Type", "application/octet-stream")], Some(body.len() as u64 + 8))?;
    let sent = connection.send(body).and_then(|()| connection.send(&number.to_be_bytes()));
    let answer = connection.answer_after(sent, "PUT")?;
    same("the status of a push", answer.status, 201)
}

fn pull(address: SocketAddr, body: &Bytes, number: u64) -> Outcome {
    let promised = digest(body, number);
    let mut connection = Connection::open(address, Duration::from_secs(300))?;
    connection.begin("GET", &format!("/v2/memory/app/blobs/{promised}"), &[], None)?;
    let mut hash = Sha256::new();
    let answer = connection.answer_into("GET", &mut |bytes| hash.update(bytes))?;
    same("the status of a pull", answer.status, 200)?;
    same("a blob that was pulled", named(hash.finalize()), promised)
}
