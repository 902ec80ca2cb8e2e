//! Signatures, and whatever pretends to be one.

use super::*;

/// Known answers: RFC 7515, A.3, and RFC 8037, A.4.
#[test]
fn the_signatures_of_the_standards_are_verified() {
    for (jwk, token, algorithm) in [
        (
            json!({
                "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0\
             cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            Algorithm::Es256,
        ),
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4\
             ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            Algorithm::EdDsa,
        ),
    ] {
        let jwk: jwk::Jwk = serde_json::from_value(jwk).unwrap();
        let jwt = Jwt::parse(token).ok().unwrap();
        assert_eq!(jwt.header.alg, algorithm.name());
        assert!(jwk.public_key().unwrap().verifies(algorithm, jwt.signed, &jwt.signature));
    }
}

#[test]
fn a_token_by_any_supported_algorithm_lets_in() {
    for algorithm in Algorithm::ALL {
        let key = Key::of(algorithm);
        let header = json!({ "alg": algorithm.name(), "kid": "key" });
        let token = signed(&header, &claims(), &key, algorithm);
        assert_eq!(outcome(&controller("", &key.jwks()), &token), Ok(()), "{algorithm}");
    }
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_refused() {
    for real in Algorithm::ALL {
        let key = Key::of(real);
        let controller = controller("", &key.jwks());
        for named in Algorithm::ALL.into_iter().filter(|named| *named != real) {
            let header = json!({ "alg": named.name(), "kid": "key" });
            assert!(outcome(&controller, &signed(&header, &claims(), &key, real)).is_err(), "{real} as {named}");
        }
    }
}

/// The classic: the public key, which everybody knows, taken for the secret of an HMAC.
#[test]
fn a_public_key_is_never_a_shared_secret() {
    let key = Key::rsa();
    let controller = controller("", &key.jwks());
    for secret in [key.0.public_key_pem().into_bytes(), key.0.subject_public_key_info(), b"key".to_vec(), Vec::new()] {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"key"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims().to_string()));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, message.as_bytes()));
        let error = outcome(&controller, &format!("{message}.{signature}")).unwrap_err();
        assert!(error.contains("not allowed"), "{error}");
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let key = Key::p256();
    let controller = controller("", &key.jwks());
    for algorithm in ["none", "None", "NONE", "nOnE", "", "ES256", "es256"] {
        let header = json!({ "alg": algorithm, "kid": "key" });
        let token = signed(&header, &claims(), &key, Algorithm::Es256);
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert!(outcome(&controller, &format!("{message}.")).is_err(), "{algorithm}");
        assert!(outcome(&controller, message).is_err(), "{algorithm}");
        if algorithm != "ES256" {
            assert!(outcome(&controller, &format!("{message}.{signature}")).is_err(), "{algorithm}");
        }
    }
}

#[test]
fn a_signature_that_always_holds_for_a_careless_verifier_is_refused() {
    let key = Key::p256();
    let token = token(&key, json!({ "kid": "key" }));
    let (message, _) = token.rsplit_once('.').unwrap();
    // r = s = 0, which CVE-2022-21449 was about.
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    assert!(outcome(&controller("", &key.jwks()), &format!("{message}.{zeros}")).is_err());
}

#[test]
fn a_signature_on_a_curve_in_the_form_of_certificates_is_refused() {
    let key = Key::p256();
    let token = token(&key, json!({ "kid": "key" }));
    let (message, _) = token.rsplit_once('.').unwrap();
    let (form, random) = (&signature::ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let signer = EcdsaKeyPair::from_pkcs8(form, key.0.serialized_der(), &random).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(&random, message.as_bytes()).unwrap());
    assert!(outcome(&controller("", &key.jwks()), &format!("{message}.{signature}")).is_err());
}

#[test]
fn another_keys_signature_is_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let header = json!({ "alg": algorithm.name(), "kid": "key" });
        let token = signed(&header, &claims(), &Key::of(algorithm), algorithm);
        let error = outcome(&controller("", &Key::of(algorithm).jwks()), &token).unwrap_err();
        assert_eq!(error, "the token's signature is wrong");
    }
}

#[test]
fn no_character_of_a_token_can_be_changed() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let key = Key::of(algorithm);
        let controller = controller("", &key.jwks());
        let token = signed(&json!({ "alg": algorithm.name(), "kid": "key" }), &claims(), &key, algorithm);
        assert_eq!(outcome(&controller, &token), Ok(()));
        for place in 0..token.len() {
            for replacement in ["A", "B", ".", "=", "-", "", "AA"] {
                let mut changed = token.clone();
                changed.replace_range(place..=place, replacement);
                assert!(changed == token || outcome(&controller, &changed).is_err(), "{place} {replacement:?}");
            }
        }
    }
}

#[test]
fn an_algorithm_that_the_settings_leave_out_is_refused() {
    let key = Key::p256();
    let mut controller = controller("", &key.jwks());
    let token = token(&key, json!({ "kid": "key" }));
    assert_eq!(outcome(&controller, &token), Ok(()));
    controller.algorithms = vec![Algorithm::Rs256, Algorithm::Es384];
    assert!(outcome(&controller, &token).unwrap_err().contains("not allowed"));
}

#[test]
fn an_algorithm_that_the_keys_entry_leaves_out_is_refused() {
    let key = Key::rsa();
    let mut jwks = key.jwks();
    jwks["keys"][0]["alg"] = json!("RS256");
    let controller = controller("", &jwks);
    for algorithm in [Algorithm::Rs256, Algorithm::Rs512, Algorithm::Ps256] {
        for header in [json!({ "kid": "key" }), json!({ "jwk": key.jwk() })] {
            let header = with(header, json!({ "alg": algorithm.name() }));
            let outcome = outcome(&controller, &signed(&header, &claims(), &key, algorithm));
            assert_eq!(outcome.is_ok(), algorithm == Algorithm::Rs256, "{algorithm}");
        }
    }
}
