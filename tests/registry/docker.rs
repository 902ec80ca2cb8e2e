//! Docker's registry API v2, as far as it says more than the OCI specification.

use bytes::Bytes;
use serde_json::json;

use crate::bench::Bench;
use crate::content::{content, sha256};
use crate::image::{ACCEPT, DOCKER_LIST, DOCKER_MANIFEST, Image, MANIFEST, Manifest, index, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::Upload;

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Docker's registry API v2":
        Wharf All docker_the_version_of_the_api_is_in_a_header,
        Wharf All docker_an_upload_has_its_uuid_in_a_header,
        Wharf All docker_a_new_upload_says_that_it_has_no_bytes,
        Wharf All docker_the_state_of_an_upload_is_asked_with_head,
        Wharf All docker_a_manifest_of_schema_2_is_pushed_and_pulled,
        Wharf All docker_a_manifest_list_is_pushed_and_pulled,
        Wharf All docker_a_manifest_list_is_pulled_by_a_client_that_does_not_know_oci,
        Wharf All docker_an_index_of_docker_manifests_is_pushed,
        Wharf All docker_head_of_a_manifest_list_has_its_type,
        Wharf All docker_a_manifest_of_schema_1_is_refused_and_told_so,
        Wharf All docker_a_repository_without_a_slash_is_served,
        Wharf All docker_blobs_are_octet_streams,
        Wharf Own docker_locations_have_the_host_that_the_client_named,
        Wharf Own docker_locations_are_relative_where_that_is_set,
        Wharf Own docker_locations_begin_as_is_set,
    ]
}

const CONFIGURATION: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

fn image(seed: u64) -> Image {
    Image::typed(seed, DOCKER_MANIFEST, CONFIGURATION, LAYER)
}

fn list(manifests: &[&Manifest]) -> Manifest {
    let mut entries = Vec::new();
    for manifest in manifests {
        let mut entry = manifest.descriptor();
        entry["platform"] = json!({ "architecture": "amd64", "os": "linux" });
        entries.push(entry);
    }
    Manifest::json(DOCKER_LIST, &json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries }))
}

/// Old clients look for it to tell v2 from v1, on errors too.
async fn docker_the_version_of_the_api_is_in_a_header(bench: &Bench) -> Outcome {
    bench.client.get("/v2/").expect(200).await?.has("docker-distribution-api-version", "registry/2.0")?;
    let missing = pull(&bench.client, &bench.repository(), "latest").expect(404).await?;
    missing.has("docker-distribution-api-version", "registry/2.0")
}

async fn docker_an_upload_has_its_uuid_in_a_header(bench: &Bench) -> Outcome {
    let response = bench.client.post(format!("/v2/{}/blobs/uploads/", bench.repository())).expect(202).await?;
    let uuid = response.required("docker-upload-uuid")?;
    ensure(response.location()?.contains(uuid), response.because("Location is another upload's"))?;
    let upload = Upload { client: bench.client.clone(), location: response.location()? };
    upload.chunk(0, &content(1, 100)).expect(202).await?.has("docker-upload-uuid", uuid)
}

async fn docker_a_new_upload_says_that_it_has_no_bytes(bench: &Bench) -> Outcome {
    let response = bench.client.post(format!("/v2/{}/blobs/uploads/", bench.repository())).expect(202).await?;
    response.has("range", "0-0")?;
    response.has("content-length", "0")
}

async fn docker_the_state_of_an_upload_is_asked_with_head(bench: &Bench) -> Outcome {
    let mut upload = Upload::begin(&bench.client, &bench.repository()).await?;
    upload.send(0, &content(1, 100)).await?;
    bench.client.head(&upload.location).expect_one_of(&[200, 204]).await?.has("range", "0-99")
}

async fn docker_a_manifest_of_schema_2_is_pushed_and_pulled(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = image(1).push(&bench.client, &repository, "latest").await?;
    for reference in ["latest", &manifest.digest] {
        let response = pull(&bench.client, &repository, reference).expect(200).await?;
        response.has("content-type", DOCKER_MANIFEST)?;
        response.has("docker-content-digest", &manifest.digest)?;
        response.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn docker_a_manifest_list_is_pushed_and_pulled(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = image(1).push(&bench.client, &repository, "one").await?;
    let list = list(&[&manifest]);
    list.push(&bench.client, &repository, "all").await?;
    for reference in ["all", &list.digest] {
        let response = pull(&bench.client, &repository, reference).expect(200).await?;
        response.has("content-type", DOCKER_LIST)?;
        response.has_body(&list.bytes)?;
    }
    Ok(())
}

async fn docker_a_manifest_list_is_pulled_by_a_client_that_does_not_know_oci(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = image(1).push(&bench.client, &repository, "one").await?;
    let list = list(&[&manifest]);
    list.push(&bench.client, &repository, "all").await?;
    let accept = format!("{DOCKER_MANIFEST}, {DOCKER_LIST}");
    let request = bench.client.get(format!("/v2/{repository}/manifests/all")).header("accept", accept);
    request.expect(200).await?.has_body(&list.bytes)
}

async fn docker_an_index_of_docker_manifests_is_pushed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = image(1).push(&bench.client, &repository, "one").await?;
    let index = index(&[&manifest]);
    index.push(&bench.client, &repository, "all").await?;
    pull(&bench.client, &repository, "all").expect(200).await?.has_body(&index.bytes)
}

async fn docker_head_of_a_manifest_list_has_its_type(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let list = list(&[&image(1).push(&bench.client, &repository, "one").await?]);
    list.push(&bench.client, &repository, "all").await?;
    let request = bench.client.head(format!("/v2/{repository}/manifests/all")).header("accept", ACCEPT);
    request.expect(200).await?.has("content-type", DOCKER_LIST)
}

/// Docker itself gave schema 1 up. Who still pushes it has to learn that from the message.
async fn docker_a_manifest_of_schema_1_is_refused_and_told_so(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let json = json!({
        "schemaVersion": 1, "name": repository, "tag": "latest", "architecture": "amd64",
        "fsLayers": [], "history": [], "signatures": [],
    });
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        let request = Manifest::json(media_type, &json).put(&bench.client, &repository, "latest");
        let response = request.expect_error(&[400, 415], &["MANIFEST_INVALID", "UNSUPPORTED"]).await?;
        let text = String::from_utf8_lossy(&response.body).to_lowercase();
        let told = text.contains("schema") || text.contains("unsupported") || text.contains("v1");
        ensure(told, response.because("the answer does not say what is wrong"))?;
        pull(&bench.client, &repository, "latest").expect(404).await?;
    }
    Ok(())
}

async fn docker_a_repository_without_a_slash_is_served(bench: &Bench) -> Outcome {
    let repository = bench.repository().replace('/', "-");
    let manifest = image(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn docker_blobs_are_octet_streams(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), Bytes::from_static(b"{\"a\": \"<html>\"}"));
    crate::upload::push_blob(&bench.client, &repository, &blob).await?;
    let response = bench.client.get(format!("/v2/{repository}/blobs/{}", sha256(&blob))).expect(200).await?;
    same("the media type", response.media_type(), Some("application/octet-stream"))
}

/// Returns `Location` of a new upload and of a manifest, as the registry wrote them.
async fn locations(client: &crate::client::Client, bench: &Bench, host: Option<&str>) -> Outcome<[String; 2]> {
    let repository = bench.repository();
    let image = Image::new(1);
    image.push_blobs(&bench.client, &repository).await?;
    let mut post = client.post(format!("/v2/{repository}/blobs/uploads/"));
    let mut put = Manifest::new(MANIFEST, image.manifest().bytes).put(client, &repository, "latest");
    if let Some(host) = host {
        post = post.replace("host", host);
        put = put.replace("host", host);
    }
    let upload = post.expect(202).await?.required("location")?.to_owned();
    let manifest = put.expect(201).await?.required("location")?.to_owned();
    Ok([upload, manifest])
}

async fn docker_locations_have_the_host_that_the_client_named(bench: &Bench) -> Outcome {
    for location in locations(&bench.client, bench, Some("registry.example.com:8443")).await? {
        let right = location.starts_with("http://registry.example.com:8443/v2/") || location.starts_with("/v2/");
        ensure(right, format_args!("Location: {location}"))?;
    }
    Ok(())
}

async fn docker_locations_are_relative_where_that_is_set(bench: &Bench) -> Outcome {
    let server = bench.serve(|builder| builder.relative_urls(true)).await?;
    for location in locations(&server.client, bench, None).await? {
        ensure(location.starts_with("/v2/"), format_args!("Location: {location}"))?;
    }
    Ok(())
}

async fn docker_locations_begin_as_is_set(bench: &Bench) -> Outcome {
    let server = bench.serve(|builder| builder.host("https://registry.example.com")).await?;
    for location in locations(&server.client, bench, None).await? {
        ensure(location.starts_with("https://registry.example.com/v2/"), format_args!("Location: {location}"))?;
    }
    Ok(())
}
