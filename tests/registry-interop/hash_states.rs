//! The state of the hash that an upload leaves beside its bytes, so that whoever goes on need not read them again.

use std::fs;
use std::path::PathBuf;

use wharf_conformance::content::content;
use wharf_conformance::images::Blob;
use wharf_conformance::registry_client::Upload;

use crate::bench::{Bench, Side};
use crate::check::{Outcome, ensure, same};
use crate::{FILES, Promise};

pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "both_write_the_same_hash_state", kinds: FILES, test: same_bytes },
    Promise { name: "the_other_goes_on_from_a_hash_state_and_does_not_read_again", kinds: FILES, test: used },
    Promise { name: "a_missing_hash_state_only_costs_reading_again", kinds: FILES, test: missing },
    Promise { name: "a_damaged_hash_state_only_costs_reading_again_here", kinds: FILES, test: damaged },
];

const NAME: &str = "team/states";
const LENGTH: usize = 300_001;

/// Begins an upload with the first half of a blob at one side, and returns both with the directory of the upload.
fn half(bench: &Bench, side: Side, seed: u64) -> Outcome<(Blob, Upload, PathBuf)> {
    let blob = Blob::from(content(seed, 2 * LENGTH));
    let mut client = bench.client(side);
    let upload = client.begin(NAME)?;
    let upload = client.patch(&upload, 0, &blob.bytes[..LENGTH])?;
    let uploads = bench.store.root()?.join("docker/registry/v2/repositories").join(NAME).join("_uploads");
    let directory = uploads.join(&upload.uuid);
    Ok((blob, upload, directory))
}

fn state(directory: &std::path::Path) -> PathBuf {
    directory.join("hashstates/sha256").join(LENGTH.to_string())
}

/// Sends the second half to one side, in two requests.
fn go_on(bench: &Bench, side: Side, blob: &Blob, upload: &Upload) -> Outcome {
    let mut client = bench.client(side);
    let upload = client.patch(upload, LENGTH, &blob.bytes[LENGTH..LENGTH + 1000])?;
    client.finish(&upload, &blob.bytes[LENGTH + 1000..], &blob.digest)?;
    Ok(())
}

fn same_bytes(bench: &Bench) -> Outcome {
    let (_, _, ours) = half(bench, Side::Ours, 1)?;
    let (_, _, theirs) = half(bench, Side::Theirs, 1)?;
    let (ours, theirs) = (fs::read(state(&ours))?, fs::read(state(&theirs))?);
    ensure(!theirs.is_empty(), "the hash state is empty")?;
    same("the hash states", ours, theirs)
}

fn used(bench: &Bench) -> Outcome {
    for (first, second) in Side::BOTH_WAYS {
        let (blob, upload, directory) = half(bench, first, 2)?;
        // Who read the bytes again would notice.
        let file = directory.join("data");
        let mut bytes = fs::read(&file)?;
        bytes[0] ^= 1;
        fs::write(&file, bytes)?;
        go_on(bench, second, &blob, &upload).map_err(|failed| {
            format!("begun by {first:?}, gone on by {second:?}: {}", failed.message().unwrap_or_default())
        })?;
        // Nothing is to find the damage that this test did.
        bench.client(second).delete(NAME, &format!("blobs/{}", blob.digest))?;
        let data = bench.store.root()?.join("docker/registry/v2/blobs/sha256");
        let hex = blob.digest.trim_start_matches("sha256:");
        fs::remove_dir_all(data.join(&hex[..2]).join(hex))?;
    }
    Ok(())
}

fn missing(bench: &Bench) -> Outcome {
    for (first, second) in Side::BOTH_WAYS {
        let (blob, upload, directory) = half(bench, first, 3)?;
        fs::remove_file(state(&directory))?;
        go_on(bench, second, &blob, &upload)?;
        bench.client(first).pull_blob(NAME, &blob.digest)?;
    }
    Ok(())
}

fn damaged(bench: &Bench) -> Outcome {
    for begun_by in [Side::Ours, Side::Theirs] {
        for (seed, damage) in (10..).zip(DAMAGES) {
            let (blob, upload, directory) = half(bench, begun_by, seed)?;
            let file = state(&directory);
            let mut bytes = fs::read(&file)?;
            damage(&mut bytes);
            fs::write(&file, bytes)?;
            go_on(bench, Side::Ours, &blob, &upload).map_err(|failed| {
                format!("damage {seed}, begun by {begun_by:?}: {}", failed.message().unwrap_or_default())
            })?;
            bench.client(Side::Ours).pull_blob(NAME, &blob.digest)?;
        }
    }
    Ok(())
}

/// Ways in which a file may be damaged: cut, empty, of another kind, too long, and right in form only.
const DAMAGES: [fn(&mut Vec<u8>); 5] = [
    |bytes| bytes.truncate(bytes.len() / 2),
    Vec::clear,
    |bytes| bytes.fill(0),
    |bytes| bytes.extend_from_within(..),
    |bytes| bytes[10] ^= 1,
];
