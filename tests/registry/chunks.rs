//! Pushing blobs in chunks.

use bytes::Bytes;

use crate::bench::Bench;
use crate::content::{content, sha256, sha512};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, end, in_chunks, lacks, pulls, unknown_upload};

pub(crate) fn requirements() -> Vec<Requirement> {
    let mut all = requirements!["Pushing a blob in chunks":
        Must All end_5_chunks_with_ranges_give_the_blob,
        Must All end_5_a_chunk_is_202_with_location_and_range,
        Must All end_6_the_last_chunk_comes_with_the_put,
        Must All end_5_chunks_without_ranges_are_appended,
        Must All end_5_a_chunk_of_unknown_length_is_appended,
        Must All end_5_a_chunk_that_leaves_a_gap_is_416,
        Must All end_5_a_chunk_that_comes_again_is_416,
        Must All end_5_a_first_chunk_that_does_not_begin_at_0_is_416,
        Must All end_6_a_last_chunk_that_leaves_a_gap_is_416,
        Must All end_5_an_upload_goes_on_after_a_416,
        Wharf All end_6_a_range_of_a_closing_put_without_a_body_is_ignored,
        Should All end_5_a_range_of_another_length_than_the_chunk_adds_nothing,
        Should All end_5_a_range_that_is_none_adds_nothing,
        Must All end_5_a_chunk_to_an_unknown_upload_is_404_blob_upload_unknown,
        Must All end_6_a_wrong_digest_of_chunks_is_400,
        Must All end_6_a_chunked_sha512_blob_is_pushed,
        Should All end_4a_a_least_length_of_chunks_is_honoured,
        Must All end_13_the_state_is_204_with_location_and_range,
        Must All end_13_the_state_of_a_new_upload_is_204,
        Must All end_13_the_state_of_an_unknown_upload_is_404_blob_upload_unknown,
        Must All end_13_an_upload_goes_on_where_its_state_says,
        Wharf Resumable end_5_an_upload_goes_on_at_another_instance,
        Wharf Own end_5_what_another_instance_took_is_never_damaged,
        Wharf Own end_5_two_chunks_at_once_leave_no_mix,
    ];
    all.extend(requirements!["Cancelling a blob upload":
        Should All end_14_a_cancelled_upload_is_204,
        Should All end_14_a_cancelled_upload_is_gone,
        Should All end_14_an_unknown_upload_cannot_be_cancelled,
    ]);
    all
}

async fn end_5_chunks_with_ranges_give_the_blob(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300, 1, 699]).await?;
    let response = upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    bench.client.get(response.location()?).expect(200).await?.has_body(&blob)?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_5_a_chunk_is_202_with_location_and_range(bench: &Bench) -> Outcome {
    let blob = content(1, 1000);
    let mut upload = Upload::begin(&bench.client, &bench.repository()).await?;
    upload.send(0, &blob.slice(..300)).await?.has("range", "0-299")?;
    upload.send(300, &blob.slice(300..)).await?.has("range", "0-999")
}

async fn end_6_the_last_chunk_comes_with_the_put(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    let request = upload.finish(&sha256(&blob), &blob.slice(300..)).header("content-range", "300-999");
    request.expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

/// What `docker` sends: one chunk which does not say where it belongs, of a length that it does not know.
async fn end_5_chunks_without_ranges_are_appended(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let mut upload = Upload::begin(&bench.client, &repository).await?;
    for chunk in [blob.slice(..300), blob.slice(300..)] {
        upload.location = bench.client.patch(&upload.location).body(chunk).expect(202).await?.location()?;
    }
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_5_a_chunk_of_unknown_length_is_appended(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 300_000));
    let mut upload = Upload::begin(&bench.client, &repository).await?;
    let pieces = blob.chunks(7_000).map(Bytes::copy_from_slice).collect();
    let response = bench.client.patch(&upload.location).chunked(pieces).expect(202).await?;
    response.has("range", "0-299999")?;
    upload.location = response.location()?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_5_a_chunk_that_leaves_a_gap_is_416(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    upload.chunk(301, &blob.slice(301..)).expect(416).await.map(drop)
}

async fn end_5_a_chunk_that_comes_again_is_416(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    upload.chunk(0, &blob.slice(..300)).expect(416).await?;
    upload.chunk(299, &blob.slice(299..)).expect(416).await.map(drop)
}

async fn end_5_a_first_chunk_that_does_not_begin_at_0_is_416(bench: &Bench) -> Outcome {
    let upload = Upload::begin(&bench.client, &bench.repository()).await?;
    upload.chunk(1, &content(1, 1000)).expect(416).await.map(drop)
}

async fn end_6_a_last_chunk_that_leaves_a_gap_is_416(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    let request = upload.finish(&sha256(&blob), &blob.slice(400..)).header("content-range", "400-999");
    request.expect(416).await?;
    lacks(&bench.client, &repository, &sha256(&blob)).await
}

async fn end_5_an_upload_goes_on_after_a_416(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let mut upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    upload.chunk(600, &blob.slice(600..)).expect(416).await?;
    same("the upload's length", upload.status().await?, 300)?;
    upload.send(300, &blob.slice(300..600)).await?;
    let request = upload.finish(&sha256(&blob), &blob.slice(700..)).header("content-range", "700-999");
    request.expect(416).await?;
    same("the upload's length", upload.status().await?, 600)?;
    upload.send(600, &blob.slice(600..)).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

/// Clients name the range of all that they sent before. Distribution does not look at it.
async fn end_6_a_range_of_a_closing_put_without_a_body_is_ignored(bench: &Bench) -> Outcome {
    for range in ["0-999", "300-999", "1000-999", "bytes 0-999/1000", "*/1000"] {
        let (repository, blob) = (bench.repository(), content(1, 1000));
        let upload = in_chunks(bench, &repository, &blob, &[300, 700]).await?;
        upload.finish(&sha256(&blob), &Bytes::new()).header("content-range", range).expect(201).await?;
        pulls(&bench.client, &repository, &sha256(&blob), &blob).await?;
    }
    Ok(())
}

/// Sends a chunk with a `Content-Range` that cannot be its, and sees that the upload is as it was.
async fn adds_nothing(bench: &Bench, ranges: &[&str]) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let mut upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    for range in ranges {
        let request = bench.client.patch(&upload.location).header("content-range", range).body(blob.slice(300..400));
        request.expect_one_of(&[400, 416]).await?;
        same(format_args!("the upload's length after {range}"), upload.status().await?, 300)?;
    }
    upload.send(300, &blob.slice(300..)).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await.map(drop)
}

async fn end_5_a_range_of_another_length_than_the_chunk_adds_nothing(bench: &Bench) -> Outcome {
    adds_nothing(bench, &["300-300", "300-398", "300-400", "300-5000"]).await
}

async fn end_5_a_range_that_is_none_adds_nothing(bench: &Bench) -> Outcome {
    adds_nothing(bench, &["399-300", "300", "-399", "300-", "a-b", "-", "0x12c-399", "300-399-400", "+300-399"]).await
}

async fn end_5_a_chunk_to_an_unknown_upload_is_404_blob_upload_unknown(bench: &Bench) -> Outcome {
    let upload = unknown_upload(bench, &bench.repository()).await?;
    let request = upload.chunk(0, &content(1, 1000));
    request.expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await.map(drop)
}

async fn end_6_a_wrong_digest_of_chunks_is_400(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300, 700]).await?;
    // The digest of the last chunk instead of the whole blob.
    let digest = sha256(&blob[300..]);
    upload.finish(&digest, &Bytes::new()).expect_error(&[400], &["DIGEST_INVALID"]).await?;
    lacks(&bench.client, &repository, &digest).await
}

async fn end_6_a_chunked_sha512_blob_is_pushed(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300, 700]).await?;
    upload.finish(&sha512(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha512(&blob), &blob).await
}

/// Chunks of the least length that the registry asks for, and a shorter last one.
async fn end_4a_a_least_length_of_chunks_is_honoured(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let response = bench.client.post(format!("/v2/{repository}/blobs/uploads/")).expect(202).await?;
    let least = match response.header("oci-chunk-min-length") {
        None => 1,
        Some(least) => least.parse::<usize>().map_err(|error| response.because(error))?,
    };
    ensure(least <= 64 * 1024 * 1024, response.because("nobody sends chunks of that length"))?;
    let blob = content(1, 2 * least + 1);
    let mut upload = Upload { client: bench.client.clone(), location: response.location()? };
    upload.send(0, &blob.slice(..least)).await?;
    upload.send(least, &blob.slice(least..2 * least)).await?;
    upload.send(2 * least, &blob.slice(2 * least..)).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_13_the_state_is_204_with_location_and_range(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300, 200]).await?;
    let response = bench.client.get(&upload.location).expect(204).await?;
    same("the last byte", end(&response)?, 499)?;
    response.has_body(b"")?;
    let upload = Upload { client: bench.client.clone(), location: response.location()? };
    upload.chunk(500, &blob.slice(500..)).expect(202).await.map(drop)
}

/// `Range` cannot say that there is nothing, so it may be anything here.
async fn end_13_the_state_of_a_new_upload_is_204(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    let response = bench.client.get(&upload.location).expect(204).await?;
    let upload = Upload { client: bench.client.clone(), location: response.location()? };
    upload.finish(&sha256(&blob), &blob).expect(201).await.map(drop)
}

async fn end_13_the_state_of_an_unknown_upload_is_404_blob_upload_unknown(bench: &Bench) -> Outcome {
    let upload = unknown_upload(bench, &bench.repository()).await?;
    let request = bench.client.get(&upload.location);
    request.expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await.map(drop)
}

async fn end_13_an_upload_goes_on_where_its_state_says(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let mut upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    // As if the answer to the second chunk had been lost.
    upload.chunk(300, &blob.slice(300..600)).expect(202).await?;
    let offset = upload.status().await?;
    same("the upload's length", offset, 600)?;
    upload.send(offset, &blob.slice(offset..)).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn end_5_an_upload_goes_on_at_another_instance(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 200_000));
    let other = bench.serve(|builder| builder).await?;
    let mut upload = in_chunks(bench, &repository, &blob, &[70_001]).await?;
    upload.client = other.client.clone();
    same("the upload's length", upload.status().await?, 70_001)?;
    upload.send(70_001, &blob.slice(70_001..150_000)).await?;
    upload.client = bench.client.clone();
    upload.send(150_000, &blob.slice(150_000..)).await?;
    upload.client = other.client.clone();
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

/// Where the driver cannot continue uploads, the other instance has to refuse, not to begin anew.
async fn end_5_what_another_instance_took_is_never_damaged(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let other = bench.serve(|builder| builder).await?;
    let upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    let there = Upload { client: other.client.clone(), location: upload.location.clone() };
    let response = there.finish(&sha256(&blob), &blob.slice(300..)).expect_one_of(&[201, 404, 416]).await?;
    if response.status == 201 {
        return pulls(&bench.client, &repository, &sha256(&blob), &blob).await;
    }
    lacks(&bench.client, &repository, &sha256(&blob)).await
}

async fn end_5_two_chunks_at_once_leave_no_mix(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let (first, second) = (content(1, 200_000), content(2, 200_000));
    for _ in 0..5 {
        let upload = Upload::begin(&bench.client, &repository).await?;
        let (one, two) = futures::join!(upload.chunk(0, &first).send(), upload.chunk(0, &second).send());
        let (one, two) = (one?, two?);
        let taken = u16::from(one.status == 202) + u16::from(two.status == 202);
        ensure(taken <= 1, "both chunks for the same bytes were taken")?;
        let winner = if one.status == 202 { &first } else { &second };
        let location = if one.status == 202 { one.location() } else { two.location() };
        let Ok(location) = location else { continue };
        let upload = Upload { client: bench.client.clone(), location };
        upload.finish(&sha256(winner), &Bytes::new()).expect(201).await?;
        pulls(&bench.client, &repository, &sha256(winner), winner).await?;
    }
    Ok(())
}

async fn end_14_a_cancelled_upload_is_204(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    in_chunks(bench, &repository, &blob, &[300]).await?.cancel().expect(204).await?.has_body(b"")
}

async fn end_14_a_cancelled_upload_is_gone(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = in_chunks(bench, &repository, &blob, &[300]).await?;
    upload.cancel().expect(204).await?;
    bench.client.get(&upload.location).expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await?;
    upload.chunk(300, &blob.slice(300..)).expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await.map(drop)
}

async fn end_14_an_unknown_upload_cannot_be_cancelled(bench: &Bench) -> Outcome {
    let upload = unknown_upload(bench, &bench.repository()).await?;
    upload.cancel().expect_error(&[404], &["BLOB_UPLOAD_UNKNOWN"]).await.map(drop)
}
