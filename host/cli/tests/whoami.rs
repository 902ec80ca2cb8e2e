//! As whom the s3 driver works: each source of credentials, what is said of it, and that none takes another's place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use support::fake::{Asked, Fake};
use support::served::Served;

const SECRET: &str = "very-secret-access-key";

/// A store that tells whom it takes us for, and lists nothing.
fn store() -> Fake {
    Fake::start(|asked| {
        let body = if asked.target.contains("list-type=2") {
            "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        } else {
            "<ListAllMyBucketsResult><Owner><ID>owner-1</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>"
        };
        (200, body.to_owned())
    })
}

/// The notation of expiries: so many seconds from now.
fn expiry(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(seconds)).to_string()
}

fn keys(id: &str, seconds: u64) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{id}","SecretAccessKey":"{SECRET}","Token":"token-of-{id}","Expiration":"{}","LastUpdated":"{}"}}"#,
        expiry(seconds),
        expiry(0)
    )
}

/// `wharf` without any credentials of the user's, or of the machine's.
fn wharf(arguments: &[&str]) -> Command {
    let mut command = support::command(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

fn whoami(store: &Fake, more: &[&str]) -> Command {
    let endpoint = format!("--params=regionendpoint={}", store.url);
    let arguments = [&["whoami", "s3", "--params=bucket=b", "--params=forcepathstyle=true", &*endpoint], more].concat();
    wharf(&arguments)
}

/// Runs it, and sees to it that no secret is in what it says.
fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains(SECRET) && !said.contains("token-of"), "{said}");
    output
}

fn said(command: Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn static_keys_are_named_by_their_id_and_their_source() {
    let store = store();
    let secret = format!("--params=secretkey={SECRET}");
    let said = said(whoami(&store, &["--params=accesskey=AKSTATIC", &secret]));
    let expected = [
        "principal   owner-1",
        "credential  access key AKSTATIC",
        "source      the parameters accesskey and secretkey",
        "expires     never",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert!(store.asked().iter().all(|asked| asked.key() == Some("AKSTATIC")));
}

#[test]
fn a_store_that_does_not_say_who_it_is_is_no_error_and_one_that_knows_no_such_key_is() {
    for (code, status) in [("AccessDenied", 0), ("InvalidAccessKeyId", 1)] {
        let store = Fake::start(move |asked| match asked.target.contains("list-type=2") {
            true => (200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".to_owned()),
            false => (403, format!("<Error><Code>{code}</Code><Message>no</Message></Error>")),
        });
        let mut command = whoami(&store, &[]);
        command.env("AWS_ACCESS_KEY_ID", "AKENV").env("AWS_SECRET_ACCESS_KEY", SECRET);
        let output = run(command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(status), "{code}: {said}");
        assert_eq!(said.contains("the store does not say"), status == 0, "{said}");
    }
}

#[test]
fn keys_of_the_environment_are_used_without_keys_in_the_parameters() {
    let mut command = whoami(&store(), &[]);
    command.env("AWS_ACCESS_KEY_ID", "AKENV").env("AWS_SECRET_ACCESS_KEY", SECRET);
    let said = said(command);
    assert!(said.contains("access key AKENV") && said.contains("the environment"), "{said}");
}

#[test]
fn a_profile_of_the_shared_configuration_is_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("[registry]\naws_access_key_id = AKPROFILE\naws_secret_access_key = {SECRET}\n");
    std::fs::write(file.path(), text).unwrap();
    let mut command = whoami(&store(), &[]);
    command.env("AWS_SHARED_CREDENTIALS_FILE", file.path()).env("AWS_PROFILE", "registry");
    let said = said(command);
    assert!(said.contains("access key AKPROFILE") && said.contains("the shared configuration"), "{said}");
}

#[test]
fn keys_that_were_replaced_in_their_file_are_used_once_the_store_refuses_the_old_ones() {
    let profile = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n");
    let valid = Arc::new(Mutex::new("AKOLD"));
    let knows = Arc::clone(&valid);
    let store = Fake::start(move |asked| match asked.key() == Some(*knows.lock().unwrap()) {
        true => (200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".to_owned()),
        false => (403, "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>".to_owned()),
    });
    let environment = [
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let served = Served::start_with(&environment, |directory| {
        std::fs::write(directory.path().join("credentials"), profile("AKOLD")).unwrap();
        let parameters = format!("{{ bucket: b, forcepathstyle: true, regionendpoint: \"{}\" }}", store.url);
        Some(format!("version: 0.1\nstorage: {{ s3: {parameters} }}\n"))
    });
    let tags = || served.curl(&[&format!("http://{}/v2/a/tags/list", served.address)]).0;
    assert_eq!(tags(), 200);
    *valid.lock().unwrap() = "AKNEW";
    assert_eq!(tags(), 500, "the file has the old ones still");
    std::fs::write(served.path("credentials"), profile("AKNEW")).unwrap();
    assert_eq!(tags(), 200);
    assert!(served.logs("access key AKNEW").contains("the shared configuration"));
}

/// STS, which gives keys for a token, and says who they are.
fn sts(status: u16) -> Fake {
    Fake::start(move |asked| {
        let body = if asked.body.contains("AssumeRoleWithWebIdentity") {
            format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                 <AccessKeyId>AKWEB</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
                 <SessionToken>token-of-AKWEB</SessionToken><Expiration>{}</Expiration></Credentials>\
                 <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/registry/x</Arn><AssumedRoleId>A:x</AssumedRoleId>\
                 </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
                expiry(3600)
            )
        } else {
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::1:assumed-role/registry/x</Arn>\
             <UserId>A:x</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                .to_owned()
        };
        let denied =
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no such role</Message></Error></ErrorResponse>";
        (status, if status == 200 { body } else { denied.to_owned() })
    })
}

fn with_web_identity(mut command: Command, sts: &Fake, token: &tempfile::NamedTempFile) -> Command {
    std::fs::write(token.path(), "token-of-the-pod").unwrap();
    command
        .env("AWS_ROLE_ARN", "arn:aws:iam::1:role/registry")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.path())
        .env("AWS_ENDPOINT_URL_STS", &sts.url);
    command
}

#[test]
fn a_web_identity_token_is_exchanged_and_its_role_named() {
    let (sts, token) = (sts(200), tempfile::NamedTempFile::new().unwrap());
    // Amazon's own: there STS is asked for the principal, and S3 for nothing.
    let command = wharf(&["whoami", "s3", "--params=bucket=b", "--params=region=eu-central-1"]);
    let said = said(with_web_identity(command, &sts, &token));
    assert!(said.contains("principal   arn:aws:sts::1:assumed-role/registry/x"), "{said}");
    assert!(said.contains("access key AKWEB") && said.contains("a web identity token"), "{said}");
    assert!(!said.contains("never"), "{said}");
}

#[test]
fn a_containers_credentials_are_used() {
    let container = Fake::start(|_| (200, keys("AKCONTAINER", 3600)));
    let mut command = whoami(&store(), &[]);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", container.url));
    let said = said(command);
    assert!(said.contains("access key AKCONTAINER") && said.contains("the container's credentials"), "{said}");
}

#[test]
fn an_instances_credentials_are_used() {
    let metadata = Fake::start(|asked: &Asked| match &*asked.target {
        "/latest/api/token" => (200, "session".to_owned()),
        target if target.ends_with("security-credentials/") => (200, "registry-role".to_owned()),
        target if target.ends_with("security-credentials/registry-role") => (200, keys("AKINSTANCE", 3600)),
        _ => (404, String::new()),
    });
    let mut command = whoami(&store(), &[]);
    command.env_remove("AWS_EC2_METADATA_DISABLED").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url);
    let said = said(command);
    assert!(said.contains("access key AKINSTANCE") && said.contains("the instance's metadata"), "{said}");
}

/// harbor#16490: a pod whose role was misspelt worked as the node.
#[test]
fn a_source_that_is_set_up_and_fails_is_an_error_and_not_passed_over_for_the_next() {
    let (sts, token) = (sts(403), tempfile::NamedTempFile::new().unwrap());
    let container = Fake::start(|_| (200, keys("AKCONTAINER", 3600)));
    let mut command = whoami(&store(), &[]);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", container.url));
    let output = run(with_web_identity(command, &sts, &token));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("access-denied") && error.contains("no such role"), "{error}");
    assert!(container.asked().is_empty());
}

#[test]
fn without_any_credentials_it_says_where_it_looked() {
    let output = run(whoami(&store(), &[]));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for source in ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS", "metadata"] {
        assert!(error.contains(source), "{error}");
    }
}

#[test]
fn the_log_at_the_start_names_the_credentials_and_their_source() {
    let store = store();
    let endpoint = format!("--params=regionendpoint={}", store.url);
    let secret = format!("--params=secretkey={SECRET}");
    let mut command = wharf(&[
        "ls",
        "s3:/",
        "--params=bucket=b",
        "--params=forcepathstyle=true",
        &endpoint,
        "--params=accesskey=AKSTATIC",
        &secret,
    ]);
    command.env("RUST_LOG", "wharf::s3=info");
    let output = run(command);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("access key AKSTATIC") && log.contains("the parameters accesskey and secretkey"), "{log}");
}

/// A listing of four pages, a second each, with credentials of which the first end within that time: none is used after its end.
#[test]
fn credentials_are_renewed_before_they_end() {
    let container = Fake::start({
        let served = std::sync::atomic::AtomicU64::new(0);
        move |_| {
            let number = served.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // The first is for the log; the SDK renews the second within the last ten seconds that it has, at any of them.
            (200, keys(&format!("AK{number}"), if number < 2 { 3 } else { 3600 }))
        }
    });
    let store = Fake::start(|asked| {
        let page = asked.target.split("continuation-token=").nth(1).map_or(0, |rest| rest[..1].parse::<u64>().unwrap());
        std::thread::sleep(Duration::from_secs(1));
        let more = page < 4;
        let body = format!(
            "<ListBucketResult><IsTruncated>{more}</IsTruncated><NextContinuationToken>{}</NextContinuationToken>\
             <Contents><Key>file{page}</Key><Size>1</Size></Contents></ListBucketResult>",
            page + 1
        );
        (200, body)
    });
    let endpoint = format!("--params=regionendpoint={}", store.url);
    let mut command = wharf(&[
        "ls",
        "s3:/",
        "--params=bucket=b",
        "--params=forcepathstyle=true",
        "--params=listorder=bytewise",
        &endpoint,
    ]);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", container.url));
    assert_eq!(said(command).lines().count(), 5);
    let asked = store.asked();
    let used: Vec<_> = asked.iter().filter_map(Asked::key).collect();
    assert_eq!(used.len(), 5);
    assert!(!used[3..].contains(&"AK1"), "{used:?}");
}
