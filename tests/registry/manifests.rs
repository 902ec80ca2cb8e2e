//! Pushing manifests.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::content::{absent, sha512};
use crate::image::{CONFIGURATION, INDEX, Image, LAYER, MANIFEST, Manifest, blob, index, pull};
use crate::raw::{self, exchange};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::push_blob;

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Pushing manifests":
        Must All end_7_a_manifest_is_pushed_by_tag,
        Must All end_7_a_manifest_is_pushed_by_digest,
        Must All end_7_a_manifest_pushed_by_digest_has_no_tag,
        Must All end_7_a_manifest_is_201_with_a_location_that_can_be_pulled,
        Must All end_7_the_answer_has_the_digest_in_a_header,
        Must All end_7_a_manifest_is_kept_byte_for_byte,
        Must All end_7_a_manifest_is_pushed_by_its_sha512_digest,
        Must All end_7_an_image_without_layers_is_pushed,
        Must All end_7_an_artifact_with_a_configuration_of_its_own_type_is_pushed,
        Must All end_7_an_empty_index_is_pushed,
        Must All end_7_an_index_of_indexes_is_pushed,
        Must All end_7_a_manifest_with_fields_that_nobody_knows_is_pushed,
        Wharf All end_7_a_manifest_without_a_media_type_inside_is_pushed,
        Should All end_7_parameters_of_the_content_type_are_ignored,
        Must All end_7_a_tag_moves_to_the_manifest_that_is_pushed_last,
        Must All end_7_the_same_manifest_is_pushed_again,
        Must All end_7_a_manifest_has_many_tags,
        Wharf All end_7_a_digest_of_another_manifest_is_400_digest_invalid,
        Should All end_7_an_invalid_digest_is_refused,
        Wharf All end_7_what_is_no_json_is_400_manifest_invalid,
        Wharf All end_7_json_of_another_form_is_400_manifest_invalid,
        Wharf All end_7_a_media_type_that_is_not_the_content_type_is_400,
        Wharf All end_7_a_manifest_that_is_image_and_index_at_once_is_400,
        Must All end_7_a_missing_layer_is_manifest_blob_unknown,
        Must All end_7_a_missing_configuration_is_manifest_blob_unknown,
        Must All end_7_a_missing_manifest_of_an_index_is_manifest_blob_unknown,
        Must All end_7_a_refused_manifest_is_not_there,
        Wharf Own end_7_an_index_of_missing_manifests_is_taken_where_that_is_allowed,
        Should All end_7_a_manifest_of_4_mib_is_pushed,
        Should All end_7_a_manifest_that_is_too_large_is_413,
        Must All end_7_a_tag_has_up_to_128_characters,
        Wharf All end_7b_tags_in_the_query_are_set_where_the_answer_says_so,
        Wharf Own end_7b_ten_tags_in_the_query_are_set_and_named,
        Wharf Own end_7b_too_many_tags_or_invalid_ones_set_none,
    ]
}

async fn end_7_a_manifest_is_pushed_by_tag(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "v1.0_a-b").await?;
    pull(&bench.client, &repository, "v1.0_a-b").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_7_a_manifest_is_pushed_by_digest(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    let digest = image.manifest().digest;
    image.push(&bench.client, &repository, &digest).await?;
    pull(&bench.client, &repository, &digest).expect(200).await?.has_body(&image.manifest().bytes)
}

async fn end_7_a_manifest_pushed_by_digest_has_no_tag(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push(&bench.client, &repository, "one").await?;
    let other = Image::new(2);
    other.push(&bench.client, &repository, &other.manifest().digest).await?;
    let list = bench.client.get(format!("/v2/{repository}/tags/list")).expect(200).await?;
    same("the tags", list.strings("tags")?, vec!["one".to_owned()])
}

async fn end_7_a_manifest_is_201_with_a_location_that_can_be_pulled(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    for reference in ["latest", &manifest.digest] {
        let location = manifest.push(&bench.client, &repository, reference).await?.location()?;
        let request = bench.client.get(location).header("accept", MANIFEST);
        request.expect(200).await?.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn end_7_the_answer_has_the_digest_in_a_header(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    for reference in ["latest", &manifest.digest] {
        let response = manifest.push(&bench.client, &repository, reference).await?;
        response.has("docker-content-digest", &manifest.digest)?;
    }
    Ok(())
}

/// Whoever reads the JSON and writes it anew changes spaces, the order of fields, escapes and numbers.
async fn end_7_a_manifest_is_kept_byte_for_byte(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let (configuration, layer) = (&image.json["config"], &image.json["layers"][0]);
    let text = format!(
        "\n {{ \"layers\" :[{layer}] ,\t\"config\":{configuration},\"annotations\":{{\"b\":\"\\u00e9\\/\",\"a\":\"é\"}},\n\
         \"mediaType\":\"{MANIFEST}\",\"x\":1.50e1,\"schemaVersion\":2}}\r\n "
    );
    let manifest = Manifest::new(MANIFEST, text);
    manifest.push(&bench.client, &repository, "odd").await?;
    for reference in ["odd", &manifest.digest] {
        pull(&bench.client, &repository, reference).expect(200).await?.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn end_7_a_manifest_is_pushed_by_its_sha512_digest(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    let digest = sha512(&manifest.bytes);
    let response = manifest.push(&bench.client, &repository, &digest).await?;
    response.has("docker-content-digest", &digest)?;
    pull(&bench.client, &repository, &digest).expect(200).await?.has_body(&manifest.bytes)
}

async fn end_7_an_image_without_layers_is_pushed(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1).with("layers", json!([])));
    let manifest = image.push(&bench.client, &repository, "empty").await?;
    pull(&bench.client, &repository, "empty").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_7_an_artifact_with_a_configuration_of_its_own_type_is_pushed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let empty = b"{}".as_slice();
    push_blob(&bench.client, &repository, &empty.into()).await?;
    let manifest = Manifest::json(
        MANIFEST,
        &json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example+type",
            "config": blob("application/vnd.oci.empty.v1+json", empty),
            "layers": [blob("application/vnd.oci.empty.v1+json", empty)],
        }),
    );
    manifest.push(&bench.client, &repository, "artifact").await?;
    pull(&bench.client, &repository, "artifact").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_7_an_empty_index_is_pushed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    index(&[]).push(&bench.client, &repository, "empty").await?;
    pull(&bench.client, &repository, "empty").expect(200).await?.has_body(&index(&[]).bytes)
}

async fn end_7_an_index_of_indexes_is_pushed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "one").await?;
    let inner = index(&[&manifest]);
    inner.push(&bench.client, &repository, &inner.digest).await?;
    let outer = index(&[&inner, &manifest]);
    outer.push(&bench.client, &repository, "all").await?;
    pull(&bench.client, &repository, "all").expect(200).await?.has_body(&outer.bytes)
}

async fn end_7_a_manifest_with_fields_that_nobody_knows_is_pushed(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1).with("org.example.new", json!({ "a": [1, null] })));
    let manifest = image.push(&bench.client, &repository, "new").await?;
    pull(&bench.client, &repository, "new").expect(200).await?.has_body(&manifest.bytes)
}

/// The image specification let the field out at first.
async fn end_7_a_manifest_without_a_media_type_inside_is_pushed(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let mut json = image.json.clone();
    json.as_object_mut().unwrap().remove("mediaType");
    let manifest = Manifest::json(MANIFEST, &json);
    manifest.push(&bench.client, &repository, "old").await?;
    let response = pull(&bench.client, &repository, "old").expect(200).await?;
    same("the media type", response.media_type(), Some(MANIFEST))?;
    response.has_body(&manifest.bytes)
}

async fn end_7_parameters_of_the_content_type_are_ignored(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    let request = bench.client.put(format!("/v2/{repository}/manifests/latest")).body(manifest.bytes.clone());
    request.header("content-type", format!("{MANIFEST}; charset=utf-8")).expect(201).await?;
    let response = pull(&bench.client, &repository, "latest").expect(200).await?;
    response.has("content-type", MANIFEST)?;
    response.has_body(&manifest.bytes)
}

async fn end_7_a_tag_moves_to_the_manifest_that_is_pushed_last(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let first = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let second = Image::new(2).push(&bench.client, &repository, "latest").await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&second.bytes)?;
    pull(&bench.client, &repository, &first.digest).expect(200).await?.has_body(&first.bytes)
}

async fn end_7_the_same_manifest_is_pushed_again(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    manifest.push(&bench.client, &repository, "latest").await?;
    manifest.push(&bench.client, &repository, &manifest.digest).await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn end_7_a_manifest_has_many_tags(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "a").await?;
    for tag in ["b", "c"] {
        manifest.push(&bench.client, &repository, tag).await?;
    }
    for tag in ["a", "b", "c"] {
        pull(&bench.client, &repository, tag).expect(200).await?.has_body(&manifest.bytes)?;
    }
    Ok(())
}

async fn end_7_a_digest_of_another_manifest_is_400_digest_invalid(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let wrong = Image::new(2).manifest().digest;
    let request = image.manifest().put(&bench.client, &repository, &wrong);
    request.expect_error(&[400], &["DIGEST_INVALID"]).await?;
    pull(&bench.client, &repository, &wrong).expect(404).await.map(drop)
}

async fn end_7_an_invalid_digest_is_refused(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    for digest in ["sha256:baddigeststring", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", &absent()[..70]] {
        image.manifest().put(&bench.client, &repository, digest).expect_one_of(&[400, 404]).await?;
    }
    Ok(())
}

/// Fails unless this is refused as a manifest of the type.
async fn invalid(bench: &Bench, repository: &str, media_type: &str, text: impl Into<bytes::Bytes>) -> Outcome {
    let manifest = Manifest::new(media_type, text);
    manifest.put(&bench.client, repository, "bad").expect_error(&[400], &["MANIFEST_INVALID"]).await?;
    pull(&bench.client, repository, "bad").expect(404).await.map(drop)
}

async fn end_7_what_is_no_json_is_400_manifest_invalid(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let whole = Image::new(1).push(&bench.client, &repository, "good").await?;
    for media_type in [MANIFEST, INDEX] {
        for text in ["", "hello", "{", "{}}", "\u{feff}{}"] {
            invalid(bench, &repository, media_type, text).await?;
        }
        invalid(bench, &repository, media_type, whole.bytes.slice(..whole.bytes.len() - 1)).await?;
        invalid(bench, &repository, media_type, b"{\"a\":\"\xff\"}".as_slice()).await?;
    }
    Ok(())
}

async fn end_7_json_of_another_form_is_400_manifest_invalid(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    for text in ["null", "[]", "1", "\"a\"", "{}"] {
        invalid(bench, &repository, MANIFEST, text).await?;
    }
    let layer = |field: &str, value: Value| {
        let mut json = image.json.clone();
        json["layers"][0][field] = value;
        json.to_string()
    };
    for json in [
        image.clone().with("schemaVersion", "2").json.to_string(),
        image.clone().with("config", "none").json.to_string(),
        image.clone().with("layers", json!({})).json.to_string(),
        layer("digest", json!("../../../etc/passwd")),
        layer("digest", json!("sha256:..")),
        layer("digest", json!(5)),
        layer("size", json!("1")),
    ] {
        invalid(bench, &repository, MANIFEST, json).await?;
    }
    let manifests = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": "none" });
    invalid(bench, &repository, INDEX, manifests.to_string()).await
}

/// CVE-2021-41190: two clients may otherwise take one digest for two different things.
async fn end_7_a_media_type_that_is_not_the_content_type_is_400(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    let manifest = image.push(&bench.client, &repository, "good").await?;
    invalid(bench, &repository, INDEX, manifest.bytes.clone()).await?;
    invalid(bench, &repository, MANIFEST, index(&[&manifest]).bytes).await
}

/// The same without `mediaType`: what is inside tells.
async fn end_7_a_manifest_that_is_image_and_index_at_once_is_400(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    let manifest = image.push(&bench.client, &repository, "good").await?;
    let mut both = image.json.clone();
    both.as_object_mut().unwrap().remove("mediaType");
    both["manifests"] = json!([manifest.descriptor()]);
    invalid(bench, &repository, MANIFEST, both.to_string()).await?;
    invalid(bench, &repository, INDEX, both.to_string()).await
}

async fn end_7_a_missing_layer_is_manifest_blob_unknown(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    push_blob(&bench.client, &repository, &image.configuration).await?;
    let request = image.manifest().put(&bench.client, &repository, "latest");
    request.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_7_a_missing_configuration_is_manifest_blob_unknown(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    push_blob(&bench.client, &repository, &image.layer).await?;
    let request = image.manifest().put(&bench.client, &repository, "latest");
    request.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_7_a_missing_manifest_of_an_index_is_manifest_blob_unknown(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "one").await?;
    let index = index(&[&manifest, &Image::new(2).manifest()]);
    let request = index.put(&bench.client, &repository, "all");
    request.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"]).await.map(drop)
}

async fn end_7_a_refused_manifest_is_not_there(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    let first = image.push(&bench.client, &repository, "latest").await?;
    let second = Image::new(2).manifest();
    second.put(&bench.client, &repository, "latest").expect_one_of(&[400, 404]).await?;
    pull(&bench.client, &repository, &second.digest).expect(404).await?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&first.bytes)
}

async fn end_7_an_index_of_missing_manifests_is_taken_where_that_is_allowed(bench: &Bench) -> Outcome {
    let server = bench.serve(|builder| builder.verify_index(false)).await?;
    let (repository, index) = (bench.repository(), index(&[&Image::new(2).manifest()]));
    index.push(&server.client, &repository, "all").await?;
    pull(&server.client, &repository, "all").expect(200).await?.has_body(&index.bytes)?;
    // An image's blobs have to be there all the same.
    let request = Image::new(1).manifest().put(&server.client, &repository, "latest");
    request.expect_error(&[400, 404], &["MANIFEST_BLOB_UNKNOWN"]).await.map(drop)
}

/// Makes a manifest of that many bytes.
fn padded(image: &Image, length: usize) -> Manifest {
    let bare = image.clone().with("annotations", json!({ "padding": "" })).json.to_string().len();
    let padding = "x".repeat(length - bare);
    Manifest::new(MANIFEST, image.clone().with("annotations", json!({ "padding": padding })).json.to_string())
}

async fn end_7_a_manifest_of_4_mib_is_pushed(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = padded(&image, 4 * 1024 * 1024);
    same("the length", manifest.bytes.len(), 4 * 1024 * 1024)?;
    manifest.push(&bench.client, &repository, "large").await?;
    pull(&bench.client, &repository, "large").expect(200).await?.has_body(&manifest.bytes)
}

/// Said before, and found out on the way.
async fn end_7_a_manifest_that_is_too_large_is_413(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = padded(&image, 32 * 1024 * 1024);
    let target = format!("/v2/{repository}/manifests/large");
    for (name, value) in [("content-length", &*manifest.bytes.len().to_string()), ("transfer-encoding", "chunked")] {
        let mut bytes = raw::head(&bench.client, "PUT", &target, &[("content-type", MANIFEST), (name, value)]);
        if name == "transfer-encoding" {
            bytes.extend_from_slice(format!("{:x}\r\n", manifest.bytes.len()).as_bytes());
            bytes.extend_from_slice(&manifest.bytes);
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&manifest.bytes);
        }
        let answer = exchange(&bench.client, &bytes, false).await?;
        ensure(answer.status == Some(413), format_args!("{name}: {answer:?}, required 413"))?;
        pull(&bench.client, &repository, "large").expect(404).await?;
    }
    Ok(())
}

async fn end_7_a_tag_has_up_to_128_characters(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    let longest = "a".repeat(128);
    let manifest = image.push(&bench.client, &repository, &longest).await?;
    pull(&bench.client, &repository, &longest).expect(200).await?.has_body(&manifest.bytes)?;
    let longer = "a".repeat(129);
    manifest.put(&bench.client, &repository, &longer).expect_one_of(&[400, 404]).await?;
    pull(&bench.client, &repository, &longer).expect_one_of(&[400, 404]).await.map(drop)
}

/// After 1.1: a registry may take tags in the query, and then has to name each that it took.
async fn end_7b_tags_in_the_query_are_set_where_the_answer_says_so(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::typed(1, MANIFEST, CONFIGURATION, LAYER));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    let reference = format!("{}?tag=1.2.3&tag=1", manifest.digest);
    let response = manifest.push(&bench.client, &repository, &reference).await?;
    let values = response.headers.get_all("oci-tag").iter().filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    for tag in ["1.2.3", "1"] {
        let status = if said.contains(&tag) { 200 } else { 404 };
        pull(&bench.client, &repository, tag).expect(status).await?;
    }
    pull(&bench.client, &repository, &manifest.digest).expect(200).await?.has_body(&manifest.bytes)
}

async fn end_7b_ten_tags_in_the_query_are_set_and_named(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let before = Image::new(2).push(&bench.client, &repository, "t0").await?;
    let image = Image::new(1);
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    let tags: Vec<String> = (0..10).map(|number| format!("t{number}")).collect();
    // The last stands twice.
    let reference = format!("{}?tag={}&tag=t9", manifest.digest, tags.join("&tag="));
    let response = manifest.push(&bench.client, &repository, &reference).await?;
    let said: Vec<&str> = response.headers.get_all("oci-tag").iter().filter_map(|value| value.to_str().ok()).collect();
    same("OCI-Tag", said, tags.iter().map(String::as_str).collect())?;
    for tag in &tags {
        pull(&bench.client, &repository, tag).expect(200).await?.has_body(&manifest.bytes)?;
    }
    pull(&bench.client, &repository, &before.digest).expect(200).await?;
    // By a tag, there is one: that of the path.
    let response = manifest.push(&bench.client, &repository, "path?tag=query").await?;
    ensure(response.header("oci-tag").is_none(), response.because("a tag of the query counts"))?;
    pull(&bench.client, &repository, "query").expect(404).await.map(drop)
}

async fn end_7b_too_many_tags_or_invalid_ones_set_none(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    let many: Vec<String> = (0..200).map(|number| format!("t{number}")).collect();
    let reference = format!("{}?tag={}", manifest.digest, many.join("&tag="));
    manifest.put(&bench.client, &repository, &reference).expect(414).await?;
    for invalid in ["t0&tag=..", "t0&tag=a%2Fb", "t0&tag=sha256:0"] {
        let reference = format!("{}?tag={invalid}", manifest.digest);
        manifest.put(&bench.client, &repository, &reference).expect_error(&[400], &["TAG_INVALID"]).await?;
    }
    pull(&bench.client, &repository, "t0").expect(404).await?;
    pull(&bench.client, &repository, &manifest.digest).expect(404).await.map(drop)
}
