//! A long time of everything at once: pushes, pulls, mounts, moved tags, deletes; and at the end every digest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use wharf_conformance::content::{Random, content};
use wharf_conformance::images::{Blob, INDEX, Image, Index, MANIFEST};
use wharf_conformance::registry_client::{Client, ClientError};
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::check::{Outcome, ensure, same};
use crate::disk_truth;

/// How many different layers there are: so many and no more lie on the disk in the end, however long it takes.
const LAYERS: usize = 600;
const MIB: u64 = 1 << 20;

/// How much more may be resident at the end than after a tenth of the time, in bytes.
const GROWTH: u64 = 96 * MIB;

/// How often each thing was done.
type Counts = BTreeMap<&'static str, usize>;

pub(crate) fn session(long: bool) -> Outcome {
    let seconds = setting("WHARF_TEST_SOAK_SECONDS", if long { 1800 } else { 120 })?;
    let clients = setting("WHARF_TEST_SOAK_CLIENTS", 8)?;
    let name = std::env::var("WHARF_TEST_SOAK_KIND").unwrap_or_else(|_| Kind::Filesystem.name().to_owned());
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let store = Store::new(kind.ok_or_else(|| format!("WHARF_TEST_SOAK_KIND: there is no {name}"))?)?;
    let registry = RegistryProcess::wharf(&store.configuration(&json!({})))?;
    crate::with_logs(soak(&registry, &store, Duration::from_secs(seconds), clients), &[&registry])
}

fn setting(name: &str, default: u64) -> Outcome<u64> {
    match std::env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name} is {value}, which is no number").into()),
        Err(_) => Ok(default),
    }
}

fn soak(registry: &RegistryProcess, store: &Store, duration: Duration, clients: u64) -> Outcome {
    let process = registry.process()?;
    let layers = (0..LAYERS as u64).map(|seed| Blob::from(content(seed, size(seed)))).collect();
    let layers: Arc<Vec<Blob>> = Arc::new(layers);
    let began = Instant::now();
    let (mut early, mut watched) = (None, Vec::new());
    let ends: Vec<Outcome<Model>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|number| {
                let mut model = Model::new(registry.address(), number, layers.clone());
                scope.spawn(move || {
                    while began.elapsed() < duration {
                        model.step()?;
                    }
                    Ok(model)
                })
            })
            .collect();
        while !threads.iter().all(|thread| thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(200));
            let Ok(now) = process.usage() else { break };
            if began.elapsed() > duration / 10 {
                early.get_or_insert(now);
                watched.push(now.resident);
            }
        }
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into()))).collect()
    });
    let mut models: Vec<Model> = ends.into_iter().collect::<Outcome<_>>()?;
    let seconds = began.elapsed().as_secs_f64();
    // At a time, and on connections of their own: the registry closes one that is not used for two minutes.
    let checked: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = models.iter_mut().map(|model| scope.spawn(|| model.check(registry.address()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into()))).collect()
    });
    checked.into_iter().collect::<Outcome<Vec<()>>>()?;
    let late = process.usage()?;
    let early = early.ok_or("the registry was never watched")?;
    let mut counts = Counts::new();
    for (what, count) in models.iter().flat_map(|model| &model.counts) {
        *counts.entry(what).or_default() += count;
    }
    let total: usize = counts.values().sum();
    println!(
        "soak: {total} steps of {clients} clients in {seconds:.0} s: {counts:?}; {} MiB resident early, {} at most, {} at the \
         end",
        early.resident / MIB,
        watched.iter().max().unwrap_or(&0) / MIB,
        late.resident / MIB
    );
    if store.root().is_ok() {
        println!("soak: {}", disk_truth::check(&store.root()?)?);
    }
    ensure(counts.len() == STEPS.len(), "something was never done")?;
    let grown = late.resident.saturating_sub(early.resident);
    ensure(grown <= GROWTH, format_args!("{} MiB were never given back", grown / MIB))?;
    ensure(late.files <= early.files + 32, format_args!("{} files are open, {} early", late.files, early.files))
}

/// Mostly small, as layers are, and now and then some MiB.
fn size(seed: u64) -> usize {
    match seed % 20 {
        0 => 3 << 20,
        1..5 => 300_000,
        _ => 2 + (seed as usize * 977) % 40_000,
    }
}

/// What a client does, and how often among the others.
type Step = (&'static str, usize, fn(&mut Model) -> Outcome);

const STEPS: &[Step] = &[
    ("image pushed", 10, Model::push_image),
    ("index pushed", 2, Model::push_index),
    ("image pulled", 20, Model::pull),
    ("tag pulled", 20, Model::pull_tag),
    ("tag moved", 6, Model::move_tag),
    ("tags listed", 4, Model::list),
    ("manifest deleted", 3, Model::delete),
    ("layer mounted", 4, Model::mount),
    ("upload cancelled", 2, Model::cancel),
    ("missing things asked for", 4, Model::missing),
];

/// A client with repositories of its own, and what is in them.
struct Model {
    client: Client,
    random: Random,
    layers: Arc<Vec<Blob>>,
    names: [String; 2],
    /// The images of each repository, by digest. Their layers stay linked when they are deleted.
    images: [BTreeMap<String, Image>; 2],
    indexes: [BTreeSet<Vec<u8>>; 2],
    tags: [BTreeMap<String, String>; 2],
    counts: Counts,
}

impl Model {
    fn new(address: SocketAddr, number: u64, layers: Arc<Vec<Blob>>) -> Self {
        Model {
            client: Client::new(address),
            random: Random::new(number),
            layers,
            names: [format!("soak/{number}"), format!("soak/{number}/deep/er")],
            images: Default::default(),
            indexes: Default::default(),
            tags: Default::default(),
            counts: Counts::new(),
        }
    }

    fn step(&mut self) -> Outcome {
        let mut number = self.random.below(STEPS.iter().map(|(_, weight, _)| weight).sum());
        for (what, weight, step) in STEPS {
            if number < *weight {
                step(self).map_err(|failed| format!("{what}: {}", failed.message().unwrap_or_default()))?;
                *self.counts.entry(what).or_default() += 1;
                return Ok(());
            }
            number -= weight;
        }
        Ok(())
    }

    fn image(&mut self) -> Image {
        let count = 1 + self.random.below(4);
        let layers = (0..count).map(|_| self.layers[self.random.below(LAYERS)].clone()).collect();
        let configuration = Blob::from(content(self.random.below(LAYERS) as u64 + 10_000, 700));
        Image::of("amd64", configuration, layers)
    }

    /// Pushes an image's blobs, those that are there already not again: as clients do.
    fn push_blobs(&mut self, at: usize, image: &Image) -> Outcome {
        for blob in image.blobs() {
            let target = format!("/v2/{}/blobs/{}", self.names[at], blob.digest);
            match self.client.send("HEAD", &target, &[], None)?.status {
                200 => continue,
                404 => {}
                status => return Err(format!("HEAD {target}: {status}").into()),
            }
            if self.random.below(3) > 0 {
                self.client.push_blob(&self.names[at], blob)?;
                continue;
            }
            let mut upload = self.client.begin(&self.names[at])?;
            let half = blob.bytes.len() / 2;
            if half > 1 {
                upload = self.client.patch(&upload, 0, &blob.bytes[..half])?;
                self.client.finish(&upload, &blob.bytes[half..], &blob.digest)?;
            } else {
                self.client.finish(&upload, &blob.bytes, &blob.digest)?;
            }
        }
        Ok(())
    }

    fn tag(&mut self) -> String {
        format!("t{}", self.random.below(12))
    }

    fn push_image(&mut self) -> Outcome {
        let (at, image, tag) = (self.random.below(2), self.image(), self.tag());
        self.push_blobs(at, &image)?;
        self.client.push_manifest(&self.names[at], &tag, MANIFEST, &image.manifest)?;
        self.tags[at].insert(tag, image.manifest.digest.clone());
        self.images[at].insert(image.manifest.digest.clone(), image);
        Ok(())
    }

    fn push_index(&mut self) -> Outcome {
        let (at, images, tag) = (self.random.below(2), vec![self.image(), self.image()], self.tag());
        for image in &images {
            self.push_blobs(at, image)?;
            self.client.push_manifest(&self.names[at], &image.manifest.digest, MANIFEST, &image.manifest)?;
            self.images[at].insert(image.manifest.digest.clone(), image.clone());
        }
        let index = Index::new(images);
        self.client.push_manifest(&self.names[at], &tag, INDEX, &index.index)?;
        self.tags[at].insert(tag, index.index.digest.clone());
        self.indexes[at].insert(index.index.bytes.to_vec());
        Ok(())
    }

    fn any_image(&mut self, at: usize) -> Option<Image> {
        let count = self.images[at].len();
        let number = self.random.below(count);
        self.images[at].values().nth(number).cloned()
    }

    fn pull(&mut self) -> Outcome {
        let at = self.random.below(2);
        let Some(image) = self.any_image(at) else { return Ok(()) };
        Ok(self.client.pull_image(&self.names[at], &image.manifest.digest, &image)?)
    }

    fn pull_tag(&mut self) -> Outcome {
        let (at, tag) = (self.random.below(2), self.tag());
        let seen = self.client.pull_manifest(&self.names[at], &tag)?.map(|manifest| manifest.digest);
        same(format_args!("{}:{tag}", self.names[at]), seen.as_ref(), self.tags[at].get(&tag))
    }

    fn move_tag(&mut self) -> Outcome {
        let (at, tag) = (self.random.below(2), self.tag());
        let Some(image) = self.any_image(at) else { return Ok(()) };
        self.client.push_manifest(&self.names[at], &tag, MANIFEST, &image.manifest)?;
        self.tags[at].insert(tag, image.manifest.digest);
        Ok(())
    }

    fn list(&mut self) -> Outcome {
        let at = self.random.below(2);
        let mut seen = match self.client.tags(&self.names[at]) {
            Ok(tags) => tags,
            // Of a repository into which nothing was pushed yet.
            Err(ClientError::Answered { response, .. }) if response.status == 404 => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        seen.sort();
        let mut promised: Vec<String> = self.tags[at].keys().cloned().collect();
        promised.sort();
        same(format_args!("the tags of {}", self.names[at]), seen, promised)
    }

    fn delete(&mut self) -> Outcome {
        let at = self.random.below(2);
        let Some(image) = self.any_image(at) else { return Ok(()) };
        let digest = image.manifest.digest;
        self.client.delete(&self.names[at], &format!("manifests/{digest}"))?;
        self.images[at].remove(&digest);
        self.tags[at].retain(|_, tagged| *tagged != digest);
        // An index that names it is pushed no more; it may be pulled as before.
        same("a deleted manifest", self.client.pull_manifest(&self.names[at], &digest)?, None)
    }

    fn mount(&mut self) -> Outcome {
        let Some(image) = self.any_image(0) else { return Ok(()) };
        let mounted = self.client.mount(&self.names[1], &image.layers[0].digest, &self.names[0])?;
        ensure(mounted, "the layer was not mounted")?;
        self.client.pull_blob(&self.names[1], &image.layers[0].digest)?;
        Ok(())
    }

    fn cancel(&mut self) -> Outcome {
        let upload = self.client.begin(&self.names[0])?;
        let bytes = self.layers[self.random.below(LAYERS)].bytes.clone();
        let upload = self.client.patch(&upload, 0, &bytes)?;
        self.client.expect(204, "DELETE", &upload.location, &[], None)?;
        self.client.expect(404, "GET", &upload.location, &[], None)?;
        Ok(())
    }

    fn missing(&mut self) -> Outcome {
        let digest = Blob::from(content(self.random.next(), 10)).digest;
        for what in ["blobs", "manifests"] {
            self.client.expect(404, "GET", &format!("/v2/{}/{what}/{digest}", self.names[0]), &[], None)?;
        }
        Ok(())
    }

    /// Compares everything with what it has to be.
    fn check(&mut self, address: SocketAddr) -> Outcome {
        self.client = Client::new(address);
        for at in 0..2 {
            for (digest, image) in &self.images[at] {
                self.client.pull_image(&self.names[at], digest, image)?;
            }
            for index in &self.indexes[at] {
                let index = Blob::from(bytes::Bytes::from(index.clone()));
                let seen = self.client.pull_manifest(&self.names[at], &index.digest)?;
                same("an index", seen, Some(index))?;
            }
            for (tag, promised) in &self.tags[at] {
                let seen = self.client.pull_manifest(&self.names[at], tag)?.map(|manifest| manifest.digest);
                same(format_args!("{}:{tag}", self.names[at]), seen.as_ref(), Some(promised))?;
            }
        }
        Ok(())
    }
}
