//! Parts of blobs: the `Range` header of RFC 9110, section 14.

use bytes::Bytes;

use crate::bench::Bench;
use crate::client::Response;
use crate::content::content;
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::push_blob;

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Pulling blobs, ranges":
        Should All end_2_a_range_gives_its_bytes,
        Should All end_2_a_range_of_one_byte_gives_it,
        Should All end_2_an_open_range_goes_to_the_end,
        Should All end_2_a_suffix_range_gives_the_last_bytes,
        Should All end_2_a_suffix_longer_than_the_blob_gives_it_all,
        Should All end_2_a_range_beyond_the_end_stops_at_it,
        Should All end_2_a_range_that_begins_beyond_the_end_is_416_with_the_size,
        Should All end_2_several_ranges_are_answered_rightly_or_whole,
        Wharf All end_2_several_ranges_come_as_parts_of_one_answer,
        Wharf All end_2_of_several_ranges_those_in_the_blob_come,
        Wharf All end_2_ranges_that_overlap_or_are_many_give_no_more_than_the_whole_blob,
        Wharf All end_2_any_range_of_an_empty_blob_gives_the_empty_blob,
        Should All end_2_a_range_that_ends_before_it_begins_gives_no_part,
        Should All end_2_a_range_of_another_unit_is_ignored,
        Should All end_2_a_range_of_head_is_ignored,
        Should All end_2_a_range_if_the_etag_is_the_blobs_gives_its_bytes,
        Should All end_2_a_range_if_another_etag_gives_the_whole_blob,
        Wharf All end_2_a_blob_says_that_it_has_ranges,
        Wharf All end_2_a_range_has_the_digest_and_etag_of_the_whole_blob,
    ]
}

/// What a range of a blob has to be answered with.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// 206 with the bytes from the first to the last, or the whole blob: nobody has to know ranges.
    Part(u64, u64),
    /// 416.
    Unsatisfiable,
    /// The whole blob; or 416 for what is not of the header's form, as Go's library answers.
    Malformed,
    /// Several parts, of which at least one is in the blob.
    Several(Vec<(u64, u64)>),
    /// The whole blob.
    Whole,
}

/// Reads a `Range` header as RFC 9110 does: section 14.1.1 has the grammar, 14.1.2 what bytes mean.
fn read(range: &str, size: u64) -> Answer {
    let Some((unit, set)) = range.split_once('=') else { return Answer::Malformed };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Answer::Whole;
    }
    if unit.trim().len() != unit.len() {
        return Answer::Malformed;
    }
    let mut parts = Vec::new();
    let mut specified = 0;
    for specification in set.split(',').map(|specification| specification.trim_matches([' ', '\t'])) {
        // A list may have empty elements: section 5.6.1.
        if specification.is_empty() {
            continue;
        }
        specified += 1;
        let Some((first, last)) = specification.split_once('-') else { return Answer::Malformed };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) || (first.is_empty() && last.is_empty()) {
            return Answer::Malformed;
        }
        // Longer numbers than any blob has bytes are numbers all the same.
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        let (first, last) = match (first.is_empty(), last.is_empty()) {
            (true, _) if number(last) == 0 => continue,
            (true, _) => (size.saturating_sub(number(last)), u64::MAX),
            (_, true) => (number(first), u64::MAX),
            (_, false) if number(last) < number(first) => return Answer::Malformed,
            (_, false) => (number(first), number(last)),
        };
        if first < size {
            parts.push((first, last.min(size - 1)));
        }
    }
    match (specified, &parts[..]) {
        (0, _) => Answer::Malformed,
        // Nobody has to know several ranges at once, and who does not answers with the whole.
        (_, []) if set.contains(',') => Answer::Malformed,
        (_, []) => Answer::Unsatisfiable,
        (1, &[(first, last)]) => Answer::Part(first, last),
        _ => Answer::Several(parts),
    }
}

/// Says what is wrong with the answer to a `GET` of this blob with this `Range`.
pub(crate) fn judge(range: &str, blob: &[u8], response: &Response) -> Outcome {
    let size = blob.len() as u64;
    let required = read(range, size);
    let whole = response.status == 200;
    let wrong = |what: &str| Err(response.because(format!("Range: {range}: {what}; required {required:?}")).into());
    if whole {
        response.has_body(blob)?;
        response.has("content-length", &size.to_string())?;
    }
    match &required {
        Answer::Whole if whole => Ok(()),
        Answer::Malformed if whole || response.status == 416 => Ok(()),
        // Of no bytes there is no part; answering with all of them is right too.
        Answer::Unsatisfiable if whole && size == 0 => Ok(()),
        Answer::Unsatisfiable if response.status == 416 => response.has("content-range", &format!("bytes */{size}")),
        Answer::Part(first, last) if response.status == 206 => {
            response.has("content-range", &format!("bytes {first}-{last}/{size}"))?;
            response.has("content-length", &(last - first + 1).to_string())?;
            response.has_body(&blob[*first as usize..=*last as usize])
        }
        Answer::Several(_) if whole => Ok(()),
        Answer::Several(parts) if response.status == 206 => several(parts, blob, response),
        _ => wrong("answered otherwise"),
    }
}

/// Fails unless a 206 has parts of the blob that cover what was asked for.
fn several(required: &[(u64, u64)], blob: &[u8], response: &Response) -> Outcome {
    let size = blob.len();
    let content_type = response.required("content-type")?;
    let seen = match content_type.strip_prefix("multipart/byteranges").and_then(|rest| rest.split_once("boundary=")) {
        // Parts that touch may have become one.
        None => vec![(response.required("content-range")?.to_owned(), response.body.clone())],
        Some((_, boundary)) => parts(boundary.trim_matches('"'), &response.body),
    };
    let mut covered = vec![false; size];
    for (range, bytes) in seen {
        let bounds = range.strip_prefix("bytes ").and_then(|range| range.strip_suffix(&format!("/{size}")));
        let bounds = bounds.and_then(|bounds| bounds.split_once('-'));
        let bounds = bounds.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        let (first, last): (usize, usize) =
            bounds.ok_or_else(|| response.because(format!("Content-Range: {range}")))?;
        same(format_args!("the bytes of the part {range}"), Some(&bytes[..]), blob.get(first..=last))?;
        covered[first..=last].fill(true);
    }
    let missing = required.iter().find(|(first, last)| covered[*first as usize..=*last as usize].contains(&false));
    same("the part that is missing", missing, None)
}

/// Returns `Content-Range` and bytes of each part of a body.
fn parts(boundary: &str, body: &Bytes) -> Vec<(String, Bytes)> {
    let delimiter = format!("--{boundary}").into_bytes();
    let find = |from: usize, what: &[u8]| {
        body[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let mut parts = Vec::new();
    let mut at = find(0, &delimiter);
    while let Some(begin) = at {
        let begin = begin + delimiter.len();
        let (Some(head), Some(next)) = (find(begin, b"\r\n\r\n"), find(begin, &delimiter)) else { break };
        let lines = String::from_utf8_lossy(&body[begin..head]).into_owned();
        let range = lines.lines().filter_map(|line| line.split_once(": "));
        let range = range.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-range"));
        if let (Some((_, range)), true) = (range, next >= head + 6) {
            parts.push((range.to_owned(), body.slice(head + 4..next - 2)));
        }
        at = Some(next);
    }
    parts
}

const SIZE: usize = 1000;

/// Pushes a blob of 1000 bytes and asks for a range of it.
async fn ask(bench: &Bench, range: &str) -> Outcome<(Bytes, Response)> {
    let (repository, blob) = (bench.repository(), content(1, SIZE));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    let response = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).header("range", range).send().await?;
    judge(range, &blob, &response)?;
    Ok((blob, response))
}

/// As [`ask`], and the answer has to be a part: a whole blob would be right, but not good.
async fn part(bench: &Bench, range: &str, first: usize, last: usize) -> Outcome {
    let (blob, response) = ask(bench, range).await?;
    same("the status", response.status, 206)?;
    response.has("content-range", &format!("bytes {first}-{last}/{SIZE}"))?;
    response.has_body(&blob[first..=last])
}

async fn end_2_a_range_gives_its_bytes(bench: &Bench) -> Outcome {
    part(bench, "bytes=100-299", 100, 299).await
}

async fn end_2_a_range_of_one_byte_gives_it(bench: &Bench) -> Outcome {
    part(bench, "bytes=0-0", 0, 0).await?;
    part(bench, "bytes=999-999", 999, 999).await
}

async fn end_2_an_open_range_goes_to_the_end(bench: &Bench) -> Outcome {
    part(bench, "bytes=600-", 600, 999).await
}

async fn end_2_a_suffix_range_gives_the_last_bytes(bench: &Bench) -> Outcome {
    part(bench, "bytes=-100", 900, 999).await
}

async fn end_2_a_suffix_longer_than_the_blob_gives_it_all(bench: &Bench) -> Outcome {
    ask(bench, "bytes=-5000").await.map(drop)
}

async fn end_2_a_range_beyond_the_end_stops_at_it(bench: &Bench) -> Outcome {
    part(bench, "bytes=900-5000", 900, 999).await?;
    part(bench, "bytes=900-99999999999999999999999999", 900, 999).await
}

async fn end_2_a_range_that_begins_beyond_the_end_is_416_with_the_size(bench: &Bench) -> Outcome {
    for range in ["bytes=1000-", "bytes=1000-1000", "bytes=5000-6000", "bytes=-0"] {
        same(range, ask(bench, range).await?.1.status, 416)?;
    }
    Ok(())
}

async fn end_2_several_ranges_are_answered_rightly_or_whole(bench: &Bench) -> Outcome {
    for range in ["bytes=0-9,100-199", "bytes=100-199, 0-9, -5", "bytes=0-9,5000-", "bytes=0-499,500-999"] {
        ask(bench, range).await?;
    }
    Ok(())
}

/// In the order in which they were asked for, each with its place.
async fn end_2_several_ranges_come_as_parts_of_one_answer(bench: &Bench) -> Outcome {
    for (range, required) in
        [("bytes=0-9,100-119", vec![(0, 9), (100, 119)]), ("bytes=900-, 0-0 ,-5", vec![(900, 999), (0, 0), (995, 999)])]
    {
        let (blob, response) = ask(bench, range).await?;
        same(range, response.status, 206)?;
        ensure(response.header("content-range").is_none(), response.because("the whole has a place"))?;
        let boundary = response.required("content-type")?.strip_prefix("multipart/byteranges; boundary=");
        let boundary = boundary.ok_or_else(|| response.because("the answer is not in parts"))?;
        let seen = parts(boundary, &response.body);
        let required: Vec<(String, Bytes)> = required
            .into_iter()
            .map(|(first, last)| (format!("bytes {first}-{last}/{SIZE}"), blob.slice(first..=last)))
            .collect();
        same(range, seen, required)?;
        ensure(response.body.ends_with(format!("--{boundary}--\r\n").as_bytes()), response.because("it has no end"))?;
    }
    // Whoever knows the digest and the tag of the whole may put parts together.
    let (_, response) = ask(bench, "bytes=0-9,100-119").await?;
    response.required("etag")?;
    response.required("docker-content-digest").map(drop)
}

async fn end_2_of_several_ranges_those_in_the_blob_come(bench: &Bench) -> Outcome {
    part(bench, "bytes=5000-,0-9", 0, 9).await?;
    let (_, response) = ask(bench, "bytes=5000-,-0,1000-1001").await?;
    same("the status", response.status, 416)
}

/// RFC 9110, section 14.2: they are a sign of a broken client, or of one that wants the server to do much for little.
async fn end_2_ranges_that_overlap_or_are_many_give_no_more_than_the_whole_blob(bench: &Bench) -> Outcome {
    let many: Vec<String> = (0..100).map(|number| format!("{}-{}", number * 9, number * 9)).collect();
    for range in ["bytes=0-,0-,0-", "bytes=0-599,300-899", &format!("bytes={}", many.join(","))] {
        let (_, response) = ask(bench, range).await?;
        same(range, response.status, 200)?;
    }
    Ok(())
}

/// As Go's library answers: some clients send the header with every request.
async fn end_2_any_range_of_an_empty_blob_gives_the_empty_blob(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &Bytes::new()).await?;
    for range in ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=5-9", "bytes=0-,5-"] {
        let request = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).header("range", range);
        let response = request.expect(200).await?;
        response.has("content-length", "0")?;
        response.has_body(b"")?;
    }
    Ok(())
}

async fn end_2_a_range_that_ends_before_it_begins_gives_no_part(bench: &Bench) -> Outcome {
    ask(bench, "bytes=500-0").await.map(drop)
}

async fn end_2_a_range_of_another_unit_is_ignored(bench: &Bench) -> Outcome {
    same("the status", ask(bench, "lines=0-9").await?.1.status, 200)
}

async fn end_2_a_range_of_head_is_ignored(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &content(1, SIZE)).await?;
    let request = bench.client.head(format!("/v2/{repository}/blobs/{digest}")).header("range", "bytes=0-9");
    request.expect(200).await?.has("content-length", &SIZE.to_string())
}

async fn end_2_a_range_if_the_etag_is_the_blobs_gives_its_bytes(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, SIZE));
    let target = format!("/v2/{repository}/blobs/{}", push_blob(&bench.client, &repository, &blob).await?);
    let whole = bench.client.get(&target).expect(200).await?;
    let request = bench.client.get(&target).header("range", "bytes=5-9").header("if-range", whole.required("etag")?);
    request.expect(206).await?.has_body(&blob[5..10])
}

async fn end_2_a_range_if_another_etag_gives_the_whole_blob(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, SIZE));
    let target = format!("/v2/{repository}/blobs/{}", push_blob(&bench.client, &repository, &blob).await?);
    for condition in ["\"other\"", "W/\"other\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let request = bench.client.get(&target).header("range", "bytes=5-9").header("if-range", condition);
        request.expect(200).await?.has_body(&blob)?;
    }
    Ok(())
}

async fn end_2_a_blob_says_that_it_has_ranges(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &content(1, SIZE)).await?;
    let response = bench.client.get(format!("/v2/{repository}/blobs/{digest}")).expect(200).await?;
    response.has("accept-ranges", "bytes")
}

async fn end_2_a_range_has_the_digest_and_etag_of_the_whole_blob(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let digest = push_blob(&bench.client, &repository, &content(1, SIZE)).await?;
    let target = format!("/v2/{repository}/blobs/{digest}");
    let whole = bench.client.get(&target).expect(200).await?;
    let part = bench.client.get(&target).header("range", "bytes=5-9").expect(206).await?;
    part.has("docker-content-digest", &digest)?;
    part.has("etag", whole.required("etag")?)
}
