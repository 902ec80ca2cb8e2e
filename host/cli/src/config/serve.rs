//! The whole configuration of `wharf serve`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use wharf::registry::MinRate;

use super::document::Document;
use super::report::{Notice, Report};
use super::{Auth, Config, Http, Log, Storage, StorageHealth};

/// The configuration of a registry. `Debug` shows no secrets.
#[derive(Clone, Debug)]
pub(crate) struct ServeConfig {
    /// What drivers need.
    pub(crate) config: Config,
    /// What the registry does with its store.
    pub(crate) storage: Storage,
    /// What is logged, and how.
    pub(crate) log: Log,
    /// Who is let in; none if everybody is.
    pub(crate) auth: Option<Auth>,
    /// Where and how it is reached.
    pub(crate) http: Http,
    /// How the store is asked whether it is there; none if it is not.
    pub(crate) health: Option<StorageHealth>,
    /// How many entries a page of the catalog has at most; 1,000 by default.
    pub(crate) catalog_limit: NonZeroUsize,
    /// How many entries a page of tags has at most; 1,000 by default.
    pub(crate) tags_limit: NonZeroUsize,
    /// Whether an index is refused of which a manifest is missing: `validation: manifests: indexes: platforms`. On by
    /// default.
    pub(crate) verify_index: bool,
    /// What requests may use up.
    pub(crate) limits: Limits,
}

/// What requests may use up: the section `limits:`, which is our own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// What all uploads together hold in memory. 256 MiB by default.
    pub(crate) buffers: ByteSize,
    /// How long a client may send nothing of an upload. 60 s by default.
    #[serde(with = "humantime_serde")]
    pub(crate) upload_idle: Duration,
    /// How many bytes a second a client sends of an upload, or takes of an answer, at the least. 1 KiB by default; 0 for none.
    pub(crate) min_rate: ByteSize,
    /// For how long it may stay below that. 60 s by default.
    #[serde(with = "humantime_serde")]
    pub(crate) min_rate_grace: Duration,
    /// How many downloads may be open at a time. 4,096 by default, and no more than a quarter of the files that the process may
    /// have open.
    pub(crate) downloads: NonZeroUsize,
    /// How much of the downloads, and of the uploads, one client address may have, in percent. 50 by default; 100 where clients
    /// come through a proxy.
    pub(crate) client_share: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            buffers: ByteSize::mib(256),
            upload_idle: Duration::from_secs(60),
            min_rate: ByteSize::kib(1),
            min_rate_grace: Duration::from_secs(60),
            downloads: DOWNLOADS,
            client_share: 50,
        }
    }
}

/// How many downloads may be open if nothing says so.
const DOWNLOADS: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not 0");

/// How many entries a page has if nothing says so, as in Distribution.
const PAGE: NonZeroUsize = NonZeroUsize::new(1000).expect("1000 is not 0");

#[derive(Default, Deserialize)]
#[serde(default)]
struct Catalog {
    maxentries: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tags {
    maxtags: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Validation {
    enabled: bool,
    disabled: bool,
    manifests: Manifests,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifests {
    urls: Urls,
    indexes: Indexes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Urls {
    allow: Vec<String>,
    deny: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Indexes {
    platforms: Option<String>,
}

impl ServeConfig {
    /// Reads all sections, and reports all that is wrong with any. Where something is refused, what is returned has a default
    /// in its place, and is not to be served.
    pub(super) fn from_document(document: &Document, report: &mut Report) -> Self {
        let config = Config::from_document(document, report);
        let tags_limit = document.parse::<Tags>("tags", report).maxtags;
        if tags_limit < 0 {
            report.refuse(document, "tags.maxtags", "is negative; write how many tags a page may have");
        }
        ServeConfig {
            storage: Storage::from_document(document, &config, report),
            log: Log::from_document(document, report),
            auth: Auth::from_document(document, report),
            http: Http::from_document(document, report),
            health: StorageHealth::from_document(document, report),
            catalog_limit: page(document.parse::<Catalog>("catalog", report).maxentries),
            tags_limit: page(tags_limit),
            verify_index: verify_index(document, report),
            limits: Limits::from_document(document, report),
            config,
        }
    }
}

impl Limits {
    fn from_document(document: &Document, report: &mut Report) -> Self {
        let limits: Limits = document.parse("limits", report);
        if limits.buffers.as_u64() == 0 {
            let what = "is zero: no upload could begin; write a size such as 256MiB";
            report.refuse(document, "limits.buffers", what);
        }
        if limits.upload_idle.is_zero() {
            let what = "is zero: no upload could end; write a time such as 60s";
            report.refuse(document, "limits.upload_idle", what);
        }
        if limits.min_rate_grace.is_zero() {
            let what =
                "is zero: every client would be too slow; write a time such as 60s, or `min_rate: 0` for no limit";
            report.refuse(document, "limits.min_rate_grace", what);
        }
        if !(1..=100).contains(&limits.client_share) {
            let what = "is no number from 1 to 100, in percent; 50 is the default";
            report.refuse(document, "limits.client_share", what);
        }
        limits
    }

    /// Returns how slow a client may be; none if as slow as it likes.
    pub(crate) fn min_rate(&self) -> Option<MinRate> {
        let bytes = NonZeroU64::new(self.min_rate.as_u64())?;
        Some(MinRate { bytes, grace: self.min_rate_grace })
    }
}

/// How many entries a page has; what is not positive is the default, as in Distribution.
fn page(entries: i64) -> NonZeroUsize {
    usize::try_from(entries).ok().and_then(NonZeroUsize::new).unwrap_or(PAGE)
}

/// Reads `validation:`, of which one thing remains.
fn verify_index(document: &Document, report: &mut Report) -> bool {
    let Validation { enabled, disabled, manifests } = document.parse("validation", report);
    if disabled && !enabled {
        return false;
    }
    for (key, patterns) in [("allow", &manifests.urls.allow), ("deny", &manifests.urls.deny)] {
        if !patterns.is_empty() {
            let what = "Wharf does not look at the addresses in manifests, and would let those pass that this keeps out; \
                        remove it, or set `validation.disabled` if nothing has to be kept out";
            report.refuse(document, &format!("validation.manifests.urls.{key}"), what);
        }
    }
    let key = "validation.manifests.indexes.platforms";
    match manifests.indexes.platforms.map(|platforms| platforms.to_ascii_lowercase()).as_deref() {
        None | Some("all") => true,
        Some("none") => false,
        Some("list") => {
            let what = "Wharf checks all manifests of an index or none: an index is taken as it is";
            report.notices.push(Notice::missing(key, what));
            false
        }
        Some(_) => {
            report.refuse(document, key, "expected one of `all`, `none`, `list`");
            true
        }
    }
}
