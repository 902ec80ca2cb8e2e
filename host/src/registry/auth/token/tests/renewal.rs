//! Keys that are replaced while the registry runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;

/// A controller whose keys are in a file, and that file.
fn opened(key: &Key, directory: &Path) -> (TokenAuth, std::path::PathBuf) {
    let file = directory.join("keys.json");
    fs::write(&file, set(key, "first").to_string()).unwrap();
    let settings = TokenSettings {
        realm: "https://auth.example.com/token".to_owned(),
        service: "registry".to_owned(),
        issuer: "issuer".to_owned(),
        jwks: Some(file.clone()),
        ..TokenSettings::default()
    };
    (TokenAuth::open(&settings).unwrap(), file)
}

fn set(key: &Key, kid: &str) -> Value {
    json!({ "keys": [with(key.jwk(), json!({ "kid": kid }))] })
}

/// Whether a token by a key is let in by the whole controller, with the time as it is.
async fn is_let_in(controller: &TokenAuth, key: &Key, kid: &str) -> bool {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = with(claims(), json!({ "exp": seconds + 300, "nbf": seconds - 10, "iat": seconds }));
    let token = signed(&json!({ "typ": "JWT", "alg": "ES256", "kid": kid }), &claims, key, Algorithm::Es256);
    let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let needed = [Access::repository("team/app", Action::Pull)];
    let request = AccessRequest { authorization: Some(&header), host: None, client: None, needed: &needed };
    controller.authorize(request).await.is_ok()
}

#[tokio::test]
async fn the_first_token_of_a_new_key_makes_it_known_and_made_up_keys_read_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, third) = (Key::p256(), Key::p256(), Key::p256());
    let (controller, file) = opened(&first, directory.path());
    assert!(is_let_in(&controller, &first, "first").await);
    fs::write(&file, set(&second, "second").to_string()).unwrap();
    assert!(is_let_in(&controller, &first, "first").await, "nobody has asked for another");
    assert!(is_let_in(&controller, &second, "second").await);
    assert!(!is_let_in(&controller, &first, "first").await, "a key that was taken out counts on");
    // Within ten seconds, nothing is read for tokens.
    fs::write(&file, set(&third, "third").to_string()).unwrap();
    for _ in 0..10 {
        assert!(!is_let_in(&controller, &third, "third").await);
    }
    controller.reload().unwrap();
    assert!(is_let_in(&controller, &third, "third").await, "an operator asks, and waits for nothing");
}

#[tokio::test(start_paused = true)]
async fn after_ten_seconds_the_files_are_read_for_a_token_again() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Key::p256(), Key::p256());
    let (controller, file) = opened(&first, directory.path());
    assert!(!is_let_in(&controller, &second, "second").await);
    fs::write(&file, set(&second, "second").to_string()).unwrap();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(!is_let_in(&controller, &second, "second").await);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(is_let_in(&controller, &second, "second").await);
}

#[tokio::test]
async fn keys_stay_as_they_were_where_the_files_are_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Key::p256(), Key::p256());
    let (controller, file) = opened(&first, directory.path());
    fs::write(&file, "{").unwrap();
    assert!(controller.reload().unwrap_err().to_string().contains("keys.json"));
    assert!(!is_let_in(&controller, &second, "second").await);
    fs::remove_file(&file).unwrap();
    assert!(controller.reload().is_err());
    assert!(is_let_in(&controller, &first, "first").await);
}

#[test]
fn a_set_and_a_bundle_may_begin_with_a_byte_order_mark() {
    let directory = tempfile::tempdir().unwrap();
    let (root, key) = (Certified::root(), Key::p256());
    let (bundle, jwks) = (directory.path().join("bundle.pem"), directory.path().join("keys.json"));
    fs::write(&bundle, format!("\u{feff}{}", root.pem())).unwrap();
    fs::write(&jwks, format!("\u{feff}{}", key.jwks())).unwrap();
    Trust::open(Some(&bundle), None).unwrap();
    Trust::open(None, Some(&jwks)).unwrap();
}
