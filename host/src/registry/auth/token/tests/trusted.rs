//! How a token says by which key it is signed, other than by a chain of certificates.

use super::*;

#[test]
fn a_key_of_the_bundle_is_known_by_the_names_of_both_versions_of_distribution() {
    let root = Certified::root();
    let controller = controller(&root.pem(), &Value::Null);
    let der = root.der.clone();
    let certificate = certificates::parse(&der).unwrap();
    let info = certificate.public_key();
    let key = key::PublicKey::from_spki(info).unwrap();
    for kid in [key::libtrust_fingerprint(info), key.thumbprints()[0].clone()] {
        assert_eq!(outcome(&controller, &token(&root.key, json!({ "kid": kid }))), Ok(()), "{kid}");
        assert!(outcome(&controller, &token(&Key::p256(), json!({ "kid": kid }))).is_err());
    }
}

/// The key is RSA's of the tests of `cloudfront`; the fingerprint was computed with openssl and Python, by libtrust's
/// rules.
#[test]
fn a_fingerprint_is_as_libtrust_makes_it() {
    let pem = include_str!("../testdata/root.pem");
    let der = certificates::read_bundle(pem.as_bytes()).unwrap().remove(0);
    let fingerprint = key::libtrust_fingerprint(certificates::parse(&der).unwrap().public_key());
    assert_eq!(fingerprint, "ZEOT:HNDL:TRVD:AGO4:ODBJ:G52E:UEKJ:5Q5L:PXPZ:DG6Y:FHJX:IJBZ");
}

/// Known answers: RFC 7638, section 3.1, and RFC 8037, A.3.
#[test]
fn thumbprints_are_as_the_standards_have_them() {
    let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn\
                   jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQv\
                   RL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqD\
                   Kgw";
    for (jwk, expected) in [
        (json!({ "kty": "RSA", "n": modulus, "e": "AQAB" }), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ] {
        let jwk: jwk::Jwk = serde_json::from_value(jwk).unwrap();
        assert_eq!(jwk.public_key().unwrap().thumbprints(), [expected]);
    }
}

#[test]
fn a_key_on_a_curve_has_distributions_thumbprint_too_where_that_differs() {
    let key = |x: [u8; 32]| key::PublicKey::ec(key::Curve::P256, &x, &[1; 32]).unwrap();
    let mut short = [7; 32];
    assert_eq!(key(short).thumbprints().len(), 1);
    short[0] = 0;
    let thumbprints = key(short).thumbprints();
    assert_eq!(thumbprints.len(), 2);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    for (x, thumbprint) in [(&short[..], &thumbprints[0]), (&short[1..], &thumbprints[1])] {
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(&[1; 32]));
        assert_eq!(*thumbprint, encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()));
    }
}

#[test]
fn a_key_without_a_kid_in_the_set_is_known_by_its_thumbprint() {
    let key = Key::p256();
    let jwk: jwk::Jwk = serde_json::from_value(key.jwk()).unwrap();
    let kid = jwk.public_key().unwrap().thumbprints().remove(0);
    let controller = controller("", &json!({ "keys": [key.jwk()] }));
    assert_eq!(outcome(&controller, &token(&key, json!({ "kid": kid }))), Ok(()));
}

#[test]
fn a_token_by_an_unknown_key_or_by_none_is_refused() {
    let key = Key::p256();
    let controller = controller("", &key.jwks());
    let hostile = format!("\r\n\u{1b}{}", "x".repeat(10_000));
    let error = outcome(&controller, &token(&key, json!({ "kid": hostile }))).unwrap_err();
    assert!(error.contains("not trusted") && error.len() < 300 && !error.contains(['\r', '\n', '\u{1b}']), "{error}");
    assert!(outcome(&controller, &token(&key, json!({}))).unwrap_err().contains("by which key"));
}

#[test]
fn a_key_in_the_token_counts_if_it_is_a_trusted_one() {
    let root = Certified::root();
    let controller = controller(&root.pem(), &Value::Null);
    assert_eq!(outcome(&controller, &token(&root.key, json!({ "jwk": root.key.jwk() }))), Ok(()));
}

#[test]
fn a_key_in_the_token_is_not_trusted_by_the_name_that_it_gives_itself() {
    let (root, forger) = (Certified::root(), Key::p256());
    let certificate = certificates::parse(&root.der).unwrap();
    let kid = key::libtrust_fingerprint(certificate.public_key());
    let controller = controller(&root.pem(), &root.key.jwks());
    for kid in [kid.as_str(), "key"] {
        let jwk = with(forger.jwk(), json!({ "kid": kid }));
        let error = outcome(&controller, &token(&forger, json!({ "jwk": jwk, "kid": kid }))).unwrap_err();
        assert_eq!(error, "the key in the token is not trusted");
    }
}

#[test]
fn a_key_in_the_token_counts_by_a_chain_of_its_own() {
    let root = Certified::root();
    let leaf = Certified::leaf(&root);
    let controller = controller(&root.pem(), &Value::Null);
    let jwk = with(leaf.key.jwk(), json!({ "x5c": [leaf.base64()] }));
    assert_eq!(outcome(&controller, &token(&leaf.key, json!({ "jwk": jwk }))), Ok(()));
}

#[test]
fn a_key_in_the_token_is_refused_with_the_chain_of_another_key() {
    let root = Certified::root();
    let (leaf, forger) = (Certified::leaf(&root), Key::p256());
    let controller = controller(&root.pem(), &Value::Null);
    let jwk = with(forger.jwk(), json!({ "x5c": [leaf.base64()] }));
    let error = outcome(&controller, &token(&forger, json!({ "jwk": jwk }))).unwrap_err();
    assert!(error.contains("not the key of its certificate"), "{error}");
}

#[test]
fn a_set_holds_keys_of_which_some_are_not_supported() {
    let key = Key::p256();
    let controller = controller(
        "",
        &json!({ "keys": [
            { "kty": "oct", "kid": "secret", "k": "c2VjcmV0" },
            { "kty": "EC", "crv": "P-521", "kid": "curve", "x": "AA", "y": "AA" },
            with(Key::p256().jwk(), json!({ "use": "enc", "kid": "encryption" })),
            with(key.jwk(), json!({ "use": "sig", "key_ops": ["verify"], "kid": "key", "d": "private" })),
        ] }),
    );
    assert_eq!(outcome(&controller, &token(&key, json!({ "kid": "key" }))), Ok(()));
    for kid in ["secret", "curve", "encryption"] {
        assert!(outcome(&controller, &token(&key, json!({ "kid": kid }))).unwrap_err().contains("not trusted"));
    }
}

#[test]
fn a_set_that_has_no_key_that_could_sign_is_refused() {
    let (rsa, p256) = (Key::rsa().jwk(), Key::p256().jwk());
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    for jwk in [
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        with(rsa.clone(), json!({ "n": encode(&[0xff; 128]) })),
        with(rsa.clone(), json!({ "n": encode(&[0xff; 1025]) })),
        with(rsa.clone(), json!({ "n": "" })),
        with(rsa.clone(), json!({ "e": "AQ" })),
        with(rsa.clone(), json!({ "e": "AQAA" })),
        with(rsa.clone(), json!({ "e": "" })),
        with(rsa, json!({ "use": "enc" })),
        with(p256.clone(), json!({ "x": encode(&[1; 31]) })),
        with(p256.clone(), json!({ "x": "!" })),
        with(p256.clone(), json!({ "y": null })),
        with(p256.clone(), json!({ "crv": "P-384" })),
        with(p256.clone(), json!({ "key_ops": ["encrypt"] })),
        with(p256, json!({ "alg": "HS256" })),
        json!({ "kty": "OKP", "crv": "X25519", "x": encode(&[1; 32]) }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&[1; 31]) }),
    ] {
        let set = json!({ "keys": [jwk] }).to_string();
        let error = Trust::default().add_jwks(set.as_bytes()).unwrap_err();
        assert!(error.contains("none is supported"), "{jwk}: {error}");
    }
}

#[test]
fn two_keys_of_one_name_are_refused() {
    let of = |key: &Key| with(key.jwk(), json!({ "kid": "key" }));
    let (one, other) = (Key::p256(), Key::p256());
    let set = json!({ "keys": [of(&one), of(&other)] }).to_string();
    assert!(Trust::default().add_jwks(set.as_bytes()).unwrap_err().contains("\"key\""));
    let set = json!({ "keys": [of(&one), of(&one)] }).to_string();
    assert!(Trust::default().add_jwks(set.as_bytes()).is_ok());
}
