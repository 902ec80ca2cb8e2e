//! Configurations as others write them, and what becomes of each key.
#![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use wharf::registry::TrustedProxies;

use super::auth::{Htpasswd, Token};
use super::http::Debugging;
use super::schema::{CONFIGURATION, Fate, Key, Shape};
use super::serve::Limits;
use super::tls::ClientCertificates;
use super::*;

/// Reads a configuration as `wharf serve` does.
fn serve(text: &str, variables: &[(&str, &str)]) -> Result<(ServeConfig, Vec<Notice>)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yml");
    std::fs::write(&file, text).unwrap();
    for_serve(Some(&file), &variables.iter().copied().collect())
}

fn for_serve(file: Option<&Path>, environment: &Environment) -> Result<(ServeConfig, Vec<Notice>)> {
    Config::for_serve(file, environment, CommandLine { given: &Given::default(), drivers: None })
}

/// Reads what should be valid and say nothing that does nothing.
fn quiet(text: &str, variables: &[(&str, &str)]) -> ServeConfig {
    let (config, notices) = serve(text, variables).unwrap();
    assert_eq!(notices, []);
    config
}

fn error(text: &str, variables: &[(&str, &str)]) -> String {
    let error = format!("{:#}", serve(text, variables).unwrap_err());
    assert!(!error.contains("hunter2"), "{error}");
    error
}

/// The keys of notices, in order; those that are needless in brackets.
fn keys(notices: &[Notice]) -> Vec<String> {
    let key = |notice: &Notice| match notice.weight {
        Weight::Missing => notice.key.clone(),
        Weight::Needless => format!("({})", notice.key),
    };
    notices.iter().map(key).collect()
}

/// A valid configuration without anything, to add to.
const LEAST: &str = "version: 0.1\nstorage: inmemory\n";

#[test]
fn without_file_and_variables_it_is_a_directory_on_the_loopback_address() {
    let (config, notices) = for_serve(None, &Environment::default()).unwrap();
    assert_eq!(notices, []);
    assert_eq!(config.http.listen, Listen::Tcp(TcpAddress { host: Some("127.0.0.1".into()), port: 5000 }));
    assert_eq!(config.storage.driver, "filesystem");
    assert_eq!(config.config.storage["filesystem"], json!({ "rootdirectory": "./wharf-data" }));
    assert!(!config.storage.delete && config.storage.redirect && !config.storage.read_only);
    assert_eq!(config.storage.purging, Some(UploadPurging::default()));
    assert_eq!((config.auth, config.http.tls, config.http.debug, config.health), (None, None, None, None));
    assert_eq!((&*config.http.prefix, config.http.secret), ("/", None));
    assert_eq!((config.catalog_limit.get(), config.tags_limit.get(), config.verify_index), (1000, 1000, true));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.log, Log { access: true, ..Log::default() });
}

#[test]
fn debians_configuration_is_read() {
    let (config, notices) = serve(include_str!("testdata/debian.yml"), &[]).unwrap();
    assert_eq!(keys(&notices), ["(storage.cache)"]);
    assert_eq!(config.storage.driver, "filesystem");
    assert_eq!(config.config.storage["filesystem"], json!({ "rootdirectory": "/srv/images" }));
    assert!(config.storage.delete);
    assert_eq!(config.http.listen, Listen::Tcp(TcpAddress { host: None, port: 5000 }));
    assert_eq!(config.http.headers["X-Content-Type-Options"], ["nosniff"]);
    let htpasswd = Htpasswd { realm: "images".into(), path: "/etc/images/htpasswd".into() };
    assert_eq!(config.auth, Some(Auth::Htpasswd(htpasswd)));
    let health = StorageHealth { interval: Duration::from_secs(15), threshold: 4.try_into().unwrap() };
    assert_eq!(config.health, Some(health));
}

#[test]
fn every_documented_key_is_heeded_or_named() {
    let (config, notices) = serve(include_str!("testdata/documented.yml"), &[]).unwrap();
    let mut named = keys(&notices);
    named.sort_unstable();
    let expected = [
        "(storage.cache)",
        "(storage.tag)",
        "compatibility",
        "health.file",
        "health.http",
        "health.tcp",
        "http.tls.ciphersuites",
        "log.reportcaller",
        "notifications.endpoints",
        "notifications.events",
        "redis",
        "reporting",
        "validation.manifests.indexes.platformlist",
        "validation.manifests.indexes.platforms",
    ];
    assert_eq!(named, expected);
    let fields = json!({ "service": "images", "environment": "test" }).as_object().unwrap().clone();
    let log = Log { level: Level::Debug, formatter: Formatter::Json, fields, access: false };
    assert_eq!(config.log, log);
    let purging =
        UploadPurging { age: Duration::from_secs(72 * 3600), interval: Duration::from_secs(90 * 60), dry_run: true };
    let storage =
        Storage { driver: "s3".into(), delete: true, redirect: false, read_only: true, purging: Some(purging) };
    assert_eq!(config.storage, storage);
    let token = Token {
        realm: "https://auth.example.com/token".into(),
        service: "images.example.com".into(),
        issuer: "auth.example.com".into(),
        rootcertbundle: Some("/etc/images/auth.pem".into()),
        jwks: Some("/etc/images/jwks.json".into()),
        autoredirect: true,
        autoredirectpath: "/token".into(),
        signingalgorithms: vec!["ES256".into(), "EdDSA".into()],
    };
    assert_eq!(config.auth, Some(Auth::Token(token)));
    assert_eq!(config.config.middleware.storage[0].name, "redirect");
    let http = Http {
        listen: Listen::Tcp(TcpAddress { host: Some("localhost".into()), port: 5443 }),
        prefix: "/nested/images/".into(),
        host: Some("https://images.example.com".into()),
        trusted_proxies: TrustedProxies::Everybody,
        relative_urls: true,
        drain_timeout: Duration::from_secs(90),
        secret: Some(wharf::base::Secret::new("hunter2")),
        headers: [
            ("X-Content-Type-Options".to_owned(), vec!["nosniff".to_owned()]),
            ("Strict-Transport-Security".to_owned(), vec!["max-age=63072000".to_owned(), "preload".to_owned()]),
        ]
        .into(),
        tls: Some(Tls {
            certificate: "/etc/images/server.pem".into(),
            key: "/etc/images/server.key".into(),
            minimum: MinimumTls::Tls13,
            clients: Some(ClientCertificates {
                authorities: vec!["/etc/images/ca.pem".into(), "/etc/images/other.pem".into()],
                auth: ClientAuth::Optional,
            }),
        }),
        debug: Some(Debugging {
            listen: TcpAddress { host: Some("localhost".into()), port: 5001 },
            metrics: Some("/numbers".into()),
        }),
        http2: false,
        h2c: true,
    };
    assert_eq!(config.http, http);
    let health = StorageHealth { interval: Duration::from_secs(10), threshold: 1.try_into().unwrap() };
    assert_eq!(config.health, Some(health));
    assert_eq!((config.catalog_limit.get(), config.tags_limit.get(), config.verify_index), (500, 250, false));
    let shown = format!("{config:?} {notices:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn harbors_configuration_is_read() {
    let (config, notices) = serve(include_str!("testdata/harbor.yml"), &[]).unwrap();
    let mut named = keys(&notices);
    named.sort_unstable();
    assert_eq!(named, ["(storage.cache)", "compatibility", "redis"]);
    assert!(config.storage.delete && !config.storage.redirect && !config.verify_index);
    assert!(config.http.debug.is_some_and(|debug| debug.metrics.is_none()));
}

#[test]
fn gitlabs_configuration_is_read_and_its_own_keys_are_named() {
    let database = include_str!("testdata/gitlab.yml").replace("enabled: false\n  host", "enabled: true\n  host");
    assert!(error(&database, &[]).contains("`database`: Wharf keeps no database"));
    let (config, notices) = serve(include_str!("testdata/gitlab.yml"), &[]).unwrap();
    let mut named = keys(&notices);
    named.sort_unstable();
    assert_eq!(named, ["(storage.cache)"]);
    let gc = include_str!("testdata/gitlab.yml").replace("disabled: false", "interval: 1h");
    assert_eq!(keys(&serve(&gc, &[]).unwrap().1), ["gc", "(storage.cache)"]);
    assert!(
        matches!(config.auth, Some(Auth::Token(token)) if !token.autoredirect && token.autoredirectpath == "/auth/token")
    );
    assert_eq!(config.log.level, Level::Warn);
    assert_eq!(config.http.secret.unwrap().expose(), "0a1b2c3d4e5f");
}

#[test]
fn variables_alone_configure_a_registry_in_kubernetes() {
    let environment: Environment = [
        ("REGISTRY_STORAGE", "s3"),
        ("REGISTRY_STORAGE_S3_BUCKET", "images"),
        ("REGISTRY_STORAGE_S3_REGION", "eu-central-1"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
        ("REGISTRY_HTTP_ADDR", "0.0.0.0:5000"),
        ("REGISTRY_HTTP_SECRET", "00123"),
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "/auth/htpasswd"),
        ("REGISTRY_LOG_ACCESSLOG_DISABLED", "yes"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "true"),
        ("REGISTRY_LIMITS_UPLOAD_IDLE", "90s"),
        ("REGISTRY_LIMITS_BUFFERS", "64MiB"),
        ("REGISTRY_PORT", "tcp://10.3.2.1:5000"),
        ("REGISTRY_PORT_5000_TCP_PROTO", "tcp"),
        ("REGISTRY_SERVICE_PORT", "5000"),
    ]
    .into_iter()
    .collect();
    let (config, notices) = for_serve(None, &environment).unwrap();
    assert_eq!(keys(&notices), ["REGISTRY_PORT", "REGISTRY_PORT_5000_TCP_PROTO", "REGISTRY_SERVICE_PORT"]);
    assert_eq!((&*config.storage.driver, config.storage.delete), ("s3", true));
    assert_eq!(config.config.storage["s3"], json!({ "bucket": "images", "region": "eu-central-1" }));
    assert_eq!(config.http.listen, Listen::Tcp(TcpAddress { host: Some("0.0.0.0".into()), port: 5000 }));
    assert_eq!(config.http.secret.unwrap().expose(), "00123");
    assert!(matches!(config.auth, Some(Auth::Htpasswd(htpasswd)) if htpasswd.realm == "Registry"));
    assert!(!config.log.access && config.health.is_some());
    assert_eq!(config.limits.upload_idle, Duration::from_secs(90));
    assert_eq!(config.limits.buffers, bytesize::ByteSize::mib(64));
}

#[test]
fn variables_that_name_no_driver_leave_the_default_one() {
    let environment = [("REGISTRY_STORAGE_DELETE_ENABLED", "true")].into_iter().collect();
    let (config, _) = for_serve(None, &environment).unwrap();
    assert_eq!((&*config.storage.driver, config.storage.delete), ("filesystem", true));
    assert_eq!(config.config.storage["filesystem"], json!({ "rootdirectory": "./wharf-data" }));
    let environment = [("REGISTRY_STORAGE_INMEMORY", "")].into_iter().collect();
    assert_eq!(for_serve(None, &environment).unwrap().0.storage.driver, "inmemory");
}

#[test]
fn the_file_is_the_given_one_or_else_that_of_the_variable() {
    let directory = tempfile::tempdir().unwrap();
    let (given, named) = (directory.path().join("given.yml"), directory.path().join("named.yml"));
    std::fs::write(&given, "storage: {filesystem: {rootdirectory: /given}}").unwrap();
    std::fs::write(&named, "storage: {filesystem: {rootdirectory: /named}}").unwrap();
    let environment: Environment = [("REGISTRY_CONFIGURATION_PATH", named.as_os_str())].into_iter().collect();
    let root = |path| Config::read(path, &environment).unwrap().storage["filesystem"]["rootdirectory"].clone();
    assert_eq!(root(Some(&*given)), "/given");
    assert_eq!(root(None), "/named");
    std::fs::remove_file(&named).unwrap();
    let error = format!("{:#}", Config::read(None, &environment).unwrap_err());
    assert!(error.contains("named.yml, which REGISTRY_CONFIGURATION_PATH names"), "{error}");
}

#[test]
fn other_commands_need_neither_version_nor_driver_and_pass_over_the_registrys_sections() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yml");
    let text = "auth: {ldap: {}}\nhttp: 5\nproxy: {remoteurl: x}\nmiddleware:\n  registry:\n    - anything: 1\n  storage:\n    \
                - name: rewrite\n      disabled: true\n      options:\nstorage: {s3: {}, filesystem: {}}\n";
    std::fs::write(&file, text).unwrap();
    let config = Config::read(Some(&file), &Environment::default()).unwrap();
    assert!(config.middleware.storage[0].name == "rewrite" && config.middleware.storage[0].disabled);
    assert_eq!(config.driver(), None);
    for empty in ["", "middleware:\n", "middleware:\n  storage:\n", "drivers:\nstorage:\n"] {
        std::fs::write(&file, empty).unwrap();
        let config = Config::read(Some(&file), &Environment::default()).unwrap();
        assert!(config.middleware.storage.is_empty() && config.driver().is_none());
    }
    std::fs::write(&file, "storage: inmemory").unwrap();
    assert_eq!(Config::read(Some(&file), &Environment::default()).unwrap().driver(), Some("inmemory"));
}

#[test]
fn a_file_must_have_version_0_1() {
    for text in
        ["storage: inmemory", "version:\nstorage: inmemory", "", "version: 0.2\nstorage: inmemory", "version: 1"]
    {
        assert!(error(text, &[]).contains("`version: 0.1`"), "{text}");
    }
    quiet("version: '0.1'\nstorage: inmemory", &[]);
}

#[test]
fn exactly_one_driver_must_be_named() {
    let several = error("version: 0.1\nstorage: {s3: , filesystem: {}, delete: {}}", &[]);
    assert!(several.contains("must provide exactly one storage type. Provided: [filesystem s3]"), "{several}");
    for text in ["version: 0.1", "version: 0.1\nstorage:", "version: 0.1\nstorage: {delete: {enabled: true}}"] {
        assert!(error(text, &[]).contains("no storage configuration provided"), "{text}");
    }
    assert!(error("version: 0.1\nstorage: [s3]", &[]).contains("`storage`: is neither"));
}

#[test]
fn what_would_be_insecure_to_pass_over_is_refused_and_named() {
    for (key, text) in [
        ("auth.silly", "auth: {silly: {realm: r, service: s}}"),
        ("auth.ldap", "auth: {ldap: {url: hunter2}}"),
        ("auth.ldap", "auth: ldap"),
        ("auth", "auth: {htpasswd: {realm: r, path: p}, token: {realm: r}}"),
        ("auth.htpasswd.realm", "auth: htpasswd"),
        ("auth.htpasswd.path", "auth: {htpasswd: {realm: hunter2}}"),
        ("auth.token", "auth: {token: {realm: r, service: s, issuer: i}}"),
        (
            "auth.token.signingalgorithms",
            "auth: {token: {realm: r, service: s, issuer: i, jwks: j, signingalgorithms: [none]}}",
        ),
        ("auth", "auth: [htpasswd]"),
        ("http.tls.letsencrypt", "http: {tls: {letsencrypt: {cachefile: /c, hosts: [example.com]}}}"),
        ("http.tls.certificate", "http: {tls: {key: k}}"),
        ("http.tls.certificate", "http: {tls: {clientcas: [c]}}"),
        ("http.tls.certificate", "http: {tls: {clientauth: require-and-verify-client-cert}}"),
        ("http.tls.key", "http: {tls: {certificate: c}}"),
        ("http.tls.clientcas", "http: {tls: {certificate: c, key: k, clientauth: verify-client-cert-if-given}}"),
        (
            "http.tls.clientauth",
            "http: {tls: {certificate: c, key: k, clientcas: [c], clientauth: require-any-client-cert}}",
        ),
        ("http.tls.clientauth", "http: {tls: {certificate: c, key: k, clientcas: [c], clientauth: never}}"),
        // What an empty variable of a template leaves.
        ("http.tls", "http: {tls: }"),
        ("http.tls.certificate", "http: {tls: {certificate: '', key: ''}}"),
        ("http.tls.clientcas", "http: {tls: {certificate: c, key: k, clientcas: []}}"),
        ("http.tls.clientcas", "http: {TLS: {certificate: c, key: k, clientcas: }}"),
        ("http.tls.clientauth", "http: {tls: {certificate: c, key: k, clientcas: [c], clientauth: ''}}"),
        ("http.trustedproxies", "http: {trustedproxies: }"),
        ("http.trustedproxies", "http: {trustedproxies: ''}"),
        ("drivers.archiv", "drivers: {archiv: {limits: {memory: 64MiB}}}"),
        ("drivers.inmemory", "drivers: {inmemory: {limits: {memory: 64MiB}}}"),
        ("drivers.inmemory", "drivers: {inmemory: {component: ./a.wasm}}"),
        ("proxy.remoteurl", "proxy: {remoteurl: https://hunter2.example.com}"),
        ("validation.manifests.urls.deny", "validation: {manifests: {urls: {deny: [hunter2]}}}"),
        ("validation.manifests.urls.allow", "validation: {manifests: {urls: {allow: [hunter2]}}}"),
        ("policy.repository.classes", "policy: {repository: {classes: [image]}}"),
    ] {
        let error = error(&format!("{LEAST}{text}"), &[]);
        assert!(error.contains(&format!("`{key}`")), "{key}: {error}");
    }
}

#[test]
fn all_that_is_refused_is_named_at_once_with_the_variables_that_set_it() {
    let variables = [("REGISTRY_PROXY_REMOTEURL", "https://hunter2.example.com")];
    let error = error(&format!("{LEAST}policy: {{repository: {{classes: [image]}}}}"), &variables);
    assert!(error.contains("`proxy.remoteurl` (set by REGISTRY_PROXY_REMOTEURL)"), "{error}");
    assert!(error.contains("`policy.repository.classes`:"), "{error}");
}

#[test]
fn clients_without_a_certificate_are_let_in_only_where_that_is_asked_for() {
    let clients = |text: &str| {
        let text = format!("{LEAST}http: {{tls: {{certificate: c, key: k, {text}}}}}");
        let (config, notices) = serve(&text, &[]).unwrap();
        (config.http.tls.unwrap().clients, keys(&notices))
    };
    let of = |auth| Some(ClientCertificates { authorities: vec![PathBuf::from("a")], auth });
    assert_eq!(clients(""), (None, vec![]));
    assert_eq!(clients("clientcas: [a]"), (of(ClientAuth::Required), vec![]));
    assert_eq!(clients("clientcas: [a], clientauth: verify-client-cert-if-given"), (of(ClientAuth::Optional), vec![]));
    let asked = "clientcas: [a], clientauth: request-client-cert";
    assert_eq!(clients(asked), (None, vec!["http.tls.clientauth".to_owned()]));
    assert_eq!(clients("minimumtls: tls1.0"), (None, vec!["http.tls.minimumtls".to_owned()]));
}

#[test]
fn what_is_switched_off_is_not_named() {
    let text = "notifications: {endpoints: [{name: a, url: b, disabled: true}]}\nredis: {}\n\
                log: {hooks: [], reportcaller: false}\nhttp: {tls: {letsencrypt: {cachefile: ''}}, h2c: {enabled: false}}\n\
                proxy: {remoteurl: ''}\ncompatibility: {schema1: {enabled: false, signingkeyfile: k}}\nauth: none\n\
                validation: {disabled: true, manifests: {urls: {deny: [x]}}}\nhealth: {file: []}\n";
    let config = quiet(&format!("{LEAST}{text}"), &[]);
    assert_eq!((config.auth, config.verify_index), (None, false));
}

#[test]
fn a_misspelt_key_is_refused_with_its_line_and_the_nearest_known() {
    for (text, line, key, meant) in [
        // Each of these was passed over with a warning, and left the registry open, writable or elsewhere.
        ("auht: {htpasswd: {realm: r, path: p}}", 3, "auht", "did you mean `auth`?"),
        ("auth:\n  htpaswd:\n    realm: r", 4, "auth.htpaswd", "did you mean `htpasswd`?"),
        (
            "auth:\n  htpasswd:\n    realm: r\n    path: p\n    pathh: q",
            7,
            "auth.htpasswd.pathh",
            "did you mean `path`?",
        ),
        ("http:\n  adr: :80", 4, "http.adr", "did you mean `addr`?"),
        (
            "http: {\n  tls: {\n    certificate: c, key: k, clientca: [a] }}",
            5,
            "http.tls.clientca",
            "did you mean `clientcas`?",
        ),
        ("addr: :80", 3, "addr", "`addr` belongs under `http` or `http.debug`"),
        ("readonly: {enabled: true}", 3, "readonly", "`readonly` belongs under `storage.maintenance`"),
        ("rootcertbundle: p", 3, "rootcertbundle", "`rootcertbundle` belongs under `auth.token`"),
        (
            "middleware:\n  storage:\n    - name: redirect\n      option: {}",
            6,
            "middleware.storage.0.option",
            "`options`",
        ),
        (
            "middleware:\n  storage:\n    - name: redirect\n      options:\n        baseurl: https://h\n        basurl: https://h",
            8,
            "middleware.storage.0.options.basurl",
            "expected `baseurl`",
        ),
        ("middleware: {storage: [{name: redirekt}]}", 3, "middleware.storage.0.name", "registered with name: redirekt"),
        ("drivers:\n  archive:\n    alow: {}", 5, "drivers.archive.alow", "did you mean `allow`?"),
        ("drivers: {archive: {allow: {htp: [x]}}}", 3, "drivers.archive.allow.htp", "did you mean `http`?"),
        (
            "drivers:\n  archive:\n    allow:\n      directories:\n        - {host: /a, guest: /b}\n        - {host: /a, guest: /b,\n           wirte: true}",
            9,
            "drivers.archive.allow.directories.1.wirte",
            "did you mean `write`?",
        ),
        (
            "drivers:\n  archive:\n    limits:\n      memroy: 1MiB",
            6,
            "drivers.archive.limits.memroy",
            "did you mean `memory`?",
        ),
        ("drivers: {archive: {http: {proxi: x}}}", 3, "drivers.archive.http.proxi", "did you mean `proxy`?"),
        ("limits: {bufers: 1MiB}", 3, "limits.bufers", "did you mean `buffers`?"),
        ("health:\n  storagedriver: {enabeld: true}", 4, "health.storagedriver.enabeld", "did you mean `enabled`?"),
        ("log: {accesslog: {disable: true}}", 3, "log.accesslog.disable", "did you mean `disabled`?"),
        ("validation: {manifests: {urls: {dney: [x]}}}", 3, "validation.manifests.urls.dney", "did you mean `deny`?"),
        ("x_anchors: {}", 3, "x_anchors", "known there: `version`"),
        ("http: {x-mine: 1}", 3, "http.x-mine", "known there: `addr`"),
    ] {
        let error = error(&format!("{LEAST}{text}"), &[]);
        assert!(error.contains(&format!("line {line}: `{key}`: ")) && error.contains(meant), "{key}: {error}");
    }
}

#[test]
fn a_misspelt_key_beside_a_driver_is_told_from_a_second_driver() {
    for (text, key, meant) in [
        ("storage:\n  inmemory:\n  maintainance: {readonly: {enabled: true}}", "storage.maintainance", "`maintenance`"),
        ("storage:\n  inmemory:\n  deleet: {enabled: true}", "storage.deleet", "`delete`"),
        (
            "storage:\n  inmemory:\n  maintenance: {readony: {enabled: true}}",
            "storage.maintenance.readony",
            "`readonly`",
        ),
        ("storage:\n  delete: {enabled: true}\n  inmemry:", "storage.inmemry", "`inmemory`"),
        (
            "storage:\n  delete: {enabled: true}\n  filesystem: {rootdirectry: /a}",
            "storage.filesystem.rootdirectry",
            "`rootdirectory`",
        ),
        ("storage: {\n  s3: {bucket: b,\n region: eu-central-1, regoin: x}}", "storage.s3.regoin", "`region`"),
    ] {
        let error = error(&format!("version: 0.1\n{text}"), &[]);
        assert!(error.contains(&format!("line 4: `{key}`: ")), "{key}: {error}");
        assert!(error.contains(&format!("did you mean {meant}?")), "{key}: {error}");
    }
}

#[test]
fn all_that_is_wrong_is_said_in_one_reading_in_the_order_of_the_file() {
    let text = "version: 0.1\nlog: {level: loud}\nauht: {}\nhttp:\n  addr: nowhere\n  draintimeout: soon\n  prefix: /a b/\n  \
                tls: {key: k, minimumtls: ssl3}\n  debug: {addr: here, prometheus: {enabled: 3}}\nauth:\n  htpasswd: {}\n\
                storage:\n  s3: {bukcet: b, secure: perhaps, chunksize: 1}\n  delete: {enabled: perhaps}\n\
                limits: {buffers: 0, upload_idle: never}\nproxy: {remoteurl: hunter2}\ncatalog: {maxentries: hunter2}\n\
                http: {addr: hunter2}\n";
    let error = error(text, &[("REGISTRY_HTTP_DEBUG_ADR", "hunter2"), ("REGISTRY_TAGS_MAXTAGS", "hunter2")]);
    let lines: Vec<&str> = error.lines().skip(1).map(|line| line.trim().split("`: ").next().unwrap()).collect();
    let expected = [
        "line 2: `log.level",
        "line 3: `auht",
        "line 5: `http.addr",
        "line 6: `http.draintimeout",
        "line 7: `http.prefix",
        "line 8: `http.tls.certificate",
        "line 8: `http.tls.minimumtls",
        "line 9: `http.debug.prometheus.enabled",
        "line 9: `http.debug.addr",
        "line 11: `auth.htpasswd.realm",
        "line 11: `auth.htpasswd.path",
        "line 13: `storage.s3.bukcet",
        "line 13: `storage.s3.secure",
        "line 13: `storage.s3.bucket",
        "line 13: `storage.s3.chunksize",
        "line 13: `storage.s3.region",
        "line 14: `storage.delete.enabled",
        "line 15: `limits.upload_idle",
        "line 15: `limits.buffers",
        "line 16: `proxy.remoteurl",
        "line 17: `catalog.maxentries",
        "line 18: `http",
        "`REGISTRY_HTTP_DEBUG_ADR",
    ];
    let (last, found) = lines.split_last().unwrap();
    assert_eq!(found, expected, "{error}");
    assert!(error.lines().last().unwrap().contains("`tags.maxtags` (set by REGISTRY_TAGS_MAXTAGS)"), "{last}: {error}");
}

#[test]
fn a_key_that_stands_twice_is_refused_with_both_lines() {
    for text in ["http:\n  secret: hunter2\n  secret: hunter2\n", "http: {secret: a,\n 'secret': hunter2}"] {
        let error = error(&format!("{LEAST}{text}"), &[]);
        assert!(error.contains("`http.secret`: stands twice, on the lines "), "{error}");
    }
}

#[test]
fn an_extension_key_of_the_first_level_holds_what_somebody_likes() {
    let text =
        "x-common: &common {realm: r, anything: [1, {two: 3}]}\nhttp: {addr: &addr ':80', debug: {addr: *addr}}\n";
    quiet(&format!("{LEAST}{text}"), &[]);
    let text = "x-auth: &auth {realm: r, path: p}\nauth: {htpasswd: {<<: *auth, path: q}}\n";
    let config = quiet(&format!("{LEAST}{text}"), &[]);
    assert_eq!(config.auth, Some(Auth::Htpasswd(Htpasswd { realm: "r".into(), path: "q".into() })));
}

#[test]
fn a_section_that_was_begun_and_names_no_scheme_lets_nobody_in() {
    for text in ["auth:\n#  htpasswd: {}\n", "auth: {}", "auth: ''"] {
        assert!(error(&format!("{LEAST}{text}"), &[]).contains("line 3: `auth`: names no scheme"), "{text}");
    }
    assert!(error(LEAST, &[("REGISTRY_AUTH", "")]).contains("`auth` (set by REGISTRY_AUTH): names no scheme"));
    assert_eq!(quiet(&format!("{LEAST}auth: none"), &[]).auth, None);
}

#[test]
fn a_number_where_a_text_is_meant_is_the_text_as_it_was_written() {
    let digits = "123456789012345678901234567890";
    for text in ["12345678", "0012345678", "1e5", "1.50", "0x1F", "true", digits] {
        let storage = format!("{{s3: {{bucket: b, region: eu-central-1, accesskey: {text}, secretkey: {text}}}}}");
        let written = quiet(&format!("version: 0.1\nhttp: {{secret: {text}}}\nstorage: {storage}"), &[]);
        let variables = [
            ("REGISTRY_STORAGE_S3_ACCESSKEY", text),
            ("REGISTRY_STORAGE_S3_SECRETKEY", text),
            ("REGISTRY_HTTP_SECRET", text),
        ];
        let plain = "version: 0.1\nstorage: {s3: {bucket: b, region: eu-central-1}}";
        for config in [written, quiet(plain, &variables)] {
            assert_eq!(config.http.secret.as_ref().unwrap().expose(), text);
            let parameters = Given::default().of("s3", &config.config).unwrap();
            let s3: wharf::drivers::s3::S3Config = wharf::factory::Parameters::from(parameters).parse().unwrap();
            assert_eq!((&*s3.accesskey, s3.secretkey.expose()), (text, text));
        }
    }
}

#[test]
fn a_component_may_be_configured_or_lie_in_the_directory_of_drivers() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("archive.wasm"), "never read").unwrap();
    let config = |drivers: &str| format!("version: 0.1\nstorage: {{archive: {{anything: 1}}}}\ndrivers: {drivers}");
    quiet(&config(&format!("{{directory: {:?}}}", directory.path())), &[]);
    quiet(&config("{archive: {component: ./a.wasm, allow: {environment: [REGION]}, limits: {memory: 1MiB}}}"), &[]);
    let none = error(&config("{archive: }"), &[]);
    assert!(none.contains("`drivers.archive`: there is no component of that name"), "{none}");
    assert!(
        error(&config("{archiv: }"), &[]).contains("`storage.archive`: there is no driver of that name; did you mean")
    );
}

#[test]
fn numbers_without_a_unit_are_nanoseconds_and_said_to_be_except_where_they_would_purge_what_is_uploaded() {
    let text = format!(
        "{LEAST}http: {{draintimeout: 1500000000}}\nhealth: {{storagedriver: {{enabled: true, interval: 5000000000}}}}"
    );
    let (config, notices) = serve(&text, &[("REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL", "10")]).unwrap();
    assert_eq!(config.http.drain_timeout, Duration::from_millis(1500));
    assert_eq!(config.health.unwrap().interval, Duration::from_millis(100), "no store is asked at every moment");
    assert_eq!(keys(&notices), ["http.draintimeout", "health.storagedriver.interval"]);
    let said: Vec<&str> = notices.iter().map(|notice| &*notice.sentence).collect();
    assert!(said[0].contains("has no unit, and is taken as 1500000000 nanoseconds (1.5s)"), "{said:?}");
    assert!(said[1].contains("has no unit, and is taken as 10 nanoseconds, as in Distribution; write"), "{said:?}");
    let config = quiet(&text.replace("1500000000", "1500ms").replace("5000000000", "5s"), &[]);
    assert_eq!(config.health.unwrap().interval, Duration::from_secs(5));
    assert_eq!(quiet(&format!("{LEAST}http: {{draintimeout: 0}}"), &[]).http.drain_timeout, Duration::ZERO);
    for (key, value) in [("age", "168"), ("interval", "24"), ("interval", "0s")] {
        let text = format!("version: 0.1\nstorage: {{inmemory: , maintenance: {{uploadpurging: {{{key}: {value}}}}}}}");
        let error = error(&text, &[]);
        assert!(error.contains(&format!("`storage.maintenance.uploadpurging.{key}`")), "{error}");
    }
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let config = quiet(&format!("\u{feff}{LEAST}http: {{relativeurls: true}}\n"), &[]);
    assert!(config.http.relative_urls);
    assert!(error(&format!("\u{feff}{LEAST}auht: x\n"), &[]).contains("line 3: `auht`"));
}

#[test]
fn purging_is_on_unless_it_is_switched_off() {
    let purging =
        |text: &str| quiet(&format!("version: 0.1\nstorage: {{inmemory: , maintenance: {text}}}"), &[]).storage.purging;
    assert_eq!(purging("{}"), Some(UploadPurging::default()));
    assert_eq!(purging("{uploadpurging: {enabled: false}}"), None);
    let day = Duration::from_secs(24 * 3600);
    let expected = UploadPurging { age: day, interval: day, dry_run: false };
    assert_eq!(purging("{uploadpurging: {enabled: true, age: 24h}}"), Some(expected));
}

#[test]
fn addresses_prefixes_hosts_and_headers_that_cannot_be_are_refused() {
    for (key, text) in [
        ("http.addr", "{addr: '5000'}"),
        ("http.addr", "{net: unix}"),
        ("http.net", "{net: udp}"),
        ("http.debug.addr", "{debug: {addr: here}}"),
        ("http.debug.prometheus.path", "{debug: {addr: ':1', prometheus: {enabled: true, path: metrics}}}"),
        ("http.prefix", "{prefix: /a b/}"),
        ("http.prefix", "{prefix: /a/../b/}"),
        ("http.prefix", "{prefix: '/a/{b}/'}"),
        ("http.host", "{host: 'registry.example.com:5000'}"),
        ("http.host", "{host: 'ftp://example.com'}"),
        ("http.host", "{host: 'https://'}"),
        ("http.host", "{host: 'https:///v2'}"),
        ("http.headers.X A", "{headers: {X A: [b]}}"),
        ("http.headers.X-A", r#"{headers: {X-A: ["b\r\nSet-Cookie: hunter2"]}}"#),
        ("http.headers.X-A", "{headers: {X-A: hunter2}}"),
        ("http.tls.minimumtls", "{tls: {minimumtls: ssl3}}"),
        ("log.level", "{}\nlog: {level: loud}"),
        ("loglevel", "{}\nloglevel: loud"),
        ("log.formatter", "{}\nlog: {formatter: xml}"),
        ("tags.maxtags", "{}\ntags: {maxtags: -1}"),
        ("limits.buffers", "{}\nlimits: {buffers: 0}"),
        ("limits.upload_idle", "{}\nlimits: {upload_idle: 0s}"),
        ("limits.min_rate_grace", "{}\nlimits: {min_rate_grace: 0s}"),
        ("limits.client_share", "{}\nlimits: {client_share: 101}"),
        ("limits.client_share", "{}\nlimits: {client_share: 0}"),
        ("validation.manifests.indexes.platforms", "{}\nvalidation: {manifests: {indexes: {platforms: some}}}"),
    ] {
        let error = error(&format!("{LEAST}http: {text}"), &[]);
        assert!(error.contains(&format!("`{key}`")), "{key}: {error}");
    }
}

#[test]
fn proxies_are_trusted_by_network_address_or_socket() {
    let trusted = |text: &str| quiet(&format!("{LEAST}http: {{trustedproxies: {text}}}"), &[]).http.trusted_proxies;
    let network = |address: &str, bits| (address.parse().unwrap(), bits);
    let networks = vec![network("10.0.0.0", 8), network("192.0.2.1", 32), network("fd00::", 8)];
    assert_eq!(
        trusted("[10.0.0.0/8, 192.0.2.1, 'fd00::/8', unix]"),
        TrustedProxies::Networks { networks, local: true }
    );
    assert_eq!(trusted("[]"), TrustedProxies::Networks { networks: vec![], local: false });
    assert_eq!(quiet(LEAST, &[]).http.trusted_proxies, TrustedProxies::Everybody);
    for text in ["[10.0.0.0/33]", "[proxy.example.com]", "[10.0.0]", "[10.0.0.0/-1]", "['']", "all"] {
        let error = error(&format!("{LEAST}http: {{trustedproxies: {text}}}"), &[]);
        assert!(error.contains("line 3: `http.trustedproxies`: "), "{text}: {error}");
    }
}

#[test]
fn a_socket_in_the_filesystem_can_be_listened_at() {
    let config = quiet(&format!("{LEAST}http: {{net: unix, addr: /run/wharf.sock}}"), &[]);
    assert_eq!(config.http.listen, Listen::Unix("/run/wharf.sock".into()));
}

#[test]
fn the_older_level_of_the_log_counts_where_there_is_no_newer_one() {
    assert_eq!(quiet(&format!("{LEAST}loglevel: ERROR"), &[]).log.level, Level::Error);
    assert_eq!(quiet(&format!("{LEAST}loglevel: error\nlog: {{level: debug}}"), &[]).log.level, Level::Debug);
}

#[test]
fn a_page_that_is_not_positive_is_the_default() {
    for (entries, expected) in [("-1", 1000), ("0", 1000), ("7", 7)] {
        let config = quiet(&format!("{LEAST}catalog: {{maxentries: {entries}}}"), &[]);
        assert_eq!(config.catalog_limit.get(), expected);
    }
}

#[test]
fn an_error_in_what_a_variable_set_names_it_and_shows_no_value() {
    let text = "version: 0.1\nstorage: {s3: {bucket: b, region: eu-central-1}}";
    let error = error(text, &[("REGISTRY_STORAGE_S3_CHUNKSIZE", "hunter2"), ("REGISTRY_STORAGE_S3_REGOIN", "hunter2")]);
    assert!(error.contains("`storage.s3.chunksize` (set by REGISTRY_STORAGE_S3_CHUNKSIZE): "), "{error}");
    assert!(error.contains("`storage.s3.regoin` (set by REGISTRY_STORAGE_S3_REGOIN): "), "{error}");
}

#[test]
fn an_error_in_what_a_variable_replaced_has_no_line() {
    let error = error(LEAST, &[("REGISTRY_HTTP_DRAINTIMEOUT", "hunter2"), ("REGISTRY_HTTP_NET", "tcp")]);
    assert!(error.contains("`http.draintimeout` (set by REGISTRY_HTTP_DRAINTIMEOUT):"), "{error}");
}

/// Returns the path of each key that is read.
fn read(shape: &'static Shape, path: &mut Vec<&'static str>, found: &mut Vec<Vec<&'static str>>) {
    let shape = if let Shape::List(element @ Shape::Section(_)) = shape { element } else { shape };
    if shape.keys().is_empty() && !matches!(shape, Shape::Free(_)) {
        found.push(path.clone());
    }
    for Key(name, fate, shape) in shape.keys() {
        if matches!(fate, Fate::Read) {
            path.push(name);
            read(shape, path, found);
            path.pop();
        }
    }
}

/// A key that the table calls read, and that nothing reads, would be passed over without a word.
#[test]
fn every_key_that_the_table_calls_read_has_a_reader_that_refuses_a_wrong_type() {
    let mut found = Vec::new();
    read(&CONFIGURATION, &mut Vec::new(), &mut found);
    // What components have is read in the factory, and tested there.
    found.retain(|path| path != &["version"] && path[0] != "drivers");
    assert!(found.len() > 50, "{}", found.len());
    for path in found {
        let key = path.join(".");
        let mut value = json!({ "below": { "it": 1 } });
        for name in path.iter().rev() {
            value = if key.starts_with("middleware.storage.") && *name == "storage" {
                json!({ "storage": [value] })
            } else {
                json!({ *name: value })
            };
        }
        value["version"] = json!(0.1);
        if path[0] == "storage" {
            value["storage"]["inmemory"] = json!({});
        } else {
            value["storage"] = json!("inmemory");
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yml");
        std::fs::write(&file, value.to_string()).unwrap();
        // The table's own checks take out what it does not know: here is asked whether somebody reads the key.
        let mut report = Report::default();
        let document = Document::without_checks(Some(&file), &Environment::default(), &mut report).unwrap();
        ServeConfig::from_document(&document, &mut report);
        let is_read = |refusal: &Refusal| refusal.key == key || refusal.key == format!("{key}.below");
        let is_index = |refusal: &Refusal| refusal.key.replace(".storage.0", ".storage") == key;
        assert!(report.refusals.iter().any(|refusal| is_read(refusal) || is_index(refusal)), "{key}: {report:?}");
    }
}
