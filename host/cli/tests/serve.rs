//! `wharf serve` as an operator runs it: its files, addresses, signals and log, asked with curl.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "serve/proxied.rs"]
mod proxied;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

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
    // A request's line is written after its answer.
    served.logs(r#""GET /v2/ HTTP/1.1" 200"#);
    let log = served.logs(r#""GET /v2/ HTTP/2.0" 200"#);
    assert!(log.contains("- alice ["), "{log}");
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

/// Runs `wharf serve --check` on a configuration, and returns the exit code and what it prints.
fn check(configuration: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("config.yml"), configuration).unwrap();
    let mut command = support::command(&["serve", "--check", "config.yml"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"REGISTRY_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).envs(variables.iter().copied()).current_dir(&directory).output().unwrap();
    let left: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.yml"], "a check writes nothing");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_check_prints_every_refusal_and_warning_in_one_pass_and_fails() {
    let text = "version: 0.1\nauht: {htpasswd: {realm: r, path: hunter2}}\nstorage:\n  filesystem: {rootdirectory: data}\n  \
                maintenance: {readony: {enabled: true}}\nhttp:\n  adr: ':5000'\n  addr: nowhere\n  secret: hunter2\n\
                redis: {addrs: [hunter2]}\n";
    let variables = [("REGISTRY_HTTP_TSL_KEY", "hunter2"), ("REGISTRY_PORT", "tcp://10.0.0.1:5000")];
    let (code, printed) = check(text, &[], &variables);
    let expected = [
        "config.yml:2: refused: `auht`: is no key that Wharf knows; did you mean `auth`?",
        "config.yml:5: refused: `storage.maintenance.readony`: is no key that Wharf knows; did you mean `readonly`?",
        "config.yml:7: refused: `http.adr`: is no key that Wharf knows; did you mean `addr`?",
        "config.yml:8: refused: `http.addr`: has no port; write HOST:PORT, or :PORT for all addresses",
        "config.yml: refused: `REGISTRY_HTTP_TSL_KEY`: the variable cannot be applied: `http` has no key `tsl`; did you mean \
         REGISTRY_HTTP_TLS_KEY?",
        "config.yml: warning: the variable REGISTRY_PORT is what a container finds about a service called `registry`; it is \
         passed over",
        "config.yml: warning: `redis` is set, and Wharf keeps no cache in Redis",
        "config.yml: 5 refused, 2 warned of",
    ];
    assert_eq!((code, printed.lines().collect::<Vec<_>>()), (Some(1), expected.to_vec()));
    let (code, printed) = check(text, &["--json"], &variables);
    let value: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, value["refused"].as_array().unwrap().len()), (Some(1), 5));
    assert_eq!((&value["refused"][0]["line"], value["notices"].as_array().unwrap().len()), (&Value::Null, 2));
    assert!(!printed.contains("hunter2"));
}

#[test]
fn a_check_of_what_would_start_succeeds_and_opens_nothing() {
    // Neither the directory nor the files of TLS and passwords are there, and the address is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: nowhere }}, cache: {{ blobdescriptor: inmemory }} }}\nauth: {{ \
         htpasswd: {{ realm: r, path: nowhere/htpasswd }} }}\nhttp: {{ addr: '{}', tls: {{ certificate: c, key: k }} }}\n",
        taken.local_addr().unwrap(),
    );
    let (code, printed) = check(&text, &[], &[("REGISTRY_SERVICE_PORT", "5000")]);
    let expected = [
        "config.yml: warning: the variable REGISTRY_SERVICE_PORT is what a container finds about a service called `registry`; \
         it is passed over",
        "config.yml: note: `storage.cache` is set, and Wharf needs no cache of what blobs are: it keeps none",
        "config.yml: 0 refused, 1 warned of",
    ];
    assert_eq!((code, printed.lines().collect::<Vec<_>>()), (Some(0), expected.to_vec()));
}

#[test]
fn a_registry_does_not_start_with_a_key_that_it_does_not_know() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yml");
    fs::write(&file, format!("{INMEMORY}auht: {{ htpasswd: {{ realm: r, path: p }} }}\n")).unwrap();
    let error = support::fail(&["serve", support::text(&file)]);
    assert!(error.contains("line 3: `auht`: is no key") && error.contains("did you mean `auth`?"), "{error}");
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
    // The line is logged when the signal comes; the listener is closed a moment later, and stays closed.
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&served.address).is_ok() {
        assert!(Instant::now() < until, "new connections are still accepted");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(TcpStream::connect(&served.address).is_err(), "nobody new is let in");
    upload.write_all(b"def").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("range: 0-5"), "{answer}");
    assert_eq!(served.ended().code(), Some(0));
}

impl Served {
    /// Asks at the address for operators.
    fn operator(&self, path: &str) -> (u16, String) {
        self.curl(&[&format!("http://{}{path}", self.debug)])
    }

    /// Waits until readiness says this.
    fn becomes(&self, status: u16, with: &str) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let (found, body) = self.operator("/readyz");
            if found == status && body.contains(with) {
                return body;
            }
            assert!(Instant::now() < until, "/readyz says {found}: {body}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

const OPERATORS: &str = "http: { debug: { addr: DEBUG, prometheus: { enabled: true, path: /metrics } } }\n";

#[test]
fn while_it_drains_operators_are_told_so() {
    let mut served = start(OPERATORS);
    assert_eq!(served.operator("/readyz"), (200, "ok\n".to_owned()));
    let mut upload = begin_upload(&served);
    served.signal(Signal::TERM);
    served.logs("requests under way go on");
    for _ in 0..20 {
        assert_eq!(served.operator("/readyz"), (503, "shutdown: the registry is shutting down\n".to_owned()));
        assert_eq!(served.operator("/livez"), (200, "ok\n".to_owned()));
        std::thread::sleep(Duration::from_millis(100));
    }
    upload.write_all(b"def").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(served.ended().code(), Some(0));
    assert!(TcpStream::connect(&served.debug).is_err(), "and ends with it");
}

#[test]
fn a_registry_whose_root_cannot_be_made_does_not_start_and_says_why() {
    let directory = TempDir::new().unwrap();
    let (file, root) = (directory.path().join("config.yml"), directory.path().join("file"));
    fs::write(&root, "").unwrap();
    for root in [root.join("below"), root.join("far/below")] {
        let address = support::served::free_address();
        let (root, http) = (support::text(&root), format!("http: {{ addr: \"{address}\" }}"));
        let storage = format!("storage: {{ filesystem: {{ rootdirectory: {root} }} }}");
        fs::write(&file, format!("version: 0.1\n{storage}\n{http}\n")).unwrap();
        let error = support::fail(&["serve", support::text(&file)]);
        assert!(error.contains("does not start") && error.contains("writable: ") && error.contains(root), "{error}");
        assert!(!error.contains("listens on"), "{error}");
    }
}

/// A registry on the directory `root`, which is there, and which is ready.
fn ready_on_a_root() -> Served {
    let served = Served::start(|directory| {
        fs::create_dir(directory.path().join("root")).unwrap();
        Some(format!("version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: root }} }}\n{OPERATORS}"))
    });
    assert_eq!(served.operator("/readyz").0, 200);
    served
}

#[test]
fn readiness_ends_when_the_root_cannot_be_written_to_and_says_so() {
    let served = ready_on_a_root();
    fs::rename(served.path("root"), served.path("away")).unwrap();
    fs::write(served.path("root"), "").unwrap();
    let body = served.becomes(503, "writable: filesystem: ");
    assert!(body.lines().all(|line| line.contains(": ")), "{body}");
    assert_eq!(served.operator("/livez").0, 200);
    fs::remove_file(served.path("root")).unwrap();
    fs::rename(served.path("away"), served.path("root")).unwrap();
    served.becomes(200, "ok");
}

#[test]
fn readiness_ends_when_the_root_is_gone_and_comes_back_with_it() {
    let served = ready_on_a_root();
    fs::rename(served.path("root"), served.path("away")).unwrap();
    let body = served.becomes(503, "writable: filesystem: ");
    assert!(body.contains("is gone, and was there"), "{body}");
    fs::rename(served.path("away"), served.path("root")).unwrap();
    served.becomes(200, "ok");
}

/// The configuration of a component that keeps its files in a granted directory.
fn on_component(directory: &Path, write: bool) -> String {
    let component = wharf_conformance::components::component("filesystem").unwrap();
    let (component, host) = (support::text(&component).to_owned(), directory.join("granted"));
    fs::create_dir_all(&host).unwrap();
    let grant = format!("{{ host: {}, guest: /data, write: {write} }}", support::text(&host));
    let drivers = format!("drivers: {{ mine: {{ component: {component}, allow: {{ directories: [{grant}] }} }} }}\n");
    format!("version: 0.1\nstorage: {{ mine: {{ rootdirectory: /data }} }}\n{drivers}")
}

#[test]
fn readiness_ends_when_the_directory_of_a_component_is_gone() {
    let served = Served::start(|directory| Some(format!("{}{OPERATORS}", on_component(directory.path(), true))));
    assert_eq!(served.operator("/readyz"), (200, "ok\n".to_owned()));
    fs::rename(served.path("granted"), served.path("away")).unwrap();
    let body = served.becomes(503, "writable: mine: ");
    assert!(body.contains("is gone"), "{body}");
}

#[test]
fn a_component_that_keeps_its_content_in_its_memory_may_only_read_its_directory() {
    let served = Served::start(|directory| {
        let component = wharf_conformance::components::component("inmemory").unwrap();
        let grant = format!("{{ host: {}, guest: /data, write: false }}", support::text(directory.path()));
        let component = support::text(&component);
        let drivers = format!("drivers: {{ mine: {{ component: {component}, allow: {{ directories: [{grant}] }} }} }}");
        Some(format!("version: 0.1\nstorage: {{ mine: {{}} }}\n{drivers}\n{OPERATORS}"))
    });
    assert_eq!(served.operator("/readyz"), (200, "ok\n".to_owned()));
}

#[test]
fn a_registry_on_a_driver_that_only_reads_is_read_only() {
    let served = Served::start(|directory| {
        let archive = wharf_conformance::components::component("archive").unwrap();
        // Two empty blocks are the end of an archive.
        fs::write(directory.path().join("empty.tar"), [0; 1024]).unwrap();
        let grant = format!("{{ host: {}, guest: /data }}", support::text(directory.path()));
        let component = support::text(&archive);
        let drivers = format!("drivers: {{ mine: {{ component: {component}, allow: {{ directories: [{grant}] }} }} }}");
        let storage = "storage: { mine: { file: /data/empty.tar }, delete: { enabled: true } }";
        Some(format!("version: 0.1\n{storage}\n{drivers}\n{OPERATORS}"))
    });
    served.logs("the driver only reads");
    assert_eq!(served.operator("/readyz"), (200, "ok\n".to_owned()));
    let at = |path: &str| format!("http://{}{path}", served.address);
    assert_eq!(served.curl(&[&at("/v2/_catalog")]).0, 200);
    for (method, path) in [("POST", "/v2/a/blobs/uploads/"), ("DELETE", "/v2/a/manifests/latest")] {
        let (status, body) = served.curl(&["-X", method, &at(path)]);
        assert!(status == 405 && body.contains("read-only"), "{status} {body}");
    }
}

#[test]
fn a_driver_of_exclusive_instances_that_a_registry_has_open_is_opened_by_no_other_program() {
    let log = wharf_conformance::components::component("log-store").unwrap();
    let served = Served::start(|directory| {
        let grant = format!("{{ host: {}, guest: /data, write: true }}", support::text(directory.path()));
        let component = support::text(&log);
        let drivers = format!("drivers: {{ mine: {{ component: {component}, allow: {{ directories: [{grant}] }} }} }}");
        Some(format!("version: 0.1\nstorage: {{ mine: {{ directory: /data/store }} }}\n{drivers}"))
    });
    let grant = format!("dir:{}=/data:rw", support::text(served.directory.path()));
    let given = ["--params", r#"{"directory":"/data/store"}"#, "--grant", &grant, "--limit", "open=300ms"];
    let error = support::fail(&[&given[..], &["--driver", support::text(&log), "ls", "/"]].concat());
    assert!(error.contains("exclusive") && error.contains(support::text(served.directory.path())), "{error}");
}

#[test]
fn a_registry_on_a_component_that_may_only_read_does_not_start() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yml");
    let http = format!("http: {{ addr: \"{}\" }}", support::served::free_address());
    fs::write(&file, format!("{}{http}\n", on_component(directory.path(), false))).unwrap();
    let error = support::fail(&["serve", support::text(&file)]);
    assert!(error.contains("writable: ") && error.contains("add `write: true`"), "{error}");
}

#[test]
fn readiness_and_metrics_tell_of_a_driver_in_quarantine() {
    let served = Served::start(|_| {
        let component = wharf_conformance::components::component("faulty").unwrap();
        let drivers = format!("drivers: {{ mine: {{ component: {} }} }}\n", support::text(&component));
        let storage = "storage: { mine: { operation: get-content, fault: trap } }\n";
        Some(format!("version: 0.1\n{storage}{drivers}{OPERATORS}"))
    });
    assert_eq!(served.operator("/readyz"), (200, "ok\n".to_owned()));
    for _ in 0..20 {
        if served.operator("/readyz").1.contains("quarantined") {
            break;
        }
        served.curl(&[&url(&served, "/v2/a/manifests/latest")]);
    }
    let body = served.becomes(503, "driver: mine: ");
    assert!(body.contains("quarantined") && body.contains("times within a minute"), "{body}");
    let (_, metrics) = served.operator("/metrics");
    let value = |line: &str| -> u64 {
        let found = metrics.lines().find_map(|told| told.strip_prefix(line));
        found.unwrap_or_else(|| panic!("{line} is missing:\n{metrics}")).trim().parse().unwrap()
    };
    assert!(value(r#"wharf_component_crashes_total{driver="mine"}"#) >= 5, "{metrics}");
    assert!(value(r#"wharf_component_restarts_total{driver="mine"}"#) >= 1, "{metrics}");
    assert_eq!(value(r#"wharf_component_drivers{driver="mine",state="quarantined"}"#), 1);
    assert_eq!(value(r#"wharf_component_instances{driver="mine"}"#), 0);
}

#[test]
fn readiness_and_metrics_tell_of_a_driver_whose_only_instance_is_lost() {
    let served = Served::start(|directory| {
        fs::write(directory.path().join("blob"), vec![7; 16 << 20]).unwrap();
        let component = wharf_conformance::components::component("inmemory").unwrap();
        let limits = "limits: { memory: 8MiB }";
        let drivers = format!("drivers: {{ mine: {{ component: {}, {limits} }} }}\n", support::text(&component));
        Some(format!("version: 0.1\nstorage: {{ mine: {{}} }}\n{drivers}{OPERATORS}"))
    });
    assert_eq!(served.operator("/readyz"), (200, "ok\n".to_owned()));
    let upload = url(&served, &format!("/v2/a/blobs/uploads/?digest={NOTHING}"));
    let (status, _) = served.curl(&["--request", "POST", "--data-binary", "@blob", "--header", "Expect:", &upload]);
    assert!(status >= 400, "{status}");
    let body = served.becomes(503, "driver: mine: ");
    assert!(body.contains("what it stored is lost") && body.contains("memory"), "{body}");
    let (_, metrics) = served.operator("/metrics");
    for line in [
        r#"wharf_component_drivers{driver="mine",state="lost"} 1"#,
        r#"wharf_component_crashes_total{driver="mine"} 1"#,
        r#"wharf_storage_limits_reached_total{driver="mine",limit="memory"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is missing:\n{metrics}");
    }
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

/// Sends bytes on a connection of their own, and returns what comes back until it is closed.
fn send(address: &str, bytes: &str) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    client.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is refused may be reset.
    let _ = client.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_that_names_no_host_or_two_or_has_bare_line_ends_is_refused_wherever_it_goes() {
    let served = start("http: { debug: { addr: DEBUG } }\n");
    for (address, path) in [(&served.address, "/v2/"), (&served.address, "/"), (&served.debug, "/livez")] {
        for headers in ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a\n"] {
            let answer = send(address, &format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path} {headers:?}: {answer}");
        }
        let answer = send(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
}

#[test]
fn forwarded_headers_count_from_the_proxies_of_the_configuration_alone() {
    for (trusted, origin) in [
        ("", "https://evil"),
        ("trustedproxies: [127.0.0.0/8], ", "https://evil"),
        ("trustedproxies: [192.0.2.0/24], ", "http://a"),
        ("trustedproxies: [], ", "http://a"),
    ] {
        let served = start(&format!("http: {{ {trusted}secret: s }}\n"));
        let headers = "Host: a\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nContent-Length: 0\r\nConnection: close\r\n";
        let answer = send(&served.address, &format!("POST /v2/a/blobs/uploads/ HTTP/1.1\r\n{headers}\r\n"));
        assert!(answer.contains(&format!("location: {origin}/v2/a/blobs/uploads/")), "{trusted}: {answer}");
    }
}

#[test]
fn a_password_that_costs_too_much_to_check_keeps_its_user_out_alone_and_is_named_in_the_log() {
    let served = Served::start(|directory| {
        let bob = HTPASSWD.replace("alice", "bob").replace("$05$", "$20$");
        fs::write(directory.path().join("htpasswd"), format!("{HTPASSWD}{bob}")).unwrap();
        Some(format!("{INMEMORY}auth: {{ htpasswd: {{ realm: r, path: htpasswd }} }}\n"))
    });
    let ask = |who: &str| served.curl(&["--user", who, &url(&served, "/v2/")]).0;
    assert_eq!((ask("alice:secret"), ask("bob:secret")), (200, 401));
    let log = served.logs("cannot log in");
    assert!(log.contains("line 2") && log.contains("\"bob\"") && log.contains("at most 14"), "{log}");
    assert!(!log.contains("$2y$") && !log.contains("secret"), "{log}");
}
