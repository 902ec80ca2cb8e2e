//! Chains of certificates in tokens, up to a certificate of the bundle.
//!
//! The rules are those of RFC 5280 as Go applies them for Distribution, so that a token server's certificates hold here
//! as they do there. That is why no library for TLS decides: those refuse a certificate without extensions, as
//! `openssl x509 -req` makes, and one of the bundle that signs tokens itself, as `openssl req -x509` makes.
//!
//! Stricter than Go: the chain stands in the order of RFC 7515, each certificate signed by the next; the bundle's own
//! certificates count as long as they are valid; and names in certificates are compared byte by byte. Constraints on names
//! are not understood, and refuse a chain.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::{FromDer, Pem};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::key::PublicKey;

/// The longest chain that is looked at. Real ones have two or three.
const MAX_CHAIN: usize = 8;

/// The certificates that are trusted by themselves.
#[derive(Default)]
pub(super) struct Anchors(Vec<Anchor>);

struct Anchor {
    der: Vec<u8>,
    /// As it is encoded.
    subject: Vec<u8>,
}

impl Anchors {
    /// Adds a certificate.
    pub(super) fn add(&mut self, der: &[u8]) -> Result<(), String> {
        let subject = parse(der)?.tbs_certificate.subject.as_raw().to_vec();
        self.0.push(Anchor { der: der.to_vec(), subject });
        Ok(())
    }

    /// Verifies a chain from a token's `x5c`, which begins with the certificate of the key that signed, and returns that
    /// key.
    pub(super) fn verify(&self, x5c: &[String], now: SystemTime) -> Result<PublicKey, String> {
        if x5c.len() > MAX_CHAIN {
            return Err(format!("the chain has more than {MAX_CHAIN} certificates"));
        }
        let decoded: Result<Vec<_>, _> = x5c.iter().map(|certificate| STANDARD.decode(certificate)).collect();
        let decoded = decoded.map_err(|_| "a certificate of the chain is not base64")?;
        let chain = decoded.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
        let leaf = chain.first().ok_or("the chain is empty")?;
        let key = PublicKey::from_spki(leaf.public_key())?;
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
        let now = now.ok_or("the clock of this machine is wrong")?;

        // The lowest certificate that the bundle vouches for; what may stand above it does not count.
        let mut top = None;
        for (place, certificate) in chain.iter().enumerate() {
            check(certificate, now)?;
            if place > 0 {
                let below = &chain[place - 1];
                if below.issuer().as_raw() != certificate.subject().as_raw() {
                    return Err("a certificate of the chain is not by the next one's owner".to_owned());
                }
                may_sign(certificate, place - 1, false)?;
            }
            if self.has(certificate) || self.signed(certificate, place, now) {
                top = Some(place);
                break;
            }
        }
        let top = top.ok_or("the chain does not lead to a certificate of `rootcertbundle`")?;
        // From the top down, so that a forged chain costs no more than the search for its top.
        for (certificate, issuer) in chain[..top].iter().zip(&chain[1..=top]).rev() {
            if !is_signed(certificate, issuer) {
                return Err("a certificate of the chain is not signed by the next one's key".to_owned());
            }
        }
        Ok(key)
    }

    fn has(&self, certificate: &X509Certificate<'_>) -> bool {
        self.0.iter().any(|anchor| anchor.der == certificate.as_raw())
    }

    /// Returns whether one of the bundle signed a certificate below which there are so many.
    fn signed(&self, certificate: &X509Certificate<'_>, below: usize, now: ASN1Time) -> bool {
        let issuer = certificate.issuer().as_raw();
        self.0.iter().filter(|anchor| anchor.subject == issuer).any(|anchor| {
            parse(&anchor.der).is_ok_and(|anchor| {
                check(&anchor, now).is_ok() && may_sign(&anchor, below, true).is_ok() && is_signed(certificate, &anchor)
            })
        })
    }
}

/// Reads the certificates of a file of PEM. Blocks of other kinds, such as keys, are passed over.
pub(super) fn read_bundle(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut certificates = Vec::new();
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|error| format!("it is not PEM: {error}"))?;
        if block.label == "CERTIFICATE" {
            certificates.push(block.contents);
        }
    }
    Ok(certificates)
}

/// Parses a certificate, to its last byte.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("something follows a certificate".to_owned()),
        Err(error) => Err(format!("a certificate is malformed: {error}")),
    }
}

/// Checks what holds for every certificate of a chain: it is valid now, and asks for nothing that is not understood.
fn check(certificate: &X509Certificate<'_>, now: ASN1Time) -> Result<(), String> {
    if !certificate.validity().is_valid_at(now) {
        return Err(format!("the certificate of {:?} is not valid now", certificate.subject().to_string()));
    }
    for extension in certificate.extensions() {
        let understood = match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            // What it is for, such as servers of TLS, says nothing of tokens; nor do the names that it is for.
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::CertificatePolicies(_) => true,
            ParsedExtension::NameConstraints(_) | ParsedExtension::ParseError { .. } => false,
            _ => !extension.critical,
        };
        if !understood {
            return Err(format!("the extension {} of a certificate is not understood", extension.oid));
        }
    }
    Ok(())
}

/// Checks that a certificate, of the bundle or not, may sign others, with so many authorities between it and the one that
/// signs tokens.
fn may_sign(certificate: &X509Certificate<'_>, between: usize, trusted: bool) -> Result<(), String> {
    let refused = |why: &str| Err(format!("the certificate of {:?} {why}", certificate.subject().to_string()));
    // An error is an extension that is there twice.
    let Ok(constraints) = certificate.basic_constraints() else {
        return refused("has its constraints twice");
    };
    match constraints {
        Some(constraints) => {
            if !constraints.value.ca {
                return refused("is no authority's");
            }
            if constraints.value.path_len_constraint.is_some_and(|longest| (longest as usize) < between) {
                return refused("allows no chain of this length");
            }
        }
        // Certificates of versions 1 and 2 could not say. The bundle's own pass by that; in a token, anybody's would be an
        // authority.
        None if !trusted || certificate.version() == X509Version::V3 => return refused("is no authority's"),
        None => {}
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if !usage.value.key_cert_sign() => refused("may not sign others"),
        Ok(_) => Ok(()),
        Err(_) => refused("has its usage twice"),
    }
}

/// Returns whether a certificate's signature is by the issuer's key. SHA-1 counts for nothing.
fn is_signed(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let algorithm = &certificate.signature_algorithm;
    if [OID_SHA1_WITH_RSA, OID_PKCS1_SHA1WITHRSA].contains(&algorithm.algorithm)
        || *algorithm != certificate.tbs_certificate.signature
    {
        return false;
    }
    // The same keys as for tokens, at least as long.
    PublicKey::from_spki(issuer.public_key()).is_ok() && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}
