//! The section `drivers:`, as YAML and as JSON: whatever can be read is written so that it reads as the same again.

use wharf::factory::DriversConfig;

/// Reads the text in both formats, and writes what was read in both.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(config) = serde_yaml_ng::from_str(text) {
        survives(&config);
    }
    if let Ok(config) = serde_json::from_str(text) {
        survives(&config);
    }
}

fn survives(config: &DriversConfig) {
    let json = serde_json::to_string(config).expect("what was read can be written");
    let read: DriversConfig = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(&read, config, "{json}");
    let yaml = serde_yaml_ng::to_string(config).expect("what was read can be written");
    let read: DriversConfig = serde_yaml_ng::from_str(&yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"));
    assert_eq!(&read, config, "{yaml}");
}
