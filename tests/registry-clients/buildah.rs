//! buildah: builds images here and pushes them. Nothing is run in them.

use std::fs;

use serde_json::Value;
use wharf_conformance::stores::Kind;

use crate::Promise;
use crate::bench::Bench;
use crate::check::{Outcome, same};
use crate::skopeo;

pub(crate) const PROMISES: &[Promise] = &[
    promise("an_image_from_scratch_is_pushed_and_pulled_again", from_scratch),
    promise("commit_pushes_straight_to_the_registry", commit_to_registry),
    promise("an_image_on_one_of_the_registry_shares_its_layers", on_another),
    promise("bud_builds_and_push_pushes", bud),
    promise("manifest_push_all_pushes_an_index_of_architectures", manifest_push),
];

const fn promise(name: &'static str, test: fn(&Bench) -> Outcome<String>) -> Promise {
    Promise { client: "buildah", name, kinds: &Kind::ALL, test }
}

/// Begins an image with a file in it and returns the working container.
fn working(bench: &Bench, from: &str, text: &str) -> Outcome<String> {
    let container = bench.buildah(&["from", "--quiet", from])?;
    fs::write(bench.path("file"), text)?;
    bench.buildah(&["add", "--quiet", &container, &bench.path("file").display().to_string(), "/file"])?;
    Ok(container)
}

fn manifest(bench: &Bench, name: &str, tag: &str) -> Outcome<Value> {
    let manifest = bench.client().pull_manifest(name, tag)?.ok_or("the registry has no manifest")?;
    Ok(serde_json::from_slice(&manifest.bytes)?)
}

fn from_scratch(bench: &Bench) -> Outcome<String> {
    let container = working(bench, "scratch", "from scratch")?;
    bench.buildah(&["config", "--label", "made=here", &container])?;
    let image = bench.buildah(&["commit", "--quiet", &container, "app"])?;
    bench.buildah(&["push", "--quiet", "app", &bench.docker("team/app:v1")])?;
    bench.buildah(&["rmi", "--all", "--force"])?;
    let pulled = bench.buildah(&["pull", "--quiet", &bench.at("team/app:v1")])?;
    same("the image", &pulled, &image)?;
    let told: Value = serde_json::from_str(&bench.buildah(&["inspect", "--type", "image", &pulled])?)?;
    same("the label", told["OCIv1"]["config"]["Labels"]["made"].as_str(), Some("here"))?;
    // What is in the file came through too.
    let container = bench.buildah(&["from", "--quiet", &pulled])?;
    let mounted = bench.buildah(&["mount", &container])?;
    same("the file", fs::read_to_string(format!("{mounted}/file"))?, "from scratch".to_owned())?;
    bench.buildah(&["umount", &container])?;
    Ok("one layer".to_owned())
}

fn commit_to_registry(bench: &Bench) -> Outcome<String> {
    let container = working(bench, "scratch", "straight")?;
    for (format, tag, media_type) in [
        ("oci", "oci", "application/vnd.oci.image.config.v1+json"),
        ("docker", "docker", "application/vnd.docker.container.image.v1+json"),
    ] {
        let name = bench.docker(&format!("team/app:{tag}"));
        bench.buildah(&["commit", "--quiet", "--format", format, &container, &name])?;
        let seen = manifest(bench, "team/app", tag)?;
        same("the configuration's type", seen["config"]["mediaType"].as_str(), Some(media_type))?;
        bench.client().pull_blob("team/app", seen["layers"][0]["digest"].as_str().unwrap_or_default())?;
    }
    Ok("both formats".to_owned())
}

fn on_another(bench: &Bench) -> Outcome<String> {
    skopeo::copy(bench, &[&bench.layout("one"), &bench.docker("team/base:v1")])?;
    let container = working(bench, &bench.at("team/base:v1"), "on another")?;
    bench.buildah(&["commit", "--quiet", &container, "derived"])?;
    bench.buildah(&["push", "--quiet", "derived", &bench.docker("team/derived:v1")])?;
    let seen = manifest(bench, "team/derived", "v1")?;
    let layers = seen["layers"].as_array().ok_or("a manifest without layers")?;
    same("layers", layers.len(), bench.one.layers.len() + 1)?;
    for (layer, base) in layers.iter().zip(&bench.one.layers) {
        same("a layer of the image below", layer["digest"].as_str(), Some(&*base.digest))?;
    }
    for layer in layers {
        bench.client().pull_blob("team/derived", layer["digest"].as_str().unwrap_or_default())?;
    }
    Ok(format!("{} of {} layers shared", bench.one.layers.len(), layers.len()))
}

fn bud(bench: &Bench) -> Outcome<String> {
    let context = bench.path("context");
    fs::create_dir_all(&context)?;
    fs::write(context.join("Containerfile"), "FROM scratch\nCOPY a /a\nCOPY b /b\nLABEL made=here\n")?;
    fs::write(context.join("a"), "a")?;
    fs::write(context.join("b"), "b")?;
    let context = context.display().to_string();
    bench.buildah(&["bud", "--quiet", "--layers", "--tag", "built", &context])?;
    bench.buildah(&["push", "--quiet", "built", &bench.docker("team/built:v1")])?;
    let seen = manifest(bench, "team/built", "v1")?;
    let layers = seen["layers"].as_array().ok_or("a manifest without layers")?;
    same("layers", layers.len(), 2)?;
    for layer in layers {
        bench.client().pull_blob("team/built", layer["digest"].as_str().unwrap_or_default())?;
    }
    Ok("two layers".to_owned())
}

fn manifest_push(bench: &Bench) -> Outcome<String> {
    let architectures = ["amd64", "arm64", "riscv64"];
    bench.buildah(&["manifest", "create", "list"])?;
    for architecture in architectures {
        let container = working(bench, "scratch", architecture)?;
        bench.buildah(&["config", "--arch", architecture, &container])?;
        bench.buildah(&["commit", "--quiet", &container, architecture])?;
        bench.buildah(&["manifest", "add", "list", architecture])?;
    }
    let push = ["manifest", "push", "--quiet", "--all", "--tls-verify=false", "list", &bench.docker("team/list:v1")];
    bench.buildah(&push)?;
    let index = manifest(bench, "team/list", "v1")?;
    let manifests = index["manifests"].as_array().ok_or("an index without manifests")?;
    let mut seen: Vec<&str> =
        manifests.iter().filter_map(|manifest| manifest["platform"]["architecture"].as_str()).collect();
    seen.sort_unstable();
    same("the architectures", seen, architectures.to_vec())?;
    for entry in manifests {
        let image = manifest(bench, "team/list", entry["digest"].as_str().unwrap_or_default())?;
        bench.client().pull_blob("team/list", image["layers"][0]["digest"].as_str().unwrap_or_default())?;
    }
    // As a user of it would.
    let arm = ["pull", "--quiet", "--tls-verify=false", "--arch", "arm64", &bench.at("team/list:v1")];
    bench.buildah(&arm)?;
    Ok(format!("{} architectures", manifests.len()))
}
