//! `wharf serve` as an operator runs it: its files, addresses, signals and log, asked with curl.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::served::Served;
use tempfile::TempDir;

/// `alice` with the password `secret`: what `htpasswd -nbB -C 5` prints.
const HTPASSWD: &str = "alice:$2y$05$80p/InMl3mUZiCbnvubAKu9UU/92itNqiBAe7mpl0LONmhXb9Wg6G\n";

/// The digest of nothing.
const NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const INMEMORY: &str = "version: 0.1\nstorage: { inmemory: {} }\n";

/// Writes a certificate for 127.0.0.1 that signs itself, and its key.
fn certify(directory: &Path) {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(directory.join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    fs::write(directory.join("cert.pem"), signed.cert.pem()).unwrap();
}

fn start(configuration: &str) -> Served {
    Served::start(|_| Some(format!("{INMEMORY}{configuration}")))
}

/// Begins an upload of 6 bytes, of which 3 come now, and returns the connection.
fn begin_upload(served: &Served) -> TcpStream {
    let (status, _) =
        served.curl(&["--request", "POST", "--dump-header", "begun", &url(served, "/v2/a/blobs/uploads/")]);
    assert_eq!(status, 202);
    let headers = fs::read_to_string(served.path("begun")).unwrap();
    let location = headers.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let target = &location[location.find("/v2/").unwrap()..];
    let mut client = TcpStream::connect(&served.address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(client, "PATCH {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").unwrap();
    // Until it is under way.
    std::thread::sleep(Duration::from_millis(300));
    client
}

fn url(served: &Served, path: &str) -> String {
    format!("http://{}{path}", served.address)
}

#[test]
fn without_a_configuration_images_go_to_wharf_data() {
    let served = Served::start(|_| None);
    let target = url(&served, &format!("/v2/team/app/blobs/uploads/?digest={NOTHING}"));
    assert_eq!(served.curl(&["--request", "POST", &target]).0, 201);
    assert!(served.path("wharf-data/docker/registry/v2/repositories/team/app/_layers").is_dir());
}

#[test]
fn tls_and_htpasswd_let_in_who_knows_the_password_by_either_http() {
    let served = Served::start(|directory| {
        certify(directory.path());
        fs::write(directory.path().join("htpasswd"), HTPASSWD).unwrap();
        let tls = "http: { tls: { certificate: cert.pem, key: key.pem } }\n";
        Some(format!("{INMEMORY}{tls}auth: {{ htpasswd: {{ realm: here, path: htpasswd }} }}\n"))
    });
    let url = format!("https://{}/v2/", served.address);
    for version in ["--http1.1", "--http2"] {
        let ask = |who: &[&str]| served.curl(&[&["--cacert", "cert.pem", version, &*url], who].concat());
        assert_eq!(ask(&[]).0, 401, "{version}");
        assert_eq!(ask(&["--user", "alice:wrong"]).0, 401, "{version}");
        assert_eq!(ask(&["--user", "alice:secret"]), (200, "{}".to_owned()), "{version}");
    }
    let log = served.logs(r#"- alice ["#);
    assert!(log.contains(r#""GET /v2/ HTTP/1.1" 200"#) && log.contains(r#""GET /v2/ HTTP/2.0" 200"#), "{log}");
    assert!(!log.contains("secret") && !log.contains("wrong"), "{log}");
}

#[test]
fn a_hangup_makes_it_serve_a_certificate_that_was_replaced() {
    let served = Served::start(|directory| {
        certify(directory.path());
        Some(format!("{INMEMORY}http: {{ tls: {{ certificate: cert.pem, key: key.pem }} }}\n"))
    });
    fs::rename(served.path("cert.pem"), served.path("old.pem")).unwrap();
    certify(served.path("").as_path());
    let url = format!("https://{}/v2/", served.address);
    assert_eq!(served.curl(&["--cacert", "old.pem", &url]).0, 200, "the old one stays until somebody asks");
    served.signal(Signal::HUP);
    served.logs("the certificates were read again");
    assert_eq!(served.curl(&["--cacert", "cert.pem", &url]).0, 200);
}

#[test]
fn metrics_health_and_drivers_are_for_operators_only() {
    let served = start("http: { debug: { addr: DEBUG, prometheus: { enabled: true, path: /metrics } } }\n");
    assert_eq!(served.curl(&[&url(&served, "/v2/")]).0, 200);
    let operator = |path: &str| served.curl(&[&format!("http://{}{path}", served.debug)]);
    let (status, metrics) = operator("/metrics");
    assert_eq!(status, 200);
    let count = r#"registry_http_requests_total{code="200",handler="base",method="get"} 1"#;
    for expected in [count, "wharf_upload_buffer_bytes 0", "wharf_upload_buffer_limit_bytes 268435456"] {
        assert!(metrics.contains(expected), "{expected} is missing:\n{metrics}");
    }
    assert_eq!(operator("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(operator("/debug/health"), (200, "{}".to_owned()));
    assert!(serde_json::from_str::<Value>(&operator("/debug/drivers").1).unwrap().is_array());
    let write = format!("http://{}/debug/health/write", served.debug);
    assert_eq!(served.curl(&["--request", "POST", &write]).0, 200);
    for path in ["/metrics", "/livez", "/debug/health", "/debug/drivers"] {
        assert_eq!(served.curl(&[&url(&served, path)]).0, 404, "{path} is open to clients");
    }
}

#[test]
fn what_it_does_not_do_is_named_at_the_start() {
    let served = start("notifications: { endpoints: [{ name: a, url: \"http://127.0.0.1:1/\" }] }\n");
    let log = served.logs("notifications");
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("notifications")), "{log}");
}

#[test]
fn a_wrong_configuration_is_refused_by_its_key() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yml");
    fs::write(&file, format!("{INMEMORY}http: {{ addr: nowhere }}\n")).unwrap();
    let error = support::fail(&["serve", support::text(&file)]);
    assert!(error.contains("http.addr") && error.contains("config.yml"), "{error}");
}

#[test]
fn a_driver_that_is_not_there_is_refused_by_its_name() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yml");
    fs::write(&file, "version: 0.1\nstorage: { nosuchdriver: {} }\n").unwrap();
    let error = support::fail(&["serve", support::text(&file)]);
    assert!(error.contains("nosuchdriver"), "{error}");
}

#[test]
fn an_address_that_is_taken_is_refused_by_its_name() {
    let served = start("");
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yml");
    fs::write(&file, format!("{INMEMORY}http: {{ addr: \"{}\" }}\n", served.address)).unwrap();
    let error = support::fail(&["serve", support::text(&file)]);
    assert!(error.contains(&served.address), "{error}");
}

#[test]
fn asked_to_stop_it_finishes_what_is_under_way() {
    let mut served = start("");
    let mut upload = begin_upload(&served);
    served.signal(Signal::TERM);
    served.logs("requests under way go on");
    assert!(TcpStream::connect(&served.address).is_err(), "nobody new is let in");
    upload.write_all(b"def").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("range: 0-5"), "{answer}");
    assert_eq!(served.ended().code(), Some(0));
}

#[test]
fn asked_twice_to_stop_it_stops_at_once() {
    let mut served = start("");
    let _upload = begin_upload(&served);
    served.signal(Signal::INT);
    served.logs("requests under way go on");
    served.signal(Signal::INT);
    assert_eq!(served.ended().code(), Some(0));
    assert!(served.logs("the registry has stopped").contains("cut_off=1"));
}
