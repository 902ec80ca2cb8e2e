//! What a client is told when it is not let in.

use super::*;

async fn challenge(
    controller: &TokenAuth,
    authorization: Option<&str>,
    host: Option<&str>,
    needed: &[Access],
) -> String {
    let authorization = authorization.map(|value| HeaderValue::from_str(value).unwrap());
    let request = AccessRequest { authorization: authorization.as_ref(), host, client: None, needed };
    match controller.authorize(request).await {
        Err(Denied::Unauthenticated { challenge, .. } | Denied::Insufficient { challenge, .. }) => {
            challenge.to_str().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

const BEGIN: &str = r#"Bearer realm="https://auth.example.com/token",service="registry""#;

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_get_one_and_for_what() {
    let controller = controller("", &Key::p256().jwks());
    let needed = [
        Access::repository("b", Action::Pull),
        Access::repository("a", Action::Push),
        Access::repository("a", Action::Pull),
    ];
    let expected = format!(r#"{BEGIN},scope="repository:a:pull,push repository:b:pull""#);
    assert_eq!(challenge(&controller, None, None, &needed).await, expected);
    assert_eq!(challenge(&controller, None, None, &[]).await, BEGIN);
    // Credentials of another scheme, and a scheme alone, are no token.
    for other in ["Basic YTpi", "Bearer", "Bearer ", "Bearer   ", "Bearerx"] {
        assert_eq!(challenge(&controller, Some(other), None, &needed).await, expected, "{other}");
    }
}

#[tokio::test]
async fn with_a_wrong_token_the_challenge_says_so() {
    let controller = controller("", &Key::p256().jwks());
    let needed = [Access::catalog()];
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = challenge(&controller, Some(&format!("{scheme} x.y.z")), None, &needed).await;
        assert_eq!(answer, format!(r#"{BEGIN},scope="registry:catalog:*",error="invalid_token""#));
    }
}

#[tokio::test]
async fn with_a_token_that_grants_less_the_challenge_says_so() {
    let key = Key::p256();
    let controller = controller("", &key.jwks());
    let claims = with(claims(), json!({ "exp": i64::MAX }));
    let token = signed(&json!({ "alg": "ES256", "kid": "key" }), &claims, &key, Algorithm::Es256);
    let needed = [Access::repository("team/app", Action::Delete)];
    let answer = challenge(&controller, Some(&format!("Bearer {token}")), None, &needed).await;
    assert_eq!(answer, format!(r#"{BEGIN},scope="repository:team/app:delete",error="insufficient_scope""#));
}

#[tokio::test]
async fn a_redirect_leads_to_the_host_that_the_client_called() {
    let mut controller = controller("", &Key::p256().jwks());
    controller.redirect = Some("/auth/token".to_owned());
    for host in ["registry.example.com", "localhost:5000", "[2001:db8::1]:443", "192.0.2.1"] {
        let expected = format!(r#"Bearer realm="https://{host}/auth/token",service="registry""#);
        assert_eq!(challenge(&controller, None, Some(host), &[]).await, expected);
    }
}

#[tokio::test]
async fn a_redirect_without_a_host_or_with_none_that_is_one_leads_to_the_realm() {
    let mut controller = controller("", &Key::p256().jwks());
    controller.redirect = Some("/auth/token".to_owned());
    for host in [None, Some(""), Some("user@example.com"), Some("a/b"), Some("a\"b"), Some("a b"), Some(":5000")] {
        assert_eq!(challenge(&controller, None, host, &[]).await, BEGIN, "{host:?}");
    }
}
