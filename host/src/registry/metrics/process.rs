//! What the system knows of this process, under the names that every Go program tells it by.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads `/proc` whenever the metrics are read. What cannot be read is left out; so is everything where there is no
/// `/proc`.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            None => Ok(()),
            Some(value) => {
                ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
            }
        };
        let times = Times::read();
        gauge("process_resident_memory_bytes", "Resident memory size in bytes", status("VmRSS:"))?;
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes", status("VmSize:"))?;
        gauge("process_open_fds", "Number of open file descriptors", open_files())?;
        gauge("process_max_fds", "Maximum number of open file descriptors", most_open_files())?;
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds",
            times.as_ref().and_then(Times::started),
        )?;
        if let Some(times) = times {
            let help = "Total user and system CPU time spent in seconds";
            // The encoder adds `_total`.
            let encoder = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(times.processor).encode(encoder)?;
        }
        Ok(())
    }
}

/// Linux counts in these towards user space, whatever the kernel counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/self/stat` tells, in seconds.
struct Times {
    processor: f64,
    /// After the machine's start.
    start: f64,
}

impl Times {
    fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The second field is the program's name in parentheses, which may hold anything: what is counted begins after it,
    /// with the third.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        let seconds = |field: usize| Some(fields.get(field - 3)?.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND);
        Some(Times { processor: seconds(14)? + seconds(15)?, start: seconds(22)? })
    }

    /// Returns when the process started, in seconds since 1970.
    fn started(&self) -> Option<f64> {
        let machine = std::fs::read_to_string("/proc/stat").ok()?;
        let booted = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(booted.trim().parse::<u64>().ok()? as f64 + self.start)
    }
}

/// Returns a value of `/proc/self/status`, which stands in KiB there, in bytes.
fn status(key: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.split_ascii_whitespace().next()?.parse::<u64>().ok()? as f64 * 1024.0)
}

fn open_files() -> Option<f64> {
    // The directory that is being read is one of them.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn most_open_files() -> Option<f64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // `unlimited` is left out.
    Some(limit.split_ascii_whitespace().next()?.parse::<u64>().ok()? as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

    use super::*;

    #[test]
    fn a_program_name_of_parentheses_and_spaces_shifts_no_field() {
        let mut stat = "7 (a) (b c) S".to_owned();
        for field in 4..=52 {
            stat.push_str(&format!(" {}", field * 100));
        }
        let times = Times::parse(&stat).unwrap();
        assert_eq!((times.processor, times.start), (29.0, 22.0));
        assert!(Times::parse("7 (a").is_none() && Times::parse("7 (a) S 1").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_files_and_start_of_this_process_are_told() {
        let text = crate::registry::metrics::Metrics::new().encode();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "{age} s old");
    }
}
