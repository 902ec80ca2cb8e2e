//! Settings and files that are right or wrong.

use std::error::Error;
use std::fs;

use super::*;

fn settings() -> TokenSettings {
    TokenSettings {
        realm: "https://auth.example.com/token".to_owned(),
        service: "registry".to_owned(),
        issuer: "issuer".to_owned(),
        ..TokenSettings::default()
    }
}

/// A directory with a bundle and a set.
fn files() -> (tempfile::TempDir, Certified, Key) {
    let directory = tempfile::tempdir().unwrap();
    let (root, key) = (Certified::root(), Key::p256());
    fs::write(directory.path().join("bundle.pem"), format!("a comment\n{}{}", root.pem(), root.key.0.public_key_pem()))
        .unwrap();
    fs::write(directory.path().join("keys.json"), key.jwks().to_string()).unwrap();
    (directory, root, key)
}

#[test]
fn a_bundle_and_a_set_count_together_and_each_alone() {
    let (directory, root, key) = files();
    let leaf = Certified::leaf(&root);
    let (by_chain, by_name) =
        (token(&leaf.key, json!({ "x5c": [leaf.base64()] })), token(&key, json!({ "kid": "key" })));
    let path = |name: &str| Some(directory.path().join(name));
    for (rootcertbundle, jwks) in
        [(path("bundle.pem"), None), (None, path("keys.json")), (path("bundle.pem"), path("keys.json"))]
    {
        let settings = TokenSettings { rootcertbundle, jwks, ..settings() };
        let controller = TokenAuth::open(&settings).unwrap();
        assert_eq!(outcome(&controller, &by_chain).is_ok(), settings.rootcertbundle.is_some());
        assert_eq!(outcome(&controller, &by_name).is_ok(), settings.jwks.is_some());
    }
}

#[test]
fn a_required_setting_that_is_empty_is_refused_by_name() {
    let (directory, ..) = files();
    let settings = TokenSettings { jwks: Some(directory.path().join("keys.json")), ..settings() };
    assert!(TokenAuth::open(&settings).is_ok());
    for value in ["", " ", "a\r\nb"] {
        let value = value.to_owned();
        for (name, settings) in [
            ("`realm`", TokenSettings { realm: value.clone(), ..settings.clone() }),
            ("`service`", TokenSettings { service: value.clone(), ..settings.clone() }),
            ("`issuer`", TokenSettings { issuer: value.clone(), ..settings.clone() }),
        ] {
            let error = TokenAuth::open(&settings).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}

#[test]
fn a_path_to_redirect_to_is_a_path() {
    let (directory, ..) = files();
    let open = |path: &str| {
        let jwks = Some(directory.path().join("keys.json"));
        TokenAuth::open(&TokenSettings { jwks, autoredirect: true, autoredirectpath: path.to_owned(), ..settings() })
    };
    assert_eq!(open("").unwrap().redirect.unwrap(), "/auth/token");
    assert_eq!(open("/token?a=b").unwrap().redirect.unwrap(), "/token?a=b");
    for path in ["token", "@example.com", "/a b", "/a\"b", "/\r\n", "/é"] {
        assert!(open(path).unwrap_err().to_string().contains("`autoredirectpath`"), "{path}");
    }
}

#[test]
fn a_file_that_is_missing_is_refused_by_name() {
    let missing = TokenSettings { rootcertbundle: Some("/nonexistent/bundle.pem".into()), ..settings() };
    let error = TokenAuth::open(&missing).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/bundle.pem") && error.to_string().contains("rootcertbundle"));
    assert!(error.source().is_some());
}

#[test]
fn files_without_a_key_are_refused() {
    assert!(TokenAuth::open(&settings()).unwrap_err().to_string().contains("`rootcertbundle` or `jwks`"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let key_only = Key::p256().0.serialize_pem();
    let cut = Certified::root().pem().replace("-----END CERTIFICATE-----\n", "");
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "text", "{}", r#"{"keys":[]}"#, "[]", &key_only, &cut, garbage] {
        fs::write(&path, text).unwrap();
        for settings in [
            TokenSettings { rootcertbundle: Some(path.clone()), ..settings() },
            TokenSettings { jwks: Some(path.clone()), ..settings() },
        ] {
            let error = TokenAuth::open(&settings).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{text}: {error}");
            assert!(!error.contains(key_only.lines().nth(1).unwrap()));
        }
    }
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let error = serde_json::from_str::<TokenSettings>(r#"{"realm":"a","service":"b","issuer":"c","rootcert":"d"}"#);
    assert!(error.unwrap_err().to_string().contains("rootcert"));
}
