//! The driver's parameters: Distribution's names, types, defaults and limits, and a few of our own.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::base::{GoDuration, ParameterFault, Parameters, Secret};
use crate::contract::{Error, ErrorKind, Result};
use crate::drivers::lenient;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// The smallest part that S3 takes, but for an upload's last.
pub(super) const MIN_PART: u64 = 5 * MIB;

/// The largest part, the largest range of a copy, and the largest object that one copy takes.
pub(super) const MAX_PART: u64 = 5 * GIB;

/// The longest time for which a presigned address is valid: SigV4's seven days.
const MAX_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The parameters of the `s3` driver. Unknown keys are refused.
///
/// Those of Distribution have its names, types, defaults and limits (`registry/storage/driver/s3-aws`). Of our own are
/// `sessiontoken`, `redirectexpiry`, and the quirks of S3-like stores: `checksum`, `listorder`, `multidelete`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "lowercase")]
pub struct S3Config {
    /// The access key's id. Static keys are used if both parts are given, else the SDK's default
    /// chain: environment, shared configuration, web identity, container, instance.
    #[serde(deserialize_with = "lenient::text")]
    pub accesskey: String,
    /// The access key's secret part.
    pub secretkey: Secret,
    /// The session's token, for temporary static keys.
    pub sessiontoken: Secret,
    /// The region. Needed unless `regionendpoint` is given, where it is `us-east-1` by default.
    #[serde(deserialize_with = "lenient::text")]
    pub region: String,
    /// The address of an S3-like store. Without a scheme it gets one by `secure`.
    pub regionendpoint: String,
    /// The address by which clients reach the store, for redirects: scheme and host.
    pub redirectendpoint: String,
    /// How long an address for a redirect is valid, in Go's notation. Default 20 minutes.
    #[serde(deserialize_with = "expiry")]
    pub redirectexpiry: Duration,
    /// Whether the bucket stands in the path and not in the host's name.
    #[serde(deserialize_with = "lenient::flag")]
    pub forcepathstyle: bool,
    /// The bucket, which must exist.
    #[serde(deserialize_with = "lenient::text")]
    pub bucket: String,
    /// Whether the store encrypts: with its own keys, or with `keyid`'s.
    #[serde(deserialize_with = "lenient::flag")]
    pub encrypt: bool,
    /// The KMS key to encrypt with. Says nothing without `encrypt`.
    #[serde(deserialize_with = "lenient::text")]
    pub keyid: String,
    /// Whether an endpoint without a scheme is HTTPS. Default true.
    #[serde(deserialize_with = "lenient::flag")]
    pub secure: bool,
    /// Whether certificates are not checked.
    #[serde(deserialize_with = "lenient::flag")]
    pub skipverify: bool,
    /// Signature version 4. False is refused: version 2 is not spoken.
    #[serde(deserialize_with = "lenient::flag")]
    pub v4auth: bool,
    /// The bytes of a part, which is what an open upload holds in memory. 5 MiB to 5 GiB, default 10 MiB.
    #[serde(deserialize_with = "lenient::number")]
    pub chunksize: u64,
    /// The bytes of one range of a copy in ranges. 5 MiB to 5 GiB, default 32 MiB.
    #[serde(deserialize_with = "lenient::number")]
    pub multipartcopychunksize: u64,
    /// How many ranges of one copy are under way at a time. Default 100.
    #[serde(deserialize_with = "lenient::number")]
    pub multipartcopymaxconcurrency: u64,
    /// The largest object that is copied by one request. At most 5 GiB, default 32 MiB.
    #[serde(deserialize_with = "lenient::number")]
    pub multipartcopythresholdsize: u64,
    /// What every key begins with.
    #[serde(deserialize_with = "lenient::text")]
    pub rootdirectory: String,
    /// The storage class of what is written; `NONE` names none. Default `STANDARD`.
    pub storageclass: String,
    /// Added to the `User-Agent` of each request.
    #[serde(deserialize_with = "lenient::text")]
    pub useragent: String,
    /// The canned ACL of what is written. Default `private`. Empty: none is sent, as buckets without ACLs want it.
    pub objectacl: String,
    /// Whether the endpoint that answers on IPv6 too is used.
    #[serde(deserialize_with = "lenient::flag")]
    pub usedualstack: bool,
    /// Whether Transfer Acceleration is used.
    #[serde(deserialize_with = "lenient::flag")]
    pub accelerate: bool,
    /// Whether the FIPS endpoint is used.
    #[serde(deserialize_with = "lenient::flag")]
    pub usefipsendpoint: bool,
    /// One of Distribution's levels. Those that begin with `debug` log each request at level info, without headers and
    /// bodies; `off` and, as there, anything else logs none.
    #[serde(deserialize_with = "lenient::text")]
    pub loglevel: String,
    /// Which checksums are sent with what is written, kept by the store, and checked again when an object is read as a
    /// whole. Of an upload in parts, a store of one's own checks each part when it comes and keeps none. Besides, each
    /// request's signature covers the SHA-256 of its body. Default: [`Checksum::Crc32c`] on Amazon S3; none on a store of
    /// one's own, many of which refuse the headers.
    pub checksum: Option<Checksum>,
    /// In which order the store lists. Default [`ListOrder::Auto`].
    pub listorder: ListOrder,
    /// Whether the store deletes many objects by one request. Default true.
    #[serde(deserialize_with = "lenient::flag")]
    pub multidelete: bool,
}

/// A checksum of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// None.
    None,
    /// CRC-32.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// SHA-256.
    Sha256,
}

/// The order in which a store lists keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListOrder {
    /// Bytewise, unless a store of one's own tells by its name, when the driver is opened, that it is one which does not.
    #[default]
    Auto,
    /// Bytewise, as Amazon S3 lists.
    Bytewise,
    /// Directory by directory, `x/y/z` before `x/y-1`, as SeaweedFS lists. Walks then list each directory by itself.
    Tree,
}

impl Default for S3Config {
    fn default() -> Self {
        S3Config {
            accesskey: String::new(),
            secretkey: Secret::default(),
            sessiontoken: Secret::default(),
            region: String::new(),
            regionendpoint: String::new(),
            redirectendpoint: String::new(),
            redirectexpiry: Duration::from_secs(20 * 60),
            forcepathstyle: false,
            bucket: String::new(),
            encrypt: false,
            keyid: String::new(),
            secure: true,
            skipverify: false,
            v4auth: true,
            chunksize: 10 * MIB,
            multipartcopychunksize: 32 * MIB,
            multipartcopymaxconcurrency: 100,
            multipartcopythresholdsize: 32 * MIB,
            rootdirectory: String::new(),
            storageclass: "STANDARD".to_owned(),
            useragent: String::new(),
            objectacl: "private".to_owned(),
            usedualstack: false,
            accelerate: false,
            usefipsendpoint: false,
            loglevel: "off".to_owned(),
            checksum: None,
            listorder: ListOrder::Auto,
            multidelete: true,
        }
    }
}

const STORAGE_CLASSES: [&str; 9] = [
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

const ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

impl S3Config {
    /// Checks the parameters against each other and brings them into their final form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`], in Distribution's words where it has any.
    pub(super) fn checked(mut self) -> Result<Self> {
        match self.check().into_iter().next() {
            None => Ok(self),
            Some(fault) => Err(Error::new(ErrorKind::InvalidParameters, fault.message)),
        }
    }

    /// Returns all that is wrong with parameters, without a request to any store.
    pub(crate) fn faults(parameters: Parameters) -> Vec<ParameterFault> {
        let (config, mut faults) = parameters.examine::<S3Config>();
        for fault in config.map(|mut config| config.check()).unwrap_or_default() {
            // What was wrong by itself is the default now.
            if !faults.iter().any(|other| !fault.path.is_empty() && other.path == fault.path) {
                faults.push(fault);
            }
        }
        faults
    }

    /// Brings the parameters into their final form, and returns all that is wrong with them.
    fn check(&mut self) -> Vec<ParameterFault> {
        let mut faults = Vec::new();
        let mut wrong = |key: &str, message: &str| faults.push(ParameterFault::new(vec![key.to_owned()], message));
        if self.bucket.is_empty() {
            wrong("bucket", "no bucket parameter provided");
        }
        if self.accesskey.is_empty() != self.secretkey.is_empty() {
            // Distribution would silently use whatever else it finds.
            let given = if self.accesskey.is_empty() { "secretkey" } else { "accesskey" };
            wrong(given, "accesskey and secretkey come together: give both, or neither for the default chain");
        }
        if !self.sessiontoken.is_empty() && self.accesskey.is_empty() {
            wrong("sessiontoken", "a sessiontoken belongs to an accesskey and a secretkey");
        }
        if !self.v4auth {
            wrong("v4auth", "`v4auth: false` asks for signature version 2, which is not spoken; leave it out");
        }
        for (name, value, least, most) in [
            ("chunksize", self.chunksize, MIN_PART, MAX_PART),
            ("multipartcopychunksize", self.multipartcopychunksize, MIN_PART, MAX_PART),
            ("multipartcopymaxconcurrency", self.multipartcopymaxconcurrency, 1, u64::from(u32::MAX)),
            ("multipartcopythresholdsize", self.multipartcopythresholdsize, 0, MAX_PART),
        ] {
            if !(least..=most).contains(&value) {
                let message =
                    format!("the {name} {value} parameter should be a number between {least} and {most} (inclusive)");
                wrong(name, &message);
            }
        }
        self.storageclass.make_ascii_uppercase();
        if !STORAGE_CLASSES.contains(&&*self.storageclass) {
            let message = format!("the storageclass parameter must be one of {}", STORAGE_CLASSES.join(", "));
            wrong("storageclass", &message);
        }
        if !self.objectacl.is_empty() && !ACLS.contains(&&*self.objectacl) {
            let acls = ACLS.join(", ");
            let message =
                format!("invalid value for objectacl parameter: must be one of {acls}, or empty to send none");
            wrong("objectacl", &message);
        }
        if self.rootdirectory.split('/').any(|component| matches!(component, "." | "..")) {
            wrong("rootdirectory", "rootdirectory has a component `.` or `..`, which no address can hold");
        }
        if self.regionendpoint.is_empty() {
            match &*self.region {
                "" => wrong("region", "no region parameter provided"),
                region if !is_region(region) => wrong("region", &format!("invalid region provided: {region}")),
                _ => {}
            }
        } else {
            if !self.regionendpoint.contains("://") {
                let scheme = if self.secure { "https" } else { "http" };
                self.regionendpoint = format!("{scheme}://{}", self.regionendpoint);
            }
            if let Err(why) = address("regionendpoint", &self.regionendpoint) {
                wrong("regionendpoint", &why);
            }
            if self.accelerate || self.usedualstack || self.usefipsendpoint {
                let message = "accelerate, usedualstack and usefipsendpoint choose among Amazon's addresses; leave them out beside regionendpoint";
                wrong("regionendpoint", message);
            }
            if self.region.is_empty() {
                self.region = "us-east-1".to_owned();
            }
        }
        if !self.redirectendpoint.is_empty() {
            match address("redirectendpoint", &self.redirectendpoint) {
                Err(why) => wrong("redirectendpoint", &why),
                Ok(url) if !matches!(url.path(), "" | "/") || url.query().is_some() => {
                    wrong("redirectendpoint", "redirectendpoint is a scheme and a host, without a path or a query");
                }
                Ok(_) => {}
            }
        }
        faults
    }

    /// Returns whether the store is one that was named by its address, and not Amazon's.
    pub(super) fn is_own_store(&self) -> bool {
        !self.regionendpoint.is_empty() && !self.regionendpoint.contains(".amazonaws.com")
    }

    /// Returns which checksum is used.
    pub(super) fn checksum(&self) -> Checksum {
        self.checksum.unwrap_or(if self.is_own_store() { Checksum::None } else { Checksum::Crc32c })
    }

    /// Returns whether each request is logged.
    pub(super) fn logs_requests(&self) -> bool {
        const LEVELS: [&str; 6] = [
            "debug",
            "debugwithsigning",
            "debugwithhttpbody",
            "debugwithrequestretries",
            "debugwithrequesterrors",
            "debugwitheventstreambody",
        ];
        LEVELS.contains(&&*self.loglevel.to_ascii_lowercase())
    }
}

/// Reads an address, or says what is wrong with it.
fn address(name: &str, text: &str) -> std::result::Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("{name} is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{name} needs http:// or https:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{name} holds no user and no password: use accesskey and secretkey"));
    }
    Ok(url)
}

/// Returns whether a text has the form of the regions' names: `eu-central-1`, `us-gov-west-1`. The SDK's own list is not
/// public, and would be old when a new region opens.
fn is_region(text: &str) -> bool {
    let mut parts: Vec<&str> = text.split('-').collect();
    let number = parts.pop().unwrap_or_default();
    let is_word = |part: &&str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    parts.len() >= 2 && parts.iter().all(is_word) && (1..=2).contains(&number.len()) && number.parse::<u8>().is_ok()
}

fn expiry<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    let GoDuration(expiry) = GoDuration::deserialize(deserializer)?;
    if expiry < Duration::from_secs(1) || expiry > MAX_EXPIRY {
        return Err(serde::de::Error::custom(
            "must lie between 1s and 7 days (168h), the most that a signature allows",
        ));
    }
    Ok(expiry)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The parameters with a bucket and a region, and with some more.
    fn config(more: Value) -> Result<S3Config> {
        let mut map = json!({ "bucket": "b", "region": "eu-central-1" });
        for (name, value) in more.as_object().unwrap() {
            map[name] = value.clone();
        }
        Parameters::from(map.as_object().unwrap().clone()).parse::<S3Config>()?.checked()
    }

    fn refusal(more: Value) -> String {
        let error = config(more.clone()).expect_err(&more.to_string());
        assert_eq!(error.kind(), &ErrorKind::InvalidParameters);
        error.message().to_owned()
    }

    #[test]
    fn the_defaults_are_distributions() {
        let config = config(json!({})).unwrap();
        assert_eq!((config.chunksize, config.multipartcopychunksize), (10 << 20, 32 << 20));
        assert_eq!((config.multipartcopymaxconcurrency, config.multipartcopythresholdsize), (100, 32 << 20));
        assert!(config.secure && config.v4auth && !config.encrypt && !config.forcepathstyle && !config.skipverify);
        assert_eq!((&*config.storageclass, &*config.objectacl), ("STANDARD", "private"));
        assert_eq!(config.redirectexpiry, Duration::from_secs(1200));
    }

    #[test]
    fn what_is_refused_is_refused_in_distributions_words() {
        for (more, words) in [
            (json!({ "bucket": "" }), "no bucket parameter provided"),
            (json!({ "region": "" }), "no region parameter provided"),
            (json!({ "region": "moon-1" }), "invalid region provided: moon-1"),
            (json!({ "chunksize": 1 }), "the chunksize 1 parameter should be a number between 5242880 and 5368709120"),
            (json!({ "multipartcopymaxconcurrency": 0 }), "should be a number between 1 and"),
            (json!({ "multipartcopythresholdsize": "5368709121" }), "should be a number between 0 and 5368709120"),
            (json!({ "multipartcopychunksize": 5 << 20, "chunksize": "10MB" }), "in digits and without a unit"),
            (json!({ "storageclass": "COLD" }), "the storageclass parameter must be one of NONE, STANDARD"),
            (json!({ "objectacl": "mine" }), "invalid value for objectacl parameter"),
            (json!({ "encrypt": "yes" }), "`encrypt`: should be a boolean"),
            (json!({ "v4auth": false }), "signature version 2"),
            (json!({ "redirectendpoint": "cdn.example.com" }), "redirectendpoint is no address"),
            (json!({ "redirectendpoint": "https://cdn.example.com/path" }), "without a path or a query"),
            (json!({ "redirectexpiry": "0s" }), "between 1s and 7 days"),
            (json!({ "redirectexpiry": "169h" }), "between 1s and 7 days"),
            (json!({ "accesskey": "a" }), "accesskey and secretkey come together"),
            (json!({ "sessiontoken": "a" }), "belongs to an accesskey"),
            (json!({ "regionendpoint": "ftp://a" }), "needs http:// or https://"),
            (json!({ "regionendpoint": "http://user:hunter2@a" }), "no user and no password"),
            (json!({ "regionendpoint": "http://a", "accelerate": true }), "choose among Amazon's addresses"),
            (json!({ "rootdirectory": "/a/../b" }), "component `.` or `..`"),
            (json!({ "checksum": "md5" }), "expected one of `none`, `crc32`, `crc32c`, `sha256`"),
            (json!({ "listorder": "random" }), "expected one of `auto`, `bytewise`, `tree`"),
            (json!({ "bukcet": "b" }), "unknown parameter `bukcet`"),
        ] {
            let refusal = refusal(more);
            assert!(refusal.contains(words), "{refusal}");
        }
    }

    #[test]
    fn numbers_and_booleans_may_be_texts_as_the_environment_gives_them() {
        let config = config(json!({ "chunksize": "5242880", "secure": "0", "encrypt": "T", "bucket": 7 })).unwrap();
        assert_eq!((config.chunksize, config.secure, config.encrypt, &*config.bucket), (5 << 20, false, true, "7"));
    }

    #[test]
    fn an_endpoint_gets_a_scheme_and_a_region() {
        for (secure, endpoint) in [(true, "https://store:9000"), (false, "http://store:9000")] {
            let more = json!({ "regionendpoint": "store:9000", "region": "", "secure": secure });
            let config = config(more).unwrap();
            assert_eq!((&*config.regionendpoint, &*config.region), (endpoint, "us-east-1"));
        }
    }

    #[test]
    fn every_region_of_amazons_has_a_name_of_the_form() {
        for region in ["us-east-1", "eu-central-2", "us-gov-west-1", "us-isob-east-1", "cn-north-1", "ap-southeast-7"] {
            assert!(is_region(region), "{region}");
        }
        for text in ["", "us", "us-east", "us-east-", "us-east-x", "US-EAST-1", "<nil>", "us-east-100"] {
            assert!(!is_region(text), "{text}");
        }
    }

    #[test]
    fn the_storage_class_may_be_written_in_any_case() {
        assert_eq!(config(json!({ "storageclass": "glacier_ir" })).unwrap().storageclass, "GLACIER_IR");
    }

    #[test]
    fn an_empty_objectacl_is_one_that_is_not_sent() {
        assert_eq!(config(json!({ "objectacl": "" })).unwrap().objectacl, "");
    }

    #[test]
    fn checksums_are_for_amazon_unless_they_are_asked_for() {
        assert_eq!(config(json!({})).unwrap().checksum(), Checksum::Crc32c);
        let own = json!({ "regionendpoint": "http://127.0.0.1:9000" });
        assert_eq!(config(own).unwrap().checksum(), Checksum::None);
        let own = json!({ "regionendpoint": "http://127.0.0.1:9000", "checksum": "crc32" });
        assert_eq!(config(own).unwrap().checksum(), Checksum::Crc32);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let parameters = Parameters::new()
            .with("bukcet", "b")
            .with("secure", "hunter2")
            .with("chunksize", 1)
            .with("secretkey", "hunter2")
            .with("objectacl", "hunter2");
        let faults = S3Config::faults(parameters);
        let mut keys: Vec<String> = faults.iter().map(ParameterFault::key).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["bucket", "bukcet", "chunksize", "objectacl", "region", "secretkey", "secure"]);
        assert!(!format!("{faults:?}").contains("hunter2"));
    }

    #[test]
    fn no_secret_is_shown() {
        let more = json!({ "accesskey": "a", "secretkey": "hunter2", "sessiontoken": "hunter3" });
        let shown = format!("{:?}", config(more).unwrap());
        assert!(shown.contains("accesskey: \"a\"") && !shown.contains("hunter"), "{shown}");
    }
}
