//! Public keys: what signs tokens and certificates.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::algorithm::Algorithm;

/// A public key that can verify by some of the algorithms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Big-endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
}

/// The curves for ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        [Curve::P256, Curve::P384].into_iter().find(|curve| curve.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
        }
    }

    /// The bytes of one coordinate.
    fn width(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
        }
    }
}

impl PublicKey {
    /// An RSA key out of big-endian numbers.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, String> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
        // What ring verifies. Shorter ones can be factored, longer ones take a processor for long.
        if !(2048..=8192).contains(&bits) {
            return Err(format!("an RSA key must have 2048 to 8192 bits, not {bits}"));
        }
        if exponent.len() > 4 || exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] {
            return Err("the exponent of the RSA key is none".to_owned());
        }
        Ok(PublicKey::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// A key on a curve, out of the coordinates, each at its full width.
    pub(super) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, String> {
        if x.len() != curve.width() || y.len() != curve.width() {
            return Err(format!("a coordinate on {} must have {} bytes", curve.name(), curve.width()));
        }
        Ok(PublicKey::Ec { curve, point: [&[4], x, y].concat() })
    }

    pub(super) fn ed25519(key: &[u8]) -> Result<Self, String> {
        if key.len() != 32 {
            return Err("a key of Ed25519 must have 32 bytes".to_owned());
        }
        Ok(PublicKey::Ed25519(key.to_vec()))
    }

    /// A certificate's key.
    pub(super) fn from_spki(info: &SubjectPublicKeyInfo<'_>) -> Result<Self, String> {
        let unreadable = |_| "the key is malformed".to_owned();
        let algorithm = &info.algorithm.algorithm;
        if *algorithm == OID_PKCS1_RSAENCRYPTION {
            let Parsed::RSA(key) = info.parsed().map_err(unreadable)? else {
                return Err("the key is malformed".to_owned());
            };
            if [key.modulus, key.exponent].iter().any(|number| number.first().is_some_and(|first| first & 0x80 != 0)) {
                return Err("the RSA key has negative numbers".to_owned());
            }
            return PublicKey::rsa(key.modulus, key.exponent);
        }
        let data = &info.subject_public_key.data;
        if *algorithm == OID_SIG_ED25519 {
            return PublicKey::ed25519(data);
        }
        if *algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
            return Err(format!("keys of the kind {algorithm} are not supported; use RSA, P-256, P-384 or Ed25519"));
        }
        let name = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let curve = match name {
            Some(oid) if oid == OID_EC_P256 => Curve::P256,
            Some(oid) if oid == OID_NIST_EC_P384 => Curve::P384,
            _ => return Err("keys on this curve are not supported; use P-256 or P-384".to_owned()),
        };
        match data.split_first() {
            Some((4, coordinates)) if coordinates.len() == 2 * curve.width() => {
                Ok(PublicKey::Ec { curve, point: data.to_vec() })
            }
            _ => Err("only uncompressed keys on curves are supported".to_owned()),
        }
    }

    /// Returns whether this kind of key signs by an algorithm. What a token says is never enough to choose one by.
    pub(super) fn suits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            PublicKey::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            PublicKey::Ec { curve: Curve::P256, .. } => algorithm == Es256,
            PublicKey::Ec { curve: Curve::P384, .. } => algorithm == Es384,
            PublicKey::Ed25519(_) => algorithm == EdDsa,
        }
    }

    /// Returns whether a signature, in the form of RFC 7518, is this key's by that algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.suits(algorithm) {
            return false;
        }
        let rsa = match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 => return self.fixed(&signature::ECDSA_P256_SHA256_FIXED, message, signature),
            Algorithm::Es384 => return self.fixed(&signature::ECDSA_P384_SHA384_FIXED, message, signature),
            Algorithm::EdDsa => return self.fixed(&signature::ED25519, message, signature),
        };
        let PublicKey::Rsa { modulus, exponent } = self else { return false };
        RsaPublicKeyComponents { n: modulus, e: exponent }.verify(rsa, message, signature).is_ok()
    }

    fn fixed(
        &self,
        algorithm: &'static dyn signature::VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let (PublicKey::Ec { point: key, .. } | PublicKey::Ed25519(key)) = self else { return false };
        UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
    }

    /// Returns the names by which Distribution 3 knows the key: its thumbprint by RFC 7638, and the one that Distribution
    /// computes, which differs for the one key on a curve in 128 of which a coordinate begins with a zero.
    pub(super) fn thumbprints(&self) -> Vec<String> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let digest = |members: String| encode(&Sha256::digest(members));
        match self {
            PublicKey::Rsa { modulus, exponent } => {
                vec![digest(format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(exponent), encode(modulus)))]
            }
            PublicKey::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(curve.width());
                let of = |x: &[u8], y: &[u8]| {
                    let (curve, x, y) = (curve.name(), encode(x), encode(y));
                    digest(format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#))
                };
                let mut thumbprints = vec![of(x, y), of(without_zeros(x), without_zeros(y))];
                thumbprints.dedup();
                thumbprints
            }
            PublicKey::Ed25519(key) => {
                vec![digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(key)))]
            }
        }
    }
}

/// Returns the name by which Distribution 2 knows a certificate's key, as libtrust makes it: 240 bits of the SHA-256 of
/// the key's `SubjectPublicKeyInfo`, in base32, in twelve groups of four.
pub(super) fn libtrust_fingerprint(info: &SubjectPublicKeyInfo<'_>) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(info.raw);
    let mut fingerprint = String::with_capacity(59);
    // 5 bytes are 8 characters, without a rest: 30 bytes are 48.
    for (group, bytes) in digest[..30].chunks(5).enumerate() {
        let bits = bytes.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for place in 0..8 {
            if place % 4 == 0 && (group, place) != (0, 0) {
                fingerprint.push(':');
            }
            fingerprint.push(char::from(ALPHABET[((bits >> (35 - 5 * place)) & 31) as usize]));
        }
    }
    fingerprint
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}
