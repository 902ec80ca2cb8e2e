//! Deleting tags, manifests and blobs.

use crate::bench::Bench;
use crate::content::{absent, content};
use crate::image::{Image, index, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, lacks, pulls, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    let mut all = requirements!["Deleting tags":
        Must All end_9_a_tag_is_deleted_with_202_and_404_later,
        Must All end_9_a_deleted_tags_manifest_stays,
        Must All end_9_other_tags_of_the_manifest_stay,
        Must All end_9_a_deleted_tag_is_not_listed,
        Must All end_9_a_deleted_tag_is_pushed_again,
        Wharf All end_9_an_unknown_tag_cannot_be_deleted,
        Must Own end_9_a_tag_is_not_deleted_where_that_is_off,
    ];
    all.extend(requirements!["Deleting manifests":
        Must All end_9_a_manifest_is_deleted_with_202_and_404_later,
        Must All end_9_the_tags_of_a_deleted_manifest_are_404,
        Must All end_9_the_tags_of_a_deleted_manifest_are_not_listed,
        Must All end_9_tags_of_other_manifests_stay,
        Must All end_9_the_blobs_of_a_deleted_manifest_stay,
        Must All end_9_an_index_is_deleted_and_its_manifests_stay,
        Must All end_9_a_deleted_manifest_is_pushed_again,
        Must All end_9_a_manifest_is_deleted_in_one_repository_only,
        Wharf All end_9_an_unknown_manifest_cannot_be_deleted,
        Must All end_9_a_manifest_of_an_unknown_repository_is_404,
        Must Own end_9_a_manifest_is_not_deleted_where_that_is_off,
    ]);
    all.extend(requirements!["Deleting blobs":
        Must All end_10_a_blob_is_deleted_with_202_and_404_later,
        Must All end_10_a_blob_is_deleted_in_one_repository_only,
        Must All end_10_a_deleted_blob_is_pushed_again,
        Must All end_10_an_unknown_blob_is_404_blob_unknown,
        Must All end_10_a_deleted_blob_cannot_be_deleted_again,
        Must Own end_10_a_blob_is_not_deleted_where_that_is_off,
        Wharf Own end_10_nothing_is_changed_where_all_is_read_only,
    ]);
    all
}

fn manifest_target(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

async fn tags(bench: &Bench, repository: &str) -> Outcome<Vec<String>> {
    bench.client.get(format!("/v2/{repository}/tags/list")).expect(200).await?.strings("tags")
}

async fn end_9_a_tag_is_deleted_with_202_and_404_later(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, "latest")).expect(202).await?;
    pull(&bench.client, &repository, "latest").expect_error(&[404], &["MANIFEST_UNKNOWN"]).await.map(drop)
}

async fn end_9_a_deleted_tags_manifest_stays(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, "latest")).expect(202).await?;
    pull(&bench.client, &repository, &manifest.digest).expect(200).await?.has_body(&manifest.bytes)
}

async fn end_9_other_tags_of_the_manifest_stay(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "a").await?;
    for tag in ["ab", "a-b", "b"] {
        manifest.push(&bench.client, &repository, tag).await?;
    }
    bench.client.delete(manifest_target(&repository, "a")).expect(202).await?;
    for tag in ["ab", "a-b", "b"] {
        pull(&bench.client, &repository, tag).expect(200).await?.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn end_9_a_deleted_tag_is_not_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "a").await?;
    manifest.push(&bench.client, &repository, "b").await?;
    bench.client.delete(manifest_target(&repository, "a")).expect(202).await?;
    same("the tags", tags(bench, &repository).await?, vec!["b".to_owned()])
}

async fn end_9_a_deleted_tag_is_pushed_again(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, "latest")).expect(202).await?;
    let manifest = Image::new(2).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_9_an_unknown_tag_cannot_be_deleted(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    let request = bench.client.delete(manifest_target(&repository, "late"));
    request.expect_error(&[404], &["MANIFEST_UNKNOWN"]).await?;
    pull(&bench.client, &repository, "latest").expect(200).await.map(drop)
}

async fn end_9_a_tag_is_not_deleted_where_that_is_off(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    let server = bench.serve(|builder| builder.delete(false)).await?;
    let request = server.client.delete(manifest_target(&repository, "latest"));
    request.expect_error(&[400, 405], &["UNSUPPORTED"]).await?;
    pull(&bench.client, &repository, "latest").expect(200).await.map(drop)
}

async fn end_9_a_manifest_is_deleted_with_202_and_404_later(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, &manifest.digest)).expect(202).await?;
    pull(&bench.client, &repository, &manifest.digest).expect_error(&[404], &["MANIFEST_UNKNOWN"]).await.map(drop)
}

async fn end_9_the_tags_of_a_deleted_manifest_are_404(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "a").await?;
    manifest.push(&bench.client, &repository, "b").await?;
    bench.client.delete(manifest_target(&repository, &manifest.digest)).expect(202).await?;
    for tag in ["a", "b"] {
        pull(&bench.client, &repository, tag).expect_error(&[404], &["MANIFEST_UNKNOWN"]).await?;
    }
    Ok(())
}

async fn end_9_the_tags_of_a_deleted_manifest_are_not_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "a").await?;
    manifest.push(&bench.client, &repository, "b").await?;
    Image::new(2).push(&bench.client, &repository, "c").await?;
    bench.client.delete(manifest_target(&repository, &manifest.digest)).expect(202).await?;
    same("the tags", tags(bench, &repository).await?, vec!["c".to_owned()])
}

/// A tag that pointed to the manifest once points to another now.
async fn end_9_tags_of_other_manifests_stay(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let first = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let second = Image::new(2).push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, &first.digest)).expect(202).await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&second.bytes)
}

async fn end_9_the_blobs_of_a_deleted_manifest_stay(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    let manifest = image.push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, &manifest.digest)).expect(202).await?;
    pulls(&bench.client, &repository, &crate::content::sha256(&image.layer), &image.layer).await
}

async fn end_9_an_index_is_deleted_and_its_manifests_stay(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "one").await?;
    let index = index(&[&manifest]);
    index.push(&bench.client, &repository, "all").await?;
    bench.client.delete(manifest_target(&repository, &index.digest)).expect(202).await?;
    pull(&bench.client, &repository, "all").expect(404).await?;
    pull(&bench.client, &repository, "one").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_9_a_deleted_manifest_is_pushed_again(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    bench.client.delete(manifest_target(&repository, &manifest.digest)).expect(202).await?;
    manifest.push(&bench.client, &repository, "latest").await?;
    for reference in ["latest", &manifest.digest] {
        pull(&bench.client, &repository, reference).expect(200).await?.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn end_9_a_manifest_is_deleted_in_one_repository_only(bench: &Bench) -> Outcome {
    let (repository, other) = (bench.repository(), bench.repository());
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    Image::new(1).push(&bench.client, &other, "latest").await?;
    bench.client.delete(manifest_target(&repository, &manifest.digest)).expect(202).await?;
    pull(&bench.client, &other, &manifest.digest).expect(200).await?.has_body(&manifest.bytes)?;
    pull(&bench.client, &other, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_9_an_unknown_manifest_cannot_be_deleted(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    let request = bench.client.delete(manifest_target(&repository, &absent()));
    request.expect_error(&[404], &["MANIFEST_UNKNOWN"]).await.map(drop)
}

async fn end_9_a_manifest_of_an_unknown_repository_is_404(bench: &Bench) -> Outcome {
    let request = bench.client.delete(manifest_target(&bench.repository(), &absent()));
    request.expect_error(&[404], &["MANIFEST_UNKNOWN", "NAME_UNKNOWN"]).await.map(drop)
}

async fn end_9_a_manifest_is_not_deleted_where_that_is_off(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let server = bench.serve(|builder| builder.delete(false)).await?;
    let request = server.client.delete(manifest_target(&repository, &manifest.digest));
    request.expect_error(&[400, 405], &["UNSUPPORTED"]).await?;
    pull(&bench.client, &repository, &manifest.digest).expect(200).await.map(drop)
}

async fn end_10_a_blob_is_deleted_with_202_and_404_later(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let target = format!("/v2/{repository}/blobs/{}", push_blob(&bench.client, &repository, &blob).await?);
    bench.client.delete(&target).expect(202).await?;
    bench.client.head(&target).expect(404).await?;
    bench.client.get(&target).expect_error(&[404], &["BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_10_a_blob_is_deleted_in_one_repository_only(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    push_blob(&bench.client, &other, &blob).await?;
    bench.client.delete(format!("/v2/{repository}/blobs/{digest}")).expect(202).await?;
    lacks(&bench.client, &repository, &digest).await?;
    pulls(&bench.client, &other, &digest, &blob).await
}

async fn end_10_a_deleted_blob_is_pushed_again(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    bench.client.delete(format!("/v2/{repository}/blobs/{digest}")).expect(202).await?;
    push_blob(&bench.client, &repository, &blob).await?;
    pulls(&bench.client, &repository, &digest, &blob).await
}

async fn end_10_an_unknown_blob_is_404_blob_unknown(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    push_blob(&bench.client, &repository, &content(1, 1000)).await?;
    let request = bench.client.delete(format!("/v2/{repository}/blobs/{}", absent()));
    request.expect_error(&[404], &["BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_10_a_deleted_blob_cannot_be_deleted_again(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let target = format!("/v2/{repository}/blobs/{}", push_blob(&bench.client, &repository, &blob).await?);
    bench.client.delete(&target).expect(202).await?;
    bench.client.delete(&target).expect_error(&[404], &["BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_10_a_blob_is_not_deleted_where_that_is_off(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let server = bench.serve(|builder| builder.delete(false)).await?;
    let request = server.client.delete(format!("/v2/{repository}/blobs/{digest}"));
    request.expect_error(&[400, 405], &["UNSUPPORTED"]).await?;
    pulls(&bench.client, &repository, &digest, &blob).await
}

async fn end_10_nothing_is_changed_where_all_is_read_only(bench: &Bench) -> Outcome {
    let (repository, image, blob) = (bench.repository(), Image::new(1), content(9, 1000));
    let manifest = image.push(&bench.client, &repository, "latest").await?;
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let mut upload = Upload::begin(&bench.client, &repository).await?;
    upload.send(0, &blob).await?;
    let server = bench.serve(|builder| builder.read_only(true).delete(true)).await?;
    let there = Upload { client: server.client.clone(), location: upload.location.clone() };
    for request in [
        server.client.delete(manifest_target(&repository, "latest")),
        server.client.delete(manifest_target(&repository, &manifest.digest)),
        server.client.delete(format!("/v2/{repository}/blobs/{digest}")),
        server.client.post(format!("/v2/{repository}/blobs/uploads/")),
        server.client.post(format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={repository}")),
        manifest.put(&server.client, &repository, "other"),
        there.chunk(blob.len(), &blob),
        there.finish(&digest, &bytes::Bytes::new()),
        there.cancel(),
    ] {
        request.expect(405).await?;
    }
    pull(&server.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)?;
    pulls(&server.client, &repository, &digest, &blob).await?;
    pull(&server.client, &repository, "other").expect(404).await?;
    let seen = upload.status().await;
    ensure(seen.is_ok_and(|length| length == blob.len()), "the upload has changed")
}
