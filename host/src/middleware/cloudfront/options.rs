//! The middleware's options, as Distribution names them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use super::feed::Source;
use crate::base::GoDuration;
use crate::contract::{Error, ErrorKind, Result};
use crate::middleware::address::{Address, encode_path};

const DEFAULT_DURATION: Duration = Duration::from_secs(20 * 60);
const DEFAULT_UPDATE: Duration = Duration::from_secs(12 * 60 * 60);
/// Where Amazon publishes its ranges of addresses.
const DEFAULT_RANGES: &str = "https://ip-ranges.amazonaws.com/ip-ranges.json";

/// The options as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    baseurl: String,
    privatekey: PathBuf,
    keypairid: String,
    duration: Option<GoDuration>,
    #[serde(default, deserialize_with = "filter")]
    ipfilteredby: Filter,
    #[serde(default, deserialize_with = "regions")]
    awsregion: Vec<String>,
    updatefrequency: Option<GoDuration>,
    /// Distribution's own misspelling, which its documentation once had.
    updatefrenquency: Option<GoDuration>,
    iprangesurl: Option<String>,
}

/// Which clients are sent to the bucket itself.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Filter {
    #[default]
    None,
    Aws,
    AwsRegion,
}

/// The options, checked.
#[derive(Debug)]
pub(super) struct Settings {
    /// Scheme, host and base path, without a slash at its end.
    pub(super) base: String,
    pub(super) private_key: PathBuf,
    pub(super) key_pair_id: String,
    pub(super) duration: Duration,
    pub(super) near: Option<Source>,
}

impl Options {
    /// Checks what serde does not, and fills in the defaults.
    pub(super) fn check(self) -> Result<Settings> {
        let key_pair_id = self.keypairid;
        // Such are Amazon's; another character could end the parameter in the address.
        if key_pair_id.is_empty() || !key_pair_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(invalid("keypairid", "is the id of a public key in CloudFront, such as K2JCJMDEHXQW5F"));
        }
        let update = match (self.updatefrequency, self.updatefrenquency) {
            (None, Some(update)) => {
                tracing::warn!(
                    "the option `updatefrenquency` of the middleware cloudfront is misspelt: `updatefrequency`"
                );
                Some(update)
            }
            (update, _) => update,
        };
        let update = positive("updatefrequency", update, DEFAULT_UPDATE)?;
        let url = ranges_url(self.iprangesurl.as_deref().unwrap_or(DEFAULT_RANGES))?;
        let regions = self.awsregion;
        let near = match self.ipfilteredby {
            Filter::None => None,
            Filter::Aws => Some(Source { url, update, regions: Vec::new() }),
            Filter::AwsRegion if regions.is_empty() => {
                return Err(invalid(
                    "awsregion",
                    "is missing; with `ipfilteredby: awsregion` it names regions, such as us-east-1",
                ));
            }
            Filter::AwsRegion => Some(Source { url, update, regions }),
        };
        Ok(Settings {
            base: base(&self.baseurl)?,
            private_key: self.privatekey,
            key_pair_id,
            duration: positive("duration", self.duration, DEFAULT_DURATION)?,
            near,
        })
    }
}

fn invalid(option: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidParameters, format!("`{option}`: {why}"))
}

fn positive(option: &str, given: Option<GoDuration>, default: Duration) -> Result<Duration> {
    match given {
        None => Ok(default),
        // Addresses tell the time in whole seconds.
        Some(GoDuration(duration)) if option == "duration" && duration < Duration::from_secs(1) => {
            Err(invalid(option, "is shorter than a second; leave it out for 20m"))
        }
        Some(GoDuration(Duration::ZERO)) => Err(invalid(option, "is zero; leave it out for the default")),
        Some(GoDuration(duration)) => Ok(duration),
    }
}

fn base(text: &str) -> Result<String> {
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    match Address::parse(&full) {
        Some(Address { scheme, user: "", host, path, rest: "" }) => {
            Ok(format!("{scheme}://{host}{}", encode_path(path.trim_end_matches('/'), true)))
        }
        _ => Err(invalid(
            "baseurl",
            "is the address of a CloudFront distribution: a host, such as \
                  d111111abcdef8.cloudfront.net, or https://HOST/PATH, without a user and a query",
        )),
    }
}

fn ranges_url(text: &str) -> Result<reqwest::Url> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err(invalid("iprangesurl", "is no http:// or https:// address; leave it out for Amazon's")),
    }
}

fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    match &*text.to_ascii_lowercase() {
        "" | "none" => Ok(Filter::None),
        "aws" => Ok(Filter::Aws),
        "awsregion" => Ok(Filter::AwsRegion),
        _ => Err(D::Error::custom("expected one of `none`, `aws`, `awsregion`")),
    }
}

/// Regions in lower case: a list, or a text with commas.
fn regions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let wrong = || D::Error::custom("expected regions: a list, or a text with commas between them");
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    let texts = match Value::deserialize(deserializer)? {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().map(text).collect::<Result<_, _>>()?,
        value => text(&value)?.split(',').map(str::to_owned).collect(),
    };
    let tidy = texts.iter().map(|text| text.trim().to_ascii_lowercase());
    Ok(tidy.filter(|region| !region.is_empty()).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::base::Parameters;

    fn options() -> Parameters {
        Parameters::new().with("baseurl", "cdn.example.com").with("privatekey", "k.pem").with("keypairid", "K1")
    }

    fn check(options: Parameters) -> Result<Settings> {
        options.parse::<Options>()?.check()
    }

    fn refused(key: &str, value: impl Into<Value>) -> String {
        let error = check(options().with(key, value)).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
        error.message().to_owned()
    }

    #[test]
    fn defaults_are_distributions() {
        let settings = check(options()).unwrap();
        assert_eq!(settings.base, "https://cdn.example.com");
        assert_eq!(settings.duration, Duration::from_secs(1200));
        assert!(settings.near.is_none());
        let source = check(options().with("ipfilteredby", "aws")).unwrap().near.unwrap();
        assert_eq!(source.url.as_str(), "https://ip-ranges.amazonaws.com/ip-ranges.json");
        assert_eq!(source.update, Duration::from_secs(43200));
    }

    #[test]
    fn a_base_gets_its_scheme_and_loses_its_last_slash() {
        for (text, expected) in [
            ("d1.cloudfront.net/", "https://d1.cloudfront.net"),
            ("http://d1.cloudfront.net:80/a/", "http://d1.cloudfront.net:80/a"),
            ("https://d1.cloudfront.net/a%20\"b", "https://d1.cloudfront.net/a%20%22b"),
        ] {
            assert_eq!(check(options().with("baseurl", text)).unwrap().base, expected);
        }
    }

    #[test]
    fn what_is_required_is_named() {
        let error = check(Parameters::new().with("baseurl", "h").with("keypairid", "K1")).unwrap_err();
        assert_eq!(error.message(), "`privatekey`: is missing");
        assert!(check(options().with("basurl", "h")).unwrap_err().message().starts_with("unknown parameter `basurl`"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert!(refused("baseurl", "https://u:secret@h").starts_with("`baseurl`: "));
        assert!(!refused("baseurl", "https://u:secret@h").contains("secret"));
        assert!(refused("baseurl", "https://h/a b").starts_with("`baseurl`: "));
        assert!(refused("baseurl", "https://h/?a").starts_with("`baseurl`: "));
        assert!(refused("keypairid", "K1&Expires=9").starts_with("`keypairid`: "));
        assert!(refused("keypairid", "").starts_with("`keypairid`: "));
        assert!(refused("duration", "20 minutes").starts_with("`duration`: "));
        assert!(refused("duration", "100ms").starts_with("`duration`: "));
        assert!(refused("updatefrequency", "0").starts_with("`updatefrequency`: "));
        assert!(refused("ipfilteredby", "gcp").starts_with("`ipfilteredby`: "));
        assert!(refused("ipfilteredby", "awsregion").starts_with("`awsregion`: is missing"));
        assert!(refused("awsregion", 7).starts_with("`awsregion`: "));
        assert!(refused("iprangesurl", "file:///etc/passwd").starts_with("`iprangesurl`: "));
    }

    #[test]
    fn a_filter_is_read_in_any_case() {
        let near = |filter: &str| check(options().with("ipfilteredby", filter)).unwrap().near;
        assert!(near("None").is_none() && near("NONE").is_none() && near("").is_none());
        assert!(near("AWS").is_some());
    }

    #[test]
    fn regions_are_a_list_or_a_text_with_commas() {
        for value in [serde_json::json!("us-east-1, EU-West-1,"), serde_json::json!(["us-east-1", "EU-West-1"])] {
            let source =
                check(options().with("ipfilteredby", "AwsRegion").with("awsregion", value)).unwrap().near.unwrap();
            assert_eq!(source.regions, ["us-east-1", "eu-west-1"]);
        }
    }

    #[test]
    fn the_misspelt_update_frequency_counts_where_the_right_one_is_not_given() {
        let update = |options: Parameters| check(options.with("ipfilteredby", "aws")).unwrap().near.unwrap().update;
        let misspelt = options().with("updatefrenquency", "1h");
        assert_eq!(update(misspelt.clone()), Duration::from_secs(3600));
        assert_eq!(update(misspelt.with("updatefrequency", "2h")), Duration::from_secs(7200));
    }
}
