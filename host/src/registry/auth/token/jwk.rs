//! Keys as JSON: RFC 7517, RFC 7518 section 6, RFC 8037.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::algorithm::Algorithm;
use super::key::{Curve, PublicKey};

/// A set of keys, as token servers publish them.
#[derive(Deserialize)]
pub(super) struct JwkSet {
    pub(super) keys: Vec<Jwk>,
}

/// A key. What is private of it is not read.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    pub(super) kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    pub(super) x5c: Option<Vec<String>>,
}

impl Jwk {
    /// Reads the public key, or says why there is none that could verify a token.
    pub(super) fn public_key(&self) -> Result<PublicKey, String> {
        if self.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return Err("`use` is not \"sig\"".to_owned());
        }
        // A set that was made from private keys says "sign".
        let signs = |operation: &String| operation == "verify" || operation == "sign";
        if self.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(signs)) {
            return Err("`key_ops` has no \"verify\"".to_owned());
        }
        match self.kty.as_str() {
            "RSA" => PublicKey::rsa(&number("n", &self.n)?, &number("e", &self.e)?),
            "EC" => {
                let name = self.crv.as_deref().unwrap_or_default();
                let curve = Curve::by_name(name)
                    .ok_or_else(|| format!("the curve {name:?} is not supported; use P-256 or P-384"))?;
                PublicKey::ec(curve, &number("x", &self.x)?, &number("y", &self.y)?)
            }
            "OKP" if self.crv.as_deref() == Some("Ed25519") => PublicKey::ed25519(&number("x", &self.x)?),
            "oct" => Err("it is a shared secret; whoever can verify by it can sign by it".to_owned()),
            kind => Err(format!("keys of the kind {kind:?} are not supported; use RSA, EC or OKP with Ed25519")),
        }
    }

    /// Returns the one algorithm that the key is for, if it says so.
    pub(super) fn algorithm(&self) -> Result<Option<Algorithm>, String> {
        let Some(name) = &self.alg else { return Ok(None) };
        let algorithm = Algorithm::by_name(name).ok_or_else(|| format!("`alg` {name:?} is not supported"))?;
        Ok(Some(algorithm))
    }
}

fn number(name: &str, value: &Option<String>) -> Result<Vec<u8>, String> {
    let value = value.as_ref().ok_or_else(|| format!("`{name}` is missing"))?;
    URL_SAFE_NO_PAD.decode(value).map_err(|_| format!("`{name}` is not base64url"))
}
