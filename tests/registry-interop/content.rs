//! What one registry stored, as the other shows it.

use std::process::Command;

use bytes::Bytes;
use serde_json::json;
use wharf_conformance::content::content;
use wharf_conformance::images::{Blob, Image, Index, MANIFEST};

use crate::bench::{Bench, Side};
use crate::check::{Outcome, ensure, same};
use crate::{BOTH, FILES, Promise};

pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "what_one_pushes_the_other_pulls", kinds: BOTH, test: push_and_pull },
    Promise { name: "what_one_pushed_the_other_mounts", kinds: BOTH, test: mount },
    Promise { name: "both_list_the_same_tags_and_repositories_page_by_page", kinds: BOTH, test: lists },
    Promise { name: "what_one_deletes_is_gone_in_the_other", kinds: BOTH, test: deletes },
    Promise { name: "a_tag_that_one_moves_is_moved_in_the_other", kinds: BOTH, test: moves },
    Promise { name: "its_garbage_collector_keeps_what_is_named_here", kinds: FILES, test: garbage },
];

const KIB: usize = 1024;

fn index(seed: u64) -> Outcome<Index> {
    let images = [Image::new("amd64", seed, &[300 * KIB, 1])?, Image::new("arm64", seed + 1, &[100 * KIB])?];
    Ok(Index::new(images.to_vec()))
}

fn push_and_pull(bench: &Bench) -> Outcome {
    for (seed, (first, second)) in (1..).zip(Side::BOTH_WAYS) {
        let (mut pushes, mut pulls) = (bench.client(first), bench.client(second));
        let (name, index) = (format!("team/app-{seed}"), index(seed * 10)?);
        pushes.push_index(&name, "many", &index)?;
        let one = Image::new("amd64", seed * 10 + 5, &[7, 2000 * KIB])?;
        pushes.push_image(&name, "one", &one)?;
        pulls.pull_image(&name, "one", &one)?;
        pulls.pull_image(&name, &one.manifest.digest, &one)?;
        for reference in ["many", &index.index.digest] {
            let seen = pulls.pull_manifest(&name, reference)?;
            same(reference, seen, Some(index.index.clone()))?;
        }
        for image in &index.images {
            pulls.pull_image(&name, &image.manifest.digest, image)?;
        }
        // And from where it was pushed to, after the other has read it.
        pushes.pull_image(&name, "one", &one)?;
    }
    Ok(())
}

fn mount(bench: &Bench) -> Outcome {
    for (seed, (first, second)) in (1..).zip(Side::BOTH_WAYS) {
        let blob = Blob::from(content(seed, 300 * KIB));
        let (from, to) = (format!("from/{seed}"), format!("to/{seed}"));
        bench.client(first).push_blob(&from, &blob)?;
        ensure(bench.client(second).mount(&to, &blob.digest, &from)?, "the blob was not mounted")?;
        for side in [first, second] {
            bench.client(side).pull_blob(&to, &blob.digest)?;
        }
    }
    Ok(())
}

fn lists(bench: &Bench) -> Outcome {
    let image = Image::new("amd64", 1, &[100])?;
    let (mut ours, mut theirs) = (bench.client(Side::Ours), bench.client(Side::Theirs));
    // Names that prefix others, and whose order changes with how slashes count.
    let names = ["a", "a-b", "a/b", "a/b/c", "b", "ab"];
    for (number, name) in names.iter().enumerate() {
        let client = if number % 2 == 0 { &mut ours } else { &mut theirs };
        client.push_image(name, "v1", &image)?;
    }
    let mut tags: Vec<String> = ["v1", "v10", "V2", "v2", "1.0", "_x", "latest"].map(str::to_owned).to_vec();
    for (number, tag) in tags.iter().enumerate() {
        let client = if number % 2 == 0 { &mut ours } else { &mut theirs };
        client.push_manifest("a", tag, MANIFEST, &image.manifest)?;
    }
    tags.sort();
    let mut promised: Vec<&str> = names.to_vec();
    promised.sort_unstable();
    for client in [&mut ours, &mut theirs] {
        // Distribution's order of tags is the store's.
        let mut seen = client.tags("a")?;
        seen.sort();
        same("the tags", &seen, &tags)?;
        for target in ["/v2/_catalog", "/v2/_catalog?n=1", "/v2/_catalog?n=4"] {
            let mut seen = client.pages(target, "repositories")?;
            seen.sort();
            same(target, seen.iter().map(|name| &**name).collect::<Vec<&str>>(), promised.clone())?;
        }
    }
    // Distribution 2.8 has no pages of tags; ours are the same whatever their length.
    for target in ["/v2/a/tags/list?n=1", "/v2/a/tags/list?n=3"] {
        let mut seen = ours.pages(target, "tags")?;
        seen.sort();
        same(target, &seen, &tags)?;
    }
    Ok(())
}

fn deletes(bench: &Bench) -> Outcome {
    for (seed, (first, second)) in (1..).zip(Side::BOTH_WAYS) {
        let (mut deletes, mut sees) = (bench.client(first), bench.client(second));
        let name = format!("team/app-{seed}");
        let (gone, kept) = (Image::new("amd64", seed * 2, &[100])?, Image::new("amd64", seed * 2 + 1, &[100])?);
        sees.push_image(&name, "gone", &gone)?;
        deletes.push_image(&name, "kept", &kept)?;
        deletes.delete(&name, &format!("manifests/{}", gone.manifest.digest))?;
        for reference in [&*gone.manifest.digest, "gone"] {
            same(reference, sees.pull_manifest(&name, reference)?, None)?;
        }
        same("the tags", sees.tags(&name)?, vec!["kept".to_owned()])?;
        sees.pull_image(&name, "kept", &kept)?;
        deletes.delete(&name, &format!("blobs/{}", gone.layers[0].digest))?;
        let target = format!("/v2/{name}/blobs/{}", gone.layers[0].digest);
        sees.expect(404, "HEAD", &target, &[], None)?;
        // Pushed again by the one that did not delete it.
        sees.push_image(&name, "gone", &gone)?;
        deletes.pull_image(&name, "gone", &gone)?;
    }
    Ok(())
}

fn moves(bench: &Bench) -> Outcome {
    let images = [Image::new("amd64", 1, &[100])?, Image::new("amd64", 2, &[100])?];
    let mut clients = [bench.client(Side::Ours), bench.client(Side::Theirs)];
    for (client, image) in clients.iter_mut().zip(&images) {
        client.push_image("team/app", "v1", image)?;
    }
    for turn in 0..10 {
        let image = &images[turn % 2];
        clients[turn % 2].push_manifest("team/app", "v1", MANIFEST, &image.manifest)?;
        for client in &mut clients {
            client.pull_image("team/app", "v1", image)?;
        }
    }
    Ok(())
}

fn garbage(bench: &Bench) -> Outcome {
    let index = index(1)?;
    let mut client = bench.client(Side::Ours);
    client.push_index("team/app", "many", &index)?;
    let gone = Image::new("amd64", 9, &[500 * KIB])?;
    client.push_image("team/app", "gone", &gone)?;
    client.delete("team/app", &format!("manifests/{}", gone.manifest.digest))?;
    let unnamed = Blob::from(Bytes::from_static(b"no manifest names it"));
    client.push_blob("team/app", &unnamed)?;

    let directory = tempfile::tempdir()?;
    let file = directory.path().join("config.yml");
    std::fs::write(&file, bench.store.configuration(&json!({})))?;
    let output = Command::new("docker-registry").arg("garbage-collect").arg(&file).output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure(output.status.success(), format_args!("docker-registry garbage-collect failed: {told}"))?;

    same("the index", client.pull_manifest("team/app", "many")?, Some(index.index.clone()))?;
    for image in &index.images {
        client.pull_image("team/app", &image.manifest.digest, image)?;
    }
    // What it collected is not there, rather than an error of the store.
    for blob in [&unnamed, &gone.layers[0]] {
        client.expect(404, "GET", &format!("/v2/team/app/blobs/{}", blob.digest), &[], None)?;
    }
    client.push_image("team/app", "gone", &gone)?;
    client.pull_image("team/app", "gone", &gone)?;
    Ok(())
}
