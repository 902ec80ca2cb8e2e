//! JSON Web Tokens in their compact form: RFC 7515 and RFC 7519.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::jwk::Jwk;

/// The longest token that is read, in bytes. Those with a chain of certificates and many scopes have about 10 KiB.
pub(super) const MAX_TOKEN: usize = 64 * 1024;
/// How far the clocks of the token server and of this machine may be apart, as for Distribution.
const LEEWAY: Duration = Duration::from_secs(60);

/// A token that was taken apart, and not verified.
pub(super) struct Jwt<'a> {
    pub(super) header: Header,
    /// What is signed.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    payload: Vec<u8>,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) x5c: Option<Vec<String>>,
    pub(super) jwk: Option<Jwk>,
    crit: Option<IgnoredAny>,
}

/// What a token claims.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    pub(super) sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    access: Option<Vec<Grant>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Seconds since 1970. RFC 7519 lets them have fractions.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(i64),
    Fraction(f64),
}

/// Actions that a token grants on a resource. Its `class` makes no difference to what is granted.
#[derive(Deserialize)]
pub(super) struct Grant {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) actions: Option<Vec<String>>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, String> {
        if token.len() > MAX_TOKEN {
            return Err(format!("the token is longer than {MAX_TOKEN} bytes"));
        }
        let malformed = || "the token is no JSON Web Token".to_owned();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        // A fourth part is in the payload now, and its dot no base64url.
        let [header, payload, signature] = [header, payload, signature].map(|part| URL_SAFE_NO_PAD.decode(part));
        let (Ok(header), Ok(payload), Ok(signature)) = (header, payload, signature) else { return Err(malformed()) };
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| format!("the token's header cannot be read: {error}"))?;
        // Extensions that must be understood, of which none is: RFC 7515, section 4.1.11.
        if header.crit.is_some() {
            return Err("the token's header has `crit`, which is not supported".to_owned());
        }
        Ok(Jwt { header, signed: signed.as_bytes(), signature, payload })
    }

    /// Reads what the token claims. Nothing of it may count before the signature was verified.
    pub(super) fn claims(&self) -> Result<Claims, String> {
        serde_json::from_slice(&self.payload).map_err(|error| format!("the token's claims cannot be read: {error}"))
    }
}

impl Claims {
    /// Checks by whom the token was made, for whom, and that it is valid now.
    pub(super) fn check(&self, issuer: &str, service: &str, now: SystemTime) -> Result<(), String> {
        if self.iss.as_deref() != Some(issuer) {
            return Err("the token is by another issuer".to_owned());
        }
        let for_us = match &self.aud {
            Some(Audience::One(audience)) => audience == service,
            Some(Audience::Several(audiences)) => audiences.iter().any(|audience| audience == service),
            None => false,
        };
        if !for_us {
            return Err("the token is for another service".to_owned());
        }
        // Before 1970 nothing is valid yet.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = LEEWAY.as_secs_f64();
        // One that never expires cannot be taken back.
        let expiry = self.exp.ok_or("the token does not say when it expires")?.as_f64();
        if now > expiry + leeway {
            return Err("the token has expired".to_owned());
        }
        if self.nbf.is_some_and(|begin| now < begin.as_f64() - leeway) {
            return Err("the token is not valid yet".to_owned());
        }
        Ok(())
    }

    pub(super) fn grants(&self) -> &[Grant] {
        self.access.as_deref().unwrap_or_default()
    }
}

impl Seconds {
    /// Exact for hundreds of millions of years.
    fn as_f64(self) -> f64 {
        match self {
            Seconds::Whole(seconds) => seconds as f64,
            Seconds::Fraction(seconds) => seconds,
        }
    }
}
