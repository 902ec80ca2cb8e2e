//! The registries that are compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use wharf_conformance::process::Process;
use wharf_conformance::serve::RegistryProcess;
use wharf_conformance::stores::{Kind, Store};

/// A registry with a store of its own.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// The program `wharf`; none is `docker-registry`.
    wharf: Option<PathBuf>,
    store: Store,
    process: Option<RegistryProcess>,
    /// What was resident before the first request, in bytes.
    pub(crate) idle: u64,
    /// The same after all pulls.
    pub(crate) after_pulls: u64,
}

impl Contender {
    /// Returns all of them, `docker-registry` first. None runs yet.
    pub(crate) fn all(wharf: &Path, component: bool) -> Result<Vec<Self>, String> {
        let new = |name, wharf: Option<&Path>, kind| -> Result<Self, String> {
            let wharf = wharf.map(Path::to_owned);
            Ok(Contender { name, wharf, store: Store::new(kind)?, process: None, idle: 0, after_pulls: 0 })
        };
        let mut contenders =
            vec![new("docker-registry", None, Kind::Filesystem)?, new("wharf", Some(wharf), Kind::Filesystem)?];
        if component {
            contenders.push(new("wharf, component", Some(wharf), Kind::Component)?);
        }
        Ok(contenders)
    }

    /// Starts it, or ends it and starts it anew.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.process = None;
        let configuration = self.store.configuration(&json!({ "log": { "level": "error" } }));
        self.process = Some(match &self.wharf {
            Some(program) => RegistryProcess::wharf_at(program, &configuration)?,
            None => RegistryProcess::distribution(&configuration)?,
        });
        Ok(())
    }

    /// Ends it, empties its store and starts it anew, and waits until the disk has done what it was told before.
    pub(crate) fn start_empty(&mut self) -> Result<(), String> {
        self.process = None;
        let stored = self.store.root()?.join("docker");
        match fs::remove_dir_all(&stored) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("{} could not be emptied: {error}", stored.display()));
            }
            _ => {}
        }
        self.start()?;
        let synced = Command::new("sync").status().map_err(|error| format!("sync could not be started: {error}"))?;
        if synced.success() { Ok(()) } else { Err(format!("sync failed: {synced}")) }
    }

    /// Returns it while it runs.
    pub(crate) fn registry(&self) -> Result<&RegistryProcess, String> {
        self.process.as_ref().ok_or_else(|| format!("{} does not run", self.name))
    }

    /// Returns its process.
    pub(crate) fn process(&self) -> Result<Process, String> {
        self.registry()?.process()
    }

    /// Notes what it takes before the first request.
    pub(crate) fn note_idle(&mut self) -> Result<(), String> {
        self.idle = self.resident()?;
        Ok(())
    }

    /// Notes what it takes after all pulls.
    pub(crate) fn note_after_pulls(&mut self) -> Result<(), String> {
        self.after_pulls = self.resident()?;
        Ok(())
    }

    fn resident(&self) -> Result<u64, String> {
        let usage = self.process()?.usage().map_err(|error| format!("{}: {error}", self.name))?;
        Ok(usage.resident)
    }
}
