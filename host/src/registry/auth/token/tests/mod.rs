//! A token server for tests: keys, certificates and tokens of every kind, right and wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod challenges;
mod claims;
mod renewal;
mod settings;
mod signatures;
mod trusted;

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use serde_json::{Value, json};

use super::super::Action;
use super::*;

const RSA_KEY: &str = include_str!("../../../../middleware/testdata/rsa.pkcs8.pem");

/// When all of this happens, in seconds since 1970: in 2025.
const NOW: u64 = 1_750_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A key that signs tokens and certificates.
struct Key(KeyPair);

impl Key {
    fn rsa() -> Self {
        Key(KeyPair::from_pem(RSA_KEY).unwrap())
    }

    fn p256() -> Self {
        Key(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
    }

    fn p384() -> Self {
        Key(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap())
    }

    fn ed25519() -> Self {
        Key(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap())
    }

    /// The key that a token says it is signed by, for an algorithm.
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Key::p256(),
            Algorithm::Es384 => Key::p384(),
            Algorithm::EdDsa => Key::ed25519(),
            _ => Key::rsa(),
        }
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let (key, random) = (self.0.serialized_der(), SystemRandom::new());
        let rsa = match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256 as &dyn signature::RsaEncoding,
            Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
            Algorithm::Es256 => {
                let form = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(form, key, &random).unwrap();
                return key.sign(&random, message).unwrap().as_ref().to_vec();
            }
            Algorithm::Es384 => {
                let form = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(form, key, &random).unwrap();
                return key.sign(&random, message).unwrap().as_ref().to_vec();
            }
            Algorithm::EdDsa => {
                return Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).unwrap().sign(message).as_ref().to_vec();
            }
        };
        let key = RsaKeyPair::from_pkcs8(key).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(rsa, &random, message, &mut signature).unwrap();
        signature
    }

    /// The public key as JSON, without a `kid`.
    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let raw = self.0.der_bytes();
        match raw.len() {
            32 => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(raw) }),
            65 => json!({ "kty": "EC", "crv": "P-256", "x": encode(&raw[1..33]), "y": encode(&raw[33..]) }),
            97 => json!({ "kty": "EC", "crv": "P-384", "x": encode(&raw[1..49]), "y": encode(&raw[49..]) }),
            _ => {
                let key = RsaKeyPair::from_pkcs8(self.0.serialized_der()).unwrap();
                let components: signature::RsaPublicKeyComponents<Vec<u8>> = key.public().into();
                json!({ "kty": "RSA", "n": encode(&components.n), "e": encode(&components.e) })
            }
        }
    }

    /// A set with this key as `key`.
    fn jwks(&self) -> Value {
        json!({ "keys": [with(self.jwk(), json!({ "kid": "key" }))] })
    }
}

/// A certificate and its key.
struct Certified {
    key: Key,
    params: CertificateParams,
    der: Vec<u8>,
}

impl Certified {
    fn new(name: &str, key: Key, by: Option<&Certified>, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = match by {
            Some(by) => params.signed_by(&key.0, &Issuer::from_params(&by.params, &by.key.0)),
            None => params.self_signed(&key.0),
        };
        let der = certificate.unwrap().der().to_vec();
        Certified { key, params, der }
    }

    fn root() -> Self {
        Certified::new("root", Key::p256(), None, authority)
    }

    fn leaf(by: &Certified) -> Self {
        Certified::new("leaf", Key::p256(), Some(by), |_| {})
    }

    fn pem(&self) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&self.der))
    }

    fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// An object with the members of another.
fn with(mut object: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// Claims that let in whoever pulls from or pushes to `team/app`.
fn claims() -> Value {
    json!({
        "iss": "issuer", "sub": "alice", "aud": "registry", "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW, "jti": "1",
        "access": [{ "type": "repository", "class": "image", "name": "team/app", "actions": ["pull", "push"] }],
    })
}

fn signed(header: &Value, claims: &Value, key: &Key, algorithm: Algorithm) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(algorithm, message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token by ES256 with further members in its header.
fn token(key: &Key, header: Value) -> String {
    signed(&with(json!({ "typ": "JWT", "alg": "ES256" }), header), &claims(), key, Algorithm::Es256)
}

/// A controller of some keys and certificates.
fn controller(bundle: &str, jwks: &Value) -> TokenAuth {
    let mut trust = Trust::default();
    if !bundle.is_empty() {
        trust.add_bundle(bundle.as_bytes()).unwrap();
    }
    if !jwks.is_null() {
        trust.add_jwks(jwks.to_string().as_bytes()).unwrap();
    }
    TokenAuth {
        realm: "https://auth.example.com/token".to_owned(),
        service: "registry".to_owned(),
        issuer: "issuer".to_owned(),
        redirect: None,
        algorithms: Algorithm::ALL.to_vec(),
        keys: keys::Keys::new(keys::Files::default(), trust),
    }
}

/// Whether a token lets pull and push, or why not.
fn outcome(controller: &TokenAuth, token: &str) -> Result<(), String> {
    let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let needed = [Access::repository("team/app", Action::Pull), Access::repository("team/app", Action::Push)];
    match controller.verify(Some(&header), &needed, now()) {
        Ok(_) => Ok(()),
        Err(Refused::Missing) => Err("missing".to_owned()),
        Err(Refused::Insufficient) => Err("insufficient".to_owned()),
        Err(Refused::Invalid(why) | Refused::UnknownKey { why, .. }) => Err(why),
    }
}
