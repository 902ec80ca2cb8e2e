//! Uploads to which both registries add chunks. The address that one gives out is taken over to the other, as behind a
//! balancer.

use wharf_conformance::content::{Random, content};
use wharf_conformance::images::Blob;
use wharf_conformance::registry_client::Client;
use wharf_conformance::stores::Kind;

use crate::bench::{Bench, Side};
use crate::check::{Outcome, same};
use crate::{BOTH, FILES, Promise};

pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "an_upload_goes_on_at_either_with_chunks_of_any_size", kinds: BOTH, test: turns },
    Promise { name: "an_upload_that_one_cancels_is_unknown_to_the_other", kinds: BOTH, test: cancels },
    Promise { name: "a_finished_upload_leaves_nothing_of_itself", kinds: FILES, test: leaves_nothing },
];

const NAME: &str = "team/turns";

fn turns(bench: &Bench) -> Outcome {
    let (rounds, most) = match bench.store.kind() {
        Kind::S3 => (4, 14 << 20),
        _ => (40, 2 << 20),
    };
    for seed in 0..rounds {
        let mut random = Random::new(seed);
        turns_once(bench, &mut random, most)
            .map_err(|failed| format!("with the seed {seed}: {}", failed.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Pushes one blob by turns that the random numbers decide.
fn turns_once(bench: &Bench, random: &mut Random, most: usize) -> Outcome {
    let blob = Blob::from(content(random.next(), 2 + random.below(most)));
    let sides = [Side::Ours, Side::Theirs];
    let mut clients: Vec<Client> = sides.iter().map(|&side| bench.client(side)).collect();
    let mut told = Vec::new();
    let mut turn = |random: &mut Random| {
        let side = random.below(2);
        told.push(sides[side]);
        side
    };
    let mut upload = clients[turn(random)].begin(NAME)?;
    let mut sent = 0;
    for _ in 0..random.below(8) {
        // At least two: of one byte the protocol cannot tell whether it is there.
        let length = (2 + random.below(blob.bytes.len() / 3)).min(blob.bytes.len() - sent);
        upload = clients[turn(random)].patch(&upload, sent, &blob.bytes[sent..sent + length])?;
        sent += length;
        if random.below(2) == 0 {
            let (offset, next) = clients[turn(random)].offset(&upload)?;
            same("the bytes of the upload", offset, sent)?;
            upload = next;
        }
    }
    clients[turn(random)].finish(&upload, &blob.bytes[sent..], &blob.digest)?;
    for client in &mut clients {
        let pulled = client.pull_blob(NAME, &blob.digest);
        pulled.map_err(|error| format!("{error}; the turns were {told:?}"))?;
    }
    Ok(())
}

fn cancels(bench: &Bench) -> Outcome {
    for (first, second) in Side::BOTH_WAYS {
        let mut begins = bench.client(first);
        let upload = begins.begin(NAME)?;
        let upload = begins.patch(&upload, 0, &content(1, 100_000))?;
        bench.client(second).expect(204, "DELETE", &upload.location, &[], None)?;
        for side in [first, second] {
            bench.client(side).expect(404, "GET", &upload.location, &[], None)?;
            bench.client(side).expect(404, "PATCH", &upload.location, &[], Some(b"more"))?;
        }
    }
    Ok(())
}

fn leaves_nothing(bench: &Bench) -> Outcome {
    let mut random = Random::new(1);
    for _ in 0..5 {
        turns_once(bench, &mut random, 100_000)?;
    }
    let uploads = bench.store.root()?.join("docker/registry/v2/repositories").join(NAME).join("_uploads");
    let left = std::fs::read_dir(&uploads).map_or(0, |entries| entries.count());
    same(format_args!("entries of {}", uploads.display()), left, 0)
}
