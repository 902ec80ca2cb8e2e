//! Bodies that no honest client sends: of the wrong length, cut, stalled, deep.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::bench::Bench;
use crate::client::{Client, with_query};
use crate::content::{absent, content, sha256};
use crate::hostile::{no_failure, survives};
use crate::image::{INDEX, Image, MANIFEST, Manifest, pull};
use crate::raw::{exchange, head};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, lacks, pulls};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Hostile bodies":
        Wharf All hostile_lengths_that_contradict_are_answered,
        Wharf All hostile_chunked_bodies_of_wrong_form_are_answered,
        Wharf All hostile_a_manifest_that_is_cut_is_not_stored,
        Wharf All hostile_a_blob_that_is_cut_is_not_stored,
        Wharf All hostile_an_upload_goes_on_after_a_chunk_that_was_cut,
        Wharf Own hostile_an_upload_that_stalls_is_ended_and_goes_on,
        Wharf Own hostile_a_manifest_that_stalls_is_ended,
        Wharf All hostile_deep_json_is_refused,
        Wharf All hostile_json_of_many_small_things_is_answered,
        Wharf All hostile_numbers_in_manifests_are_refused,
        Wharf Own hostile_manifests_that_readers_read_differently_are_refused,
    ]
}

async fn hostile_lengths_that_contradict_are_answered(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 100));
    for headers in [
        "Content-Length: 100\r\nContent-Length: 50\r\n",
        "Content-Length: 50, 100\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Content-Length: abc\r\n",
        "Content-Length: 0x10\r\n",
        "Content-Length: 100\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
    ] {
        let upload = Upload::begin(&bench.client, &repository).await?;
        let target = with_query(&upload.location, &format!("digest={}", sha256(&blob)));
        let mut bytes = format!("PUT {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes();
        bytes.extend_from_slice(&blob);
        survives(&bench.client, headers, &bytes, true).await?;
        lacks(&bench.client, &repository, &sha256(&blob)).await?;
    }
    Ok(())
}

async fn hostile_chunked_bodies_of_wrong_form_are_answered(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    for body in
        ["x\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc", "ffffffffffffffffff\r\na\r\n", "3;a\r\nabc\r\n"]
    {
        let upload = Upload::begin(&bench.client, &repository).await?;
        let target = with_query(&upload.location, &format!("digest={}", sha256(b"abc")));
        let mut bytes = head(&bench.client, "PUT", &target, &[("Transfer-Encoding", "chunked")]);
        bytes.extend_from_slice(body.as_bytes());
        survives(&bench.client, body, &bytes, true).await?;
        lacks(&bench.client, &repository, &sha256(b"abc")).await?;
    }
    Ok(())
}

/// Sends a request whose body ends before its length.
async fn cut(
    client: &Client,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    length: usize,
) -> Outcome {
    let length = length.to_string();
    let mut all = vec![("Content-Length", &*length)];
    all.extend_from_slice(headers);
    let mut bytes = head(client, method, target, &all);
    bytes.extend_from_slice(body);
    let answer = survives(client, target, &bytes, true).await?;
    let taken = answer.status.is_some_and(|status| status < 400);
    ensure(!taken, format_args!("{method} {target}: a body that was cut was taken: {answer:?}"))
}

async fn hostile_a_manifest_that_is_cut_is_not_stored(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    // The JSON is whole; only the length says that more was to come.
    for length in [manifest.bytes.len() + 1, manifest.bytes.len() + 100_000] {
        let target = format!("/v2/{repository}/manifests/latest");
        cut(&bench.client, "PUT", &target, &[("Content-Type", MANIFEST)], &manifest.bytes, length).await?;
        pull(&bench.client, &repository, "latest").expect(404).await?;
    }
    Ok(())
}

async fn hostile_a_blob_that_is_cut_is_not_stored(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 100_000));
    for sent in [0, 1, 50_000, 100_000] {
        let upload = Upload::begin(&bench.client, &repository).await?;
        let target = with_query(&upload.location, &format!("digest={}", sha256(&blob[..sent])));
        cut(&bench.client, "PUT", &target, &[], &blob[..sent], 100_001).await?;
        lacks(&bench.client, &repository, &sha256(&blob[..sent])).await?;
    }
    Ok(())
}

/// Asks for the state until the registry has let go of the chunk that was cut, and returns the upload's length.
async fn settled(upload: &mut Upload) -> Outcome<usize> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let response = upload.client.get(&upload.location).send().await?;
        if response.status == 204 {
            upload.location = response.location()?;
            return Ok(crate::upload::end(&response)? + 1);
        }
        ensure(Instant::now() < until, response.because("the upload did not come back within 10 s"))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn hostile_an_upload_goes_on_after_a_chunk_that_was_cut(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 200_000));
    let mut upload = Upload::begin(&bench.client, &repository).await?;
    upload.send(0, &blob.slice(..1000)).await?;
    let headers = [("Content-Range", "1000-199999")];
    cut(&bench.client, "PATCH", &upload.location, &headers, &blob[1000..120_000], 199_000).await?;
    let length = settled(&mut upload).await?;
    ensure((1000..=120_000).contains(&length), format_args!("the upload has {length} bytes"))?;
    upload.send(length, &blob.slice(length..)).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn hostile_an_upload_that_stalls_is_ended_and_goes_on(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 200_000));
    let server = bench.serve(|builder| builder.idle(Duration::from_millis(300))).await?;
    let mut upload = Upload::begin(&server.client, &repository).await?;
    upload.send(0, &blob.slice(..1000)).await?;
    let headers = [("Content-Length", "199000"), ("Content-Range", "1000-199999")];
    let mut bytes = head(&server.client, "PATCH", &upload.location, &headers);
    bytes.extend_from_slice(&blob[1000..120_000]);
    let began = Instant::now();
    // Neither the rest nor the end of the connection comes.
    let answer = exchange(&server.client, &bytes, false).await?;
    no_failure("a chunk that stalls", &answer)?;
    ensure(began.elapsed() < Duration::from_secs(10), format_args!("ended after {:?} only", began.elapsed()))?;
    let length = settled(&mut upload).await?;
    ensure((1000..=120_000).contains(&length), format_args!("the upload has {length} bytes"))?;
    upload.send(length, &blob.slice(length..)).await?;
    upload.finish(&sha256(&blob), &Bytes::new()).expect(201).await?;
    pulls(&server.client, &repository, &sha256(&blob), &blob).await
}

async fn hostile_a_manifest_that_stalls_is_ended(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let server = bench.serve(|builder| builder.idle(Duration::from_millis(300))).await?;
    let target = format!("/v2/{repository}/manifests/latest");
    let mut bytes = head(&server.client, "PUT", &target, &[("Content-Length", "1000"), ("Content-Type", MANIFEST)]);
    bytes.extend_from_slice(b"{\"schemaVersion\":");
    let began = Instant::now();
    no_failure("a manifest that stalls", &exchange(&server.client, &bytes, false).await?)?;
    let took = began.elapsed();
    ensure(took < Duration::from_secs(10), format_args!("ended after {took:?} only"))?;
    let image = Image::new(1);
    let manifest = image.push(&server.client, &repository, "latest").await?;
    pull(&server.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn hostile_deep_json_is_refused(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let deep = |open: &str, close: &str| open.repeat(200_000) + "1" + &close.repeat(200_000);
    let inside = |value: String| image.clone().with("annotations", "@").json.to_string().replace("\"@\"", &value);
    for text in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        "[".repeat(1_000_000),
        inside(deep("[", "]")),
        inside(deep("{\"a\":", "}")),
    ] {
        for media_type in [MANIFEST, INDEX] {
            let request = Manifest::new(media_type, text.clone()).put(&bench.client, &repository, "deep");
            request.expect_one_of(&[400, 413]).await?;
            bench.client.get("/v2/").expect(200).await?;
        }
    }
    Ok(())
}

async fn hostile_json_of_many_small_things_is_answered(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let began = Instant::now();
    let layer = image.json["layers"][0].clone();
    let layers = image.clone().with("layers", vec![layer; 5_000]).json.to_string();
    let missing = json!({ "mediaType": MANIFEST, "digest": absent(), "size": 1 });
    let manifests = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": vec![missing; 5_000] }).to_string();
    let keys: String = (0..100_000).map(|number| format!("\"k{number}\":\"\",")).collect();
    let annotations = image.clone().with("annotations", "@").json.to_string();
    let annotations = annotations.replace("\"@\"", &format!("{{{}\"z\":\"\"}}", keys));
    for (media_type, text) in [(MANIFEST, layers), (INDEX, manifests), (MANIFEST, annotations)] {
        Manifest::new(media_type, text).put(&bench.client, &repository, "many").send().await?;
    }
    ensure(began.elapsed() < Duration::from_secs(60), format_args!("they took {:?}", began.elapsed()))
}

async fn hostile_numbers_in_manifests_are_refused(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let size = format!("\"size\":{}", image.layer.len());
    let text = image.json.to_string();
    same("how often the layer's size stands there", text.matches(&size).count(), 1)?;
    for number in ["-1", "1e400", "1.5", "18446744073709551616", "99999999999999999999999999999999"] {
        let text = text.replace(&size, &format!("\"size\":{number}"));
        Manifest::new(MANIFEST, text).put(&bench.client, &repository, "bad").expect(400).await?;
    }
    Ok(())
}

async fn hostile_manifests_that_readers_read_differently_are_refused(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let text = image.json.to_string();
    let in_index = |child: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{child}]}}"#);
    let manifest = image.push(&bench.client, &repository, "good").await?;
    let child = format!(r#""mediaType":"{MANIFEST}","digest":"{}","size":{}"#, manifest.digest, manifest.bytes.len());
    let cases = [
        (MANIFEST, text.replacen("\"layers\"", "\"Layers\":[],\"layers\"", 1)),
        (MANIFEST, text.replacen("\"layers\"", "\"layer\u{17f}\":[],\"layers\"", 1)),
        (MANIFEST, text.replacen("\"layers\"", "\"LAYERS\":[],\"layers\"", 1)),
        (MANIFEST, text.replacen("\"layers\"", "\"layers\":[],\"layers\"", 1)),
        (MANIFEST, text.replacen("\"mediaType\"", "\"mediatype\":\"x\",\"mediaType\"", 1)),
        (MANIFEST, text.replacen("\"config\"", "\"a\":1,\"a\":2,\"config\"", 1)),
        (MANIFEST, text.replace("\"digest\"", "\"Digest\":\"x\",\"digest\"")),
        (MANIFEST, text.replace("\"size\"", "\"size\":1,\"size\"")),
        (INDEX, in_index(&format!(r#"{{{child},"Platform":{{"os":"a"}}}}"#))),
        (INDEX, in_index(&format!(r#"{{{child},"platform":{{"os":"a","OS":"b","architecture":"c"}}}}"#))),
        (INDEX, in_index(&format!(r#"{{{child}}}"#)).replacen("\"manifests\"", "\"Manifests\":[],\"manifests\"", 1)),
    ];
    for (media_type, text) in cases {
        Manifest::new(media_type, text.clone()).put(&bench.client, &repository, "bad").expect(400).await?;
        let digest = sha256(text.as_bytes());
        Manifest::new(media_type, text).put(&bench.client, &repository, &digest).expect(400).await?;
        pull(&bench.client, &repository, "bad").expect(404).await?;
        pull(&bench.client, &repository, &digest).expect(404).await?;
    }
    // The control: names that the specification has not are anybody's.
    let more =
        text.replacen("\"layers\"", "\"X\":{\"Layers\":1,\"layers\":2},\"annotations\":{\"Size\":\"1\"},\"layers\"", 1);
    Manifest::new(MANIFEST, more).put(&bench.client, &repository, "more").expect(201).await?;
    let good = in_index(&format!(r#"{{{child},"platform":{{"os":"a","architecture":"b","os.version":"c"}}}}"#));
    Manifest::new(INDEX, good).put(&bench.client, &repository, "index").expect(201).await.map(drop)
}
