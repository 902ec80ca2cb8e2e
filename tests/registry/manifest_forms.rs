//! Manifests in the forms that programs write, and old registries wrote, beside the plain ones of the specification.

use bytes::Bytes;
use serde_json::{Value, json};
use wharf::contract::StoragePath;

use crate::bench::Bench;
use crate::content::sha256;
use crate::image::{ACCEPT, DOCKER_LIST, DOCKER_MANIFEST, INDEX, Image, MANIFEST, Manifest, blob, pull};
use crate::requirement::{Outcome, Requirement, requirements, same};
use crate::upload::push_blob;

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Forms of manifests":
        Wharf All an_index_of_blobs_is_pushed,
        Wharf All an_index_of_blobs_that_are_missing_is_refused,
        Wharf All a_manifest_in_an_index_has_to_be_there_as_a_manifest,
        Wharf All a_manifest_without_layers_is_pushed,
        Wharf All members_that_are_null_count_as_missing,
        Wharf All a_manifest_without_a_media_type_inside_has_the_one_that_it_was_pushed_with,
        Wharf All the_type_that_a_manifest_was_pushed_with_is_of_its_repository_and_goes_with_it,
        Wharf Own a_manifest_of_schema_1_in_an_old_store_is_served_as_what_it_is,
    ]
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CACHE: &str = "application/vnd.buildkit.cacheconfig.v0";

/// What BuildKit exports as its cache.
fn cache(media_type: &str, blobs: &[&Bytes], configuration: &Bytes) -> Manifest {
    let mut manifests: Vec<Value> = blobs.iter().map(|layer| blob(LAYER, layer)).collect();
    manifests.push(blob(CACHE, configuration));
    Manifest::json(media_type, &json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests }))
}

async fn an_index_of_blobs_is_pushed(bench: &Bench) -> Outcome {
    for media_type in [INDEX, DOCKER_LIST] {
        let (repository, layer, configuration) = (bench.repository(), Bytes::from("layer"), Bytes::from("{}"));
        for blob in [&layer, &configuration] {
            push_blob(&bench.client, &repository, blob).await?;
        }
        let cache = cache(media_type, &[&layer], &configuration);
        cache.push(&bench.client, &repository, "cache").await?;
        let response = pull(&bench.client, &repository, "cache").expect(200).await?;
        response.has("content-type", media_type)?;
        response.has_body(&cache.bytes)?;
    }
    Ok(())
}

async fn an_index_of_blobs_that_are_missing_is_refused(bench: &Bench) -> Outcome {
    let (repository, layer, configuration) = (bench.repository(), Bytes::from("layer"), Bytes::from("{}"));
    push_blob(&bench.client, &repository, &configuration).await?;
    let request = cache(INDEX, &[&layer], &configuration).put(&bench.client, &repository, "cache");
    request.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"]).await.map(drop)
}

async fn a_manifest_in_an_index_has_to_be_there_as_a_manifest(bench: &Bench) -> Outcome {
    let (repository, manifest) = (bench.repository(), Image::new(1).manifest());
    push_blob(&bench.client, &repository, &manifest.bytes).await?;
    let request = crate::image::index(&[&manifest]).put(&bench.client, &repository, "all");
    request.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"]).await.map(drop)
}

async fn a_manifest_without_layers_is_pushed(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let mut without = image.json.clone();
    without.as_object_mut().unwrap().remove("layers");
    for json in [without, image.with("layers", Value::Null).json] {
        let manifest = Manifest::json(MANIFEST, &json);
        manifest.push(&bench.client, &repository, "bare").await?;
        let response = pull(&bench.client, &repository, "bare").expect(200).await?;
        response.has("content-type", MANIFEST)?;
        response.has_body(&manifest.bytes)?;
    }
    Ok(())
}

/// Go writes nil slices, maps and pointers as `null`.
async fn members_that_are_null_count_as_missing(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let mut layer = image.json["layers"][0].clone();
    for member in ["urls", "annotations", "platform", "data"] {
        layer[member] = Value::Null;
    }
    let mut json = image.json.clone();
    json["layers"] = json!([layer]);
    for member in ["annotations", "subject", "artifactType", "manifests"] {
        json[member] = Value::Null;
    }
    Manifest::json(MANIFEST, &json).push(&bench.client, &repository, "nulls").await?;
    json["annotations"] = json!({ "a": null, "b": "c" });
    Manifest::json(MANIFEST, &json).push(&bench.client, &repository, "nulls").await?;
    for member in ["manifests", "annotations", "subject"] {
        let mut json =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "config": null, "layers": null });
        json[member] = Value::Null;
        let index = Manifest::json(INDEX, &json);
        index.push(&bench.client, &repository, "index").await?;
        pull(&bench.client, &repository, "index").expect(200).await?.has("content-type", INDEX)?;
    }
    Ok(())
}

/// Returns a manifest of Docker's without `mediaType`, whose blobs are pushed.
async fn untyped(bench: &Bench, repository: &str) -> Outcome<Value> {
    let image = Image::new(1);
    image.push_blobs(&bench.client, repository).await?;
    let mut json = image.json;
    json.as_object_mut().unwrap().remove("mediaType");
    Ok(json)
}

async fn a_manifest_without_a_media_type_inside_has_the_one_that_it_was_pushed_with(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let image = untyped(bench, &repository).await?;
    let list = json!({ "schemaVersion": 2, "manifests": [] });
    for (media_type, json) in
        [(DOCKER_MANIFEST, &image), (DOCKER_LIST, &list), (MANIFEST, &image), (INDEX, &list), (DOCKER_MANIFEST, &image)]
    {
        let manifest = Manifest::json(media_type, json);
        manifest.push(&bench.client, &repository, "latest").await?;
        for reference in ["latest", &manifest.digest] {
            let target = format!("/v2/{repository}/manifests/{reference}");
            for method in ["GET", "HEAD"] {
                let request = bench.client.request(method, &target).header("accept", ACCEPT);
                request.expect(200).await?.has("content-type", media_type)?;
            }
        }
    }
    Ok(())
}

async fn the_type_that_a_manifest_was_pushed_with_is_of_its_repository_and_goes_with_it(bench: &Bench) -> Outcome {
    let (repository, other) = (bench.repository(), bench.repository());
    let docker = Manifest::json(DOCKER_MANIFEST, &untyped(bench, &repository).await?);
    docker.push(&bench.client, &repository, "latest").await?;
    let oci = Manifest::json(MANIFEST, &untyped(bench, &other).await?);
    same("the digests", &oci.digest, &docker.digest)?;
    oci.push(&bench.client, &other, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has("content-type", DOCKER_MANIFEST)?;
    pull(&bench.client, &other, "latest").expect(200).await?.has("content-type", MANIFEST)?;
    bench.client.delete(format!("/v2/{repository}/manifests/{}", docker.digest)).expect(202).await?;
    // Without a type, it is an OCI document.
    let request = bench.client.put(format!("/v2/{repository}/manifests/latest")).body(docker.bytes.clone());
    request.expect(201).await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has("content-type", MANIFEST)
}

/// Distribution 2 took them, and kept them with or without their signatures.
async fn a_manifest_of_schema_1_in_an_old_store_is_served_as_what_it_is(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let unsigned = json!({
        "schemaVersion": 1, "name": repository, "tag": "old", "architecture": "amd64",
        "fsLayers": [{ "blobSum": sha256(b"layer") }], "history": [{ "v1Compatibility": "{}" }],
    });
    let mut signed = unsigned.clone();
    signed["signatures"] = json!([{ "header": {}, "signature": "x", "protected": "y" }]);
    for (json, media_type) in [
        (unsigned, "application/vnd.docker.distribution.manifest.v1+json"),
        (signed, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ] {
        let manifest = Manifest::json(media_type, &json);
        let hex = manifest.digest.trim_start_matches("sha256:");
        let manifests = format!("repositories/{repository}/_manifests");
        let link = Bytes::from(manifest.digest.clone());
        for (path, content) in [
            (format!("blobs/sha256/{}/{hex}/data", &hex[..2]), manifest.bytes.clone()),
            (format!("{manifests}/revisions/sha256/{hex}/link"), link.clone()),
            (format!("{manifests}/tags/old/index/sha256/{hex}/link"), link.clone()),
            (format!("{manifests}/tags/old/current/link"), link.clone()),
        ] {
            let path = StoragePath::parse(format!("/docker/registry/v2/{path}"))?;
            bench.driver()?.put_content(&path, content).await?;
        }
        for reference in ["old", &manifest.digest] {
            let response = bench.client.get(format!("/v2/{repository}/manifests/{reference}")).expect(200).await?;
            response.has("content-type", media_type)?;
            response.has_body(&manifest.bytes)?;
        }
    }
    Ok(())
}
