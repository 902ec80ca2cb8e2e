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
    // A proxy's password is not written. What is written in its place must last from then on.
    if !json.contains(":***@") {
        assert_eq!(&read, config, "{json}");
    }
    let yaml = serde_yaml_ng::to_string(&read).expect("what was read can be written");
    let again: DriversConfig = serde_yaml_ng::from_str(&yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"));
    assert_eq!(again, read, "{yaml}");
}
