//! `rewrite`: the driver's own addresses, with another scheme or host, or without a prefix of the path.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::address::{Address, is_host, is_scheme, strip_prefix};
use super::{Below, Redirecting, Redirector, Under};
use crate::base::{ParameterFault, Parameters};
use crate::contract::{Error, ErrorKind, RedirectRequest, Result, StorageDriver, StoragePath};

/// The middleware `rewrite`, and its options: an empty one changes nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewrite {
    scheme: Option<String>,
    host: Option<String>,
    trimpathprefix: Option<String>,
}

/// Puts the middleware over a driver.
pub(super) fn open(options: Parameters, under: Under) -> Result<Arc<dyn StorageDriver>> {
    let Rewrite { scheme, host, trimpathprefix } = options.parse()?;
    let given = |option: Option<String>| option.filter(|text| !text.is_empty());
    let rewrite = Rewrite { scheme: given(scheme), host: given(host), trimpathprefix: given(trimpathprefix) };
    match rewrite.check().into_iter().next() {
        None => Ok(Arc::new(Redirecting::new(under.driver, rewrite))),
        Some(fault) => Err(Error::new(ErrorKind::InvalidParameters, format!("`{}`: {}", fault.key(), fault.message))),
    }
}

/// Returns all that is wrong with the options.
pub(super) fn faults(options: Parameters) -> Vec<ParameterFault> {
    let (rewrite, mut faults) = options.examine::<Rewrite>();
    faults.extend(rewrite.map(|rewrite| rewrite.check()).unwrap_or_default());
    faults
}

impl Rewrite {
    fn check(&self) -> Vec<ParameterFault> {
        let wrong = |option: &Option<String>, fits: fn(&str) -> bool| {
            option.as_deref().is_some_and(|text| !text.is_empty() && !fits(text))
        };
        let mut faults = Vec::new();
        if wrong(&self.scheme, is_scheme) {
            let why = "is no scheme; write https, without what follows it in an address";
            faults.push(ParameterFault::new(vec!["scheme".to_owned()], why));
        }
        if wrong(&self.host, is_host) {
            let why = "is no host; write HOST or HOST:PORT, without a scheme or a path";
            faults.push(ParameterFault::new(vec!["host".to_owned()], why));
        }
        faults
    }
}

#[async_trait]
impl Redirector for Rewrite {
    fn redirects(&self, below: bool) -> bool {
        below
    }

    /// Where the driver has no address, neither has this: Distribution makes one up then, of the configured scheme and
    /// host alone.
    async fn redirect_url(&self, _: &StoragePath, _: &RedirectRequest, below: Below<'_>) -> Result<Option<String>> {
        let Some(text) = below.redirect_url().await? else { return Ok(None) };
        // The address is not repeated: its query may be a credential.
        let unusable = "the driver's address has no scheme or no host, so that the middleware rewrite cannot change it; \
                        remove the middleware, or correct the driver";
        let mut address = Address::parse(&text).ok_or_else(|| Error::new(ErrorKind::Other, unusable))?;
        if let Some(scheme) = &self.scheme {
            address.scheme = scheme;
        }
        if let Some(host) = &self.host {
            address.host = host;
        }
        if let Some(rest) = self.trimpathprefix.as_ref().and_then(|prefix| strip_prefix(address.path, prefix)) {
            address.path = rest;
        }
        Ok(Some(address.to_string()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::middleware::tests::{ask, over};

    const INNER: &str = "http://s3.internal:9000/bucket/a/b?X-Sig=a%2Fb";

    async fn rewritten(inner: Option<&'static str>, options: &[(&str, &str)]) -> Result<Option<String>> {
        let options = options.iter().fold(Parameters::new(), |all, (key, value)| all.with(*key, *value));
        let driver = open(options, over(inner)).unwrap();
        assert_eq!(driver.capabilities().redirect, inner.is_some());
        ask(&*driver, "GET", None).await
    }

    #[tokio::test]
    async fn each_option_changes_its_part_of_the_address() {
        for (options, expected) in [
            (&[][..], INNER),
            (&[("scheme", "https")], "https://s3.internal:9000/bucket/a/b?X-Sig=a%2Fb"),
            (&[("host", "cdn.example.com")], "http://cdn.example.com/bucket/a/b?X-Sig=a%2Fb"),
            (&[("trimpathprefix", "/bucket")], "http://s3.internal:9000/a/b?X-Sig=a%2Fb"),
            (&[("trimpathprefix", "/bucket/")], "http://s3.internal:9000/a/b?X-Sig=a%2Fb"),
            (&[("trimpathprefix", "/other")], INNER),
            (&[("scheme", ""), ("host", ""), ("trimpathprefix", "")], INNER),
            (&[("scheme", "https"), ("host", "cdn"), ("trimpathprefix", "/bucket")], "https://cdn/a/b?X-Sig=a%2Fb"),
        ] {
            assert_eq!(rewritten(Some(INNER), options).await.unwrap().unwrap(), expected, "{options:?}");
        }
    }

    #[tokio::test]
    async fn no_address_stays_no_address() {
        assert_eq!(rewritten(None, &[("scheme", "https"), ("host", "cdn.example.com")]).await.unwrap(), None);
        // Of a driver that promises addresses and has none for this file.
        assert_eq!(rewritten(Some(""), &[("scheme", "https"), ("host", "cdn.example.com")]).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_changed_is_an_error_that_does_not_show_it() {
        let error = rewritten(Some("/bucket/a?secret"), &[("scheme", "https")]).await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn what_is_no_scheme_or_host_is_refused() {
        for (key, value) in [("scheme", "https://"), ("host", "https://cdn.example.com"), ("host", "cdn/a")] {
            let error = open(Parameters::new().with(key, value), over(None)).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
            assert!(error.message().starts_with(&format!("`{key}`: ")), "{error}");
        }
        let list = serde_json::json!(["cdn.example.com"]);
        let error = open(Parameters::new().with("host", list), over(None)).unwrap_err();
        assert_eq!(error.message(), "`host`: expected a string, found a list");
    }
}
