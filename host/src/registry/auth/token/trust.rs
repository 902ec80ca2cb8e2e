//! Which keys may sign tokens.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use super::super::OpenError;
use super::algorithm::Algorithm;
use super::certificates::{self, Anchors};
use super::jwk::{Jwk, JwkSet};
use super::jwt::Header;
use super::key::{PublicKey, libtrust_fingerprint};

/// The largest file that is read, in bytes. Those of whole operating systems have a quarter of a MiB.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// U+FEFF as UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How much of a name from a token is shown.
const SHOWN: usize = 100;

/// The keys and certificates of `rootcertbundle` and `jwks`.
#[derive(Default)]
pub(super) struct Trust {
    keys: HashMap<String, Trusted>,
    anchors: Anchors,
}

#[derive(Clone, PartialEq, Eq)]
struct Trusted {
    key: PublicKey,
    /// The only algorithm that the key is for.
    algorithm: Option<Algorithm>,
}

/// Why there is no key by which a token could be verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// It is none of the trusted ones.
    Unknown(String),
    /// The token, or what it says of its key, is not what it should be.
    Unusable(String),
}

impl From<String> for NoKey {
    fn from(why: String) -> Self {
        NoKey::Unusable(why)
    }
}

impl From<&str> for NoKey {
    fn from(why: &str) -> Self {
        NoKey::Unusable(why.to_owned())
    }
}

impl Trust {
    /// Reads the files. Blocks.
    pub(super) fn open(bundle: Option<&Path>, jwks: Option<&Path>) -> Result<Self, OpenError> {
        let mut trust = Trust::default();
        for (setting, path, add) in [
            ("auth: token: rootcertbundle", bundle, Trust::add_bundle as fn(&mut Trust, &[u8]) -> Result<(), String>),
            ("auth: token: jwks", jwks, Trust::add_jwks),
        ] {
            let Some(path) = path else { continue };
            let text = read(path).map_err(|error| OpenError::unreadable(setting, path, error))?;
            add(&mut trust, &text).map_err(|why| OpenError::wrong(setting, path, why))?;
        }
        if trust.keys.is_empty() {
            return Err(OpenError::new(
                "`auth: token` has no key that could sign tokens; name files with some by `rootcertbundle` or `jwks`",
            ));
        }
        Ok(trust)
    }

    /// Trusts certificates, and their keys by the names that either version of Distribution has for them.
    pub(super) fn add_bundle(&mut self, text: &[u8]) -> Result<(), String> {
        let certificates = certificates::read_bundle(text)?;
        let mut usable = 0;
        for der in &certificates {
            let certificate = certificates::parse(der)?;
            match PublicKey::from_spki(certificate.public_key()) {
                Ok(key) => {
                    usable += 1;
                    let trusted = Trusted { key, algorithm: None };
                    for id in trusted.key.thumbprints() {
                        self.insert(id, trusted.clone())?;
                    }
                    self.insert(libtrust_fingerprint(certificate.public_key()), trusted)?;
                    self.anchors.add(der)?;
                }
                // A bundle may be an operating system's, of which some certificates are of other kinds.
                Err(why) => {
                    let subject = certificate.subject().to_string();
                    tracing::warn!(subject, why, "a certificate of `rootcertbundle` does not count");
                }
            }
        }
        if usable == 0 {
            return Err(format!("of its {} certificates none has a key that is supported", certificates.len()));
        }
        Ok(())
    }

    /// Trusts a set of keys, by their `kid`; without one, by their thumbprint.
    pub(super) fn add_jwks(&mut self, text: &[u8]) -> Result<(), String> {
        let set: JwkSet =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON Web Key Set: {error}"))?;
        let mut usable = 0;
        for (number, jwk) in set.keys.iter().enumerate() {
            let read = jwk.public_key().and_then(|key| Ok(Trusted { key, algorithm: jwk.algorithm()? }));
            let trusted = match read {
                Ok(trusted) => trusted,
                // RFC 7517, section 5: keys of kinds that are not understood are passed over.
                Err(why) => {
                    tracing::warn!(number, kid = jwk.kid, why, "a key of `jwks` does not count");
                    continue;
                }
            };
            usable += 1;
            match jwk.kid.as_ref().filter(|kid| !kid.is_empty()) {
                Some(kid) => self.insert(kid.clone(), trusted)?,
                None => {
                    for id in trusted.key.thumbprints() {
                        self.insert(id, trusted.clone())?;
                    }
                }
            }
        }
        if usable == 0 {
            return Err(format!("of its {} keys none is supported", set.keys.len()));
        }
        Ok(())
    }

    fn insert(&mut self, id: String, trusted: Trusted) -> Result<(), String> {
        match self.keys.entry(id) {
            Entry::Occupied(entry) if entry.get().key != trusted.key => {
                Err(format!("two different keys are named {:?}", entry.key()))
            }
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(entry) => {
                entry.insert(trusted);
                Ok(())
            }
        }
    }

    /// Returns the key that must have signed a token, or says why it is not trusted. As for Distribution, a chain of
    /// certificates comes before a key, and a key before a key's name.
    pub(super) fn key(&self, header: &Header, algorithm: Algorithm, now: SystemTime) -> Result<PublicKey, NoKey> {
        let key = if let Some(x5c) = header.x5c.as_ref().filter(|x5c| !x5c.is_empty()) {
            self.chain(x5c, now)?
        } else if let Some(jwk) = &header.jwk {
            self.embedded(jwk, algorithm, now)?
        } else if let Some(kid) = header.kid.as_ref().filter(|kid| !kid.is_empty()) {
            let trusted = self.keys.get(kid).ok_or_else(|| {
                let shown: String = kid.chars().take(SHOWN).collect();
                NoKey::Unknown(format!("the token is signed by the key {shown:?}, which is not trusted"))
            })?;
            suitable(trusted, algorithm)?
        } else {
            return Err("the token does not say by which key it is signed".into());
        };
        if key.suits(algorithm) { Ok(key) } else { Err(format!("the token's key does not sign by {algorithm}").into()) }
    }

    /// The key at the end of a chain of certificates. Which of them is missing is not known where a chain leads nowhere.
    fn chain(&self, x5c: &[String], now: SystemTime) -> Result<PublicKey, NoKey> {
        self.anchors.verify(x5c, now).map_err(NoKey::Unknown)
    }

    /// A key out of the token itself: it counts if a chain leads to it, or if it is one of the trusted ones.
    fn embedded(&self, jwk: &Jwk, algorithm: Algorithm, now: SystemTime) -> Result<PublicKey, NoKey> {
        let key = jwk.public_key().map_err(|why| format!("the token's `jwk` cannot be used: {why}"))?;
        if let Some(x5c) = jwk.x5c.as_ref().filter(|x5c| !x5c.is_empty()) {
            return if self.chain(x5c, now)? == key {
                Ok(key)
            } else {
                Err("the token's `jwk` is not the key of its certificate".into())
            };
        }
        // By what it is, not by the name that it gives itself.
        let trusted = self.keys.values().find(|trusted| trusted.key == key);
        let trusted = trusted.ok_or_else(|| NoKey::Unknown("the key in the token is not trusted".to_owned()))?;
        suitable(trusted, algorithm)
    }
}

fn suitable(trusted: &Trusted, algorithm: Algorithm) -> Result<PublicKey, NoKey> {
    match trusted.algorithm {
        Some(only) if only != algorithm => Err(format!("the token's key signs by {only}, not {algorithm}").into()),
        _ => Ok(trusted.key.clone()),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        let message = format!("it is larger than {MAX_FILE} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    // What editors of Windows put before a text is none of it.
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}
