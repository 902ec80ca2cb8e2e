//! Amazon's ranges of addresses, fetched at the start and again and again.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use tokio::sync::watch;

use super::prefixes::Prefixes;
use crate::base::http;
use crate::contract::{Error, ErrorKind, Result};

/// The largest document that is read. Amazon's has about 2 MiB.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
/// How long one fetch may take, to its last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long opening the driver waits for the first fetch, which then goes on by itself.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The wait after the first failure; it doubles with each further one, up to the time between updates.
const FIRST_RETRY: Duration = Duration::from_secs(30);

/// Where the ranges come from, which of them count, and how often they are fetched.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) url: reqwest::Url,
    pub(super) update: Duration,
    /// In lower case; empty for all.
    pub(super) regions: Vec<String>,
}

/// The ranges as they were last fetched. A task keeps them up to date, which ends when this is dropped.
pub(super) struct Feed {
    current: watch::Receiver<Option<Arc<Prefixes>>>,
}

impl Feed {
    /// Begins to fetch, and waits a little for the first answer. That it fails is no error: there are no ranges then.
    pub(super) async fn start(source: Source) -> Result<Self> {
        let client = client(&source.url)?;
        let (sender, mut current) = watch::channel(None);
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = keep(&client, &source, &sender) => {}
            }
        });
        // Whether the wait was long enough or not, it goes on.
        let _ = tokio::time::timeout(FIRST_WAIT, current.changed()).await;
        Ok(Feed { current })
    }

    /// Returns whether an address is in the ranges; never before there are any.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let current = self.current.borrow().clone();
        current.is_some_and(|prefixes| prefixes.contains(address))
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.current.borrow().as_ref().map(|prefixes| prefixes.len());
        f.debug_struct("Feed").field("ranges", &ranges).finish()
    }
}

/// Fetches for ever.
async fn keep(client: &reqwest::Client, source: &Source, sender: &watch::Sender<Option<Arc<Prefixes>>>) {
    let mut failures = 0;
    loop {
        match fetch(client, source.url.clone(), MAX_DOCUMENT).await.and_then(|text| read(&text, &source.regions)) {
            Ok(prefixes) => {
                failures = 0;
                tracing::debug!(ranges = prefixes.len(), "Amazon's ranges of addresses are up to date");
                sender.send_replace(Some(Arc::new(prefixes)));
            }
            Err(error) => {
                failures += 1;
                let known = sender.borrow().is_some();
                let retry = wait(failures, source.update);
                tracing::warn!(
                    error,
                    ?retry,
                    "Amazon's ranges of addresses could not be fetched; until they are, {}",
                    if known { "the older ones count" } else { "every client is sent to CloudFront" }
                );
                // Whoever waits for the first answer need not any longer.
                sender.send_modify(|_| {});
            }
        }
        tokio::time::sleep(wait(failures, source.update)).await;
    }
}

/// How long to wait before the next fetch.
fn wait(failures: u32, update: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => update,
        Some(doublings) => FIRST_RETRY.saturating_mul(2u32.saturating_pow(doublings)).min(update),
    }
}

/// Follows redirects, unlike a driver's. A proxy that the environment names is not for this machine's own addresses.
fn client(url: &reqwest::Url) -> Result<reqwest::Client> {
    let builder = http::builder(false)?.redirect(reqwest::redirect::Policy::default());
    let builder = builder.timeout(FETCH_TIMEOUT).pool_max_idle_per_host(0);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let builder = if here { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Other, format!("the client for `iprangesurl` cannot be set up: {error}"))
    })
}

/// Fetches the document, up to a size.
async fn fetch(client: &reqwest::Client, url: reqwest::Url, limit: usize) -> Result<Vec<u8>, String> {
    let too_large = || format!("the document is larger than {limit} bytes");
    let mut response = client.get(url).send().await.map_err(in_words)?;
    if !response.status().is_success() {
        return Err(format!("the server answered {}", response.status()));
    }
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(in_words)? {
        if document.len() + chunk.len() > limit {
            return Err(too_large());
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// An error with what is beneath it, and without the address, which may hold a password.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The document, as Amazon describes it under "AWS IP address ranges". What else is in it is passed over.
#[derive(Deserialize)]
struct Document {
    prefixes: Vec<Prefix>,
    #[serde(default)]
    ipv6_prefixes: Vec<Prefix>,
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(alias = "ipv6_prefix")]
    ip_prefix: String,
    #[serde(default)]
    region: String,
}

/// Reads the ranges of some regions, or of all.
fn read(document: &[u8], regions: &[String]) -> Result<Prefixes, String> {
    let document: Document = serde_json::from_slice(document)
        .map_err(|error| format!("the document is not as Amazon's ip-ranges.json is: {error}"))?;
    let counts = |prefix: &&Prefix| {
        regions.is_empty() || regions.iter().any(|region| region.eq_ignore_ascii_case(&prefix.region))
    };
    let mut unreadable = 0;
    let prefixes: Prefixes = document
        .prefixes
        .iter()
        .chain(&document.ipv6_prefixes)
        .filter(counts)
        .filter_map(|prefix| {
            let parsed = prefix.ip_prefix.parse::<IpNet>().ok();
            unreadable += usize::from(parsed.is_none());
            parsed
        })
        .collect();
    if unreadable > 0 {
        tracing::warn!(unreadable, "some of Amazon's ranges of addresses are no prefixes, and do not count");
    }
    if prefixes.len() == 0 {
        tracing::warn!(?regions, "there are no ranges of addresses in these regions of Amazon's; see `awsregion`");
    }
    Ok(prefixes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::tests::Server;
    use super::*;

    fn contains(document: &str, regions: &[&str], address: &str) -> bool {
        let regions: Vec<String> = regions.iter().map(|region| (*region).to_owned()).collect();
        read(document.as_bytes(), &regions).unwrap().contains(address.parse().unwrap())
    }

    const DOCUMENT: &str = r#"{
        "syncToken": "1", "createDate": "2026-01-01-00-00-00",
        "prefixes": [
            { "ip_prefix": "192.0.2.0/25", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1" },
            { "ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "S3" },
            { "ip_prefix": "nonsense", "region": "us-east-1" }
        ],
        "ipv6_prefixes": [{ "ipv6_prefix": "2001:db8::/33", "region": "us-east-1", "service": "EC2" }]
    }"#;

    #[test]
    fn ranges_of_every_region_and_family_count_without_a_filter_by_region() {
        for address in ["192.0.2.1", "198.51.100.1", "2001:db8::1"] {
            assert!(contains(DOCUMENT, &[], address), "{address}");
        }
        assert!(!contains(DOCUMENT, &[], "192.0.2.128") && !contains(DOCUMENT, &[], "2001:db8:8000::1"));
    }

    #[test]
    fn ranges_of_other_regions_do_not_count() {
        assert!(contains(DOCUMENT, &["us-east-1"], "192.0.2.1"));
        assert!(contains(DOCUMENT, &["us-east-1"], "2001:db8::1"));
        assert!(!contains(DOCUMENT, &["us-east-1"], "198.51.100.1"));
        assert!(!contains(DOCUMENT, &["us-east"], "192.0.2.1"));
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        for document in ["", "[]", "{}", "<html>", r#"{"prefixes": {}}"#] {
            assert!(read(document.as_bytes(), &[]).is_err(), "{document}");
        }
    }

    #[test]
    fn waits_double_after_failures_and_never_exceed_the_time_between_updates() {
        let hours = Duration::from_secs(12 * 3600);
        assert_eq!([0, 1, 2, 3].map(|failures| wait(failures, hours).as_secs()), [12 * 3600, 30, 60, 120]);
        assert_eq!(wait(u32::MAX, hours), hours);
        assert_eq!(wait(1, Duration::from_secs(1)), Duration::from_secs(1));
    }

    async fn fetched(server: &Server, limit: usize) -> Result<Vec<u8>, String> {
        let url: reqwest::Url = server.url().parse().unwrap();
        fetch(&client(&url).unwrap(), url, limit).await
    }

    #[tokio::test]
    async fn a_document_is_read_up_to_the_limit_whether_it_says_its_length_or_not() {
        for sized in [true, false] {
            let server = Server::start(move |_| Server::document(&"x".repeat(1000), sized)).await;
            assert_eq!(fetched(&server, 1000).await.unwrap().len(), 1000);
            assert!(fetched(&server, 999).await.unwrap_err().contains("larger than 999 bytes"));
        }
    }

    #[tokio::test]
    async fn an_error_of_the_server_is_told() {
        let server = Server::start(|_| "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        assert!(fetched(&server, 10).await.unwrap_err().contains("503"));
    }

    #[tokio::test]
    async fn a_failure_does_not_show_the_address() {
        let url: reqwest::Url = "http://user:secret@127.0.0.1:1/secret".parse().unwrap();
        let error = fetch(&client(&url).unwrap(), url, 10).await.unwrap_err();
        assert!(!error.contains("secret") && error.contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn redirects_lead_to_http_alone() {
        let server = Server::start(|_| {
            "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n".to_owned()
        });
        assert!(fetched(&server.await, 10_000).await.is_err());
    }
}
