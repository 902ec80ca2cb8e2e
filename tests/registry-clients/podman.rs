//! podman: pushes and pulls with a storage of its own. No container is run.

use serde_json::Value;
use wharf_conformance::images::INDEX;
use wharf_conformance::stores::Kind;

use crate::Promise;
use crate::bench::Bench;
use crate::check::{Outcome, ensure, same};
use crate::skopeo;

pub(crate) const PROMISES: &[Promise] = &[
    promise("what_it_pushes_it_pulls_again", push_and_pull),
    promise("pull_by_digest_gives_that_image", pull_by_digest),
    promise("pull_all_tags_pulls_each", pull_all_tags),
    promise("pull_takes_the_architecture_asked_for", pull_architecture),
    promise("push_converts_to_dockers_manifest_and_back", docker_format),
    promise("manifest_push_all_pushes_an_index", manifest_push),
    promise("search_lists_tags_and_repositories", search),
    promise("pull_of_what_is_not_there_says_so", pull_missing),
];

const fn promise(name: &'static str, test: fn(&Bench) -> Outcome<String>) -> Promise {
    Promise { client: "podman", name, kinds: &Kind::ALL, test }
}

/// Takes the image `one` into podman's storage and returns its name there.
fn take(bench: &Bench) -> Outcome<String> {
    let id = bench.podman(&["pull", "--quiet", &bench.layout("one")])?;
    Ok(id.lines().last().ok_or("podman pull printed no image")?.to_owned())
}

/// Returns the number that podman gives an image: the digest of its configuration, without the algorithm.
fn id(bench: &Bench) -> &str {
    bench.one.configuration.digest.trim_start_matches("sha256:")
}

fn push_and_pull(bench: &Bench) -> Outcome<String> {
    let image = take(bench)?;
    same("the image", &*image, id(bench))?;
    bench.podman(&["push", "--quiet", &image, &bench.docker("team/app:v1")])?;
    bench.podman(&["rmi", "--all", "--force"])?;
    same("images left", bench.podman(&["images", "--quiet"])?, String::new())?;
    let pulled = bench.podman(&["pull", "--quiet", &bench.at("team/app:v1")])?;
    same("the image that was pulled", &*pulled, id(bench))?;
    let told: Value = serde_json::from_str(&bench.podman(&["image", "inspect", &pulled])?)?;
    let manifest = bench.client().pull_manifest("team/app", "v1")?.ok_or("the registry has no manifest")?;
    same("Digest", told[0]["Digest"].as_str(), Some(&*manifest.digest))?;
    let layers = told[0]["RootFS"]["Layers"].as_array().map(Vec::len);
    same("layers", layers, Some(bench.one.layers.len()))?;
    Ok(format!("{} layers", bench.one.layers.len()))
}

fn pull_by_digest(bench: &Bench) -> Outcome<String> {
    skopeo::copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    let name = bench.at(&format!("team/app@{}", bench.one.manifest.digest));
    same("the image", &*bench.podman(&["pull", "--quiet", &name])?, id(bench))?;
    Ok("one image".to_owned())
}

fn pull_all_tags(bench: &Bench) -> Outcome<String> {
    for tag in ["v1", "v2", "v3"] {
        skopeo::copy(bench, &[&bench.layout("one"), &bench.docker(&format!("team/app:{tag}"))])?;
    }
    bench.podman(&["pull", "--quiet", "--all-tags", &bench.at("team/app")])?;
    let names = bench.podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    let promised: Vec<String> = ["v1", "v2", "v3"].iter().map(|tag| bench.at(&format!("team/app:{tag}"))).collect();
    same("the tags pulled", names, promised.iter().map(|name| &**name).collect())?;
    Ok("three tags".to_owned())
}

fn pull_architecture(bench: &Bench) -> Outcome<String> {
    skopeo::copy(bench, &["--all", &bench.layout("many"), &bench.docker("team/many:v1")])?;
    for image in &bench.many.images {
        let pulled = bench.podman(&["pull", "--quiet", "--arch", &image.architecture, &bench.at("team/many:v1")])?;
        let promised = image.configuration.digest.trim_start_matches("sha256:");
        same(format_args!("the image for {}", image.architecture), &*pulled, promised)?;
    }
    Ok(format!("{} architectures", bench.many.images.len()))
}

fn docker_format(bench: &Bench) -> Outcome<String> {
    let image = take(bench)?;
    bench.podman(&["push", "--quiet", "--format", "v2s2", &image, &bench.docker("team/app:docker")])?;
    bench.podman(&["push", "--quiet", "--format", "oci", &image, &bench.docker("team/app:oci")])?;
    let mut types = Vec::new();
    for tag in ["docker", "oci"] {
        let manifest = bench.client().pull_manifest("team/app", tag)?.ok_or("the registry has no manifest")?;
        let manifest: Value = serde_json::from_slice(&manifest.bytes)?;
        types.push(manifest["config"]["mediaType"].as_str().unwrap_or_default().to_owned());
        bench.podman(&["rmi", "--all", "--force"])?;
        bench.podman(&["pull", "--quiet", &bench.at(&format!("team/app:{tag}"))])?;
    }
    let promised = ["application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"];
    same("the configurations' types", types, promised.map(str::to_owned).to_vec())?;
    Ok("both formats".to_owned())
}

fn manifest_push(bench: &Bench) -> Outcome<String> {
    skopeo::copy(bench, &["--all", &bench.layout("many"), &bench.docker("team/many:v1")])?;
    bench.podman(&["manifest", "create", "--all", "list", &bench.docker("team/many:v1")])?;
    // To a repository that has none of it.
    bench.podman(&["manifest", "push", "--all", "list", &bench.docker("other/many:v2")])?;
    let index = bench.client().pull_manifest("other/many", "v2")?.ok_or("the registry has no index")?;
    let index: Value = serde_json::from_slice(&index.bytes)?;
    same("mediaType", index["mediaType"].as_str(), Some(INDEX))?;
    let manifests = index["manifests"].as_array().ok_or("an index without manifests")?;
    same("images", manifests.len(), bench.many.images.len())?;
    for image in &bench.many.images {
        let named = manifests.iter().any(|manifest| manifest["digest"] == *image.manifest.digest);
        ensure(named, format_args!("the index lacks the image for {}", image.architecture))?;
        bench.client().pull_image("other/many", &image.manifest.digest, image)?;
    }
    Ok(format!("{} images", manifests.len()))
}

fn search(bench: &Bench) -> Outcome<String> {
    for name in ["team/app:v1", "team/app:v2", "team/application:v1", "other/thing:v1"] {
        skopeo::copy(bench, &[&bench.layout("one"), &bench.docker(name)])?;
    }
    let tags = bench.podman(&["search", "--list-tags", &bench.at("team/app")])?;
    let mut tags: Vec<&str> = tags.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
    tags.sort_unstable();
    same("the tags", tags, vec!["v1", "v2"])?;
    let names = bench.podman(&["search", "--format", "{{.Name}}", &bench.at("app")])?;
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    same("the repositories", names, vec![&*bench.at("team/app"), &*bench.at("team/application")])?;
    Ok("two tags, two repositories".to_owned())
}

fn pull_missing(bench: &Bench) -> Outcome<String> {
    skopeo::copy(bench, &[&bench.layout("one"), &bench.docker("team/app:v1")])?;
    let tag = bench.try_podman(&["pull", "--quiet", &bench.at("team/app:v9")])?;
    ensure(!tag.success && tag.stderr.contains("manifest unknown"), format_args!("a tag: {}", tag.stderr))?;
    let name = bench.try_podman(&["pull", "--quiet", &bench.at("no/such:v1")])?;
    // Registries say either of a repository that nobody pushed to.
    let told = ["manifest unknown", "name unknown"].iter().any(|words| name.stderr.contains(words));
    ensure(!name.success && told, format_args!("a repository: {}", name.stderr))?;
    Ok("the registry's words".to_owned())
}
