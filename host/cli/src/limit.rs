//! `--limit`: how much components may use, as written on the command line.

use std::str::FromStr;

use serde_json::{Map, Value};
use wharf::runtime::Limits;

/// One `--limit`: `NAME=VALUE`, as under `limits:` in a configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    name: String,
    value: Value,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, for instance memory=512MiB or open=30s")?;
        // A number where one is meant, and else a text: `512MiB`, `30s`.
        let value = serde_json::from_str(value).ok().filter(Value::is_number).unwrap_or_else(|| value.into());
        let limit = Limit { name: name.trim().to_owned(), value };
        limit.applied_to(&Limits::default())?;
        Ok(limit)
    }
}

impl Limit {
    fn applied_to(&self, limits: &Limits) -> Result<Limits, String> {
        let wrong = |error: serde_json::Error| format!("{}: {error}", self.name);
        let mut all: Map<String, Value> =
            serde_json::to_value(limits).and_then(serde_json::from_value).map_err(wrong)?;
        all.insert(self.name.clone(), self.value.clone());
        serde_json::from_value(all.into()).map_err(wrong)
    }
}

/// Sets what the command line says, which wins over the configuration.
pub(crate) fn set(given: &[Limit], limits: &mut Limits) {
    for limit in given {
        // It was taken when the command line was read.
        if let Ok(set) = limit.applied_to(limits) {
            *limits = set;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails to parse has failed")]
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_limit_of_the_command_line_wins_and_leaves_the_others() {
        let mut limits: Limits = serde_json::from_str(r#"{ "memory": "64MiB", "open": "3s" }"#).unwrap();
        let given = ["memory=512MiB", "workers=4", "operation=90s", "cpu_share=0.5"];
        set(&given.map(|limit| limit.parse().unwrap()), &mut limits);
        assert_eq!((limits.memory.as_u64(), limits.workers.get()), (512 << 20, 4));
        assert_eq!((limits.operation, limits.open), (Duration::from_secs(90), Duration::from_secs(3)));
    }

    #[test]
    fn a_limit_that_does_not_exist_or_cannot_be_is_refused_by_name() {
        for (text, name) in [("memroy=1GiB", "memroy"), ("memory=much", "memory"), ("workers=0", "workers")] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
        assert!("memory".parse::<Limit>().unwrap_err().contains("NAME=VALUE"));
    }
}
