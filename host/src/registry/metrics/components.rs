//! How the components are, as their runtime tells it: instances, crashes, quarantine.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::runtime::{DriverState, DriverStatus, Runtime};

/// The states of a driver, by the names that they have as a label.
const STATES: [&str; 4] = ["serving", "recovering", "quarantined", "lost"];

/// Asks a runtime whenever the metrics are read.
#[derive(Debug)]
pub(super) struct Components(pub(super) Runtime);

/// What the drivers of one name have in common: one name may be opened several times.
#[derive(Default)]
struct Sum {
    instances: u64,
    in_flight: u64,
    crashes: u64,
    restarts: u64,
    /// How many are in each of [`STATES`].
    states: [u64; STATES.len()],
}

impl Sum {
    fn add(&mut self, driver: &DriverStatus) {
        self.instances += driver.instances as u64;
        self.in_flight += driver.under_way as u64;
        self.crashes += driver.crashes;
        self.restarts += driver.restarts;
        let state = match driver.state {
            DriverState::Serving => 0,
            DriverState::Recovering => 1,
            DriverState::Quarantined { .. } => 2,
            DriverState::Lost => 3,
        };
        self.states[state] += 1;
    }
}

/// A family: its name, its help, and its value for a driver.
type Told = (&'static str, &'static str, fn(&Sum) -> u64);

impl Collector for Components {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode(&self.0.drivers(), encoder)
    }
}

fn encode(drivers: &[DriverStatus], mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for driver in drivers {
        sums.entry(&driver.name).or_default().add(driver);
    }
    if sums.is_empty() {
        return Ok(());
    }
    let gauges: [Told; 2] = [
        ("wharf_component_instances", "Instances of the component that are alive", |sum| sum.instances),
        ("wharf_component_operations_in_flight", "Operations, files and listings in the component", |sum| {
            sum.in_flight
        }),
    ];
    for (name, help, value) in gauges {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (driver, sum) in &sums {
            // No driver has more than an i64 holds of anything.
            let value = i64::try_from(value(sum)).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(family.encode_family(&[("driver", *driver)])?)?;
        }
    }
    // The encoder adds `_total`.
    let counters: [Told; 2] = [
        ("wharf_component_crashes", "Instances that trapped, or were ended since they reached a limit", |sum| {
            sum.crashes
        }),
        ("wharf_component_restarts", "Instances that took the place of one that crashed", |sum| sum.restarts),
    ];
    for (name, help, value) in counters {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (driver, sum) in &sums {
            ConstCounter::new(value(sum)).encode(family.encode_family(&[("driver", *driver)])?)?;
        }
    }
    let help = "Opened drivers in this state; only those that serve or recover take calls";
    let mut family = encoder.encode_descriptor("wharf_component_drivers", help, None, MetricType::Gauge)?;
    for (driver, sum) in &sums {
        for (state, count) in STATES.iter().zip(sum.states) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let labels = [("driver", *driver), ("state", *state)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use prometheus_client::encoding::prometheus_text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Given(Vec<DriverStatus>);

    impl Collector for Given {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            encode(&self.0, encoder)
        }
    }

    #[test]
    fn drivers_of_one_name_are_one_line_of_each_family() {
        let driver = |name: &str, state, crashes| DriverStatus {
            name: name.to_owned(),
            state,
            instances: 2,
            under_way: 3,
            deaths: 0,
            last_death: None,
            crashes,
            restarts: 1,
        };
        let drivers = vec![
            driver("archive", DriverState::Serving, 4),
            driver("archive", DriverState::Quarantined { seconds_left: 7 }, 5),
            driver("other", DriverState::Lost, 1),
        ];
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Given(drivers)));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"wharf_component_instances{driver="archive"} 4"#,
            r#"wharf_component_operations_in_flight{driver="other"} 3"#,
            r#"wharf_component_crashes_total{driver="archive"} 9"#,
            r#"wharf_component_restarts_total{driver="archive"} 2"#,
            r#"wharf_component_drivers{driver="archive",state="serving"} 1"#,
            r#"wharf_component_drivers{driver="archive",state="quarantined"} 1"#,
            r#"wharf_component_drivers{driver="archive",state="lost"} 0"#,
            r#"wharf_component_drivers{driver="other",state="lost"} 1"#,
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing:\n{text}");
        }
    }
}
