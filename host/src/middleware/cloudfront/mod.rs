//! `cloudfront`: signed addresses of a CloudFront distribution that stands before the bucket of the driver `s3`.
//!
//! A client gets an address that CloudFront serves for a while (`sign.rs`). One that is inside Amazon's network, where
//! the bucket itself is near and costs nothing, can be sent to the bucket instead: `ipfilteredby` compares its address
//! (`client.rs`) with the ranges that Amazon publishes (`prefixes.rs`), which are fetched again and again (`feed.rs`).

mod client;
mod feed;
mod options;
mod prefixes;
mod sign;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use self::feed::Feed;
use self::options::Options;
use self::sign::Signer;
use super::address::encode_path;
use super::{Below, Redirecting, Redirector, Under};
use crate::base::{ParameterFault, Parameters};
use crate::contract::{Error, ErrorKind, RedirectRequest, Result, StorageDriver, StoragePath};

/// The driver whose keys are known, by the name that it has in errors and by the other that it is opened by.
const DRIVERS: [&str; 2] = ["s3aws", "s3"];

/// The middleware `cloudfront`.
#[derive(Debug)]
struct CloudFront {
    /// The distribution's address and the bucket's root directory: what comes before a storage path.
    base: String,
    signer: Signer,
    /// How long an address is good for.
    duration: Duration,
    /// Who is sent to the bucket; none: nobody.
    near: Option<Feed>,
}

/// Puts the middleware over a driver.
pub(super) async fn open(options: Parameters, under: Under) -> Result<Arc<dyn StorageDriver>> {
    let options: Options = options.parse()?;
    let settings = options.check()?;
    let signer = Signer::open(&settings.private_key, settings.key_pair_id)?;
    if !DRIVERS.contains(&&*under.name) {
        tracing::warn!(
            over = under.name,
            "the middleware cloudfront does nothing here: it works directly over the driver s3 alone; put it first in \
             `middleware: storage:`, or remove it"
        );
        return Ok(under.driver);
    }
    let near = match settings.near {
        Some(source) => Some(Feed::start(source).await?),
        None => None,
    };
    let base = format!("{}{}", settings.base, root(under.root_directory.as_deref().unwrap_or_default()));
    Ok(Arc::new(Redirecting::new(under.driver, CloudFront { base, signer, duration: settings.duration, near })))
}

/// Returns what is wrong with the options; of those that are wrong together, the first. The private key is not read.
pub(super) fn faults(options: Parameters) -> Vec<ParameterFault> {
    let (options, mut faults) = options.examine::<Options>();
    faults.extend(options.and_then(|options| options.check().err()).map(|error| super::fault(&error)));
    faults
}

/// The part of a key before the storage path, as the driver makes it: without a slash on either side.
fn root(directory: &str) -> String {
    match directory.trim_matches('/') {
        "" => String::new(),
        directory => format!("/{}", encode_path(directory, false)),
    }
}

impl CloudFront {
    fn is_near(&self, request: &RedirectRequest) -> bool {
        let Some(feed) = &self.near else { return false };
        let address = request.client_address.as_deref().and_then(client::address);
        address.is_some_and(|address| feed.contains(address))
    }

    fn signed(&self, path: &StoragePath, now: SystemTime) -> Result<String> {
        let until = now.checked_add(self.duration).and_then(|until| until.duration_since(UNIX_EPOCH).ok());
        let until = until.ok_or_else(|| Error::new(ErrorKind::Other, "the clock is not set to a time after 1970"))?;
        self.signer.sign(&format!("{}{path}", self.base), until.as_secs())
    }
}

#[async_trait]
impl Redirector for CloudFront {
    fn redirects(&self, _: bool) -> bool {
        true
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        request: &RedirectRequest,
        below: Below<'_>,
    ) -> Result<Option<String>> {
        if !matches!(&*request.method, "GET" | "HEAD") {
            return Ok(None);
        }
        if self.is_near(request) {
            return below.redirect_url().await;
        }
        self.signed(path, SystemTime::now()).map(Some)
    }
}

#[cfg(test)]
mod tests;
