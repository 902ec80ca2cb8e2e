//! What refers to a manifest.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};
use wharf::contract::StoragePath;

use crate::bench::Bench;
use crate::client::Response;
use crate::content::{absent, sha256};
use crate::image::{CONFIGURATION, INDEX, Image, MANIFEST, Manifest, pull};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};

pub(crate) fn requirements() -> Vec<Requirement> {
    let mut all = requirements!["Listing referrers":
        Must All end_12a_a_manifest_that_nobody_refers_to_has_an_empty_index,
        Must All end_12a_a_manifest_that_is_not_there_has_an_empty_index,
        Must All end_12a_an_unknown_repository_is_no_404,
        Must All end_12a_an_invalid_digest_is_400,
        Must All end_12a_what_refers_is_listed_with_type_size_and_digest,
        Must All end_12a_an_index_that_refers_is_listed,
        Must All end_12a_the_artifact_type_is_the_manifests,
        Must All end_12a_without_an_artifact_type_it_is_the_configurations,
        Must All end_12a_an_index_without_an_artifact_type_has_none,
        Must All end_12a_annotations_are_copied,
        Must All end_12a_referrers_of_other_manifests_are_not_listed,
        Must All end_12a_referrers_in_other_repositories_are_not_listed,
        Must All end_12a_what_is_pushed_twice_is_listed_once,
        Must All end_12a_a_deleted_referrer_is_not_listed,
        Must All end_12a_a_deleted_subject_keeps_its_referrers,
        Must All end_12a_a_referrer_of_a_referrer_is_listed,
        Must All end_12a_many_referrers_are_listed_all,
        Must All end_12a_referrers_come_in_pages_of_4_mib_with_links,
        Should All end_12b_an_artifact_type_filters_and_is_named,
        Should All end_12b_an_artifact_type_that_nothing_has_gives_an_empty_index,
        Should All end_12b_a_type_with_a_plus_is_filtered,
        Must All end_12a_without_a_filter_none_is_named,
    ];
    all.extend(requirements!["Pushing manifests with subject":
        Must All end_7_the_answer_names_the_subject,
        Must All end_7_without_a_subject_the_answer_names_none,
        Must All end_7_a_subject_that_is_not_there_is_accepted,
        Must All end_7_an_index_with_a_subject_is_accepted,
        Wharf All end_7_a_subject_that_is_none_is_400,
    ]);
    all.extend(requirements!["Enabling the referrers API":
        Must Own end_12a_what_a_client_listed_under_the_tag_is_listed,
        Must Own end_12a_what_is_listed_twice_comes_once,
        Must Own end_12a_what_the_tag_lists_and_does_not_refer_is_left_out,
    ]);
    all
}

const SBOM: &str = "application/vnd.example.sbom.v1";
const SIGNATURE: &str = "application/vnd.example.signature+json";

/// Makes an image that refers to a manifest.
fn referrer(seed: u64, subject: &Manifest) -> Image {
    Image::new(seed).with("subject", subject.descriptor())
}

/// Asks for referrers; returns the answer, which must have the form of an index, and its descriptors.
async fn ask(bench: &Bench, target: &str) -> Outcome<(Response, Vec<Value>)> {
    let response = bench.client.get(target).expect(200).await?;
    response.has("content-type", INDEX)?;
    let json = response.json()?;
    same("schemaVersion", json["schemaVersion"].as_u64(), Some(2))?;
    same("mediaType", json["mediaType"].as_str(), Some(INDEX))?;
    let manifests = json["manifests"].as_array().cloned();
    let manifests = manifests.ok_or_else(|| response.because("`manifests` is no list"))?;
    Ok((response, manifests))
}

/// Returns the descriptors of all that refers to a manifest.
async fn referrers(bench: &Bench, repository: &str, digest: &str) -> Outcome<Vec<Value>> {
    let mut all = Vec::new();
    let mut next = Some(format!("/v2/{repository}/referrers/{digest}"));
    while let Some(target) = next {
        ensure(all.len() < 1000, format_args!("{target}: the links do not end"))?;
        let (response, mut manifests) = ask(bench, &target).await?;
        all.append(&mut manifests);
        next = response.next()?;
    }
    Ok(all)
}

/// Fails unless exactly these refer to a manifest, in whatever order.
async fn refer(bench: &Bench, repository: &str, digest: &str, required: &[&Manifest]) -> Outcome {
    let seen = referrers(bench, repository, digest).await?;
    let mut seen: Vec<&str> = seen.iter().filter_map(|descriptor| descriptor["digest"].as_str()).collect();
    let mut required: Vec<&str> = required.iter().map(|manifest| &*manifest.digest).collect();
    seen.sort_unstable();
    required.sort_unstable();
    same("the referrers", seen, required)
}

/// Returns the one descriptor of what refers to a manifest.
async fn only(bench: &Bench, repository: &str, digest: &str) -> Outcome<Value> {
    let mut seen = referrers(bench, repository, digest).await?;
    same("how many refer", seen.len(), 1)?;
    Ok(seen.remove(0))
}

async fn end_12a_a_manifest_that_nobody_refers_to_has_an_empty_index(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
    refer(bench, &repository, &subject.digest, &[]).await
}

async fn end_12a_a_manifest_that_is_not_there_has_an_empty_index(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    refer(bench, &repository, &absent(), &[]).await
}

/// A client takes a 404 as a registry that does not know referrers at all.
async fn end_12a_an_unknown_repository_is_no_404(bench: &Bench) -> Outcome {
    refer(bench, &bench.repository(), &absent(), &[]).await
}

async fn end_12a_an_invalid_digest_is_400(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    for digest in ["sha256:baddigeststring", "latest", "sha256:", &absent()[..70]] {
        bench.client.get(format!("/v2/{repository}/referrers/{digest}")).expect(400).await?;
    }
    Ok(())
}

async fn end_12a_what_refers_is_listed_with_type_size_and_digest(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let image = referrer(2, &subject);
    let manifest = image.push(&bench.client, &repository, &image.manifest().digest).await?;
    let seen = only(bench, &repository, &subject.digest).await?;
    same("mediaType", &seen["mediaType"], &json!(MANIFEST))?;
    same("size", &seen["size"], &json!(manifest.bytes.len()))?;
    same("digest", &seen["digest"], &json!(manifest.digest))
}

async fn end_12a_an_index_that_refers_is_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let index = index_referring(&subject, Some(SBOM));
    index.push(&bench.client, &repository, &index.digest).await?;
    let seen = only(bench, &repository, &subject.digest).await?;
    same("mediaType", &seen["mediaType"], &json!(INDEX))?;
    same("size", &seen["size"], &json!(index.bytes.len()))?;
    same("artifactType", &seen["artifactType"], &json!(SBOM))
}

fn index_referring(subject: &Manifest, artifact_type: Option<&str>) -> Manifest {
    let mut json = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject.descriptor(),
        "annotations": { "org.example": "index" },
    });
    if let Some(artifact_type) = artifact_type {
        json["artifactType"] = artifact_type.into();
    }
    Manifest::json(INDEX, &json)
}

async fn end_12a_the_artifact_type_is_the_manifests(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
    referrer(2, &subject).with("artifactType", SBOM).push(&bench.client, &repository, "sbom").await?;
    let seen = only(bench, &repository, &subject.digest).await?;
    same("artifactType", &seen["artifactType"], &json!(SBOM))
}

async fn end_12a_without_an_artifact_type_it_is_the_configurations(bench: &Bench) -> Outcome {
    for artifact_type in [None, Some("")] {
        let repository = bench.repository();
        let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
        let mut image = referrer(2, &subject);
        if let Some(artifact_type) = artifact_type {
            image = image.with("artifactType", artifact_type);
        }
        image.push(&bench.client, &repository, "other").await?;
        let seen = only(bench, &repository, &subject.digest).await?;
        same("artifactType", &seen["artifactType"], &json!(CONFIGURATION))?;
    }
    Ok(())
}

async fn end_12a_an_index_without_an_artifact_type_has_none(bench: &Bench) -> Outcome {
    for artifact_type in [None, Some("")] {
        let repository = bench.repository();
        let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
        let index = index_referring(&subject, artifact_type);
        index.push(&bench.client, &repository, "other").await?;
        let seen = only(bench, &repository, &subject.digest).await?;
        same("artifactType", seen.get("artifactType"), None)?;
        same("annotations", &seen["annotations"], &json!({ "org.example": "index" }))?;
    }
    Ok(())
}

async fn end_12a_annotations_are_copied(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let annotations = json!({ "org.opencontainers.image.created": "2022-01-01T14:42:55Z", "é": "\"\\\n", "": "" });
    let image = referrer(2, &subject).with("annotations", annotations.clone());
    image.push(&bench.client, &repository, "other").await?;
    let seen = only(bench, &repository, &subject.digest).await?;
    same("annotations", &seen["annotations"], &annotations)
}

async fn end_12a_referrers_of_other_manifests_are_not_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let first = Image::new(1).push(&bench.client, &repository, "one").await?;
    let second = Image::new(2).push(&bench.client, &repository, "two").await?;
    let of_first = referrer(3, &first).push(&bench.client, &repository, "three").await?;
    let of_second = referrer(4, &second).push(&bench.client, &repository, "four").await?;
    refer(bench, &repository, &first.digest, &[&of_first]).await?;
    refer(bench, &repository, &second.digest, &[&of_second]).await
}

async fn end_12a_referrers_in_other_repositories_are_not_listed(bench: &Bench) -> Outcome {
    let (repository, other) = (bench.repository(), bench.repository());
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    Image::new(1).push(&bench.client, &other, "one").await?;
    let manifest = referrer(2, &subject).push(&bench.client, &other, "two").await?;
    refer(bench, &repository, &subject.digest, &[]).await?;
    refer(bench, &other, &subject.digest, &[&manifest]).await
}

async fn end_12a_what_is_pushed_twice_is_listed_once(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let manifest = referrer(2, &subject).push(&bench.client, &repository, "two").await?;
    manifest.push(&bench.client, &repository, "three").await?;
    manifest.push(&bench.client, &repository, &manifest.digest).await?;
    refer(bench, &repository, &subject.digest, &[&manifest]).await
}

async fn end_12a_a_deleted_referrer_is_not_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let gone = referrer(2, &subject).push(&bench.client, &repository, "two").await?;
    let stays = referrer(3, &subject).push(&bench.client, &repository, "three").await?;
    refer(bench, &repository, &subject.digest, &[&gone, &stays]).await?;
    bench.client.delete(format!("/v2/{repository}/manifests/{}", gone.digest)).expect(202).await?;
    refer(bench, &repository, &subject.digest, &[&stays]).await
}

/// They can still be pulled, and the subject may come back.
async fn end_12a_a_deleted_subject_keeps_its_referrers(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let manifest = referrer(2, &subject).push(&bench.client, &repository, "two").await?;
    bench.client.delete(format!("/v2/{repository}/manifests/{}", subject.digest)).expect(202).await?;
    refer(bench, &repository, &subject.digest, &[&manifest]).await
}

async fn end_12a_a_referrer_of_a_referrer_is_listed(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let sbom = referrer(2, &subject).push(&bench.client, &repository, "two").await?;
    let signature = referrer(3, &sbom).push(&bench.client, &repository, "three").await?;
    refer(bench, &repository, &subject.digest, &[&sbom]).await?;
    refer(bench, &repository, &sbom.digest, &[&signature]).await
}

/// In pages with links, if one does not hold them.
async fn end_12a_many_referrers_are_listed_all(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let image = referrer(2, &subject);
    image.push_blobs(&bench.client, &repository).await?;
    let mut required = BTreeSet::new();
    for number in 0..60 {
        let annotations = json!({ "number": number.to_string(), "padding": "x".repeat(1000) });
        let manifest = image.clone().with("annotations", annotations).manifest();
        manifest.push(&bench.client, &repository, &manifest.digest).await?;
        required.insert(manifest.digest);
    }
    let seen = referrers(bench, &repository, &subject.digest).await?;
    let digests: BTreeSet<String> =
        seen.iter().filter_map(|descriptor| descriptor["digest"].as_str().map(str::to_owned)).collect();
    same("how many are listed", seen.len(), required.len())?;
    ensure(digests == required, "others are listed than were pushed")
}

/// An index is a manifest, and clients take none that is larger. Half of these are of a type that is filtered out.
async fn end_12a_referrers_come_in_pages_of_4_mib_with_links(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let image = referrer(2, &subject);
    image.push_blobs(&bench.client, &repository).await?;
    for number in 0..100 {
        let annotations = json!({ "number": number.to_string(), "padding": "x".repeat(90_000) });
        let kind = if number % 2 == 0 { SBOM } else { SIGNATURE };
        let manifest = image.clone().with("annotations", annotations).with("artifactType", kind).manifest();
        manifest.push(&bench.client, &repository, &manifest.digest).await?;
    }
    for (query, required, most) in [("", 100, 3), (&*format!("?artifactType={SBOM}"), 50, 2)] {
        let mut next = Some(format!("/v2/{repository}/referrers/{}{query}", subject.digest));
        let (mut digests, mut pages) = (BTreeSet::new(), 0);
        while let Some(target) = next {
            let (response, manifests) = ask(bench, &target).await?;
            let size = response.body.len();
            ensure(size <= 4 * 1024 * 1024, format_args!("{target}: {size} bytes"))?;
            ensure(!manifests.is_empty(), format_args!("{target}: a page without referrers"))?;
            same("the filter", response.header("oci-filters-applied").is_some(), !query.is_empty())?;
            let kinds = manifests.iter().filter(|it| it["artifactType"].as_str() == Some(SBOM)).count();
            ensure(query.is_empty() || kinds == manifests.len(), format_args!("{target}: another type is listed"))?;
            for descriptor in manifests {
                ensure(digests.insert(descriptor["digest"].to_string()), format_args!("{descriptor} is listed twice"))?;
            }
            pages += 1;
            next = response.next()?;
        }
        same(format_args!("how many are listed for {query:?}"), digests.len(), required)?;
        ensure(pages <= most, format_args!("{pages} pages for {query:?}"))?;
    }
    Ok(())
}

/// Pushes a subject, and what refers to it by two types; asks for one of them.
async fn filtered(bench: &Bench, query: &str) -> Outcome<(Response, Vec<String>, [Manifest; 2])> {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let sbom = referrer(2, &subject).with("artifactType", SBOM).push(&bench.client, &repository, "two").await?;
    let signature = referrer(3, &subject).with("artifactType", SIGNATURE);
    let signature = signature.push(&bench.client, &repository, "three").await?;
    let target = format!("/v2/{repository}/referrers/{}{query}", subject.digest);
    let (response, descriptors) = ask(bench, &target).await?;
    let digest = |descriptor: &Value| descriptor["digest"].as_str().map(str::to_owned);
    let digests = descriptors.iter().filter_map(digest).collect();
    Ok((response, digests, [sbom, signature]))
}

async fn end_12b_an_artifact_type_filters_and_is_named(bench: &Bench) -> Outcome {
    let (response, digests, [sbom, _]) = filtered(bench, &format!("?artifactType={SBOM}")).await?;
    response.has("oci-filters-applied", "artifactType")?;
    same("what is listed", digests, vec![sbom.digest])
}

async fn end_12b_an_artifact_type_that_nothing_has_gives_an_empty_index(bench: &Bench) -> Outcome {
    let (response, digests, _) = filtered(bench, "?artifactType=application/vnd.example.sbom").await?;
    response.has("oci-filters-applied", "artifactType")?;
    same("what is listed", digests, vec![])
}

/// Written as `%2B`: a bare `+` in a query may mean a space.
async fn end_12b_a_type_with_a_plus_is_filtered(bench: &Bench) -> Outcome {
    let query = format!("?artifactType={}", SIGNATURE.replace('/', "%2F").replace('+', "%2B"));
    let (_, digests, [_, signature]) = filtered(bench, &query).await?;
    same("what is listed", digests, vec![signature.digest])
}

async fn end_12a_without_a_filter_none_is_named(bench: &Bench) -> Outcome {
    let (response, digests, _) = filtered(bench, "").await?;
    same("how many are listed", digests.len(), 2)?;
    same("OCI-Filters-Applied", response.header("oci-filters-applied"), None)
}

async fn end_7_the_answer_names_the_subject(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let image = referrer(2, &subject);
    image.push_blobs(&bench.client, &repository).await?;
    for reference in ["two", &image.manifest().digest] {
        let response = image.manifest().push(&bench.client, &repository, reference).await?;
        response.has("oci-subject", &subject.digest)?;
    }
    let response = index_referring(&subject, None).push(&bench.client, &repository, "three").await?;
    response.has("oci-subject", &subject.digest)
}

async fn end_7_without_a_subject_the_answer_names_none(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let response = image.manifest().push(&bench.client, &repository, "one").await?;
    same("OCI-Subject", response.header("oci-subject"), None)
}

async fn end_7_a_subject_that_is_not_there_is_accepted(bench: &Bench) -> Outcome {
    let (repository, subject) = (bench.repository(), Image::new(1));
    let image = referrer(2, &subject.manifest());
    let manifest = image.push(&bench.client, &repository, "two").await?;
    pull(&bench.client, &repository, "two").expect(200).await?.has_body(&manifest.bytes)?;
    refer(bench, &repository, &subject.manifest().digest, &[&manifest]).await?;
    subject.push(&bench.client, &repository, "one").await?;
    refer(bench, &repository, &subject.manifest().digest, &[&manifest]).await
}

async fn end_7_an_index_with_a_subject_is_accepted(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let index = index_referring(&Image::new(1).manifest(), None);
    index.push(&bench.client, &repository, "all").await?;
    pull(&bench.client, &repository, "all").expect(200).await?.has_body(&index.bytes)
}

async fn end_7_a_subject_that_is_none_is_400(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    for subject in
        [json!("latest"), json!({ "mediaType": MANIFEST, "digest": "sha256:../../..", "size": 1 }), json!([])]
    {
        let image = Image::new(1).with("subject", subject);
        image.push_blobs(&bench.client, &repository).await?;
        let request = image.manifest().put(&bench.client, &repository, "bad");
        request.expect_error(&[400], &["MANIFEST_INVALID"]).await?;
    }
    Ok(())
}

/// Writes a manifest into the store as an older registry did, which knows nothing of subjects.
async fn write_as_before(bench: &Bench, repository: &str, manifest: &Manifest, tag: Option<&str>) -> Outcome {
    let driver = bench.driver()?;
    let hex = manifest.digest.trim_start_matches("sha256:").to_owned();
    let link = Bytes::from(manifest.digest.clone());
    let manifests = format!("repositories/{repository}/_manifests");
    let mut files = vec![
        (format!("blobs/sha256/{}/{hex}/data", &hex[..2]), manifest.bytes.clone()),
        (format!("{manifests}/revisions/sha256/{hex}/link"), link.clone()),
    ];
    if let Some(tag) = tag {
        files.push((format!("{manifests}/tags/{tag}/index/sha256/{hex}/link"), link.clone()));
        files.push((format!("{manifests}/tags/{tag}/current/link"), link));
    }
    for (path, content) in files {
        let path = StoragePath::parse(format!("/docker/registry/v2/{path}"))?;
        driver.put_content(&path, content).await?;
    }
    Ok(())
}

/// Puts what refers to a subject into a store as a client did for an older registry: listed under the subject's tag.
async fn listed_under_the_tag(bench: &Bench, repository: &str, subject: &Manifest, listed: &[&Manifest]) -> Outcome {
    let index = crate::image::index(listed);
    let tag = subject.digest.replace(':', "-");
    write_as_before(bench, repository, &index, Some(&tag)).await
}

async fn end_12a_what_a_client_listed_under_the_tag_is_listed(bench: &Bench) -> Outcome {
    let (repository, subject) = (bench.repository(), Image::new(1));
    let subject = subject.push(&bench.client, &repository, "one").await?;
    let before = referrer(2, &subject).with("artifactType", SBOM).with("annotations", json!({ "a": "b" })).manifest();
    write_as_before(bench, &repository, &before, None).await?;
    listed_under_the_tag(bench, &repository, &subject, &[&before]).await?;
    let seen = only(bench, &repository, &subject.digest).await?;
    same("digest", &seen["digest"], &json!(before.digest))?;
    // Another instance as well, which has seen nothing of the above.
    let server = bench.serve(|builder| builder).await?;
    let target = format!("/v2/{repository}/referrers/{}", subject.digest);
    let there = server.client.get(target).expect(200).await?.json()?;
    same("digest", &there["manifests"][0]["digest"], &json!(before.digest))
}

async fn end_12a_what_is_listed_twice_comes_once(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let after = referrer(2, &subject).push(&bench.client, &repository, "two").await?;
    let before = referrer(3, &subject).manifest();
    write_as_before(bench, &repository, &before, None).await?;
    listed_under_the_tag(bench, &repository, &subject, &[&before, &after, &before]).await?;
    refer(bench, &repository, &subject.digest, &[&after, &before]).await
}

/// Clients maintain that tag: what is in it may be wrong.
async fn end_12a_what_the_tag_lists_and_does_not_refer_is_left_out(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let subject = Image::new(1).push(&bench.client, &repository, "one").await?;
    let stranger = Image::new(2).push(&bench.client, &repository, "two").await?;
    let missing = referrer(3, &subject).manifest();
    let before = referrer(4, &subject).manifest();
    write_as_before(bench, &repository, &before, None).await?;
    listed_under_the_tag(bench, &repository, &subject, &[&stranger, &missing, &before]).await?;
    refer(bench, &repository, &subject.digest, &[&before]).await?;
    // A tag of that name need not be an index at all.
    let other = Image::new(5).push(&bench.client, &repository, "five").await?;
    write_as_before(bench, &repository, &Image::new(6).manifest(), Some(&other.digest.replace(':', "-"))).await?;
    refer(bench, &repository, &other.digest, &[]).await?;
    ensure(sha256(&before.bytes) == before.digest, "the digest of the test itself")
}
