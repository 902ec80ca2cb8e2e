//! skopeo: copies between registries, directories and archives, and what it asks of a registry.

use std::fs;

use serde_json::Value;
use wharf_conformance::content::digest;
use wharf_conformance::images::Image;
use wharf_conformance::stores::Kind;

use crate::Promise;
use crate::bench::Bench;
use crate::check::{Outcome, ensure, same};

pub(crate) const PROMISES: &[Promise] = &[
    promise("what_copy_pushes_it_pulls_whole", push_and_pull),
    promise("copy_all_pushes_and_pulls_an_index_with_every_image", index),
    promise("inspect_tells_the_image_and_raw_gives_its_manifest", inspect),
    promise("list_tags_lists_every_tag", list_tags),
    promise("delete_deletes_the_image_and_no_other", delete),
    promise("copy_to_another_repository_mounts_the_layers", mount),
    promise("copy_goes_through_an_archive_of_docker", archive),
    promise("copy_converts_to_dockers_manifest", docker_format),
    promise("copy_compresses_with_zstd", zstd),
    promise("names_and_tags_may_be_as_long_as_the_specification_says", long_names),
];

const fn promise(name: &'static str, test: fn(&Bench) -> Outcome<String>) -> Promise {
    Promise { client: "skopeo", name, kinds: &Kind::ALL, test }
}

/// Copies without changing a byte.
pub(crate) fn copy(bench: &Bench, arguments: &[&str]) -> Outcome {
    let all = [&["copy", "--insecure-policy", "--preserve-digests", "--quiet"], arguments].concat();
    bench.skopeo(&all).map(drop)
}

/// Compares a directory that skopeo wrote with an image.
fn compare_directory(bench: &Bench, directory: &str, image: &Image) -> Outcome {
    let directory = bench.path(directory);
    for blob in image.blobs() {
        let seen = fs::read(directory.join(blob.digest.trim_start_matches("sha256:")))?;
        same("a blob that was pulled", digest(&seen), blob.digest.clone())?;
    }
    let seen = fs::read(directory.join("manifest.json"))?;
    same("the manifest that was pulled", digest(&seen), image.manifest.digest.clone())
}

fn push_and_pull(bench: &Bench) -> Outcome<String> {
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    bench.client().pull_image("team/app", "v1", &bench.one)?;
    copy(bench, &[&bench.docker("team/app:v1"), &format!("dir:{}", bench.path("pulled").display())])?;
    compare_directory(bench, "pulled", &bench.one)?;
    let by_digest = format!("team/app@{}", bench.one.manifest.digest);
    copy(bench, &[&bench.docker(&by_digest), &format!("dir:{}", bench.path("by-digest").display())])?;
    compare_directory(bench, "by-digest", &bench.one)?;
    // Again, when every blob is there.
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v2")])?;
    bench.client().pull_image("team/app", "v2", &bench.one)?;
    Ok(format!("{} blobs", bench.one.blobs().count()))
}

fn index(bench: &Bench) -> Outcome<String> {
    copy(bench, &["--all", &bench.layout("many"), &bench.docker("team/many:v1")])?;
    let seen = bench.client().pull_manifest("team/many", "v1")?.ok_or("no index")?;
    same("the index", &seen.digest, &bench.many.index.digest)?;
    for image in &bench.many.images {
        bench.client().pull_image("team/many", &image.manifest.digest, image)?;
    }
    let pulled = bench.path("pulled");
    copy(bench, &["--all", &bench.docker("team/many:v1"), &format!("oci:{}:many", pulled.display())])?;
    for image in &bench.many.images {
        for blob in image.blobs().chain([&image.manifest, &bench.many.index]) {
            let file = pulled.join("blobs/sha256").join(blob.digest.trim_start_matches("sha256:"));
            same("a blob that was pulled", digest(&fs::read(file)?), blob.digest.clone())?;
        }
    }
    // One architecture of it, chosen by the client.
    let arm = ["--override-arch", "arm64", "inspect", "--config", &bench.docker("team/many:v1")];
    let configuration: Value = serde_json::from_str(&bench.skopeo(&arm)?)?;
    same("the architecture", &configuration["architecture"], &Value::from("arm64"))?;
    Ok(format!("{} images", bench.many.images.len()))
}

fn inspect(bench: &Bench) -> Outcome<String> {
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    let raw = bench.try_skopeo(&["inspect", "--raw", &bench.docker("team/app:v1")])?;
    same("inspect --raw", digest(raw.stdout.as_bytes()), bench.one.manifest.digest.clone())?;
    let told: Value = serde_json::from_str(&bench.skopeo(&["inspect", &bench.docker("team/app:v1")])?)?;
    same("Digest", told["Digest"].as_str(), Some(&*bench.one.manifest.digest))?;
    same("RepoTags", &told["RepoTags"], &Value::from(vec!["v1"]))?;
    let layers: Vec<Value> = bench.one.layers.iter().map(|layer| Value::from(&*layer.digest)).collect();
    same("Layers", &told["Layers"], &Value::from(layers))?;
    let config = bench.try_skopeo(&["inspect", "--config", "--raw", &bench.docker("team/app:v1")])?;
    same("inspect --config --raw", digest(config.stdout.as_bytes()), bench.one.configuration.digest.clone())?;
    Ok("manifest and configuration".to_owned())
}

fn list_tags(bench: &Bench) -> Outcome<String> {
    let tags = ["1.0", "1.0.1", "latest", "v_2-rc"];
    for tag in tags {
        copy(bench, &[&bench.layout("one"), &bench.docker(&format!("team/app:{tag}"))])?;
    }
    let told: Value = serde_json::from_str(&bench.skopeo(&["list-tags", &bench.docker("team/app")])?)?;
    let mut seen: Vec<&str> = told["Tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    seen.sort_unstable();
    same("the tags", seen, tags.to_vec())?;
    Ok(format!("{} tags", tags.len()))
}

fn delete(bench: &Bench) -> Outcome<String> {
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    copy(bench, &["--all", &bench.layout("many"), &bench.docker("team/app:v2")])?;
    bench.skopeo(&["delete", &bench.docker("team/app:v1")])?;
    let gone = bench.try_skopeo(&["inspect", "--raw", &bench.docker("team/app:v1")])?;
    ensure(!gone.success && gone.stderr.contains("manifest unknown"), format_args!("after delete: {}", gone.stderr))?;
    same("by digest", bench.client().pull_manifest("team/app", &bench.one.manifest.digest)?, None)?;
    for image in &bench.many.images {
        bench.client().pull_image("team/app", &image.manifest.digest, image)?;
    }
    let again = bench.try_skopeo(&["delete", &bench.docker("team/app:v1")])?;
    ensure(!again.success, "what was deleted was deleted again")?;
    // And it can come back.
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    bench.client().pull_image("team/app", "v1", &bench.one)?;
    Ok("gone, and pushed again".to_owned())
}

fn mount(bench: &Bench) -> Outcome<String> {
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    let (source, destination) = (bench.docker("team/app:v1"), bench.docker("other/deep/app:v1"));
    let output =
        bench.try_skopeo(&["--debug", "copy", "--insecure-policy", "--preserve-digests", &source, &destination])?;
    ensure(output.success, format_args!("skopeo copy failed:\n{}", output.stderr))?;
    let mounted = output.stderr.matches("mount OK").count();
    // The configuration is small, and pushed.
    same("layers that were mounted", mounted, bench.one.layers.len())?;
    bench.client().pull_image("other/deep/app", "v1", &bench.one)?;
    Ok(format!("{mounted} layers mounted"))
}

fn archive(bench: &Bench) -> Outcome<String> {
    copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    let archive = format!("docker-archive:{}:team/app:v1", bench.path("archive.tar").display());
    // The layers are stored unpacked there, so that digests change on the way; the configuration's does not.
    bench.skopeo(&["copy", "--insecure-policy", "--quiet", &bench.docker("team/app:v1"), &archive])?;
    bench.skopeo(&["copy", "--insecure-policy", "--quiet", &archive, &bench.docker("back/app:v1")])?;
    let raw: Value = serde_json::from_str(&bench.skopeo(&["inspect", "--raw", &bench.docker("back/app:v1")])?)?;
    let diff_ids = |name: &str| -> Outcome<Value> {
        let told: Value = serde_json::from_str(&bench.skopeo(&["inspect", "--config", &bench.docker(name)])?)?;
        Ok(told["rootfs"]["diff_ids"].clone())
    };
    same("the layers' contents", diff_ids("back/app:v1")?, diff_ids("team/app:v1")?)?;
    for layer in raw["layers"].as_array().ok_or("a manifest without layers")? {
        bench.client().pull_blob("back/app", layer["digest"].as_str().unwrap_or_default())?;
    }
    Ok("there and back".to_owned())
}

fn docker_format(bench: &Bench) -> Outcome<String> {
    let (source, destination) = (bench.layout("one"), bench.docker("team/app:v1"));
    bench.skopeo(&["copy", "--insecure-policy", "--quiet", "--format", "v2s2", &source, &destination])?;
    let raw: Value = serde_json::from_str(&bench.skopeo(&["inspect", "--raw", &destination])?)?;
    same("mediaType", raw["mediaType"].as_str(), Some("application/vnd.docker.distribution.manifest.v2+json"))?;
    same("the configuration", raw["config"]["digest"].as_str(), Some(&*bench.one.configuration.digest))?;
    copy(bench, &[&destination, &format!("dir:{}", bench.path("pulled").display())])?;
    for blob in bench.one.blobs() {
        let seen = fs::read(bench.path("pulled").join(blob.digest.trim_start_matches("sha256:")))?;
        same("a blob that was pulled", digest(&seen), blob.digest.clone())?;
    }
    // A list of Docker's too, made from the index.
    let (source, destination) = (bench.layout("many"), bench.docker("team/many:v1"));
    bench.skopeo(&["copy", "--insecure-policy", "--quiet", "--all", "--format", "v2s2", &source, &destination])?;
    let raw: Value = serde_json::from_str(&bench.skopeo(&["inspect", "--raw", &destination])?)?;
    same("mediaType", raw["mediaType"].as_str(), Some("application/vnd.docker.distribution.manifest.list.v2+json"))?;
    Ok("manifest and list".to_owned())
}

fn zstd(bench: &Bench) -> Outcome<String> {
    let (source, destination) = (bench.layout("one"), bench.docker("team/app:v1"));
    // Compressed anew only from what is not compressed: a directory with unpacked layers.
    let unpacked = format!("dir:{}", bench.path("unpacked").display());
    bench.skopeo(&["copy", "--insecure-policy", "--quiet", "--dest-decompress", &source, &unpacked])?;
    let compress = ["copy", "--insecure-policy", "--quiet", "--dest-compress-format", "zstd", &unpacked, &destination];
    bench.skopeo(&compress)?;
    let raw: Value = serde_json::from_str(&bench.skopeo(&["inspect", "--raw", &destination])?)?;
    let layers = raw["layers"].as_array().ok_or("a manifest without layers")?;
    for layer in layers {
        same("mediaType", layer["mediaType"].as_str(), Some("application/vnd.oci.image.layer.v1.tar+zstd"))?;
        bench.client().pull_blob("team/app", layer["digest"].as_str().unwrap_or_default())?;
    }
    Ok(format!("{} layers", layers.len()))
}

fn long_names(bench: &Bench) -> Outcome<String> {
    // A name has up to 255 characters, and skopeo counts the registry's among them.
    let part = "a0.b_c-d__e";
    let mut name = part.to_owned();
    while name.len() + 1 + part.len() + 1 + bench.host().len() < 256 {
        name = format!("{name}/{part}");
    }
    let tag = format!("_{}", "T.0-".repeat(31)) + "xyz";
    same("the tag's length", tag.len(), 128)?;
    copy(bench, &[&bench.layout("one"), &bench.docker(&format!("{name}:{tag}"))])?;
    bench.client().pull_image(&name, &tag, &bench.one)?;
    let told: Value = serde_json::from_str(&bench.skopeo(&["list-tags", &bench.docker(&name)])?)?;
    same("the tags", &told["Tags"], &Value::from(vec![tag]))?;
    Ok(format!("a name of {} characters", name.len()))
}
