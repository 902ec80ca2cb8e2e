//! CloudFront's signature: for whoever has the address, until a time.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::contract::{Error, ErrorKind, Result};

/// Signs addresses with a *canned policy*, which is not sent: CloudFront makes it again from the address.
///
/// See "Create a signed URL using a canned policy" in CloudFront's Developer Guide. The hash is SHA-256, which
/// CloudFront takes beside the older SHA-1 where the address says so. `Debug` does not show the key.
pub(super) struct Signer {
    key: RsaKeyPair,
    key_pair_id: String,
    random: SystemRandom,
}

impl Signer {
    /// Reads a private RSA key in PEM, PKCS#1 or PKCS#8.
    pub(super) fn open(file: &Path, key_pair_id: String) -> Result<Self> {
        let invalid =
            |why: String| Error::new(ErrorKind::InvalidParameters, format!("`privatekey`: {}: {why}", file.display()));
        // A small file, read once when the driver is opened.
        let pem = std::fs::read(file).map_err(|error| {
            invalid("cannot be read; it is the file of a private key".to_owned()).with_source(error)
        })?;
        // What the parser has to say may quote the file.
        let form = "holds no private RSA key in PEM (BEGIN RSA PRIVATE KEY or BEGIN PRIVATE KEY, not encrypted)";
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| invalid(form.to_owned()))?;
        let key = match &key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(invalid(form.to_owned())),
        };
        let key = key.map_err(|why| {
            invalid(format!("its key cannot be used ({why}); CloudFront takes RSA keys of 2048 bits"))
        })?;
        Ok(Signer { key, key_pair_id, random: SystemRandom::new() })
    }

    /// Returns an address, which has no query and no character that JSON escapes, with the parameters that make it
    /// good until a time, in seconds since 1970.
    pub(super) fn sign(&self, url: &str, until: u64) -> Result<String> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        let failed =
            |_| Error::new(ErrorKind::Other, "the address for CloudFront could not be signed with `privatekey`");
        self.key
            .sign(&RSA_PKCS1_SHA256, &self.random, policy(url, until).as_bytes(), &mut signature)
            .map_err(failed)?;
        let signature = STANDARD.encode(signature).replace('+', "-").replace('=', "_").replace('/', "~");
        let id = &self.key_pair_id;
        Ok(format!("{url}?Expires={until}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256"))
    }
}

/// What is signed, to the byte.
fn policy(url: &str, until: u64) -> String {
    format!(r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{until}}}}}}}]}}"#)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_pair_id", &self.key_pair_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(super) mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// A file of `testdata`.
    pub(in super::super) fn key(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/middleware/testdata").join(name)
    }

    /// Checks a signed address as CloudFront does, knowing the public key alone; returns what was signed and until when.
    pub(in super::super) fn verify(address: &str) -> Result<(String, u64), String> {
        let (url, query) = address.split_once('?').ok_or("has no query")?;
        let values: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let [("Expires", until), ("Signature", signature), ("Key-Pair-Id", "K2TEST"), ("Hash-Algorithm", "SHA256")] =
            values[..]
        else {
            return Err(format!("other parameters: {query}"));
        };
        let until: u64 = until.parse().map_err(|_| "Expires is no number")?;
        if signature.contains(['+', '=', '/']) {
            return Err("the signature is not written for addresses".to_owned());
        }
        let signature = STANDARD.decode(signature.replace('-', "+").replace('_', "=").replace('~', "/")).unwrap();
        let statement = serde_json::json!({
            "Statement": [{ "Resource": url, "Condition": { "DateLessThan": { "AWS:EpochTime": until } } }]
        });
        let policy = policy(url, until);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&policy).unwrap(), statement);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, include_bytes!("../testdata/rsa.public.der"));
        public.verify(policy.as_bytes(), &signature).map_err(|_| "the signature is wrong")?;
        Ok((url.to_owned(), until))
    }

    fn signer(name: &str) -> Result<Signer> {
        Signer::open(&key(name), "K2TEST".to_owned())
    }

    #[test]
    fn a_signature_holds_for_its_address_and_time_alone() {
        for name in ["rsa.pkcs1.pem", "rsa.pkcs8.pem"] {
            let address = signer(name).unwrap().sign("https://cdn.example.com/a/b", 1_767_290_400).unwrap();
            assert_eq!(verify(&address), Ok(("https://cdn.example.com/a/b".to_owned(), 1_767_290_400)), "{name}");
            assert!(verify(&address.replace("/a/b?", "/a/c?")).is_err());
            assert!(verify(&address.replace("Expires=1767290400", "Expires=1767290401")).is_err());
        }
    }

    #[test]
    fn what_is_signed_is_cloudfronts_canned_policy_to_the_byte() {
        assert_eq!(
            policy("https://d1.cloudfront.net/a", 1_767_290_400),
            concat!(
                r#"{"Statement":[{"Resource":"https://d1.cloudfront.net/a","#,
                r#""Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}"#
            )
        );
    }

    #[test]
    fn a_file_without_an_rsa_key_is_refused_by_name_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(key("rsa.pkcs8.pem")).unwrap();
        let broken = directory.path().join("broken.pem");
        std::fs::write(&broken, text.replace("-----END", "!secret")).unwrap();
        for file in [key("ec.pkcs8.pem"), key("missing.pem"), key("rsa.public.der"), broken] {
            let error = Signer::open(&file, "K2TEST".to_owned()).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
            let expected = format!("`privatekey`: {}: ", file.display());
            assert!(error.message().starts_with(&expected), "{error}");
            assert!(!format!("{error:?}").contains("secret") && !format!("{error:?}").contains("MII"), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", signer("rsa.pkcs1.pem").unwrap()), r#"Signer { key_pair_id: "K2TEST", .. }"#);
    }
}
