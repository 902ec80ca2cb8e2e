//! Tokens of a token server: Distribution's `auth: token`.

mod algorithm;
mod certificates;
mod jwk;
mod jwt;
mod key;
mod keys;
mod scope;
mod trust;

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;
use http::HeaderValue;
use http::uri::Authority;
use serde::Deserialize;

use self::algorithm::Algorithm;
use self::jwt::{Claims, Jwt};
use self::keys::{Files, Keys};
use self::trust::{NoKey, Trust};
use super::challenge::challenge;
use super::{Access, AccessController, AccessRequest, Denied, OpenError, User};

/// The settings of [`TokenAuth`], by Distribution's names, of which an unknown one is refused.
///
/// # Example
///
/// ```
/// use wharf::registry::auth::TokenSettings;
///
/// let settings: TokenSettings = serde_json::from_str(
///     r#"{
///         "realm": "https://auth.example.com/token",
///         "service": "registry.example.com",
///         "issuer": "auth.example.com",
///         "rootcertbundle": "/etc/wharf/token.pem"
///     }"#,
/// )?;
/// assert_eq!(settings.autoredirectpath, "/auth/token");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The address of the token server, where clients get their tokens. Required.
    pub realm: String,
    /// What this registry is called: the audience of its tokens. Required.
    pub service: String,
    /// What the token server calls itself in tokens. Required.
    pub issuer: String,
    /// A file of PEM with certificates. Their keys sign tokens, and so do those of certificates that they sign.
    #[serde(default)]
    pub rootcertbundle: Option<PathBuf>,
    /// A file with a JSON Web Key Set, whose keys sign tokens. This or `rootcertbundle` is required.
    #[serde(default)]
    pub jwks: Option<PathBuf>,
    /// Sends clients to this registry's own host, by the name that they called it, with the scheme `https`, rather than to
    /// `realm`. Off by default.
    #[serde(default)]
    pub autoredirect: bool,
    /// The path there; `/auth/token` by default.
    #[serde(default = "default_path")]
    pub autoredirectpath: String,
    /// The algorithms by which tokens may be signed; by default all that are supported: RS256, RS384, RS512, PS256, PS384,
    /// PS512, ES256, ES384 and EdDSA.
    #[serde(default)]
    pub signingalgorithms: Vec<String>,
}

fn default_path() -> String {
    "/auth/token".to_owned()
}

/// Lets in whoever has a token of a token server that grants what the request needs: Distribution's `auth: token`.
///
/// # Behaviour
///
/// - A token is a JSON Web Token (RFC 7519) of at most 64 KiB, in its compact form. Its key is found, as Distribution finds
///   it, by `x5c` (a chain of certificates up to one of `rootcertbundle`), `jwk` or `kid`, in that order. `kid` is a
///   bundle's key by its fingerprint as of Distribution 2 (`ABCD:EFGH:…`) or its thumbprint as of Distribution 3
///   (RFC 7638), or the `kid` of one of `jwks`.
/// - The key decides which algorithms can be: that a token names another refuses it. Tokens without a signature or signed
///   by a shared secret are refused whatever the settings say.
/// - `iss` and `aud` must be this registry's; `exp` and `nbf` are kept with 60 s for clocks that differ.
/// - `access` must grant everything that the request needs. Else the client is told which scope to ask the token server
///   for.
/// - The files are read at the start, by [`reload`](TokenAuth::reload), and when a token names a key that is unknown: at most
///   once in ten seconds then. If they are wrong, the keys stay as they were.
///
/// # Unlike Distribution
///
/// - ES512 and RSA keys of less than 2,048 bits are not supported.
/// - An empty `realm`, `service` or `issuer` is refused, and so is a token without `exp`.
/// - The certificates of `x5c` must stand in order, each signed by the next, and have no constraints on names.
pub struct TokenAuth {
    realm: String,
    service: String,
    issuer: String,
    /// The path on this host to which clients are sent rather than to the realm.
    redirect: Option<String>,
    algorithms: Vec<Algorithm>,
    keys: Keys,
}

/// Why a token does not do.
enum Refused {
    /// There is none.
    Missing,
    /// It is not what it should be, by these words.
    Invalid(String),
    /// It is signed by a key that is not among those of that age. It may be among those that are in the files by now.
    UnknownKey { why: String, age: u64 },
    /// It grants less than is needed.
    Insufficient,
}

impl TokenAuth {
    /// Reads the files that the settings name. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// If a setting is empty or wrong, or a file cannot be read or has no key that is supported.
    pub fn open(settings: &TokenSettings) -> Result<Self, OpenError> {
        let required = [("realm", &settings.realm), ("service", &settings.service), ("issuer", &settings.issuer)];
        for (name, value) in required {
            if value.trim().is_empty() || value.chars().any(char::is_control) {
                let message = format!("`{name}` of `auth: token` must be a text, and without control characters");
                return Err(OpenError::new(message));
            }
        }
        let path = Some(settings.autoredirectpath.clone()).filter(|path| !path.is_empty()).unwrap_or_else(default_path);
        let redirect = settings.autoredirect.then_some(path);
        if let Some(path) = &redirect {
            let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte));
            if !path.starts_with('/') || !plain {
                let message =
                    format!("`autoredirectpath` of `auth: token` must be a path such as /auth/token, not {path:?}");
                return Err(OpenError::new(message));
            }
        }
        let algorithms = Algorithm::allowed(&settings.signingalgorithms)
            .map_err(|why| OpenError::new(format!("`auth: token` is wrong: {why}")))?;
        let files = Files { bundle: settings.rootcertbundle.clone(), jwks: settings.jwks.clone() };
        Ok(TokenAuth {
            realm: settings.realm.clone(),
            service: settings.service.clone(),
            issuer: settings.issuer.clone(),
            redirect,
            algorithms,
            keys: Keys::open(files)?,
        })
    }

    /// Reads the files of keys again, for whoever replaced them. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or has no key that is supported. The keys stay as they were then.
    pub fn reload(&self) -> Result<(), OpenError> {
        self.keys.reload()
    }

    /// Verifies a request's token as of a time.
    fn verify(
        &self,
        authorization: Option<&HeaderValue>,
        needed: &[Access],
        now: SystemTime,
    ) -> Result<Claims, Refused> {
        let token = authorization.and_then(|header| bearer(header.as_bytes())).ok_or(Refused::Missing)?;
        let token = std::str::from_utf8(token).map_err(|_| Refused::Invalid("the token is not ASCII".to_owned()))?;
        let (trust, age) = self.keys.current();
        let claims = self.claims(&trust, token, now).map_err(|no_key| match no_key {
            NoKey::Unknown(why) => Refused::UnknownKey { why, age },
            NoKey::Unusable(why) => Refused::Invalid(why),
        })?;
        if scope::covers(claims.grants(), needed) { Ok(claims) } else { Err(Refused::Insufficient) }
    }

    /// Returns what a token claims, once it is known to be by the issuer, for this registry, and valid.
    fn claims(&self, trust: &Trust, token: &str, now: SystemTime) -> Result<Claims, NoKey> {
        let jwt = Jwt::parse(token)?;
        let algorithm = Algorithm::by_name(&jwt.header.alg).filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or("the token is signed by an algorithm that is not allowed")?;
        let key = trust.key(&jwt.header, algorithm, now)?;
        if !key.verifies(algorithm, jwt.signed, &jwt.signature) {
            return Err("the token's signature is wrong".to_owned().into());
        }
        let claims = jwt.claims()?;
        claims.check(&self.issuer, &self.service, now)?;
        Ok(claims)
    }

    fn challenge(&self, request: &AccessRequest<'_>, error: Option<&str>) -> HeaderValue {
        let here = self.redirect.as_ref().and_then(|path| Some(format!("https://{}{path}", host(request.host?)?)));
        let realm = here.as_ref().unwrap_or(&self.realm);
        let scope = scope::scope(request.needed);
        let mut parameters = vec![("realm", realm.as_str()), ("service", &self.service)];
        if !scope.is_empty() {
            parameters.push(("scope", &scope));
        }
        if let Some(error) = error {
            parameters.push(("error", error));
        }
        challenge("Bearer", &parameters)
    }
}

#[async_trait]
impl AccessController for TokenAuth {
    async fn authorize(&self, request: AccessRequest<'_>) -> Result<Option<User>, Denied> {
        // On the executor: a signature takes a tenth of a millisecond to verify, a forged chain a few.
        let verify = || self.verify(request.authorization, request.needed, SystemTime::now());
        let verified = match verify() {
            Err(Refused::UnknownKey { age, .. }) if self.keys.renew(age).await => verify(),
            verified => verified,
        };
        let refused = match verified {
            Ok(claims) => return Ok(claims.sub.filter(|name| !name.is_empty()).map(|name| User { name })),
            Err(refused) => refused,
        };
        let challenge = |error| self.challenge(&request, error);
        Err(match refused {
            Refused::Missing => {
                Denied::Unauthenticated { challenge: challenge(None), message: "a token is needed".to_owned() }
            }
            Refused::Invalid(message) | Refused::UnknownKey { why: message, .. } => {
                Denied::Unauthenticated { challenge: challenge(Some("invalid_token")), message }
            }
            Refused::Insufficient => {
                let message = "the token does not grant what the request needs".to_owned();
                Denied::Insufficient { challenge: challenge(Some("insufficient_scope")), message }
            }
        })
    }
}

impl fmt::Debug for TokenAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAuth")
            .field("realm", &self.realm)
            .field("service", &self.service)
            .field("issuer", &self.issuer)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Returns the token of a header `Authorization`, if it has one.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked("Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

/// Returns a request's host if it is a name or address with or without a port, and nothing that could lead elsewhere.
fn host(host: &str) -> Option<&str> {
    let authority = host.parse::<Authority>().ok()?;
    (!authority.as_str().contains('@') && !authority.host().is_empty()).then_some(host)
}

#[cfg(test)]
mod tests;
