//! Components in the factory: found by name, pinned by digest, refused with words.

use std::fs;

use wharf::contract::{ErrorKind, StoragePath};
use wharf::factory::{DriversConfig, Factory, Origin, Parameters};
use wharf::runtime::{Access, CONTRACT_VERSION, Component, ComponentConfig, DirectoryGrant, Instances, Limits};
use wharf_conformance::components::component;

use super::support::runtime;

#[tokio::test]
async fn a_component_dropped_into_the_directory_is_opened_under_its_files_name() {
    let drivers = tempfile::tempdir().unwrap();
    let file = drivers.path().join("archive.wasm");
    fs::copy(component("inmemory").unwrap(), &file).unwrap();
    let config = DriversConfig { directory: Some(drivers.path().to_owned()), ..DriversConfig::default() };
    let mut factory = Factory::native();
    factory.register_components(runtime(), &config).unwrap();

    assert_eq!(factory.offer("archive").unwrap().origin, Origin::Component(file));
    let driver = factory.create("archive", Parameters::new()).await.unwrap();
    assert_eq!(driver.name(), "archive");
    assert!(driver.stat(&StoragePath::root()).await.unwrap().is_dir);
}

#[tokio::test]
async fn a_file_with_a_native_drivers_name_is_refused_with_words_and_the_native_stays() {
    let drivers = tempfile::tempdir().unwrap();
    fs::copy(component("inmemory").unwrap(), drivers.path().join("inmemory.wasm")).unwrap();
    let config = DriversConfig { directory: Some(drivers.path().to_owned()), ..DriversConfig::default() };
    let mut factory = Factory::native();
    factory.register_components(runtime(), &config).unwrap();

    assert_eq!(factory.offer("inmemory").unwrap().origin, Origin::Native);
    let refusal = factory.refusals().next().unwrap();
    assert_eq!(refusal.name, "inmemory");
    assert!(refusal.reason.contains("native driver named inmemory"), "{}", refusal.reason);
}

#[tokio::test]
async fn asking_for_a_refused_file_by_its_name_says_why() {
    let drivers = tempfile::tempdir().unwrap();
    fs::copy(component("inmemory").unwrap(), drivers.path().join("my driver.wasm")).unwrap();
    let config = DriversConfig { directory: Some(drivers.path().to_owned()), ..DriversConfig::default() };
    let mut factory = Factory::native();
    factory.register_components(runtime(), &config).unwrap();
    let error = factory.create("my driver", Parameters::new()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::InvalidStorageDriver);
    assert!(error.to_string().contains("letters, digits"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_the_pinned_one_is_not_loaded() {
    let file = component("inmemory").unwrap();
    let limits = Limits::default();
    let right = Component::load_file(runtime(), &file, None, &limits).await.unwrap().sha256().to_owned();
    assert!(Component::load_file(runtime(), &file, Some(&right.to_uppercase()), &limits).await.is_ok());
    let error = Component::load_file(runtime(), &file, Some(&"0".repeat(64)), &limits).await.unwrap_err();
    assert!(error.to_string().contains(&right) && error.to_string().contains("sha256:"), "{error}");
}

#[tokio::test]
async fn a_component_that_wants_a_directory_and_has_none_is_told_which_line_grants_it() {
    let mut factory = Factory::new();
    let config = ComponentConfig { component: Some(component("filesystem").unwrap()), ..Default::default() };
    factory.register_component(runtime(), "files", config).unwrap();
    let error = factory.create("files", Parameters::new().with("rootdirectory", "/data")).await.unwrap_err();
    assert!(error.to_string().contains("allow: { directories: [{ host:"), "{error}");
}

#[tokio::test]
async fn a_granted_directory_or_variable_that_is_not_there_fails_the_open_and_is_named() {
    for allow in [
        r#"{ "directories": [{ "host": "/no/such/directory", "guest": "/data" }] }"#,
        r#"{ "environment": ["WHARF_NO_SUCH_VARIABLE"] }"#,
    ] {
        let allow = serde_json::from_str(allow).unwrap();
        let component = Some(component("inmemory").unwrap());
        let mut factory = Factory::new();
        let config = ComponentConfig { component, allow, ..Default::default() };
        factory.register_component(runtime(), "guest", config).unwrap();
        let error = factory.create("guest", Parameters::new()).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::InvalidParameters, "{error}");
        let text = error.to_string();
        assert!(text.contains("granted by `allow:") && text.to_lowercase().contains("no"), "{error}");
    }
}

#[tokio::test]
async fn every_component_of_the_project_speaks_the_contract_and_imports_nothing_but_harmless_things() {
    for (name, instances) in [
        ("faulty", Instances::Many),
        ("archive", Instances::Many),
        ("filesystem", Instances::Many),
        ("inmemory", Instances::One),
        ("log-store", Instances::Exclusive),
        ("whole-driver", Instances::One),
    ] {
        let loaded =
            Component::load_file(runtime(), &component(name).unwrap(), None, &Limits::default()).await.unwrap();
        assert_eq!(loaded.contract_version(), CONTRACT_VERSION, "{name}");
        assert_eq!((loaded.description().name.as_str(), loaded.description().instances), (name, instances));
        for import in loaded.imports() {
            assert_ne!(import.access, Access::Refused, "{name} imports {}", import.name);
        }
    }
}

#[tokio::test]
async fn what_all_components_are_granted_afterwards_counts_at_the_next_opening() {
    let data = tempfile::tempdir().unwrap();
    let mut factory = Factory::native();
    let config = ComponentConfig { component: Some(component("filesystem").unwrap()), ..Default::default() };
    factory.register_component(runtime(), "files", config).unwrap();
    let open = async |factory: &Factory| {
        factory.create("files", Parameters::new().with("rootdirectory", "/data")).await.map(|_| ())
    };
    assert!(open(&factory).await.is_err());
    factory.configure_components(|name, config| {
        assert_eq!(name, "files");
        let grant = DirectoryGrant { host: data.path().to_owned(), guest: "/data".to_owned(), write: true };
        config.allow.directories.push(grant);
    });
    open(&factory).await.unwrap();
    assert_eq!(factory.component_config("files").unwrap().allow.directories.len(), 1);
}

#[tokio::test]
async fn a_component_of_a_proposal_that_is_switched_off_is_refused_by_the_proposals_name() {
    // One core module in it, with a tag: what exceptions are thrown by.
    let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x0d\x03\x01\0\0";
    let component = [b"\0asm\x0d\0\x01\0\x01", &[u8::try_from(module.len()).unwrap()][..], module].concat();
    let error = Component::load_bytes(runtime(), component, "it", &Limits::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("switched off: exception handling; build it without"), "{text}");
    assert!(!text.contains("damaged"), "{text}");
}

/// A release of WASI that corrects something comes with a number of its own, and components are built with the newest.
#[tokio::test]
async fn a_component_that_imports_a_later_patch_of_http_is_loaded() {
    let mut bytes = fs::read(component("hostile-http").unwrap()).unwrap();
    let mut patched = 0;
    for interface in ["types", "client"] {
        let (from, to) = (format!("wasi:http/{interface}@0.3.0"), format!("wasi:http/{interface}@0.3.1"));
        let places: Vec<usize> =
            (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
        patched += places.len();
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    assert!(patched > 0, "the component imports no HTTP");
    let loaded = Component::load_bytes(runtime(), bytes, "it", &Limits::default()).await.unwrap();
    let http = loaded.imports().iter().filter(|import| import.name.ends_with("@0.3.1"));
    assert!(http.clone().count() > 0 && http.into_iter().all(|import| import.access == Access::Http));
}
