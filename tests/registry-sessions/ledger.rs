//! What a registry acknowledged, and whether it still has it.

use std::collections::{BTreeMap, BTreeSet};

use wharf_conformance::images::Blob;
use wharf_conformance::registry_client::Client;

use crate::check::{Outcome, ensure};

/// What a tag may be.
#[derive(Debug, Default)]
struct Tag {
    /// What was acknowledged last.
    acknowledged: Option<String>,
    /// What was asked for since, without an answer.
    perhaps: BTreeSet<String>,
}

/// What was acknowledged to one client, in repositories of its own.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    blobs: BTreeSet<(String, String)>,
    manifests: BTreeSet<(String, String)>,
    tags: BTreeMap<(String, String), Tag>,
}

impl Ledger {
    /// Notes that a blob was acknowledged.
    pub(crate) fn blob(&mut self, name: &str, blob: &Blob) {
        self.blobs.insert((name.to_owned(), blob.digest.clone()));
    }

    /// Notes that a tag is asked for.
    pub(crate) fn asks(&mut self, name: &str, tag: &str, manifest: &Blob) {
        self.tag(name, tag).perhaps.insert(manifest.digest.clone());
    }

    /// Notes that a tag was acknowledged.
    pub(crate) fn tagged(&mut self, name: &str, tag: &str, manifest: &Blob) {
        self.manifests.insert((name.to_owned(), manifest.digest.clone()));
        *self.tag(name, tag) = Tag { acknowledged: Some(manifest.digest.clone()), perhaps: BTreeSet::new() };
    }

    fn tag(&mut self, name: &str, tag: &str) -> &mut Tag {
        self.tags.entry((name.to_owned(), tag.to_owned())).or_default()
    }

    /// Returns how much was acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.blobs.len() + self.manifests.len()
    }

    /// Fails unless a registry has all of it.
    pub(crate) fn check(&self, client: &mut Client) -> Outcome {
        for (name, digest) in &self.blobs {
            client.pull_blob(name, digest).map_err(|error| format!("an acknowledged blob: {error}"))?;
        }
        for (name, digest) in &self.manifests {
            let seen = client.pull_manifest(name, digest)?;
            ensure(seen.is_some(), format_args!("the acknowledged manifest {digest} of {name} is gone"))?;
        }
        for ((name, tag), promised) in &self.tags {
            let seen = client.pull_manifest(name, tag)?.map(|manifest| manifest.digest);
            let right = match &seen {
                None => promised.acknowledged.is_none(),
                Some(seen) => promised.acknowledged.as_ref() == Some(seen) || promised.perhaps.contains(seen),
            };
            ensure(right, format_args!("{name}:{tag} is {seen:?}, and may be {promised:?}"))?;
        }
        Ok(())
    }
}
