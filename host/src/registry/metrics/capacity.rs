//! What is bounded in this process, and how much of it is used.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::base::capacity::{Capacity, capacities};

/// Asks every bound whenever the metrics are read.
#[derive(Debug)]
pub(super) struct Bounds;

type Read = fn(&Capacity) -> u64;

const GAUGES: [(&str, &str, Read); 3] = [
    ("wharf_capacity_limit", "How many there may be at a time", |bound| bound.most as u64),
    ("wharf_capacity_used", "How many there are", |bound| bound.used as u64),
    ("wharf_capacity_waiting", "How many requests wait for one", |bound| bound.waiting as u64),
];

impl Collector for Bounds {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Two drivers may have one name: their numbers are added up, since a series may stand only once.
        let mut bounds: BTreeMap<(String, &str), Vec<Capacity>> = BTreeMap::new();
        for bound in capacities() {
            bounds.entry((bound.owner.clone(), bound.limit)).or_default().push(bound);
        }
        let labels =
            |(owner, limit): &(String, &'static str)| [("owner", owner.clone()), ("limit", (*limit).to_owned())];
        let sum = |alike: &[Capacity], read: Read| alike.iter().map(read).sum::<u64>();
        for (name, help, read) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (key, alike) in &bounds {
                ConstGauge::new(sum(alike, read) as f64).encode(family.encode_family(&labels(key))?)?;
            }
        }
        let help = "Requests that were refused, or that gave up waiting";
        let mut family = encoder.encode_descriptor("wharf_capacity_refused", help, None, MetricType::Counter)?;
        for (key, alike) in &bounds {
            ConstCounter::new(sum(alike, |bound| bound.refused)).encode(family.encode_family(&labels(key))?)?;
        }
        Ok(())
    }
}
