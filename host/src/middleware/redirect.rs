//! `redirect`: every file has an address below one base, which somebody else serves.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::address::{Address, encode_path};
use super::{Below, Redirecting, Redirector, Under};
use crate::base::{ParameterFault, Parameters};
use crate::contract::{Error, ErrorKind, RedirectRequest, Result, StorageDriver, StoragePath};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    baseurl: String,
}

/// The middleware `redirect`.
#[derive(Debug)]
struct Redirect {
    /// Scheme, host and base path, without a slash at its end.
    base: String,
}

/// Puts the middleware over a driver.
pub(super) fn open(options: Parameters, under: Under) -> Result<Arc<dyn StorageDriver>> {
    let Options { baseurl } = options.parse()?;
    Ok(Arc::new(Redirecting::new(under.driver, Redirect { base: base(&baseurl)? })))
}

/// Returns all that is wrong with the options.
pub(super) fn faults(options: Parameters) -> Vec<ParameterFault> {
    let (options, mut faults) = options.examine::<Options>();
    faults.extend(options.and_then(|options| base(&options.baseurl).err()).map(|error| super::fault(&error)));
    faults
}

/// Reads `baseurl`. Its path is tidied as Distribution does: without empty components, `.` and `..`.
fn base(text: &str) -> Result<String> {
    // The text is not repeated: a password may be in it.
    let invalid = |why: &str| Error::new(ErrorKind::InvalidParameters, format!("`baseurl`: {why}"));
    let address = Address::parse(text)
        .ok_or_else(|| invalid("needs a scheme and a host, as https://cdn.example.com/base has"))?;
    let Address { scheme, user, host, path, rest } = address;
    if !user.is_empty() {
        return Err(invalid("has a user, which every client would be shown; remove what is before the @"));
    }
    if !rest.is_empty() {
        return Err(invalid("has a query or a fragment, which no file's address would keep; remove it"));
    }
    let mut components = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    let mut base = format!("{scheme}://{host}");
    for component in components {
        base.push('/');
        base.push_str(&encode_path(component, true));
    }
    Ok(base)
}

#[async_trait]
impl Redirector for Redirect {
    fn redirects(&self, _: bool) -> bool {
        true
    }

    async fn redirect_url(&self, path: &StoragePath, _: &RedirectRequest, _: Below<'_>) -> Result<Option<String>> {
        // A storage path has no character that would have to be escaped.
        Ok(Some(format!("{}{path}", self.base)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::middleware::tests::{ask, over};

    async fn address(baseurl: &str, method: &str) -> Option<String> {
        let driver = open(Parameters::new().with("baseurl", baseurl), over(None)).unwrap();
        assert!(driver.capabilities().redirect);
        ask(&*driver, method, None).await.unwrap()
    }

    #[tokio::test]
    async fn the_address_is_the_base_joined_with_the_path() {
        for (baseurl, expected) in [
            ("https://cdn.example.com", "https://cdn.example.com/a/b"),
            ("https://cdn.example.com/", "https://cdn.example.com/a/b"),
            ("http://cdn.example.com:8080/x//y/./z/../", "http://cdn.example.com:8080/x/y/a/b"),
            ("https://cdn.example.com/a%20b", "https://cdn.example.com/a%20b/a/b"),
        ] {
            assert_eq!(address(baseurl, "GET").await.unwrap(), expected, "{baseurl}");
        }
    }

    #[tokio::test]
    async fn any_method_is_redirected() {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            assert!(address("https://cdn.example.com", method).await.is_some(), "{method}");
        }
    }

    #[test]
    fn a_base_that_cannot_serve_is_refused_and_not_repeated() {
        for baseurl in ["cdn.secret.example", "/secret", "https://", "https://u:secret@h/", "https://h/?secret"] {
            let error = open(Parameters::new().with("baseurl", baseurl), over(None)).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidParameters, "{baseurl}");
            assert!(error.message().starts_with("`baseurl`: ") && !error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn options_that_are_missing_or_unknown_are_named() {
        let error = open(Parameters::new(), over(None)).unwrap_err();
        assert_eq!(error.message(), "`baseurl`: is missing");
        let error = open(Parameters::new().with("baseUrl", "https://h"), over(None)).unwrap_err();
        assert_eq!(error.message(), "unknown parameter `baseUrl`; expected `baseurl`");
    }
}
