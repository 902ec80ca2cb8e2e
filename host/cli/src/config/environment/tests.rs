#![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
use proptest::prelude::*;
use serde_json::json;

use super::super::normal::normalize;
use super::super::schema::Key;
use super::*;

/// Reads a YAML text as a file is read.
fn parse(text: &str) -> Value {
    match Yaml::parse(text).unwrap().value(&CONFIGURATION).unwrap() {
        Value::Null => json!({}),
        tree => tree,
    }
}

/// Applies variables to a YAML text.
fn applied(text: &str, variables: &[(&str, &str)]) -> (Value, Report) {
    let (mut tree, mut report) = (parse(text), Report::default());
    environment(variables).apply(&mut tree, &mut report);
    (tree, report)
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

/// Applies variables that all name keys.
fn tree(text: &str, variables: &[(&str, &str)]) -> Value {
    let (tree, report) = applied(text, variables);
    assert_eq!((report.refusals, report.notices), (vec![], vec![]));
    tree
}

fn error(text: &str, variables: &[(&str, &str)]) -> String {
    let (tree, report) = applied(text, variables);
    assert_eq!(tree, parse(text), "a variable that is refused changes nothing");
    report.refusals.iter().map(|refusal| format!("{refusal}\n")).collect()
}

#[test]
fn a_driver_is_replaced_before_its_parameters_are_added() {
    let file = "storage: {filesystem: {rootdirectory: /a}, delete: {enabled: true}}";
    let variables = [
        ("REGISTRY_STORAGE_S3_REGION", "eu-central-1"),
        ("REGISTRY_STORAGE_S3_BUCKET", "images"),
        ("REGISTRY_STORAGE", "s3"),
    ];
    let expected = json!({ "storage": { "s3": { "region": "eu-central-1", "bucket": "images" } } });
    assert_eq!(tree(file, &variables), expected);
}

#[test]
fn a_parameter_is_added_to_what_the_file_says() {
    let file = "storage: {s3: {bucket: images}, delete: {enabled: false}}";
    let variables = [("REGISTRY_STORAGE_S3_REGION", "eu"), ("REGISTRY_STORAGE_DELETE_ENABLED", "true")];
    let expected =
        json!({ "storage": { "s3": { "bucket": "images", "region": "eu" }, "delete": { "enabled": true } } });
    assert_eq!(tree(file, &variables), expected);
}

#[test]
fn a_value_is_yaml() {
    let variables = [
        ("REGISTRY_STORAGE_S3_CHUNKSIZE", "5242880"),
        ("REGISTRY_STORAGE_S3_SECURE", "true"),
        ("REGISTRY_STORAGE_MAINTENANCE", "{readonly: {enabled: true}}"),
        ("REGISTRY_HTTP_HEADERS", "{X-A: [b, 'c']}"),
        ("REGISTRY_HTTP_ADDR", ":5000"),
        ("REGISTRY_LOG_LEVEL", ""),
    ];
    let expected = json!({
        "storage": { "s3": { "chunksize": 5242880, "secure": true }, "maintenance": { "readonly": { "enabled": true } } },
        "http": { "headers": { "X-A": ["b", "c"] }, "addr": ":5000" },
        "log": { "level": null },
    });
    assert_eq!(tree("", &variables), expected);
}

#[test]
fn a_text_is_as_it_is_written() {
    for text in ["0123", "1.50", "12345", "1e5", "0x1F", "true"] {
        assert_eq!(tree("", &[("REGISTRY_HTTP_SECRET", text)]), json!({ "http": { "secret": text } }));
    }
}

#[test]
fn keys_match_whatever_their_case_and_new_ones_are_lower_case() {
    let variables = [("REGISTRY_HTTP_HEADERS_X-FRAME-OPTIONS", "[deny]"), ("REGISTRY_LOG_FIELDS_SERVICE", "wharf")];
    let file = "http: {headers: {X-Frame-Options: [sameorigin]}}";
    let expected =
        json!({ "http": { "headers": { "X-Frame-Options": ["deny"] } }, "log": { "fields": { "service": "wharf" } } });
    assert_eq!(tree(file, &variables), expected);
}

#[test]
fn an_index_sets_an_element_and_the_next_index_appends() {
    let variables = [
        ("REGISTRY_HTTP_TLS_CLIENTCAS_0", "/a.pem"),
        ("REGISTRY_HTTP_TLS_CLIENTCAS_1", "/b.pem"),
        ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "https://cdn.example.com"),
        ("REGISTRY_MIDDLEWARE_STORAGE_1_NAME", "rewrite"),
    ];
    let file = "http: {tls: {clientcas: [/old.pem]}}\nmiddleware: {storage: [{name: redirect}]}";
    let storage =
        json!([{ "name": "redirect", "options": { "baseurl": "https://cdn.example.com" } }, { "name": "rewrite" }]);
    let expected =
        json!({ "http": { "tls": { "clientcas": ["/a.pem", "/b.pem"] } }, "middleware": { "storage": storage } });
    assert_eq!(tree(file, &variables), expected);
}

#[test]
fn an_index_beyond_the_end_or_that_is_none_names_the_variable() {
    for name in ["REGISTRY_HTTP_TLS_CLIENTCAS_1", "REGISTRY_HTTP_TLS_CLIENTCAS_X", "REGISTRY_HTTP_TLS_CLIENTCAS_-1"] {
        let error = error("", &[(name, "hunter2")]);
        assert!(
            error.contains(name) && error.contains("`http.tls.clientcas`") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn keys_below_a_map_of_the_file_are_set() {
    let file = "storage: {azure: {credentials: {type: client_secret}}, maintenance: {uploadpurging: {enabled: true}}}";
    let variables = [
        ("REGISTRY_STORAGE_AZURE_CREDENTIALS_SECRET", "s"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "48h"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
    ];
    let tree = tree(file, &variables);
    assert_eq!(tree["storage"]["azure"]["credentials"], json!({ "type": "client_secret", "secret": "s" }));
    let maintenance = json!({ "uploadpurging": { "enabled": true, "age": "48h" }, "readonly": { "enabled": true } });
    assert_eq!(tree["storage"]["maintenance"], maintenance);
}

#[test]
fn keys_with_an_underscore_are_reached() {
    let variables = [
        ("REGISTRY_DRIVERS_ARCHIVE_LIMITS_STREAM_IDLE", "5s"),
        ("REGISTRY_LIMITS_UPLOAD_IDLE", "30s"),
        ("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "4"),
        ("REGISTRY_STORAGE_OWN_SOME_KEY_BELOW", "1"),
    ];
    let tree = tree("storage: {own: {some_key: {}}}", &variables);
    assert_eq!(tree["limits"], json!({ "upload_idle": "30s" }));
    assert_eq!(tree["storage"], json!({ "azure": { "max_retries": 4 }, "own": { "some_key": { "below": 1 } } }));
    assert_eq!(tree["drivers"], json!({ "archive": { "limits": { "stream_idle": "5s" } } }));
}

#[test]
fn a_variable_that_names_no_key_is_refused_with_the_nearest_known() {
    let file = "log: {level: info}";
    for (name, expected) in [
        ("REGISTRY_HTTP_TSL_KEY", "`http` has no key `tsl`; did you mean REGISTRY_HTTP_TLS_KEY?"),
        ("REGISTRY_AUHT_HTPASSWD_PATH", "did you mean REGISTRY_AUTH_HTPASSWD_PATH?"),
        ("REGISTRY_HTTP_ADR", "did you mean REGISTRY_HTTP_ADDR?"),
        ("REGISTRY_LIMITS_UPLOAD_IDEL", "did you mean REGISTRY_LIMITS_UPLOAD_IDLE?"),
        ("REGISTRY_ADDR", "`addr` belongs under `http` or `http.debug`"),
        ("REGISTRY_PORT", "the configuration has no key `port`"),
        ("REGISTRY_PASSWORD", "the configuration has no key `password`"),
        ("REGISTRY_LOG_LEVEL_DEEPER", "`log.level` has no keys below it"),
        ("REGISTRY__", "has no key ``"),
        ("REGISTRY_STORAGE_S3__", "has no key ``"),
    ] {
        let error = error(file, &[(name, "hunter2")]);
        assert!(error.contains(&format!("`{name}`: ")) && error.contains(expected), "{name}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_containers_find_about_services_and_links_changes_nothing_and_is_noted() {
    let variables = [
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
        // Of a service that is called `registry-auth`: it would name a scheme.
        ("REGISTRY_AUTH_SERVICE_HOST", "10.0.0.2"),
        ("REGISTRY_AUTH_FILE", "/run/auth.json"),
        ("REGISTRY_VERSION", "2.8"),
    ];
    let file = "log: {level: info}";
    let (changed, report) = applied(file, &variables);
    assert_eq!((changed, report.refusals), (parse(file), vec![]));
    let mut names = variables.map(|(name, _)| name);
    names.sort_unstable();
    assert_eq!(report.notices.iter().map(|notice| &*notice.key).collect::<Vec<_>>(), names);
    assert!(report.notices.iter().all(|notice| notice.weight == Weight::Missing));
}

#[test]
fn what_is_not_ours_and_the_path_of_the_file_override_nothing() {
    let variables = [("REGISTRY_CONFIGURATION_PATH", "/etc/c.yml"), ("registry_log_level", "x"), ("HOME", "/root")];
    assert_eq!(tree("", &variables), json!({}));
    assert_eq!(environment(&variables).configuration_path(), Some(PathBuf::from("/etc/c.yml")));
    assert_eq!(environment(&[("REGISTRY_CONFIGURATION_PATH", "")]).configuration_path(), None);
}

#[test]
fn a_value_that_is_no_yaml_names_the_variable_and_shows_nothing() {
    for value in ["{hunter2", "*hunter2", "!hunter2", "{hunter2: 1, hunter2: 2}", "@hunter2", "a: hunter2: b"] {
        let error = error("", &[("REGISTRY_HTTP_SECRET", value)]);
        assert!(error.contains("REGISTRY_HTTP_SECRET") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_name_without_end_is_refused() {
    let name = format!("REGISTRY_STORAGE_S3{}", "_A".repeat(100_000));
    assert!(error("", &[(&name, "x")]).contains("more than 64 parts"));
}

#[test]
fn debug_shows_names_and_no_values() {
    let text = format!("{:?}", environment(&[("REGISTRY_HTTP_SECRET", "hunter2")]));
    assert_eq!(text, r#"["REGISTRY_HTTP_SECRET"]"#);
}

/// A key with nothing known below it, and what stands there.
type Leaf = (Vec<String>, &'static Shape);

/// Returns all leaves of the table, with a name where there can be any, and 0 for an index.
fn leaves(shape: &'static Shape, path: &mut Vec<String>, found: &mut Vec<Leaf>) {
    let mut below = |name: &str, shape: &'static Shape| {
        path.push(name.to_owned());
        leaves(shape, path, found);
        path.pop();
    };
    shape.keys().iter().for_each(|Key(name, _, shape)| below(name, shape));
    match shape {
        Shape::Named { other, .. } => below("archive", other),
        Shape::Map(inner) => below("x-name", inner),
        Shape::List(element) => below("0", element),
        Shape::Free(names) => {
            found.push(([path.clone(), vec!["plain".to_owned()]].concat(), shape));
            found.extend(names.iter().map(|name| ([path.clone(), vec![(*name).to_owned()]].concat(), shape)));
        }
        Shape::Section(_) => {}
        _ => found.push((path.clone(), shape)),
    }
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let mut found = Vec::new();
    leaves(&CONFIGURATION, &mut Vec::new(), &mut found);
    found.retain(|(path, _)| path[0] != "version");
    assert!(found.len() > 90, "{}", found.len());
    proptest::sample::select(found)
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{1,6}",
        "[a-z]{1,4}://[a-z]{1,5}:[1-9]{1,4}",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<String>().prop_map(|text| Value::String(text).to_string()),
        Just(String::new()),
        "\\{[a-z]: [a-z0-9]{1,3}, [A-Z]_[a-z]: \\[x, 1\\]\\}",
    ]
}

/// Writes a value where a file would have it; none if a scalar is there.
fn write(node: &mut Value, path: &[String], value: &Value) -> Option<()> {
    let Some((key, below)) = path.split_first() else {
        *node = value.clone();
        return Some(());
    };
    if node.is_null() {
        *node = if key == "0" { json!([null]) } else { json!({}) };
    }
    let next = match node {
        Value::Object(members) => members.entry(key.clone()).or_insert(Value::Null),
        Value::Array(elements) => elements.get_mut(key.parse::<usize>().ok()?)?,
        _ => return None,
    };
    write(next, below, value)
}

proptest! {
    #[test]
    fn setting_a_leaf_by_a_variable_is_writing_it_in_the_file(
        before in proptest::collection::vec((any_leaf(), any_value()), 0..4),
        (path, shape) in any_leaf(),
        text in any_value(),
    ) {
        let parse = |text: &str, shape| Yaml::parse(text).ok()?.value(shape).ok();
        let mut file = json!({});
        for ((path, shape), text) in &before {
            prop_assume!(parse(text, shape).and_then(|value| write(&mut file, path, &value)).is_some());
        }
        let Some(value) = parse(&text, shape) else { return Err(TestCaseError::reject("no YAML")) };
        let mut written = file.clone();
        prop_assume!(write(&mut written, &path, &value).is_some());
        let name = format!("REGISTRY_{}", path.join("_").to_uppercase());
        let mut report = Report::default();
        let overrides = environment(&[(&name, &text)]).apply(&mut file, &mut report);
        prop_assert_eq!((overrides.set, report.refusals), (vec![(path, name)], vec![]));
        normalize(&mut file, &CONFIGURATION);
        normalize(&mut written, &CONFIGURATION);
        prop_assert_eq!(file, written);
    }

    #[test]
    fn no_variable_makes_it_panic(
        parts in proptest::collection::vec("(HTTP|STORAGE|TLS|AUTH|S3|0|1|MIDDLEWARE|HEADERS|[A-Z]{0,3})", 1..6),
        text in any::<String>(),
        file in any_leaf(),
    ) {
        let mut tree = json!({});
        prop_assume!(write(&mut tree, &file.0, &json!("x")).is_some());
        let name = format!("REGISTRY_{}", parts.join("_"));
        environment(&[(&name, &text)]).apply(&mut tree, &mut Report::default());
        normalize(&mut tree, &CONFIGURATION);
    }
}
