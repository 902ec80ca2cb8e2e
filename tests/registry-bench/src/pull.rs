//! Pulls, measured with `wrk`.

use std::process::Command;
use std::time::Duration;

use wharf_conformance::content::content;
use wharf_conformance::images::{Blob, Image, MANIFEST};
use wharf_conformance::registry_client::Client;

use crate::contender::Contender;
use crate::sample::{Done, Sample};

const NAME: &str = "team/app";

/// What is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    ByTag,
    ByDigest,
    Small,
    Large,
}

impl Target {
    pub(crate) const ALL: [Target; 4] = [Target::ByTag, Target::ByDigest, Target::Small, Target::Large];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::ByTag => "manifest by tag",
            Target::ByDigest => "manifest by digest",
            Target::Small => "blob of 1 KiB",
            Target::Large => "blob of 100 MiB",
        }
    }
}

/// What lies in every registry.
pub(crate) struct Content {
    image: Image,
    large: Blob,
}

impl Content {
    pub(crate) fn new() -> Result<Self, String> {
        // A manifest of a usual size: seven layers.
        let layers = (2..8).map(|seed| Blob::from(content(seed, 4096)));
        let layers = std::iter::once(Blob::from(content(1, 1024))).chain(layers).collect();
        let image = Image::of("amd64", Blob::from(content(9, 2048)), layers);
        Ok(Content { image, large: Blob::from(content(10, 100 << 20)) })
    }

    /// Pushes all of it.
    pub(crate) fn push(&self, contender: &Contender) -> Result<(), String> {
        let mut client = Client::new(contender.registry()?.address());
        let pushed = client.push_image(NAME, "v1", &self.image).and_then(|()| client.push_blob(NAME, &self.large));
        pushed.map_err(|error| format!("{}: {error}", contender.name))
    }

    fn path(&self, target: Target) -> String {
        let blob = |blob: &Blob| format!("/v2/{NAME}/blobs/{}", blob.digest);
        match target {
            Target::ByTag => format!("/v2/{NAME}/manifests/v1"),
            Target::ByDigest => format!("/v2/{NAME}/manifests/{}", self.image.manifest.digest),
            Target::Small => blob(&self.image.layers[0]),
            Target::Large => blob(&self.large),
        }
    }

    /// Pulls over and over for so long.
    pub(crate) fn pull(
        &self,
        contender: &Contender,
        target: Target,
        connections: usize,
        duration: Duration,
    ) -> Result<Sample, String> {
        let url = format!("http://{}{}", contender.registry()?.address(), self.path(target));
        Sample::of(contender, target == Target::Large, || {
            let output = Command::new("wrk")
                .args(["--threads", "1", "--latency", "--timeout", "60s"])
                .args(["--connections", &connections.to_string(), "--duration", &format!("{}s", duration.as_secs())])
                .args(["--header", &format!("Accept: {MANIFEST}"), &url])
                .output()
                .map_err(|error| format!("wrk could not be started ({error}); on Debian, apt-get install wrk"))?;
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            parse(&printed).ok_or_else(|| {
                format!("{}: wrk on {url}: {printed}{}", contender.name, String::from_utf8_lossy(&output.stderr))
            })
        })
    }
}

/// Reads what `wrk` printed; none if something went wrong.
fn parse(printed: &str) -> Option<Done> {
    if printed.contains("Non-2xx") || printed.contains("Socket errors") {
        return None;
    }
    let total = printed.lines().find(|line| line.contains(" requests in ") && line.ends_with(" read"))?;
    let mut words = total.split_whitespace();
    let count = words.next()?.parse().ok()?;
    let bytes = quantity(
        words.rev().nth(1)?,
        &[("TB", 1e12_f64), ("GB", f64::from(1 << 30)), ("MB", f64::from(1 << 20)), ("KB", 1024.0), ("B", 1.0)],
    )?;
    let slowest = printed.lines().find_map(|line| line.trim().strip_prefix("99%"))?;
    let slowest = quantity(slowest.trim(), &[("us", 1e-6), ("ms", 1e-3), ("m", 60.0), ("s", 1.0)])?;
    Some(Done { count, bytes: bytes as u64, slowest: Duration::from_secs_f64(slowest) })
}

fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read_with_its_units() {
        let printed = "  Latency Distribution\n     50%  100.00us\n     99%    1.50ms\n  4520 requests in 1.00s, \
                       2.50MB read\nRequests/sec:   4519.90\n";
        let done = parse(printed).map(|done| (done.count, done.bytes, done.slowest));
        assert_eq!(done, Some((4520, 5 << 19, Duration::from_micros(1500))));
    }

    #[test]
    fn a_run_with_refusals_counts_for_nothing() {
        let printed = "     99%    1.50ms\n  4520 requests in 1.00s, 2.50MB read\n  Non-2xx or 3xx responses: 4520\n";
        assert!(parse(printed).is_none());
    }
}
