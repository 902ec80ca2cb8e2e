//! Pushing blobs at once.

use bytes::Bytes;

use crate::bench::Bench;
use crate::content::{absent, content, sha256, sha512};
use crate::requirement::{Outcome, Requirement, ensure, requirements};
use crate::upload::{Upload, lacks, pulls, push_blob, unknown_upload};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Pushing a blob monolithically":
        Must All end_4a_post_begins_an_upload_with_202_and_a_location,
        Must All end_4a_each_upload_has_a_location_of_its_own,
        Must All end_4a_post_then_put_creates_the_blob,
        Must All end_6_put_is_201_with_a_location_that_can_be_pulled,
        Must All end_6_an_empty_blob_is_pushed,
        Must All end_6_a_blob_that_is_there_is_pushed_again,
        Must All end_6_a_blob_of_unknown_length_is_pushed,
        Must All end_6_a_sha512_blob_is_pushed,
        Should All end_4c_a_sha512_blob_is_pushed_to_an_upload_for_it,
        Should All end_4c_an_upload_for_an_unsupported_algorithm_is_400,
        Should All end_6_a_wrong_digest_is_400_digest_invalid,
        Must All end_6_a_blob_with_a_wrong_digest_is_not_there,
        Should All end_6_a_wrong_sha512_digest_is_400_digest_invalid,
        Should All end_6_an_invalid_digest_is_400,
        Should All end_6_a_digest_of_an_unsupported_algorithm_is_400,
        Should All end_6_a_put_without_a_digest_is_400,
        Wharf All end_6_an_upload_is_still_there_after_a_put_without_a_digest,
        Must All end_6_an_unknown_upload_is_404_blob_upload_unknown,
        Must All end_6_an_upload_that_is_done_is_404,
        Must All end_6_an_upload_of_another_repository_is_refused,
        Should All end_4b_a_post_with_a_digest_creates_the_blob_or_begins_an_upload,
        Should All end_4b_a_post_with_a_wrong_digest_creates_nothing,
        Wharf All end_6_the_created_blob_has_its_digest_in_a_header,
    ]
}

async fn end_4a_post_begins_an_upload_with_202_and_a_location(bench: &Bench) -> Outcome {
    let response = bench.client.post(format!("/v2/{}/blobs/uploads/", bench.repository())).expect(202).await?;
    ensure(response.location()?.len() > 1, response.because("Location names nothing"))
}

async fn end_4a_each_upload_has_a_location_of_its_own(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let first = Upload::begin(&bench.client, &repository).await?.location;
    let second = Upload::begin(&bench.client, &repository).await?.location;
    ensure(first.split('?').next() != second.split('?').next(), format_args!("both are {first}"))
}

async fn end_4a_post_then_put_creates_the_blob(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = sha256(&blob);
    let upload = Upload::begin(&bench.client, &repository).await?;
    lacks(&bench.client, &repository, &digest).await?;
    upload.finish(&digest, &blob).expect(201).await?;
    pulls(&bench.client, &repository, &digest, &blob).await
}

async fn end_6_put_is_201_with_a_location_that_can_be_pulled(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    let response = upload.finish(&sha256(&blob), &blob).expect(201).await?;
    bench.client.get(response.location()?).expect(200).await?.has_body(&blob)
}

async fn end_6_an_empty_blob_is_pushed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &Bytes::new()).await?;
    pulls(&bench.client, &repository, &digest, b"").await
}

async fn end_6_a_blob_that_is_there_is_pushed_again(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    push_blob(&bench.client, &repository, &blob).await?;
    push_blob(&bench.client, &other, &blob).await?;
    pulls(&bench.client, &repository, &digest, &blob).await?;
    pulls(&bench.client, &other, &digest, &blob).await
}

async fn end_6_a_blob_of_unknown_length_is_pushed(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 300_000));
    let digest = sha256(&blob);
    let upload = Upload::begin(&bench.client, &repository).await?;
    let pieces = blob.chunks(7_000).map(Bytes::copy_from_slice).collect();
    upload.finish(&digest, &Bytes::new()).chunked(pieces).expect(201).await?;
    pulls(&bench.client, &repository, &digest, &blob).await
}

async fn end_6_a_sha512_blob_is_pushed(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    let response = upload.finish(&sha512(&blob), &blob).expect(201).await?;
    bench.client.get(response.location()?).expect(200).await?.has_body(&blob)
}

async fn end_4c_a_sha512_blob_is_pushed_to_an_upload_for_it(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let target = format!("/v2/{repository}/blobs/uploads/?digest-algorithm=sha512");
    let location = bench.client.post(target).expect(202).await?.location()?;
    let upload = Upload { client: bench.client.clone(), location };
    upload.finish(&sha512(&blob), &blob).expect(201).await?;
    pulls(&bench.client, &repository, &sha512(&blob), &blob).await
}

async fn end_4c_an_upload_for_an_unsupported_algorithm_is_400(bench: &Bench) -> Outcome {
    for algorithm in ["md5", "sha256:", "SHA512"] {
        let target = format!("/v2/{}/blobs/uploads/?digest-algorithm={algorithm}", bench.repository());
        bench.client.post(target).expect_error(&[400], &["DIGEST_INVALID", "UNSUPPORTED"]).await?;
    }
    Ok(())
}

async fn end_6_a_wrong_digest_is_400_digest_invalid(bench: &Bench) -> Outcome {
    let upload = Upload::begin(&bench.client, &bench.repository()).await?;
    let request = upload.finish(&absent(), &content(1, 1000));
    request.expect_error(&[400], &["DIGEST_INVALID"]).await.map(drop)
}

async fn end_6_a_blob_with_a_wrong_digest_is_not_there(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    upload.finish(&absent(), &blob).expect(400).await?;
    lacks(&bench.client, &repository, &absent()).await?;
    lacks(&bench.client, &repository, &sha256(&blob)).await
}

async fn end_6_a_wrong_sha512_digest_is_400_digest_invalid(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let upload = Upload::begin(&bench.client, &repository).await?;
    let wrong = sha512(b"something else");
    upload.finish(&wrong, &content(1, 1000)).expect_error(&[400], &["DIGEST_INVALID"]).await?;
    lacks(&bench.client, &repository, &wrong).await
}

async fn end_6_an_invalid_digest_is_400(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let upper = absent().to_uppercase().replace("SHA256", "sha256");
    for digest in ["sha256:baddigeststring", "sha256:", "sha256", "latest", ":", &upper, &absent()[..70]] {
        let upload = Upload::begin(&bench.client, &repository).await?;
        upload.finish(digest, &content(1, 1000)).expect_error(&[400], &["DIGEST_INVALID"]).await?;
    }
    Ok(())
}

async fn end_6_a_digest_of_an_unsupported_algorithm_is_400(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    for digest in ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "foo:bar"] {
        let upload = Upload::begin(&bench.client, &repository).await?;
        let codes = ["DIGEST_INVALID", "BLOB_UPLOAD_INVALID", "UNSUPPORTED"];
        upload.finish(digest, &Bytes::new()).expect_error(&[400], &codes).await?;
    }
    Ok(())
}

async fn end_6_a_put_without_a_digest_is_400(bench: &Bench) -> Outcome {
    let upload = Upload::begin(&bench.client, &bench.repository()).await?;
    let request = bench.client.put(&upload.location).body(content(1, 1000));
    request.expect_error(&[400], &["DIGEST_INVALID"]).await.map(drop)
}

/// Distribution lets the client try again: nothing was wrong with the bytes so far.
async fn end_6_an_upload_is_still_there_after_a_put_without_a_digest(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let mut upload = Upload::begin(&bench.client, &repository).await?;
    upload.send(0, &blob).await?;
    bench.client.put(&upload.location).expect(400).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_6_an_unknown_upload_is_404_blob_upload_unknown(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = unknown_upload(bench, &repository).await?;
    upload.finish(&sha256(&blob), &blob).expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await?;
    lacks(&bench.client, &repository, &sha256(&blob)).await
}

async fn end_6_an_upload_that_is_done_is_404(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    upload.finish(&sha256(&blob), &blob).expect(201).await?;
    upload.finish(&sha256(&blob), &blob).expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await?;
    bench.client.get(&upload.location).expect(404).await.map(drop)
}

async fn end_6_an_upload_of_another_repository_is_refused(bench: &Bench) -> Outcome {
    let (repository, other, blob) = (bench.repository(), bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    let location = upload.location.replace(&repository, &other);
    ensure(location != upload.location, "the location does not have the repository in it")?;
    let stolen = Upload { client: bench.client.clone(), location };
    stolen.chunk(0, &blob).expect_one_of(&[400, 404]).await?;
    stolen.finish(&sha256(&blob), &blob).expect_one_of(&[400, 404]).await?;
    lacks(&bench.client, &other, &sha256(&blob)).await
}

async fn end_4b_a_post_with_a_digest_creates_the_blob_or_begins_an_upload(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = sha256(&blob);
    let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let request = bench.client.post(target).header("content-type", "application/octet-stream").body(blob.clone());
    let response = request.expect_one_of(&[201, 202]).await?;
    let location = response.location()?;
    if response.status == 201 {
        bench.client.get(location).expect(200).await?.has_body(&blob)?;
    } else {
        let upload = Upload { client: bench.client.clone(), location };
        upload.finish(&digest, &blob).expect(201).await?;
    }
    pulls(&bench.client, &repository, &digest, &blob).await
}

async fn end_4b_a_post_with_a_wrong_digest_creates_nothing(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let target = format!("/v2/{repository}/blobs/uploads/?digest={}", absent());
    let request = bench.client.post(target).header("content-type", "application/octet-stream").body(blob.clone());
    // 202: it does not know such requests, and began an upload.
    request.expect_one_of(&[400, 202]).await?;
    lacks(&bench.client, &repository, &absent()).await?;
    lacks(&bench.client, &repository, &sha256(&blob)).await
}

async fn end_6_the_created_blob_has_its_digest_in_a_header(bench: &Bench) -> Outcome {
    let blob = content(1, 1000);
    let upload = Upload::begin(&bench.client, &bench.repository()).await?;
    let response = upload.finish(&sha256(&blob), &blob).expect(201).await?;
    response.has("docker-content-digest", &sha256(&blob))
}
