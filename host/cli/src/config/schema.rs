//! The keys that a configuration may have, what stands at each, and what becomes of it: Distribution's of 2.8 and 3, and
//! our own. One table, from which variables find their keys, values their types, and what is not supported its sentence. A
//! key that is not in it is refused.

use Fate::{Needless, Read, Refused, Unsupported};
use Shape::{Duration, Flag, Free, List, Map, Named, Other, Section, Text};

/// What stands at a key.
#[derive(Debug)]
pub(super) enum Shape {
    /// A text. A number or truth value that is written there is its text.
    Text,
    /// `true` or `false`; `yes`, `no`, `on` and `off` are YAML 1.1's words for them.
    Flag,
    /// A duration; a plain number is nanoseconds.
    Duration,
    /// Another scalar, or whatever the one who reads it makes of it.
    Other,
    /// These keys and no others.
    Section(&'static [Key]),
    /// These keys, and any others, which are names: of drivers, of schemes.
    Named {
        /// The keys that are no names.
        keys: &'static [Key],
        /// What stands at a name.
        other: &'static Shape,
        /// Whether a text is short for one name with nothing below it: `storage: inmemory`.
        bare: bool,
    },
    /// Any keys, with the same at each.
    Map(&'static Shape),
    /// Any number of the same.
    List(&'static Shape),
    /// Anything. These of the keys in it have a `_` in their names.
    Free(&'static [&'static str]),
}

/// A key with what stands at it.
#[derive(Debug)]
pub(super) struct Key(pub(super) &'static str, pub(super) Fate, pub(super) Shape);

/// What becomes of a key that is set. The sentences go on after "`key` is set, and".
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It is heeded.
    Read,
    /// What it asks for comes without it, or is not needed.
    Needless(&'static str),
    /// It is not heeded, and something is missing for it.
    Unsupported(&'static str),
    /// To pass over it would be insecure: nothing starts.
    Refused(&'static str),
}

/// A key that is only there to be named.
const fn unsupported(name: &'static str, sentence: &'static str) -> Key {
    Key(name, Unsupported(sentence), Free(UNDERSCORED))
}

/// Names with `_` below the sections that are not read here: parameters of drivers, and what is not supported.
const UNDERSCORED: &[&str] = &[
    "auth_provider_x509_cert_url",
    "auth_uri",
    "client_email",
    "client_id",
    "client_x509_cert_url",
    "max_retries",
    "private_key",
    "private_key_id",
    "project_id",
    "retry_delay",
    "token_uri",
    "universe_domain",
];

const LOG: &[Key] = &[
    Key("level", Read, Text),
    Key("formatter", Read, Text),
    Key("fields", Read, Free(&[])),
    Key("accesslog", Read, Section(&[Key("disabled", Read, Flag)])),
    unsupported("hooks", "Wharf sends no mail: whatever reads its log has to"),
    unsupported("reportcaller", "Wharf's log names modules, and no lines of code"),
];

const STORAGE: &[Key] = &[
    Key(
        "cache",
        Needless("Wharf needs no cache of what blobs are: it keeps none"),
        Section(&[
            Key("blobdescriptor", Read, Text),
            Key("blobdescriptorsize", Read, Other),
            Key("layerinfo", Read, Text),
        ]),
    ),
    Key("delete", Read, Section(&[Key("enabled", Read, Flag)])),
    Key("maintenance", Read, Section(MAINTENANCE)),
    Key("redirect", Read, Section(&[Key("disable", Read, Flag)])),
    Key(
        "tag",
        Needless("Wharf bounds by itself how many tags it looks up at a time"),
        Section(&[Key("concurrencylimit", Read, Other)]),
    ),
];

const MAINTENANCE: &[Key] = &[
    Key(
        "uploadpurging",
        Read,
        // No durations here: a number without a unit would be nanoseconds, and purge what is being uploaded.
        Section(&[
            Key("enabled", Read, Flag),
            Key("age", Read, Other),
            Key("interval", Read, Other),
            Key("dryrun", Read, Flag),
        ]),
    ),
    Key("readonly", Read, Section(&[Key("enabled", Read, Flag)])),
];

const AUTH: &[Key] = &[
    Key("htpasswd", Read, Section(&[Key("realm", Read, Text), Key("path", Read, Text)])),
    Key(
        "token",
        Read,
        Section(&[
            Key("realm", Read, Text),
            Key("service", Read, Text),
            Key("issuer", Read, Text),
            Key("rootcertbundle", Read, Text),
            Key("jwks", Read, Text),
            Key("autoredirect", Read, Flag),
            Key("autoredirectpath", Read, Text),
            Key("signingalgorithms", Read, List(&Text)),
        ]),
    ),
];

const MIDDLEWARE: &[Key] = &[
    Key(
        "storage",
        Read,
        List(&Section(&[
            Key("name", Read, Text),
            Key("disabled", Read, Flag),
            Key("options", Read, Free(UNDERSCORED)),
        ])),
    ),
    Key("registry", Refused(NO_MIDDLEWARE), List(&Free(UNDERSCORED))),
    Key("repository", Refused(NO_MIDDLEWARE), List(&Free(UNDERSCORED))),
];

/// Distribution has none compiled in: each is somebody's own.
const NO_MIDDLEWARE: &str = "Wharf has middlewares for storage alone, and what this one keeps out would pass";

const HTTP: &[Key] = &[
    Key("addr", Read, Text),
    Key("net", Read, Text),
    Key("host", Read, Text),
    Key("prefix", Read, Text),
    Key("secret", Read, Text),
    Key("trustedproxies", Read, List(&Text)),
    Key("relativeurls", Read, Flag),
    Key("draintimeout", Read, Duration),
    Key("tls", Read, Section(TLS)),
    Key("headers", Read, Map(&List(&Text))),
    Key("debug", Read, Section(DEBUG)),
    Key("http2", Read, Section(&[Key("disabled", Read, Flag)])),
    Key("h2c", Read, Section(&[Key("enabled", Read, Flag)])),
];

const TLS: &[Key] = &[
    Key("certificate", Read, Text),
    Key("key", Read, Text),
    Key("clientcas", Read, List(&Text)),
    Key("clientauth", Read, Text),
    Key("minimumtls", Read, Text),
    Key("ciphersuites", Unsupported("Wharf offers all suites of its TLS library, none of them weak"), List(&Text)),
    Key(
        "letsencrypt",
        Refused("Wharf fetches no certificates: let an ACME client write `http.tls.certificate` and `key`"),
        Section(&[
            Key("cachefile", Read, Text),
            Key("email", Read, Text),
            Key("hosts", Read, List(&Text)),
            Key("directoryurl", Read, Text),
        ]),
    ),
];

const DEBUG: &[Key] = &[
    Key("addr", Read, Text),
    Key("prometheus", Read, Section(&[Key("enabled", Read, Flag), Key("path", Read, Text)])),
];

const HEALTH: &[Key] = &[
    Key(
        "storagedriver",
        Read,
        Section(&[Key("enabled", Read, Flag), Key("interval", Read, Duration), Key("threshold", Read, Other)]),
    ),
    Key("file", Unsupported(CHECKS), List(&Free(&[]))),
    Key("http", Unsupported(CHECKS), List(&Free(&[]))),
    Key("tcp", Unsupported(CHECKS), List(&Free(&[]))),
];

const CHECKS: &str = "Wharf's health is that of its store alone";

const VALIDATION: &[Key] = &[
    Key("enabled", Read, Flag),
    Key("disabled", Read, Flag),
    Key(
        "manifests",
        Read,
        Section(&[
            // Refused where the section is read, since `disabled` makes it moot.
            Key("urls", Read, Section(&[Key("allow", Read, List(&Text)), Key("deny", Read, List(&Text))])),
            Key(
                "indexes",
                Read,
                Section(&[
                    Key("platforms", Read, Text),
                    Key(
                        "platformlist",
                        Unsupported("Wharf checks all manifests of an index or none, and no list of platforms"),
                        List(&Free(&[])),
                    ),
                ]),
            ),
        ]),
    ),
];

const NOTIFICATIONS: &[Key] = &[
    Key("endpoints", Unsupported("Wharf sends no notifications"), List(&Free(&[]))),
    Key("events", Unsupported("Wharf sends no notifications"), Free(&[])),
];

const PROXY: &[Key] = &[
    Key("remoteurl", Refused("Wharf is no pull-through cache: without this section it is a registry of its own"), Text),
    unsupported("username", NO_PROXY),
    unsupported("password", NO_PROXY),
    unsupported("exec", NO_PROXY),
    unsupported("ttl", NO_PROXY),
    unsupported("cachewritetimeout", NO_PROXY),
];

const NO_PROXY: &str = "Wharf is no pull-through cache";

const POLICY: &[Key] = &[Key(
    "repository",
    Read,
    Section(&[Key(
        "classes",
        Refused("Wharf refuses no class of content: everybody could push what the list keeps out"),
        List(&Text),
    )]),
)];

/// A component: what it may touch and use up. Those who read it refuse what they do not know.
const COMPONENT: &[Key] = &[
    Key("component", Read, Text),
    Key("sha256", Read, Text),
    Key(
        "allow",
        Read,
        Section(&[
            Key("http", Read, List(&Free(&[]))),
            Key(
                "directories",
                Read,
                List(&Section(&[Key("host", Read, Text), Key("guest", Read, Text), Key("write", Read, Flag)])),
            ),
            Key("environment", Read, List(&Text)),
            Key("redirect", Read, List(&Free(&[]))),
        ]),
    ),
    Key("http", Read, Free(&["client_certificate", "client_key"])),
    Key("limits", Read, Free(&["stream_idle", "cpu_share"])),
];

const TOP: &[Key] = &[
    Key("version", Read, Text),
    Key("log", Read, Section(LOG)),
    Key("loglevel", Read, Text),
    Key("storage", Read, Named { keys: STORAGE, other: &Free(UNDERSCORED), bare: true }),
    Key("auth", Read, Named { keys: AUTH, other: &Free(UNDERSCORED), bare: true }),
    Key("middleware", Read, Section(MIDDLEWARE)),
    Key("http", Read, Section(HTTP)),
    Key("notifications", Read, Section(NOTIFICATIONS)),
    unsupported("redis", "Wharf keeps no cache in Redis"),
    Key("health", Read, Section(HEALTH)),
    Key("catalog", Read, Section(&[Key("maxentries", Read, Other)])),
    Key("tags", Read, Section(&[Key("maxtags", Read, Other)])),
    Key("proxy", Read, Section(PROXY)),
    Key("validation", Read, Section(VALIDATION)),
    Key("policy", Read, Section(POLICY)),
    unsupported("compatibility", "Wharf takes and makes no manifests of schema 1"),
    unsupported("reporting", "Wharf reports to nobody but its log"),
    // Of GitLab's registry, whose stores are Distribution's unless it keeps what is in them in a database.
    Key("database", Refused("Wharf keeps no database, and would not see what is in this one alone"), Free(UNDERSCORED)),
    unsupported("gc", "Wharf collects no garbage"),
    Key(
        "limits",
        Read,
        Section(&[
            Key("buffers", Read, Other),
            Key("client_share", Read, Other),
            Key("downloads", Read, Other),
            Key("min_rate", Read, Other),
            Key("min_rate_grace", Read, Other),
            Key("upload_idle", Read, Other),
        ]),
    ),
    Key("drivers", Read, Named { keys: &[Key("directory", Read, Text)], other: &Section(COMPONENT), bare: false }),
];

/// What the names of extension keys begin with: sections of the first level that hold whatever somebody likes, such as
/// anchors, and that nobody reads.
pub(super) const EXTENSION: &str = "x-";

/// The whole configuration.
pub(super) static CONFIGURATION: Shape = Section(TOP);

/// What stands beside the driver in `storage:`.
pub(super) fn reserved() -> impl Iterator<Item = &'static str> {
    STORAGE.iter().map(|Key(name, ..)| *name)
}

impl Shape {
    /// Returns the keys that are known to stand here.
    pub(super) fn keys(&self) -> &'static [Key] {
        match self {
            Section(keys) | Named { keys, .. } => keys,
            _ => &[],
        }
    }

    /// Returns what stands at a key here, if such a key may be.
    pub(super) fn at(&self, key: &str) -> Option<&'static Shape> {
        static FREE: Shape = Free(UNDERSCORED);
        if let Some(Key(_, _, shape)) = self.keys().iter().find(|Key(name, ..)| *name == key) {
            return Some(shape);
        }
        match self {
            Named { other, .. } | Map(other) => Some(other),
            Free(_) => Some(&FREE),
            _ => None,
        }
    }

    /// Returns the known names here that have a `_`, and all others that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let underscored: &[&str] = if let Free(names) = self { names } else { &[] };
        self.keys().iter().map(|Key(name, ..)| *name).chain(underscored.iter().copied())
    }
}
