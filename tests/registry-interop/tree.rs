//! The files that each leaves after the same requests: Distribution's layout, path by path.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use wharf_conformance::content::content;
use wharf_conformance::images::{Blob, Image, Index, MANIFEST};
use wharf_conformance::registry_client::Client;
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

use crate::bench::Bench;
use crate::check::{Outcome, ensure, same};
use crate::{FILES, Promise};

pub(crate) const PROMISES: &[Promise] =
    &[Promise { name: "the_same_requests_leave_the_same_files", kinds: FILES, test: same_files }];

/// What only Wharf has in its store, by a part of the path, and why. Distribution passes over all of it.
const EXTRAS: &[(&str, &str)] = &[];

/// What docker-registry leaves of an upload that has no bytes, and Wharf does not: the state of a hash of nothing, and an
/// empty file. Either registry goes on without.
fn is_of_nothing(path: &str, content: &[u8]) -> bool {
    path.ends_with("/hashstates/sha256/0") || (content.is_empty() && path.ends_with("/_uploads/UUID/data"))
}

/// Requests that touch every kind of file of the layout.
fn requests(client: &mut Client) -> Outcome {
    let one = Image::new("amd64", 1, &[100_000, 1])?;
    let many = Index::new(vec![Image::new("amd64", 2, &[5000])?, Image::new("arm64", 3, &[5000])?]);
    client.push_image("team/app", "v1", &one)?;
    client.push_index("team/app", "many", &many)?;
    // A tag that moves keeps its history.
    client.push_manifest("team/app", "v1", MANIFEST, &many.images[0].manifest)?;
    client.push_manifest("team/app", "v2", MANIFEST, &one.manifest)?;
    client.push_manifest("team/app", "v2.1", MANIFEST, &one.manifest)?;
    ensure(client.mount("other", &one.layers[0].digest, "team/app")?, "the blob was not mounted")?;
    // In chunks.
    let blob = Blob::from(content(4, 300_000));
    let upload = client.begin("other")?;
    let upload = client.patch(&upload, 0, &blob.bytes[..100_000])?;
    let upload = client.patch(&upload, 100_000, &blob.bytes[100_000..200_000])?;
    client.finish(&upload, &blob.bytes[200_000..], &blob.digest)?;
    // Deleted, by every way there is.
    let gone = Image::new("amd64", 5, &[3000])?;
    client.push_image("team/gone", "v1", &gone)?;
    client.delete("team/gone", &format!("manifests/{}", gone.manifest.digest))?;
    client.delete("team/gone", &format!("blobs/{}", gone.layers[0].digest))?;
    let upload = client.begin("team/gone")?;
    let upload = client.patch(&upload, 0, b"cancelled")?;
    client.expect(204, "DELETE", &upload.location, &[], None)?;
    // Half done, with and without bytes.
    client.begin("half/empty")?;
    let upload = client.begin("half/begun")?;
    client.patch(&upload, 0, &content(6, 5000))?;
    Ok(())
}

fn same_files(_: &Bench) -> Outcome {
    let (ours, theirs) = (Store::new(Kind::Filesystem)?, Store::new(Kind::Filesystem)?);
    let first = RegistryProcess::wharf(&ours.configuration(&json!({})))?;
    requests(&mut Client::new(first.address()))?;
    let second = RegistryProcess::distribution(&theirs.configuration(&json!({})))?;
    requests(&mut Client::new(second.address()))?;

    let (mut ours, mut theirs) = (files(&ours.root()?)?, files(&theirs.root()?)?);
    ours.retain(|path, _| !EXTRAS.iter().any(|(part, _)| path.contains(part)));
    theirs.retain(|path, content| !is_of_nothing(path, content));
    let only = |here: &BTreeMap<String, Vec<u8>>, there: &BTreeMap<String, Vec<u8>>| {
        here.keys().filter(|path| !there.contains_key(*path)).cloned().collect::<Vec<String>>()
    };
    same("files that only Wharf has", only(&ours, &theirs), Vec::new())?;
    same("files that only docker-registry has", only(&theirs, &ours), Vec::new())?;
    ensure(theirs.len() > 40, format_args!("only {} files were compared", theirs.len()))?;
    for (path, content) in &theirs {
        // The time differs; its form does not.
        if path.ends_with("/startedat") {
            same(path, shape(&ours[path]), shape(content))?;
        } else {
            ensure(ours[path] == *content, format_args!("{path} has another content"))?;
        }
    }
    Ok(())
}

/// Returns the files below a directory, with the names of uploads made alike.
fn files(root: &Path) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let name = match relative.split_once("/_uploads/") {
                Some((before, after)) => {
                    let rest = after.split_once('/').map_or("", |(_, rest)| rest);
                    format!("{before}/_uploads/UUID/{rest}")
                }
                None => relative,
            };
            found.insert(name, fs::read(&path)?);
        }
    }
    Ok(found)
}

/// Returns a text with every digit made a 0.
fn shape(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect()
}
