//! Properties: what holds for every range, name, tag, digest, page and split, tried on many at random.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use regex::Regex;

use crate::bench::Bench;
use crate::content::{content, sha256, sha512};
use crate::image::{Image, pull};
use crate::list::{pages, tagged};
use crate::ranges::judge;
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, lacks, pulls, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Properties":
        Should All any_range_of_any_blob_is_answered_rightly,
        Must All any_name_is_taken_if_and_only_if_the_grammar_has_it,
        Must All any_tag_is_taken_if_and_only_if_the_grammar_has_it,
        Must All any_digest_is_taken_if_and_only_if_it_is_the_blobs,
        Must All any_pages_of_any_tags_are_the_sorted_tags,
        Must All any_split_into_chunks_gives_the_blob,
        Wharf Resumable any_split_over_two_instances_gives_the_blob,
    ]
}

/// Tries a property on values at random. What fails is made as small as it can be.
fn hold<S, F>(cases: u32, strategy: S, property: F) -> Outcome
where
    S: Strategy,
    F: AsyncFn(S::Value) -> Outcome,
{
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        let run = || tokio::runtime::Handle::current().block_on(property(value));
        let outcome = tokio::task::block_in_place(run);
        outcome.map_err(|failed| TestCaseError::fail(failed.message().unwrap_or("failed").to_owned()))
    });
    outcome.map_err(|error| error.to_string().into())
}

/// Ranges near a small blob's ends, several of them, and text that is none.
fn range() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        6 => (0..80u32).prop_map(|number| number.to_string()),
        1 => Just("18446744073709551616".to_owned()),
        1 => Just("9223372036854775807".to_owned()),
        1 => Just("007".to_owned()),
    ];
    let one = prop_oneof![
        4 => (number.clone(), number.clone()).prop_map(|(first, last)| format!("{first}-{last}")),
        2 => number.clone().prop_map(|first| format!("{first}-")),
        2 => number.prop_map(|last| format!("-{last}")),
        1 => "[0-9 ,\\-]{0,6}",
    ];
    let set = vec(one, 1..4).prop_map(|parts| parts.join(","));
    prop_oneof![
        8 => set.clone().prop_map(|set| format!("bytes={set}")),
        1 => set.clone().prop_map(|set| format!("Bytes={set}")),
        1 => set.prop_map(|set| format!("bytes={}", set.replace(',', ", "))),
        1 => "[!-~]{1,12}",
    ]
}

async fn any_range_of_any_blob_is_answered_rightly(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let mut blobs = Vec::new();
    for length in [0, 1, 2, 63, 64] {
        let blob = content(length as u64, length);
        blobs.push((push_blob(&bench.client, &repository, &blob).await?, blob));
    }
    hold(300, (0..blobs.len(), range()), async |(index, range)| {
        let (digest, blob) = &blobs[index];
        let request = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).header("range", &range);
        judge(&range, blob, &request.send().await?)
    })
}

/// What a path's segment may have as it is. All else is written as `%XX`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/').remove(b'~');

/// The specification's expression for names.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$").unwrap());

/// The specification's expression for tags.
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$").unwrap());

async fn any_name_is_taken_if_and_only_if_the_grammar_has_it(bench: &Bench) -> Outcome {
    let names = prop_oneof![
        // Nearly all of the first are names, about half of the second, and of the rest none.
        3 => "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,3}(/[a-z0-9]{1,3}([._-][a-z0-9]{1,2})?){0,3}",
        4 => "[a-c0._/\\-]{1,8}",
        1 => "[a-z]{1,3}[A-Z@:+~ %?#&=é]{1,2}[a-z]{0,3}",
    ];
    hold(200, names, async |name| {
        let encoded = utf8_percent_encode(&name, SEGMENT);
        let response = bench.client.post(format!("/v2/{encoded}/blobs/uploads/")).send().await?;
        // A redirect leads to the path without its dots and doubled slashes.
        let required: &[u16] = if NAME.is_match(&name) { &[202] } else { &[301, 308, 400, 404] };
        let right = required.contains(&response.status);
        ensure(right, response.because(format!("the name {name:?}: required {required:?}")))
    })
}

async fn any_tag_is_taken_if_and_only_if_the_grammar_has_it(bench: &Bench) -> Outcome {
    let (repository, image) = (bench.repository(), Image::new(1));
    image.push_blobs(&bench.client, &repository).await?;
    let manifest = image.manifest();
    let tags = prop_oneof![
        3 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,10}",
        1 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{120,130}",
        3 => "[a-c0._\\-]{1,4}",
        1 => "[a-z]{0,3}[@+~ %?#&=é]{1,2}[a-z]{0,3}",
    ];
    hold(100, tags, async |tag| {
        let encoded = utf8_percent_encode(&tag, SEGMENT).to_string();
        // A redirect leads to the path without its dots.
        let required: &[u16] = if TAG.is_match(&tag) { &[201] } else { &[301, 308, 400, 404] };
        manifest.put(&bench.client, &repository, &encoded).expect_one_of(required).await?;
        let required: &[u16] = if TAG.is_match(&tag) { &[200] } else { &[301, 308, 400, 404] };
        pull(&bench.client, &repository, &encoded).expect_one_of(required).await.map(drop)
    })
}

/// How a digest is written that may be the blob's.
#[derive(Clone, Debug)]
enum Written {
    Right,
    RightSha512,
    Digit(usize),
    Cut(usize),
    Longer,
    Upper,
    Algorithm(String),
}

async fn any_digest_is_taken_if_and_only_if_it_is_the_blobs(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let written = prop_oneof![
        2 => Just(Written::Right),
        2 => Just(Written::RightSha512),
        2 => (0..64usize).prop_map(Written::Digit),
        2 => (0..64usize).prop_map(Written::Cut),
        1 => Just(Written::Longer),
        1 => Just(Written::Upper),
        2 => "[a-z0-9+._\\-]{0,8}".prop_map(Written::Algorithm),
    ];
    hold(100, (any::<u64>(), 0..200usize, written), async |(seed, length, written)| {
        let blob = content(seed, length);
        let right = sha256(&blob);
        let digest = match &written {
            Written::Right => right.clone(),
            Written::RightSha512 => sha512(&blob),
            Written::Digit(at) => {
                let mut digits = right.clone().into_bytes();
                let digit = &mut digits[7 + at];
                *digit = if *digit == b'0' { b'1' } else { b'0' };
                String::from_utf8(digits)?
            }
            Written::Cut(at) => right[..7 + at].to_owned(),
            Written::Longer => format!("{right}0"),
            // All digits may be decimal ones, in one of 10^13 blobs.
            Written::Upper => format!("sha256:{}", right[7..].to_uppercase()),
            Written::Algorithm(algorithm) => format!("{}:{}", utf8_percent_encode(algorithm, SEGMENT), &right[7..]),
        };
        let taken = digest == right || digest == sha512(&blob);
        let upload = Upload::begin(&bench.client, &repository).await?;
        upload.finish(&digest.replace('+', "%2B"), &blob).expect(if taken { 201 } else { 400 }).await?;
        if taken { pulls(&bench.client, &repository, &digest, &blob).await } else { Ok(()) }
    })
}

async fn any_pages_of_any_tags_are_the_sorted_tags(bench: &Bench) -> Outcome {
    // Few letters, so that many tags begin alike, and those between `-` and `/` in the order of bytes.
    let tags = btree_set("[ab0_][ab0._\\-]{0,3}", 1..12);
    let last = prop_oneof![Just(None), "[ab0_][ab0._\\-]{0,3}".prop_map(Some)];
    hold(15, (tags, vec((1..14usize, last), 4)), async |(tags, requests)| {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let repository = tagged(bench, &tags).await?;
        for (n, last) in requests {
            let from = last.as_ref().map(|last| format!("&last={last}")).unwrap_or_default();
            let pages = pages(&bench.client, &format!("/v2/{repository}/tags/list?n={n}{from}")).await?;
            let after = tags.iter().filter(|&&tag| last.as_deref().is_none_or(|last| tag > last));
            let required: Vec<String> = after.map(|&tag| tag.to_owned()).collect();
            let large = pages.iter().any(|page| page.len() > n);
            ensure(!large, format_args!("n={n}: a page is larger: {pages:?}"))?;
            let seen = pages.concat();
            let once: BTreeSet<&String> = seen.iter().collect();
            same(format_args!("how many differ of {seen:?}"), once.len(), seen.len())?;
            same(format_args!("the tags for n={n}{from}"), seen, required)?;
        }
        Ok(())
    })
}

/// How one chunk comes.
#[derive(Clone, Copy, Debug)]
enum Coming {
    /// With its range.
    Ranged,
    /// Without.
    Bare,
    /// Without its length too.
    Stream,
    /// With its range, and after one that is out of order and refused.
    AfterAnother,
    /// After asking for the state.
    AfterState,
    /// With its range; its answer is lost, and the state is asked for.
    Unanswered,
}

/// Splits a blob at these places, sends each part in its way, and turns to another client for each.
async fn split(
    bench: &Bench,
    clients: &[crate::client::Client],
    case: (u64, usize, Vec<(usize, Coming)>, bool),
) -> Outcome {
    let (seed, length, cuts, last_with_put) = case;
    let repository = bench.repository();
    let blob = content(seed, length);
    let mut ends: Vec<(usize, Coming)> = cuts.into_iter().map(|(cut, coming)| (cut % (length + 1), coming)).collect();
    ends.sort_by_key(|(end, _)| *end);
    let mut upload = Upload::begin(&clients[0], &repository).await?;
    let mut offset = 0;
    for (turn, (end, coming)) in ends.into_iter().enumerate() {
        upload.client = clients[turn % clients.len()].clone();
        let chunk = blob.slice(offset..end);
        // An empty range cannot be written.
        let ranged = !chunk.is_empty();
        match coming {
            Coming::Ranged if ranged => drop(upload.send(offset, &chunk).await?),
            Coming::AfterAnother if ranged => {
                upload.chunk(offset + 1, &chunk).expect(416).await?;
                upload.send(offset, &chunk).await?;
            }
            Coming::AfterState if ranged && offset > 0 => {
                same("the upload's length", upload.status().await?, offset)?;
                upload.send(offset, &chunk).await?;
            }
            Coming::Unanswered if ranged => {
                upload.chunk(offset, &chunk).expect(202).await?;
                same("the upload's length", upload.status().await?, end)?;
            }
            Coming::Stream => {
                let pieces = chunk.chunks(1000).map(Bytes::copy_from_slice).collect();
                let response = upload.client.patch(&upload.location).chunked(pieces).expect(202).await?;
                upload.location = response.location()?;
            }
            _ => {
                let response = upload.client.patch(&upload.location).body(chunk).expect(202).await?;
                upload.location = response.location()?;
            }
        }
        offset = end;
    }
    let mut rest = blob.slice(offset..);
    if !last_with_put && !rest.is_empty() {
        upload.send(offset, &rest).await?;
        rest = Bytes::new();
    }
    lacks(&bench.client, &repository, &sha256(&blob)).await?;
    upload.finish(&sha256(&blob), &rest).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

fn splits() -> impl Strategy<Value = (u64, usize, Vec<(usize, Coming)>, bool)> {
    let coming = prop_oneof![
        Just(Coming::Ranged),
        Just(Coming::Bare),
        Just(Coming::Stream),
        Just(Coming::AfterAnother),
        Just(Coming::AfterState),
        Just(Coming::Unanswered),
    ];
    let length = prop_oneof![1 => 0..20usize, 3 => 20..5_000usize, 1 => 60_000..200_000usize];
    (any::<u64>(), length, vec((any::<usize>(), coming), 0..7), any::<bool>())
}

async fn any_split_into_chunks_gives_the_blob(bench: &Bench) -> Outcome {
    let clients = [bench.client.clone()];
    hold(40, splits(), async |case| split(bench, &clients, case).await)
}

async fn any_split_over_two_instances_gives_the_blob(bench: &Bench) -> Outcome {
    let other = bench.serve(|builder| builder).await?;
    let clients = [bench.client.clone(), other.client.clone()];
    hold(40, splits(), async |case| split(bench, &clients, case).await)
}
