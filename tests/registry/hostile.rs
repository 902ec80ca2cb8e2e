//! What no honest client sends: never a 5xx, never a hang, never anything beside the store.

use wharf::registry::TrustedProxies;

use crate::bench::{Bench, Kind};
use crate::client::{Client, with_query};
use crate::content::{absent, content, sha256};
use crate::image::{Image, MANIFEST, pull};
use crate::raw::{Answer, exchange, head};
use crate::requirement::{Outcome, Requirement, ensure, requirements, same};
use crate::upload::{Upload, lacks, pulls, push_blob};

pub(crate) fn requirements() -> Vec<Requirement> {
    requirements!["Hostile":
        Wharf All hostile_names_of_any_length_are_answered,
        Wharf All hostile_references_of_any_length_are_answered,
        Wharf All hostile_dots_and_slashes_in_paths_lead_nowhere,
        Wharf Files hostile_nothing_is_written_beside_the_store,
        Wharf All hostile_bytes_that_are_no_text_in_paths_are_answered,
        Wharf All hostile_queries_are_answered,
        Wharf All hostile_methods_are_answered,
        Wharf All hostile_many_or_long_headers_are_answered,
        Wharf All hostile_headers_of_no_meaning_are_answered,
        Wharf All hostile_ranges_of_chunks_are_answered,
        Wharf All hostile_states_of_uploads_are_refused,
        Wharf All hostile_digests_are_refused,
        Wharf All hostile_what_is_no_http_is_answered_or_closed,
        Wharf All hostile_requests_without_one_host_are_refused,
        Wharf Own hostile_hosts_and_forwarded_values_reach_no_address,
        Wharf Own hostile_forwarded_headers_count_from_trusted_proxies_alone,
    ]
}

/// Fails if the registry answers with a failure of its own. HTTP itself demands 501 for methods and transfer codings that
/// a server does not know, and 505 for versions.
pub(crate) fn no_failure(what: &str, answer: &Answer) -> Outcome {
    let failed = answer.status.is_some_and(|status| status >= 500 && ![501, 505].contains(&status));
    let begin: String = answer.text.chars().take(300).collect();
    ensure(!failed, format_args!("{what:.200}: the registry failed: {begin:?}"))
}

/// Sends bytes, and fails on a 5xx, on a hang, or if the registry does not answer the next request.
pub(crate) async fn survives(client: &Client, what: &str, bytes: &[u8], half: bool) -> Outcome<Answer> {
    let answer = exchange(client, bytes, half).await?;
    no_failure(what, &answer)?;
    client.get("/v2/").expect(200).await?;
    Ok(answer)
}

/// As [`survives`], for a request with a body, and the answer must refuse it, or send the client to the path without its
/// dots.
async fn refused(client: &Client, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Outcome {
    let length = body.len().to_string();
    let mut all = vec![("Content-Length", &*length)];
    all.extend_from_slice(headers);
    let mut bytes = head(client, method, target, &all);
    bytes.extend_from_slice(body);
    let what = format!("{method} {target} {headers:?}");
    let answer = survives(client, &what, &bytes, false).await?;
    let refused = answer.status.is_none_or(|status| (300..502).contains(&status));
    ensure(refused, format_args!("{what:.200}: {answer:?}, required a refusal"))
}

/// Every request that a repository's name stands in, and whether it has a body.
fn requests(name: &str, reference: &str) -> Vec<(&'static str, String)> {
    vec![
        ("GET", format!("/v2/{name}/manifests/{reference}")),
        ("HEAD", format!("/v2/{name}/manifests/{reference}")),
        ("PUT", format!("/v2/{name}/manifests/{reference}")),
        ("DELETE", format!("/v2/{name}/manifests/{reference}")),
        ("GET", format!("/v2/{name}/blobs/{reference}")),
        ("DELETE", format!("/v2/{name}/blobs/{reference}")),
        ("POST", format!("/v2/{name}/blobs/uploads/")),
        ("POST", format!("/v2/{name}/blobs/uploads/?mount={}&from={name}", absent())),
        ("GET", format!("/v2/{name}/blobs/uploads/{reference}")),
        ("PATCH", format!("/v2/{name}/blobs/uploads/{reference}")),
        ("PUT", format!("/v2/{name}/blobs/uploads/{reference}?digest={}", absent())),
        ("DELETE", format!("/v2/{name}/blobs/uploads/{reference}")),
        ("GET", format!("/v2/{name}/tags/list")),
        ("GET", format!("/v2/{name}/referrers/{reference}")),
    ]
}

async fn hostile_names_of_any_length_are_answered(bench: &Bench) -> Outcome {
    for length in [255, 256, 1000, 4096, 8192, 60_000, 200_000] {
        for name in ["a".repeat(length), "a/".repeat(length / 2) + "a", "a-".repeat(length / 2) + "a"] {
            for (method, target) in requests(&name, "latest") {
                let bytes = head(&bench.client, method, &target, &[("Content-Length", "0")]);
                let answer = exchange(&bench.client, &bytes, false).await?;
                no_failure(&format!("{method} of a name of {length}"), &answer)?;
            }
        }
    }
    bench.client.get("/v2/").expect(200).await.map(drop)
}

async fn hostile_references_of_any_length_are_answered(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    for length in [129, 1000, 8192, 60_000, 200_000] {
        for reference in ["a".repeat(length), format!("sha256:{}", "a".repeat(length)), "a:".repeat(length / 2)] {
            for (method, target) in requests(&repository, &reference) {
                // Where the reference does not stand, the request is a good one.
                if target.contains(&reference) {
                    refused(&bench.client, method, &target, &[], b"").await?;
                }
            }
        }
    }
    Ok(())
}

const ESCAPES: [&str; 12] = [
    "..",
    "../..",
    "%2e%2e",
    "%2E%2E%2F%2E%2E",
    "..%2f..%2f..%2fetc",
    "a/../../b",
    "a/./b",
    "a%2f..%2fb",
    "..%5c..",
    "%252e%252e%252f",
    "a/..%00/b",
    "%c0%ae%c0%ae%c0%af",
];

async fn hostile_dots_and_slashes_in_paths_lead_nowhere(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    for escape in ESCAPES {
        for name in [escape.to_owned(), format!("{repository}/{escape}"), format!("{escape}/{repository}")] {
            for (method, target) in requests(&name, "latest") {
                refused(&bench.client, method, &target, &[("Content-Type", MANIFEST)], &manifest.bytes).await?;
            }
        }
        for reference in [escape.to_owned(), format!("sha256:{escape}"), format!("{escape}:{}", &absent()[7..])] {
            for (method, target) in requests(&repository, &reference).into_iter().filter(|(_, it)| it.contains(escape))
            {
                refused(&bench.client, method, &target, &[("Content-Type", MANIFEST)], &manifest.bytes).await?;
            }
        }
    }
    // A slash that is written as `%2F` is one, or none is; never half of each.
    let encoded = repository.replace('/', "%2F");
    let request = bench.client.get(format!("/v2/{encoded}/manifests/latest")).header("accept", MANIFEST);
    let response = request.expect_one_of(&[200, 400, 404]).await?;
    ensure(response.status != 200 || response.body == manifest.bytes, response.because("another manifest"))?;
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn hostile_nothing_is_written_beside_the_store(bench: &Bench) -> Outcome {
    hostile_dots_and_slashes_in_paths_lead_nowhere(bench).await?;
    let known = |path: &std::path::Path| {
        let path = path.to_string_lossy();
        ["store", "store/docker", "store/docker/registry", "store/docker/registry/v2"].contains(&&*path)
            || path.starts_with("store/docker/registry/v2/blobs")
            || path.starts_with("store/docker/registry/v2/repositories")
    };
    let strange: Vec<_> = bench.tree()?.into_iter().filter(|path| !known(path)).collect();
    same("what lies where nothing should", strange, vec![])?;
    let repositories = "store/docker/registry/v2/repositories/";
    let tree = bench.tree()?;
    let below = tree.iter().filter_map(|path| path.to_str()?.strip_prefix(repositories));
    let strange: Vec<&str> = below.filter(|path| !path.starts_with("require")).collect();
    same("repositories that nobody made", strange, vec![])
}

async fn hostile_bytes_that_are_no_text_in_paths_are_answered(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    for odd in [
        b"\xff\xfe".as_slice(),
        b"%ff%fe",
        b"%00",
        b"a%00b",
        b"%",
        b"%2",
        b"%zz",
        b"\xc3\xa9",
        b"\x7f",
        b"a\tb",
        b"\"<>\\^`{|}",
        b"a%0d%0aX-Injected:%201",
        b"a#b",
        b"*",
    ] {
        for (method, before, after) in [
            ("GET", "/v2/".to_owned(), "/manifests/latest"),
            ("PUT", format!("/v2/{repository}/manifests/"), ""),
            ("GET", format!("/v2/{repository}/blobs/"), ""),
            ("POST", "/v2/".to_owned(), "/blobs/uploads/"),
            ("GET", format!("/v2/{repository}/referrers/"), ""),
            ("PATCH", format!("/v2/{repository}/blobs/uploads/"), ""),
        ] {
            let mut bytes = format!("{method} {before}").into_bytes();
            bytes.extend_from_slice(odd);
            bytes.extend_from_slice(after.as_bytes());
            bytes.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            let what = format!("{method} {before}{}{after}", String::from_utf8_lossy(odd));
            let answer = survives(&bench.client, &what, &bytes, false).await?;
            let refused = answer.status.is_none_or(|status| (400..500).contains(&status));
            ensure(refused, format_args!("{what}: {answer:?}, required a refusal"))?;
            let split = answer.text.to_ascii_lowercase().contains("\nx-injected:");
            ensure(!split, format_args!("{what}: a header came out of a path: {answer:?}"))?;
        }
    }
    Ok(())
}

async fn hostile_queries_are_answered(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let many: String = (0..2000).map(|number| format!("&a{number}=b")).collect();
    for target in [
        format!("/v2/{repository}/tags/list?n=999999999999999999999999999999"),
        format!("/v2/{repository}/tags/list?n=18446744073709551616"),
        format!("/v2/{repository}/tags/list?n=9223372036854775807&last=a"),
        format!("/v2/{repository}/tags/list?n=&last="),
        format!("/v2/{repository}/tags/list?n=1&n=2&n=x"),
        format!("/v2/{repository}/tags/list?last=%00"),
        format!("/v2/{repository}/tags/list?last=%ff%fe"),
        format!("/v2/{repository}/tags/list?last=../../.."),
        format!("/v2/{repository}/tags/list?last=a/b&n=1"),
        format!("/v2/{repository}/tags/list?last={}", "z".repeat(5000)),
        format!("/v2/{repository}/tags/list?{}", many.trim_start_matches('&')),
        format!("/v2/{repository}/tags/list?&&&=&=a&%"),
        "/v2/_catalog?n=999999999999999999999999999999".to_owned(),
        "/v2/_catalog?last=%00%ff/../..&n=3".to_owned(),
        "/v2/_catalog?last=//&n=1".to_owned(),
        format!("/v2/{repository}/referrers/{}?artifactType=%00%ff", manifest.digest),
        format!("/v2/{repository}/referrers/{}?artifactType=a&artifactType=b", manifest.digest),
        format!("/v2/{repository}/referrers/{}?artifactType=a%0d%0aX-Injected:%201", manifest.digest),
        format!("/v2/{repository}/manifests/latest?ns=docker.io&x={}", "y".repeat(3000)),
    ] {
        let answer = survives(&bench.client, &target, &head(&bench.client, "GET", &target, &[]), false).await?;
        ensure(answer.status.is_some(), format_args!("{target}: no answer"))?;
        let split = answer.text.to_ascii_lowercase().contains("\nx-injected:");
        ensure(!split, format_args!("{target}: a header came out of a query: {answer:?}"))?;
    }
    for query in ["mount=", "mount=..&from=..", "mount=sha256:x&from=a", "from=a", "digest=", "digest=%00", "mount=%ff"]
    {
        let target = format!("/v2/{repository}/blobs/uploads/?{query}");
        survives(&bench.client, &target, &head(&bench.client, "POST", &target, &[("Content-Length", "0")]), false)
            .await?;
    }
    for (mount, from) in [(absent(), "../../etc"), (absent(), "%00"), (absent(), "A"), (absent(), "a//b")] {
        let target = format!("/v2/{repository}/blobs/uploads/?mount={mount}&from={from}");
        bench.client.post(target).expect_one_of(&[202, 400, 404]).await?;
    }
    Ok(())
}

async fn hostile_methods_are_answered(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let manifest = Image::new(1).push(&bench.client, &repository, "latest").await?;
    let target = format!("/v2/{repository}/manifests/latest");
    for method in
        ["TRACE", "CONNECT", "OPTIONS", "BREW", "get", "PROPFIND", "G\u{7f}T", "A-VERY-LONG-METHOD-OF-MANY-WORDS"]
    {
        let bytes = head(&bench.client, method, &target, &[("Content-Length", "0")]);
        survives(&bench.client, method, &bytes, false).await?;
    }
    pull(&bench.client, &repository, "latest").expect(200).await?.has_body(&manifest.bytes)
}

async fn hostile_many_or_long_headers_are_answered(bench: &Bench) -> Outcome {
    let many: String = (0..500).map(|number| format!("X-{number}: a\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(1024 * 1024));
    let accept = format!("Accept: {}\r\n", vec![MANIFEST; 2000].join(", "));
    let name = format!("{}: a\r\n", "X".repeat(100_000));
    for headers in [many, long, accept, name] {
        let bytes = format!("GET /v2/ HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        survives(&bench.client, &headers[..20], bytes.as_bytes(), false).await?;
    }
    Ok(())
}

async fn hostile_headers_of_no_meaning_are_answered(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let digest = push_blob(&bench.client, &repository, &blob).await?;
    Image::new(1).push(&bench.client, &repository, "latest").await?;
    let targets = [format!("/v2/{repository}/blobs/{digest}"), format!("/v2/{repository}/manifests/latest")];
    for (name, value) in [
        ("Range", b"bytes=".as_slice()),
        ("Range", b"bytes=18446744073709551615-18446744073709551616"),
        ("Range", b"bytes=-18446744073709551616"),
        ("Range", b"bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0"),
        ("Range", b"\xff=\xfe"),
        ("If-None-Match", b"\""),
        ("If-None-Match", b"*, W/\"\", \xff"),
        ("If-Range", b"\xff"),
        ("If-Modified-Since", b"yesterday"),
        ("Accept", b"\xff/\xfe;q=x,,,;"),
        ("Accept", b""),
        ("Authorization", b"Basic \xff"),
        ("Authorization", b"Bearer"),
        ("Expect", b"200-maybe"),
        ("Content-Type", b"\xff"),
        ("X-Forwarded-Proto", b"javascript"),
        ("X-Forwarded-Host", b"a b\" <script>"),
        ("Forwarded", b"for=\";;;"),
    ] {
        for target in &targets {
            let mut bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{name}: ").into_bytes();
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n\r\n");
            survives(&bench.client, &format!("{name}: {}", String::from_utf8_lossy(value)), &bytes, false).await?;
        }
    }
    for host in ["", "a b", "\"<>", "localhost:99999", "[::1", "a/b", "x\u{7f}"] {
        let bytes =
            format!("POST /v2/{repository}/blobs/uploads/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        survives(&bench.client, host, bytes.as_bytes(), false).await?;
    }
    Ok(())
}

async fn hostile_ranges_of_chunks_are_answered(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let mut upload = Upload::begin(&bench.client, &repository).await?;
    upload.send(0, &blob.slice(..500)).await?;
    for range in [
        "500-18446744073709551615",
        "18446744073709551615-18446744073709551616",
        "500-99999999999999999999999999999999999999",
        "9223372036854775807-9223372036854775808",
        "0-18446744073709551615",
        "500--1",
        "bytes 500-999/1000",
        "bytes 500-998/1000",
        "\u{ff}",
    ] {
        let request = upload.chunk(500, &blob.slice(500..)).replace("content-range", range);
        let response = request.send().await?;
        // `bytes 500-999/1000` says what is right in HTTP's own form, and may be taken.
        if response.status == 202 {
            ensure(range == "bytes 500-999/1000", response.because(format!("{range} was taken")))?;
            upload.location = response.location()?;
            break;
        }
        ensure([400, 416].contains(&response.status), response.because(format!("{range}: neither 400 nor 416")))?;
        same(format_args!("the upload's length after {range}"), upload.status().await?, 500)?;
    }
    let length = upload.status().await?;
    upload.finish(&sha256(&blob), &blob.slice(length..)).expect(201).await?;
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn hostile_states_of_uploads_are_refused(bench: &Bench) -> Outcome {
    let (repository, blob) = (bench.repository(), content(1, 1000));
    let upload = Upload::begin(&bench.client, &repository).await?;
    let path = upload.location.split('?').next().unwrap_or_default().to_owned();
    let directory = path.trim_end_matches('/').rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
    for id in [
        "00000000-0000-0000-0000-000000000000",
        "not-a-uuid",
        "..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "data",
        "%00",
        "00000000-0000-0000-0000-000000000000%2fdata",
    ] {
        for query in ["", "?_state=x", "?_state=", "?_state=%00%ff", "?state=e30"] {
            let location = format!("{directory}/{id}{query}");
            for (method, target) in [
                ("GET", location.clone()),
                ("PATCH", location.clone()),
                ("PUT", with_query(&location, &format!("digest={}", sha256(&blob)))),
                ("DELETE", location.clone()),
            ] {
                refused(&bench.client, method, &target, &[], &blob).await?;
            }
        }
    }
    lacks(&bench.client, &repository, &sha256(&blob)).await?;
    upload.finish(&sha256(&blob), &blob).expect(201).await.map(drop)
}

async fn hostile_digests_are_refused(bench: &Bench) -> Outcome {
    let repository = bench.repository();
    let blob = content(1, 1000);
    push_blob(&bench.client, &repository, &blob).await?;
    let hex = sha256(&blob)[7..].to_owned();
    for digest in [
        format!("SHA256:{hex}"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{hex}0"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}/data"),
        format!("sha256:{hex}%00"),
        format!("sha256%00:{hex}"),
        format!("sha256:{hex}:{hex}"),
        format!("sha384:{}", "a".repeat(96)),
        format!("sha1:{}", "a".repeat(40)),
        format!("md5:{}", "a".repeat(32)),
        format!("sha256+b64:{hex}"),
        format!("multihash+base58:{hex}"),
        format!("sha512:{hex}"),
        format!(":{hex}"),
        "sha256:".to_owned(),
        "sha256".to_owned(),
    ] {
        for method in ["GET", "HEAD", "DELETE"] {
            refused(&bench.client, method, &format!("/v2/{repository}/blobs/{digest}"), &[], b"").await?;
        }
        let upload = Upload::begin(&bench.client, &repository).await?;
        let target = with_query(&upload.location, &format!("digest={digest}"));
        refused(&bench.client, "PUT", &target, &[], &blob).await?;
    }
    pulls(&bench.client, &repository, &sha256(&blob), &blob).await
}

async fn hostile_what_is_no_http_is_answered_or_closed(bench: &Bench) -> Outcome {
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for bytes in [
        b"\r\n\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n\r\n",
        b"GET http://[::1/v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET v2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        &body,
    ] {
        survives(&bench.client, &String::from_utf8_lossy(&bytes[..bytes.len().min(40)]), bytes, true).await?;
    }
    // Files are where a registry would show what it wrote.
    if bench.kind == Kind::Filesystem {
        same("what is stored", bench.tree()?.iter().filter(|path| path.is_file()).count(), 0)?;
    }
    Ok(())
}

/// Sends the head of a request that begins an upload, and returns the answer.
async fn begin(client: &Client, target: &str, headers: &str) -> Outcome<Answer> {
    let bytes = format!("POST {target} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
    let what = format!("{target} {headers:?}");
    survives(client, &what, bytes.as_bytes(), false).await
}

async fn hostile_requests_without_one_host_are_refused(bench: &Bench) -> Outcome {
    for (target, headers) in [
        ("/v2/", ""),
        ("/v2/", "Host: a\r\nHost: a\r\n"),
        ("/v2/", "Host: a\r\nhost: b\r\n"),
        ("/v2/", "Host: a b\r\n"),
        ("/v2/", "Host: a/b\r\n"),
        ("http://a/v2/", ""),
        ("http://a/v2/", "Host: a\r\nHost: a\r\n"),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
        let answer = survives(&bench.client, &format!("{target} {headers:?}"), bytes.as_bytes(), false).await?;
        same(format_args!("the answer to {target} {headers:?}"), answer.status, Some(400))?;
    }
    // The control: one host, and one that does not count beside the target's.
    for (target, headers) in [("/v2/", "Host: a\r\n"), ("http://b/v2/", "Host: a\r\n")] {
        let bytes = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
        let answer = exchange(&bench.client, bytes.as_bytes(), false).await?;
        same(format_args!("the answer to {target} {headers:?}"), answer.status, Some(200))?;
    }
    Ok(())
}

/// Returns the header `Location` of an answer.
fn location(answer: &Answer) -> Option<&str> {
    let mut lines = answer.text.split("\r\n\r\n").next().unwrap_or_default().lines();
    lines
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")))
        .map(|(_, it)| it)
}

async fn hostile_hosts_and_forwarded_values_reach_no_address(bench: &Bench) -> Outcome {
    let target = format!("/v2/{}/blobs/uploads/", bench.repository());
    let begins =
        |answer: &Answer, origin: &str| location(answer).is_some_and(|it| it.starts_with(&format!("{origin}/v2/")));
    for hostile in [
        "evil@a",
        "a/evil",
        "a?evil",
        "a#evil",
        "a:evil",
        "a:99999",
        "evil b",
        "<evil>",
        "\"evil",
        "\\evil",
        "[evil]",
        "[::1]evil",
        "a%evil",
        "javascript:evil",
        "evil\u{e4}",
        "a:80:evil",
    ] {
        for (name, value) in [
            ("Host", hostile.to_owned()),
            ("X-Forwarded-Host", hostile.to_owned()),
            ("X-Forwarded-Host", format!("{hostile}, a")),
            ("X-Forwarded-Proto", hostile.to_owned()),
            ("Forwarded", format!("host=\"{hostile}\"")),
            ("Forwarded", format!("proto=\"{hostile}\";host=a")),
        ] {
            let host = if name == "Host" { "" } else { "Host: a\r\n" };
            let answer = begin(&bench.client, &target, &format!("{host}{name}: {value}\r\n")).await?;
            let refused = answer.status == Some(400) && location(&answer).is_none();
            // Quotes within quotes end what is quoted, and then nothing of it is left but what is a host.
            let harmless = begins(&answer, "http://a");
            ensure(refused || harmless, format_args!("{name}: {value}: {answer:?}"))?;
        }
    }
    // What has no part in an address changes none.
    for header in
        ["X-Forwarded-Prefix: /evil", "X-Forwarded-Port: 666", "X-Forwarded-For: evil", "X-Forwarded-Server: evil"]
    {
        let answer = begin(&bench.client, &target, &format!("Host: a\r\n{header}\r\n")).await?;
        ensure(begins(&answer, "http://a"), format_args!("{header}: {answer:?}"))?;
    }
    // The control: honest proxies are believed, and a target's host counts.
    for (target, headers, origin) in [
        (target.clone(), "Host: a\r\nX-Forwarded-Host: b:5000, c\r\nX-Forwarded-Proto: https\r\n", "https://b:5000"),
        (
            target.clone(),
            "Host: a\r\nForwarded: for=192.0.2.1;host=\"[2001:db8::1]:443\";proto=https\r\n",
            "https://[2001:db8::1]:443",
        ),
        (format!("http://b{target}"), "Host: a\r\n", "http://b"),
    ] {
        let answer = begin(&bench.client, &target, headers).await?;
        ensure(begins(&answer, origin), format_args!("{headers:?}: {answer:?}, required {origin}"))?;
    }
    Ok(())
}

async fn hostile_forwarded_headers_count_from_trusted_proxies_alone(bench: &Bench) -> Outcome {
    let target = format!("/v2/{}/blobs/uploads/", bench.repository());
    // The test's server tells the registry of no client's address, as at a Unix socket.
    for (local, expected) in [(false, "http://a/v2/"), (true, "https://evil/v2/")] {
        let trusted = TrustedProxies::Networks { networks: Vec::new(), local };
        let server = bench.serve(|builder| builder.trusted_proxies(trusted)).await?;
        for headers in
            ["X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n", "Forwarded: host=evil;proto=https\r\n"]
        {
            let answer = begin(&server.client, &target, &format!("Host: a\r\n{headers}")).await?;
            let begins = location(&answer).is_some_and(|location| location.starts_with(expected));
            ensure(begins, format_args!("{headers:?}: {answer:?}, required {expected}"))?;
        }
    }
    Ok(())
}
