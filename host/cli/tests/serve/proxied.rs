//! What a registry does that browsers ask through a proxy, with tokens of a server whose keys are replaced.

use std::fs;

use rustix::process::Signal;

use crate::support::served::Served;
use crate::{INMEMORY, url};

/// The public key of RFC 8037, appendix A.
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

const CONFIGURATION: &str = "
http:
  prefix: /images/
  trustedproxies: [127.0.0.0/8]
  headers:
    Access-Control-Allow-Origin: ['https://ui.example.com']
    Access-Control-Allow-Methods: ['GET', 'DELETE']
auth: { token: { realm: 'https://auth.example.com/token', service: s, issuer: i, jwks: keys.json } }
";

#[test]
fn a_browser_behind_a_proxy_learns_before_it_logs_in_what_it_may_ask_and_is_logged_by_its_address() {
    let served = Served::start(|directory| {
        fs::write(directory.path().join("keys.json"), KEYS).unwrap();
        Some(format!("{INMEMORY}{CONFIGURATION}"))
    });
    let url = url(&served, "/images/v2/a/manifests/latest");
    let preflight = ["--request", "OPTIONS", "--header", "Origin: https://ui.example.com"];
    let wants = ["--header", "Access-Control-Request-Method: DELETE", "--header", "X-Forwarded-For: 192.0.2.7"];
    let (status, _) = served.curl(&[&preflight[..], &wants, &["--dump-header", "answer", &url]].concat());
    assert_eq!(status, 200);
    let answer = fs::read_to_string(served.path("answer")).unwrap();
    for header in [
        "access-control-allow-origin: https://ui.example.com",
        "access-control-allow-methods: DELETE",
        "allow: GET, HEAD, PUT, DELETE, OPTIONS",
    ] {
        assert!(answer.contains(header), "{answer}");
    }
    assert_eq!(served.curl(&[&url]).0, 401, "the control: what it asks for needs a token");
    let log = served.logs("\"OPTIONS /images/v2/a/manifests/latest HTTP/1.1\" 200");
    assert!(log.contains("192.0.2.7 - - ["), "{log}");

    fs::write(served.path("keys.json"), "{").unwrap();
    served.signal(Signal::HUP);
    served.logs("the keys of tokens stay as they were");
    fs::write(served.path("keys.json"), KEYS).unwrap();
    served.signal(Signal::HUP);
    served.logs("the keys of tokens were read again");
}
