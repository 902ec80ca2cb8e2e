//! Pulling: manifests and blobs, and asking whether they are there.

use bytes::Bytes;

use crate::bench::Bench;
use crate::content::{absent, content, sha512};
use crate::image::{ACCEPT, Image, MANIFEST, index, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, pulls, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    let mut all = requirements!["Pulling manifests":
        Must All end_3_a_manifest_is_pulled_by_its_tag,
        Must All end_3_a_manifest_is_pulled_by_its_digest,
        Must All end_3_an_index_is_pulled_by_its_tag_and_digest,
        Should All end_3_a_manifest_has_the_content_type_it_was_pushed_with,
        Should All end_3_a_content_type_has_no_parameters,
        Must All end_3_a_pulled_manifest_has_its_digest_in_a_header,
        Must All end_3_a_client_without_accept_gets_the_manifest,
        Must All end_3_a_client_that_accepts_anything_gets_the_manifest,
        Must All end_3_an_unknown_tag_is_404_manifest_unknown,
        Must All end_3_an_unknown_digest_is_404_manifest_unknown,
        Must All end_3_an_unknown_repository_is_404,
        Must All end_3_a_manifest_of_another_repository_is_404,
        Should All end_3_a_manifest_that_is_known_by_its_etag_is_304,
        Wharf All end_3_a_tag_that_moves_has_another_etag,
    ];
    all.extend(requirements!["Pulling blobs":
        Must All end_2_a_blob_is_pulled_by_its_digest,
        Must All end_2_an_empty_blob_is_pulled,
        Must All end_2_a_blob_of_several_mebibytes_is_pulled,
        Must All end_2_a_pulled_blob_has_its_digest_in_a_header,
        Must All end_2_a_blob_is_pulled_by_its_sha512_digest,
        Must All end_2_an_unknown_blob_is_404_blob_unknown,
        Must All end_2_a_blob_of_another_repository_is_404,
        Must All end_2_a_blob_of_an_unknown_repository_is_404,
        Should All end_2_a_blob_that_is_known_by_its_etag_is_304,
        Wharf All end_2_a_configuration_is_pulled_as_a_blob,
    ]);
    all.extend(requirements!["Checking if content exists":
        Must All end_2_head_of_a_blob_is_200_with_its_size_and_digest,
        Must All end_2_head_of_an_empty_blob_says_that_it_has_no_bytes,
        Must All end_2_head_of_an_unknown_blob_is_404_without_a_body,
        Must All end_3_head_of_a_tag_is_200_with_size_and_digest,
        Must All end_3_head_of_a_digest_is_200_with_size_and_digest,
        Must All end_3_head_of_an_unknown_manifest_is_404_without_a_body,
        Should All end_2_head_and_get_have_the_same_headers,
        Should All end_3_head_and_get_have_the_same_headers,
    ]);
    all
}

async fn end_3_a_manifest_is_pulled_by_its_tag(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_3_a_manifest_is_pulled_by_its_digest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, &manifest.digest).expect(200).await?.has_body(&manifest.bytes)
}

async fn end_3_an_index_is_pulled_by_its_tag_and_digest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "one").await?;
    let index = index(&[&manifest]);
    index.push(&bench.client, &repository, "all").await?;
    for reference in ["all", &index.digest] {
        let response = pull(&bench.client, &repository, reference).expect(200).await?;
        response.has_body(&index.bytes)?;
        same("the media type", response.media_type(), Some(&index.media_type))?;
    }
    Ok(())
}

async fn end_3_a_manifest_has_the_content_type_it_was_pushed_with(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let only = bench.client.get(format!("/v2/{repository}/manifests/latest")).header("accept", MANIFEST);
    same("the media type", only.expect(200).await?.media_type(), Some(&manifest.media_type))
}

async fn end_3_a_content_type_has_no_parameters(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has("content-type", MANIFEST)
}

async fn end_3_a_pulled_manifest_has_its_digest_in_a_header(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    for reference in ["latest", &manifest.digest] {
        let response = pull(&bench.client, &repository, reference).expect(200).await?;
        response.has("docker-content-digest", &manifest.digest)?;
    }
    Ok(())
}

/// The specification lets clients leave `Accept` out, and demands the manifest all the same.
async fn end_3_a_client_without_accept_gets_the_manifest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    for reference in ["latest", &manifest.digest] {
        let response = bench.client.get(format!("/v2/{repository}/manifests/{reference}")).expect(200).await?;
        response.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn end_3_a_client_that_accepts_anything_gets_the_manifest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let request = bench.client.get(format!("/v2/{repository}/manifests/latest")).header("accept", "*/*");
    request.expect(200).await?.has_body(&manifest.bytes)
}

async fn end_3_an_unknown_tag_is_404_manifest_unknown(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "later").expect_error(&[404], &["MANIFEST_UNKNOWN"]).await.map(drop)
}

async fn end_3_an_unknown_digest_is_404_manifest_unknown(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, &absent()).expect_error(&[404], &["MANIFEST_UNKNOWN"]).await.map(drop)
}

async fn end_3_an_unknown_repository_is_404(bench: &Bench) -> Outcome {
    let request = pull(&bench.client, &bench.repository(), "latest");
    request.expect_error(&[404], &["MANIFEST_UNKNOWN", "NAME_UNKNOWN"]).await.map(drop)
}

async fn end_3_a_manifest_of_another_repository_is_404(bench: &Bench) -> Outcome {
    let (repository, other) = (bench.repository(), bench.repository());
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    Image::new(2).push(&bench.client, &other, "other").await?;
    for reference in ["latest", &manifest.digest] {
        pull(&bench.client, &other, reference).expect_error(&[404], &["MANIFEST_UNKNOWN"]).await?;
    }
    Ok(())
}

async fn end_3_a_manifest_that_is_known_by_its_etag_is_304(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    let first = pull(&bench.client, &repository, "latest").expect(200).await?;
    let etag = first.required("etag")?;
    let again = pull(&bench.client, &repository, "latest").header("if-none-match", etag).expect(304).await?;
    again.has_body(b"")?;
    let list = format!("\"other\", {etag}");
    pull(&bench.client, &repository, "latest").header("if-none-match", list).expect(304).await?;
    pull(&bench.client, &repository, "latest").header("if-none-match", "\"other\"").expect(200).await.map(drop)
}

async fn end_3_a_tag_that_moves_has_another_etag(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    let first = pull(&bench.client, &repository, "latest").expect(200).await?;
    let second = Image::new(2).push(&bench.client, &repository, "latest").await?;
    let request = pull(&bench.client, &repository, "latest").header("if-none-match", first.required("etag")?);
    request.expect(200).await?.has_body(&second.bytes)
}

async fn end_2_a_blob_is_pulled_by_its_digest(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let response = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has_body(&blob)?;
    response.has("content-length", "1000")
}

async fn end_2_an_empty_blob_is_pulled(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &Bytes::new()).await?;
    let response = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has_body(b"")?;
    response.has("content-length", "0")
}

async fn end_2_a_blob_of_several_mebibytes_is_pulled(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 5 * 1024 * 1024 + 1));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    pulls(&bench.client, &repository, &digest, &blob).await
}

async fn end_2_a_pulled_blob_has_its_digest_in_a_header(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    let response = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has("docker-content-digest", &digest)
}

async fn end_2_a_blob_is_pulled_by_its_sha512_digest(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = sha512(&blob);
    Upload::begin(&bench.client, &repository).await?.finish(&digest, &blob).expect(201).await?;
    pulls(&bench.client, &repository, &digest, &blob).await?;
    let head = bench.client.head(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    head.has("content-length", "1000")
}

async fn end_2_an_unknown_blob_is_404_blob_unknown(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    let request = bench.client.get(format!("/v2/{repository}/blobs/{}", absent()));
    request.expect_error(&[404], &["BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_2_a_blob_of_another_repository_is_404(bench: &Bench) -> Outcome {
    let (repository, other) = (bench.repository(), bench.repository());
    let digest = push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    push_blob(&bench.client, &other, &content(2, 1000)).await?;
    let request = bench.client.get(format!("/v2/{other}/blobs/{digest}"));
    request.expect_error(&[404], &["BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_2_a_blob_of_an_unknown_repository_is_404(bench: &Bench) -> Outcome {
    let request = bench.client.get(format!("/v2/{}/blobs/{}", bench.repository(), absent()));
    request.expect_error(&[404], &["BLOB_UNKNOWN", "NAME_UNKNOWN"]).await.map(drop)
}

async fn end_2_a_blob_that_is_known_by_its_etag_is_304(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let target = format!("/v2/{repository}/blobs/{digest}");
    let first = bench.client.get(&target).expect(200).await?;
    let etag = first.required("etag")?;
    bench.client.get(&target).header("if-none-match", etag).expect(304).await?.has_body(b"")?;
    bench.client.get(&target).header("if-none-match", "\"other\"").expect(200).await?.has_body(&blob)
}

async fn end_2_a_configuration_is_pulled_as_a_blob(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push(&bench.client, &repository, "latest").await?;
    let digest = crate::content::sha256(&image.configuration);
    pulls(&bench.client, &repository, &digest, &image.configuration).await
}

async fn end_2_head_of_a_blob_is_200_with_its_size_and_digest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    let response = bench.client.head(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has("content-length", "1000")?;
    response.has("docker-content-digest", &digest)
}

async fn end_2_head_of_an_empty_blob_says_that_it_has_no_bytes(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &Bytes::new()).await?;
    let response = bench.client.head(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has("content-length", "0")
}

async fn end_2_head_of_an_unknown_blob_is_404_without_a_body(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    bench.client.head(format!("/v2/{repository}/blobs/{}", absent())).expect(404).await?.has_body(b"")
}

async fn end_3_head_of_a_tag_is_200_with_size_and_digest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let request = bench.client.head(format!("/v2/{repository}/manifests/latest")).header("accept", ACCEPT);
    let response = request.expect(200).await?;
    response.has("content-length", &manifest.bytes.len().to_string())?;
    response.has("docker-content-digest", &manifest.digest)
}

async fn end_3_head_of_a_digest_is_200_with_size_and_digest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let target = format!("/v2/{repository}/manifests/{}", manifest.digest);
    let response = bench.client.head(target).header("accept", ACCEPT).expect(200).await?;
    response.has("content-length", &manifest.bytes.len().to_string())?;
    response.has("docker-content-digest", &manifest.digest)
}

async fn end_3_head_of_an_unknown_manifest_is_404_without_a_body(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    for reference in ["later", &absent()] {
        let request = bench.client.head(format!("/v2/{repository}/manifests/{reference}")).header("accept", ACCEPT);
        request.expect(404).await?.has_body(b"")?;
    }
    Ok(())
}

async fn end_2_head_and_get_have_the_same_headers(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    same_headers(bench, &format!("/v2/{repository}/blobs/{digest}")).await
}

async fn end_3_head_and_get_have_the_same_headers(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    same_headers(bench, &format!("/v2/{repository}/manifests/latest")).await
}

/// RFC 9110, section 9.3.2: `HEAD` answers as `GET` would, without the body.
async fn same_headers(bench: &Bench, target: &str) -> Outcome {
    let get = bench.client.get(target).header("accept", ACCEPT).expect(200).await?;
    let head = bench.client.head(target).header("accept", ACCEPT).expect(200).await?;
    for name in ["content-length", "content-type", "docker-content-digest", "etag", "accept-ranges", "cache-control"] {
        same(format_args!("{name} of HEAD"), head.header(name), get.header(name))?;
    }
    ensure(head.body.is_empty(), head.because("HEAD has a body"))
}
