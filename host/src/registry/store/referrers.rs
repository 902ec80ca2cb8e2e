//! Referrers: the manifests that say something about another one.
//!
//! Distribution keeps no list of them. Wharf links each under its subject when it is pushed. What was pushed before, by
//! Distribution, is found by reading every manifest of the repository once, at the first question; and what Distribution
//! takes meanwhile stands under the tag that clients keep where a registry has no list (specification, "Referrers Tag
//! Schema"), which is read too.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{Store, is_missing, run_all};
use crate::contract::{Entry, EntryStream, Result, StoragePath};
use crate::registry::manifest::{Content, Manifest, Referrer};
use crate::registry::{Digest, Reference, RepositoryName, Tag, layout};

impl Store {
    /// Returns the manifests of a repository that name a subject, in the order of their digests.
    pub(in crate::registry) async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        read_only: bool,
    ) -> Result<Vec<Referrer>> {
        let mut found: BTreeSet<Digest> = if self.is_complete(name).await? {
            self.linked(layout::referrers(name, subject)).await?
        } else {
            self.read_all(name, subject, read_only).await?
        };
        found.extend(self.listed_by_clients(name, subject).await?);
        let read = |digest: Digest| {
            let referrer = async move {
                let Some(stored) = self.intact_manifest(name, &digest).await? else { return Ok(None) };
                let manifest = Manifest::parse(&stored.bytes, None).ok();
                let manifest = manifest.filter(|manifest| manifest.subject.as_ref() == Some(subject));
                Ok(manifest.map(|manifest| manifest.into_referrer(&digest, stored.bytes.len() as u64)))
            };
            referrer.boxed()
        };
        run_all(found.into_iter().map(read)).await
    }

    /// Returns whether all manifests that were there have been linked under their subjects.
    async fn is_complete(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.size(&layout::referrers_complete(name)).await?.is_some())
    }

    /// Reads every manifest of the repository, links those with a subject, and returns those with this one.
    async fn read_all(&self, name: &RepositoryName, subject: &Digest, read_only: bool) -> Result<BTreeSet<Digest>> {
        let revisions = self.linked(layout::revisions(name)).await?;
        let is_empty = revisions.is_empty();
        let read = |digest: Digest| {
            let referrer = async move {
                let Some(stored) = self.intact_manifest(name, &digest).await? else { return Ok(None) };
                let Some(named) = Manifest::parse(&stored.bytes, None).ok().and_then(|manifest| manifest.subject)
                else {
                    return Ok(None);
                };
                if !read_only {
                    self.put_link(&layout::referrer_link(name, &named, &digest), &digest).await?;
                }
                Ok((named == *subject).then_some(digest))
            };
            referrer.boxed()
        };
        let found = run_all(revisions.into_iter().map(read)).await?;
        // A repository that is not there is not made by asking.
        if !read_only && !is_empty {
            self.driver.put_content(&layout::referrers_complete(name), Bytes::new()).await?;
        }
        Ok(found.into_iter().collect())
    }

    /// Returns the digests that have a directory below this one, by algorithm.
    async fn linked(&self, directory: StoragePath) -> Result<BTreeSet<Digest>> {
        let mut digests = BTreeSet::new();
        let algorithms: Vec<Entry> = self.children(&directory).await?.try_collect().await?;
        for algorithm in algorithms.iter().filter(|entry| entry.is_dir) {
            let mut entries = self.children(&algorithm.path).await?;
            while let Some(entry) = entries.try_next().await? {
                digests.extend(layout::digest_at(&entry.path));
            }
        }
        Ok(digests)
    }

    /// Lists a directory, which may be missing.
    async fn children(&self, directory: &StoragePath) -> Result<EntryStream> {
        match self.driver.list(directory, None).await {
            Ok(entries) => Ok(entries),
            Err(error) if is_missing(&error) => Ok(stream::empty().boxed()),
            Err(error) => Err(error),
        }
    }

    /// Returns what clients list under the tag for that.
    async fn listed_by_clients(&self, name: &RepositoryName, subject: &Digest) -> Result<Vec<Digest>> {
        let tag = Reference::Tag(Tag::of_referrers(subject));
        let Some(digest) = self.resolve(name, &tag).await? else { return Ok(Vec::new()) };
        let Some(stored) = self.intact_manifest(name, &digest).await? else { return Ok(Vec::new()) };
        Ok(match Manifest::parse(&stored.bytes, None).map(|index| index.content) {
            Ok(Content::Manifests(children)) => children.into_iter().map(|child| child.digest).collect(),
            _ => Vec::new(),
        })
    }
}
