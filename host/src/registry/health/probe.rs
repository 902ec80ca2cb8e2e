//! The write probe: whether the store takes a file, and gives it back.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{CheckState, Health};
use crate::contract::{Error, StoragePath};

/// Where a write probe writes. Distribution reads nothing outside of `/docker`, and neither do we.
pub(super) const PROBES: &str = "/.wharf-probe";

/// What a write probe found.
pub(super) enum Probe {
    /// How long putting, getting and deleting took.
    Ok {
        steps: [Duration; 3],
    },
    /// Another one is under way.
    Busy,
    Failed {
        step: &'static str,
        error: String,
    },
}

impl Probe {
    fn failed(step: &'static str, error: &Error) -> Self {
        Probe::Failed { step, error: error.to_string() }
    }
}

impl Health {
    /// Writes a small file, reads it and deletes it. One at a time.
    ///
    /// Goes on when its future is dropped, so that the file does not stay.
    pub(super) async fn probe_write(&self) -> Probe {
        let Ok(permit) = self.0.state.write_probe.clone().try_acquire_owned() else { return Probe::Busy };
        let state = self.0.state.clone();
        let probe = tokio::spawn(async move {
            let _permit = permit;
            state.probe().await
        });
        match probe.await {
            Ok(probe) => probe,
            Err(error) => Probe::Failed { step: "put", error: error.to_string() },
        }
    }
}

impl CheckState {
    async fn probe(&self) -> Probe {
        let id = uuid::Uuid::new_v4().to_string();
        let path = match StoragePath::parse(format!("{PROBES}/{id}")) {
            Ok(path) => path,
            Err(error) => return Probe::failed("put", &error),
        };
        let limit = self.settings.write_timeout;
        let probe = match tokio::time::timeout(limit, self.put_get_delete(&path, id.into())).await {
            Ok(probe) => probe,
            Err(_) => {
                let error = format!("{}: not done within {limit:?}", self.driver.name());
                Probe::Failed { step: "timeout", error }
            }
        };
        if !matches!(probe, Probe::Ok { .. }) {
            // What was put, or may have been, does not stay. That it cannot be deleted either is no news.
            let _ = tokio::time::timeout(self.settings.timeout, self.driver.delete(&path)).await;
        }
        probe
    }

    async fn put_get_delete(&self, path: &StoragePath, content: Bytes) -> Probe {
        let mut steps = [Duration::ZERO; 3];
        let started = Instant::now();
        if let Err(error) = self.driver.put_content(path, content.clone()).await {
            return Probe::failed("put", &error);
        }
        steps[0] = started.elapsed();
        match self.driver.get_content(path).await {
            Ok(found) if found == content => {}
            Ok(found) => {
                let error = format!("{} bytes were put and {} others read", content.len(), found.len());
                return Probe::Failed { step: "get", error };
            }
            Err(error) => return Probe::failed("get", &error),
        }
        steps[1] = started.elapsed() - steps[0];
        if let Err(error) = self.driver.delete(path).await {
            return Probe::failed("delete", &error);
        }
        steps[2] = started.elapsed() - steps[0] - steps[1];
        Probe::Ok { steps }
    }
}
