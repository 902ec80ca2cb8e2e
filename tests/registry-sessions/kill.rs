//! A registry that is killed again and again under clients that push.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use wharf_conformance::content::{Random, content};
use wharf_conformance::images::{Blob, Image, MANIFEST};
use wharf_conformance::registry_client::{Client, Result};
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure};
use crate::disk_truth;
use crate::ledger::Ledger;
use crate::uploads::{Stubborn, Tally};

const CLIENTS: u64 = 4;

/// A repository into which all push, each a tag of its own.
const SHARED: &str = "kill/shared";

pub(crate) fn session(long: bool) -> Outcome {
    let kills = if long { 400 } else { 30 };
    let store = Store::new(Kind::Filesystem)?;
    let mut registry = RegistryProcess::wharf(&store.configuration(&json!({})))?;
    let outcome = under_kills(&mut registry, &store, kills);
    crate::with_logs(outcome, &[&registry])
}

fn under_kills(registry: &mut RegistryProcess, store: &Store, kills: usize) -> Outcome {
    let address = registry.address();
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let (killed, clients) = std::thread::scope(|scope| {
        let stop = &stop;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| {
                scope.spawn(move || {
                    let mut ledger = Ledger::default();
                    let mut client = Stubborn::new(address, seed);
                    let pushed = pushes(&mut client, &mut ledger, seed, stop);
                    (ledger, client.tally, pushed)
                })
            })
            .collect();
        let mut random = Random::new(kills as u64);
        let mut kill = || -> std::result::Result<(), String> {
            for _ in 0..kills {
                std::thread::sleep(Duration::from_millis(30 + random.below(500) as u64));
                registry.kill();
                registry.restart()?;
            }
            Ok(())
        };
        let killed = kill();
        stop.store(true, Ordering::Relaxed);
        let clients: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        (killed, clients)
    });
    killed?;
    let (mut tally, mut acknowledged) = (Tally::default(), 0);
    let mut ledgers = Vec::new();
    for client in clients {
        let (ledger, of_client, pushed) = client.map_err(|_| "a client panicked")?;
        pushed.map_err(|error| format!("a push failed other than by the kill: {error}"))?;
        tally.add(of_client);
        acknowledged += ledger.len();
        ledgers.push(ledger);
    }
    let seconds = began.elapsed().as_secs();
    let found = disk_truth::check(&store.root()?)?;
    for ledger in &ledgers {
        ledger.check(&mut Client::new(address))?;
    }
    println!(
        "kill: {kills} kills in {seconds} s; {acknowledged} acknowledged and there; {} requests without an answer, {} \
         uploads continued, {} begun anew; {found}",
        tally.lost, tally.continued, tally.anew
    );
    ensure(acknowledged > kills * 2, "so little was pushed that the kills tell nothing")?;
    ensure(tally.lost > kills / 2, "so few requests were hit that the kills tell nothing")?;
    ensure(tally.continued > 0, "no upload was continued")
}

/// Pushes images until it is told to stop.
fn pushes(client: &mut Stubborn, ledger: &mut Ledger, seed: u64, stop: &AtomicBool) -> Result<()> {
    let mut random = Random::new(seed);
    let own = format!("kill/{seed}");
    while !stop.load(Ordering::Relaxed) {
        let (configuration, layer) = (random.below(2000) + 2, random.below(400_000) + 2);
        let configuration = Blob::from(content(random.next(), configuration));
        let image = Image::of("amd64", configuration, vec![Blob::from(content(random.next(), layer))]);
        for (name, tag) in [(&*own, format!("t{}", random.below(3))), (SHARED, format!("of-{seed}"))] {
            for blob in image.blobs() {
                client.push_blob(name, blob)?;
                ledger.blob(name, blob);
            }
            ledger.asks(name, &tag, &image.manifest);
            client.until_answered(|client| client.push_manifest(name, &tag, MANIFEST, &image.manifest))?;
            ledger.tagged(name, &tag, &image.manifest);
        }
    }
    Ok(())
}
