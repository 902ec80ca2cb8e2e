//! Two registries on one store, as behind a balancer that sends every request anywhere.

use std::time::{Duration, Instant};

use serde_json::json;
use wharf_conformance::content::{Random, content};
use wharf_conformance::images::{Blob, Image, MANIFEST};
use wharf_conformance::registry_client::{Client, ClientError};
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure};
use crate::disk_truth;

const CLIENTS: u64 = 4;

pub(crate) struct Two {
    pub(crate) store: Store,
    pub(crate) registries: [RegistryProcess; 2],
}

impl Two {
    pub(crate) fn start() -> Outcome<Self> {
        let store = Store::new(Kind::Filesystem)?;
        let configuration = store.configuration(&json!({}));
        let registries = [RegistryProcess::wharf(&configuration)?, RegistryProcess::wharf(&configuration)?];
        Ok(Two { store, registries })
    }

    pub(crate) fn clients(&self) -> [Client; 2] {
        [Client::new(self.registries[0].address()), Client::new(self.registries[1].address())]
    }

    /// Runs that many clients at once, each with its number, and then looks at the store.
    pub(crate) fn run<T: Send>(&self, count: u64, work: impl Fn(u64) -> Outcome<T> + Sync) -> Outcome<Vec<T>> {
        let work = &work;
        let outcomes: Vec<Outcome<T>> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..count).map(|number| scope.spawn(move || work(number))).collect();
            clients
                .into_iter()
                .map(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into())))
                .collect()
        });
        let mut all = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(one) => all.push(one),
                Err(failed) => {
                    let [first, second] = &self.registries;
                    crate::with_logs(Err(failed), &[first, second])?;
                }
            }
        }
        Ok(all)
    }
}

pub(crate) fn uploads(long: bool) -> Outcome {
    let rounds = if long { 200 } else { 20 };
    let two = Two::start()?;
    let requests = two.run(CLIENTS, |number| {
        let (mut clients, mut random, mut requests) = (two.clients(), Random::new(number), 0);
        for _ in 0..rounds {
            let length = 2 + random.below(1 << 20);
            let blob = Blob::from(content(random.next(), length));
            let mut upload = clients[random.below(2)].begin("two/uploads")?;
            let mut sent = 0;
            while random.below(5) > 0 {
                let length = (2 + random.below(200_000)).min(blob.bytes.len() - sent);
                upload = clients[random.below(2)].patch(&upload, sent, &blob.bytes[sent..sent + length])?;
                sent += length;
                requests += 1;
            }
            clients[random.below(2)].finish(&upload, &blob.bytes[sent..], &blob.digest)?;
            clients[random.below(2)].pull_blob("two/uploads", &blob.digest)?;
        }
        Ok(requests)
    })?;
    let found = disk_truth::check(&two.store.root()?)?;
    println!("two: {} chunks at either of two servers; {found}", requests.iter().sum::<usize>());
    Ok(())
}

/// A push of a tag that was acknowledged.
struct Pushed {
    digest: String,
    tag: usize,
    began: Instant,
    ended: Instant,
}

pub(crate) fn tags(long: bool) -> Outcome {
    const TAGS: usize = 2;
    let pushes = if long { 1000 } else { 60 };
    let two = Two::start()?;
    let images: Vec<Image> = (0..CLIENTS * 4)
        .map(|seed| Image::of("amd64", Blob::from(content(seed, 200)), vec![Blob::from(content(seed + 100, 300))]))
        .collect();
    let mut clients = two.clients();
    for image in &images {
        clients[0].push_image("two/tags", &image.manifest.digest, image)?;
    }
    for tag in 0..TAGS {
        clients[1].push_manifest("two/tags", &format!("t{tag}"), MANIFEST, &images[0].manifest)?;
    }
    let pushed = two.run(CLIENTS + 2, |number| {
        let (mut clients, mut random, mut pushed) = (two.clients(), Random::new(number), Vec::new());
        for turn in 0..pushes {
            let tag = random.below(TAGS);
            let name = format!("t{tag}");
            // Two only look: whatever they see has to be one of the images, and whole.
            if number >= CLIENTS {
                let seen = clients[random.below(2)].pull_manifest("two/tags", &name)?;
                let known = seen.as_ref().is_some_and(|seen| images.iter().any(|image| image.manifest == *seen));
                ensure(known, format_args!("the tag {name} was seen as {seen:?}"))?;
                continue;
            }
            let manifest = &images[number as usize * 4 + turn % 4].manifest;
            let began = Instant::now();
            clients[random.below(2)].push_manifest("two/tags", &name, MANIFEST, manifest)?;
            pushed.push(Pushed { digest: manifest.digest.clone(), tag, began, ended: Instant::now() });
        }
        Ok(pushed)
    })?;
    let pushed: Vec<Pushed> = pushed.into_iter().flatten().collect();
    for tag in 0..TAGS {
        let of_tag = || pushed.iter().filter(|pushed| pushed.tag == tag);
        // Only a push that ended before another began is over: of those at the same time, any may be the last.
        let over = |one: &Pushed| of_tag().any(|other| other.began > one.ended);
        for client in &mut clients {
            let seen = client.pull_manifest("two/tags", &format!("t{tag}"))?.ok_or("the tag is gone")?;
            let last = of_tag().any(|pushed| pushed.digest == seen.digest && !over(pushed));
            ensure(last, format_args!("the tag t{tag} is {}, which another push replaced", seen.digest))?;
        }
    }
    let found = disk_truth::check(&two.store.root()?)?;
    println!("two: {} pushes of {TAGS} tags at either of two servers; {found}", pushed.len());
    Ok(())
}

pub(crate) fn mixed(long: bool) -> Outcome {
    let rounds = if long { 1000 } else { 80 };
    let two = Two::start()?;
    let (mut accepted, mut refused) = (0, 0);
    let mut clients = two.clients();
    for round in 0..rounds {
        let mut random = Random::new(round);
        let length = 20_000 + random.below(200_000);
        let blobs: Vec<Blob> = (0..2).map(|seed| Blob::from(content(round * 2 + seed, length))).collect();
        let upload = clients[random.below(2)].begin("two/mixed")?;
        // Both hold the same address; each sends chunks of its own content to a server of its own.
        let ends: Vec<Result<bool, ClientError>> = two.run(2, |number| {
            let (mut client, mut random) =
                (Client::new(two.registries[number as usize].address()), Random::new(round * 2 + number));
            let (blob, mut upload, mut sent) = (&blobs[number as usize], upload.clone(), 0);
            for _ in 0..3 {
                let length = (2 + random.below(length / 3)).min(blob.bytes.len() - sent);
                match client.patch(&upload, sent, &blob.bytes[sent..sent + length]) {
                    Ok(next) => (upload, sent) = (next, sent + length),
                    // The other was before: a client would ask, or give up. This one insists.
                    Err(error) if !error.is_lost() => {}
                    Err(error) => return Ok(Err(error)),
                }
                std::thread::sleep(Duration::from_micros(random.below(3000) as u64));
            }
            match client.finish(&upload, &blob.bytes[sent..], &blob.digest) {
                Ok(()) => Ok(Ok(true)),
                Err(error) if !error.is_lost() => Ok(Ok(false)),
                Err(error) => Ok(Err(error)),
            }
        })?;
        for (end, blob) in ends.into_iter().zip(&blobs) {
            if end? {
                accepted += 1;
                // What was acknowledged is there, and is it.
                clients[random.below(2)].pull_blob("two/mixed", &blob.digest)?;
            } else {
                refused += 1;
            }
        }
    }
    let found = disk_truth::check(&two.store.root()?)?;
    println!("two: {rounds} uploads that two clients mixed; {accepted} were accepted, {refused} refused; {found}");
    ensure(refused > 0, "nothing was refused, so that nothing was mixed")
}
