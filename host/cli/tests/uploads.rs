//! `wharf uploads`, on a store whose uploads are as old as one likes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::fake::{Asked, Fake};
use support::last_json;

/// A store with three uploads: two of one path, of which one is new, and an old one of another.
fn store() -> Fake {
    Fake::start(|asked: &Asked| {
        let upload = |key: &str, id: &str, begun: &str| {
            format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{begun}</Initiated></Upload>")
        };
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let old = "2020-01-01T00:00:00Z";
        let all = [("r/old", "u1", old), ("r/busy", "u2", old), ("r/busy", "u3", &now)];
        let prefix = asked.target.split("prefix=").nth(1).map_or("", |rest| rest.split('&').next().unwrap_or(""));
        let prefix = prefix.replace("%2F", "/");
        let listed: String = all
            .iter()
            .filter(|(key, _, _)| key.starts_with(&prefix))
            .map(|(key, id, begun)| upload(key, id, begun))
            .collect();
        match &*asked.method {
            "GET" if asked.target.contains("uploads") => (
                200,
                format!(
                    "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{listed}</ListMultipartUploadsResult>"
                ),
            ),
            "DELETE" => (204, String::new()),
            _ => (200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".to_owned()),
        }
    })
}

fn arguments(store: &Fake, more: &[&str]) -> Vec<String> {
    let fixed = [
        "uploads",
        "s3:/",
        "--params=bucket=b",
        "--params=forcepathstyle=true",
        "--params=accesskey=a",
        "--params=secretkey=s",
        "--params=rootdirectory=r",
    ];
    let endpoint = format!("--params=regionendpoint={}", store.url);
    fixed.iter().chain(more).map(|text| text.to_string()).chain([endpoint]).collect()
}

fn run(store: &Fake, more: &[&str]) -> std::process::Output {
    let arguments = arguments(store, more);
    support::wharf(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn aborted(store: &Fake) -> Vec<String> {
    store.asked().into_iter().filter(|asked| asked.method == "DELETE").map(|asked| asked.target).collect()
}

#[test]
fn every_upload_is_listed_with_its_beginning() {
    let store = store();
    let output = run(&store, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("2020-01-01T00:00:00Z  /old"), "{text}");
    assert!(aborted(&store).is_empty());
}

#[test]
fn only_the_old_ones_are_listed_with_an_age() {
    let output = run(&store(), &["--older-than=7days", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(last_json(&text)["path"], "/old");
}

#[test]
fn an_abort_needs_an_age() {
    let store = store();
    let output = run(&store, &["--abort"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(aborted(&store).is_empty());
}

#[test]
fn a_stale_upload_is_aborted_and_one_in_progress_keeps_those_of_its_path() {
    let store = store();
    let output = run(&store, &["--older-than=7days", "--abort"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("/old  aborted") && text.contains("/busy  kept"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    let aborted = aborted(&store);
    assert!(aborted.iter().all(|target| target.contains("uploadId=u1")) && !aborted.is_empty(), "{aborted:?}");
}
