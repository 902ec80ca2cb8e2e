//! What a token claims, and the form that it has.

use super::*;

/// The outcome for claims with some members of their own.
fn claiming(members: Value) -> Result<(), String> {
    let key = Key::p256();
    let header = json!({ "alg": "ES256", "kid": "key" });
    let token = signed(&header, &with(claims(), members), &key, Algorithm::Es256);
    outcome(&controller("", &key.jwks()), &token)
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    for issuer in [json!("other"), json!(""), json!("ISSUER"), json!(null), json!(["issuer"]), json!(1)] {
        assert!(claiming(json!({ "iss": issuer })).is_err(), "{issuer}");
    }
}

#[test]
fn a_token_for_several_services_is_for_each_of_them() {
    assert_eq!(claiming(json!({ "aud": ["other", "registry"] })), Ok(()));
}

#[test]
fn a_token_for_another_service_is_refused() {
    for audience in [json!("other"), json!(""), json!(null), json!([]), json!(["other", ""]), json!(1)] {
        assert!(claiming(json!({ "aud": audience })).is_err(), "{audience}");
    }
}

#[test]
fn an_expired_token_is_refused_after_a_minute_for_clocks_that_differ() {
    assert_eq!(claiming(json!({ "exp": NOW - 60 })), Ok(()));
    for expiry in [json!(NOW - 61), json!(NOW as f64 - 60.5), json!(0), json!(-1), json!(i64::MIN)] {
        assert_eq!(claiming(json!({ "exp": expiry })).unwrap_err(), "the token has expired", "{expiry}");
    }
}

#[test]
fn a_token_that_never_expires_is_refused() {
    assert!(claiming(json!({ "exp": null })).unwrap_err().contains("when it expires"));
    assert!(claiming(json!({ "exp": "tomorrow" })).is_err());
}

#[test]
fn a_token_of_the_future_is_refused_but_for_a_minute_for_clocks_that_differ() {
    for begin in [json!(NOW + 60), json!(null), json!(0), json!(NOW as f64 + 59.5)] {
        assert_eq!(claiming(json!({ "nbf": begin })), Ok(()), "{begin}");
    }
    for begin in [json!(NOW + 61), json!(NOW as f64 + 60.5), json!(i64::MAX), json!(1e300)] {
        assert_eq!(claiming(json!({ "nbf": begin })).unwrap_err(), "the token is not valid yet", "{begin}");
    }
}

#[test]
fn a_token_that_grants_less_is_told_apart_from_one_that_is_wrong() {
    for access in [
        json!(null),
        json!([]),
        json!([{}]),
        json!([{ "type": "repository", "name": "team/app" }]),
        json!([{ "type": "repository", "name": "team/app", "actions": null }]),
        json!([{ "type": "repository", "name": "team/app", "actions": ["pull"] }]),
        json!([{ "type": "repository", "name": "other", "actions": ["pull", "push", "*"] }]),
    ] {
        assert_eq!(claiming(json!({ "access": access })).unwrap_err(), "insufficient", "{access}");
    }
    assert_ne!(claiming(json!({ "access": "all" })).unwrap_err(), "insufficient");
}

#[tokio::test]
async fn a_request_that_needs_nothing_needs_a_token_still() {
    let key = Key::p256();
    let controller = controller("", &key.jwks());
    let claims = with(claims(), json!({ "exp": i64::MAX, "access": [] }));
    let token = signed(&json!({ "alg": "ES256", "kid": "key" }), &claims, &key, Algorithm::Es256);
    let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let request = AccessRequest { authorization: Some(&header), host: None, client: None, needed: &[] };
    assert_eq!(controller.authorize(request).await.unwrap(), Some(User { name: "alice".to_owned() }));
    let request = AccessRequest { authorization: None, ..request };
    assert!(matches!(controller.authorize(request).await, Err(Denied::Unauthenticated { .. })));
}

#[test]
fn a_token_that_is_too_long_is_refused_unread() {
    let key = Key::p256();
    let controller = controller("", &key.jwks());
    for (padding, fits) in [(1000, true), (jwt::MAX_TOKEN, false)] {
        let outcome = outcome(&controller, &token(&key, json!({ "kid": "key", "x": "x".repeat(padding) })));
        assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
        assert!(fits || outcome.unwrap_err().contains("longer than 65536 bytes"));
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let controller = controller("", &Key::p256().jwks());
    let deep = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":{}", "[".repeat(40_000)));
    let binary = URL_SAFE_NO_PAD.encode([0xff; 100]);
    for token in [
        "x".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        ".".repeat(60_000),
        "e30.e30.".to_owned(),
        "e30.e30.e30.e30".to_owned(),
        "e30=.e30.e30".to_owned(),
        format!("{deep}.e30.e30"),
        format!("{binary}.{binary}.{binary}"),
    ] {
        assert!(outcome(&controller, &token).is_err(), "{token}");
    }
}

#[test]
fn a_header_that_asks_for_what_is_not_understood_is_refused() {
    let key = Key::p256();
    let controller = controller("", &key.jwks());
    for members in [
        json!({ "crit": ["b64"], "b64": false }),
        json!({ "crit": [] }),
        json!({ "kid": 1 }),
        json!({ "kid": "" }),
        json!({ "jwk": "key" }),
        json!({ "x5c": "key" }),
    ] {
        let header = with(json!({ "kid": "key" }), members);
        assert!(outcome(&controller, &token(&key, header.clone())).is_err(), "{header}");
    }
    // A name twice: which of the two counts is what parsers differ about.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"key","kid":"key"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims().to_string()));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(Algorithm::Es256, message.as_bytes()));
    assert!(outcome(&controller, &format!("{message}.{signature}")).unwrap_err().contains("duplicate"));
}
