//! Referrers: the manifests that say something about another one.
//!
//! Distribution keeps no list of them. Wharf links each under its subject when it is pushed. What was pushed before, by
//! Distribution, is found by reading every manifest of the repository once, at the first question; and what Distribution
//! takes meanwhile stands under the tag that clients keep where a registry has no list (specification, "Referrers Tag
//! Schema"), which is read too.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{PARALLEL, Page, Store, is_missing, run_all};
use crate::contract::{Entry, EntryStream, Error, Result, StoragePath};
use crate::registry::manifest::{Content, Manifest, Referrer};
use crate::registry::{Digest, Reference, RepositoryName, Tag, layout};

/// Which referrers a page is to have.
#[derive(Debug, Default)]
pub(in crate::registry) struct WantedReferrers {
    /// Those behind this one alone.
    pub(in crate::registry) after: Option<Digest>,
    /// Those of these types of artifacts alone, if there is any.
    pub(in crate::registry) kinds: Vec<String>,
    /// How many bytes their descriptors may have as JSON, with a comma each. There is at least one in a page.
    pub(in crate::registry) bytes: usize,
}

impl Store {
    /// Returns descriptors of the manifests of a repository that name a subject, as JSON, in the order of their digests. At
    /// most a page of them and what is read at a time is held.
    pub(in crate::registry) async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        read_only: bool,
        wanted: &WantedReferrers,
    ) -> Result<Page<(Digest, String)>> {
        let mut found: BTreeSet<Digest> = if self.is_complete(name).await? {
            self.linked(layout::referrers(name, subject)).await?
        } else {
            self.read_all(name, subject, read_only).await?
        };
        found.extend(self.listed_by_clients(name, subject).await?);
        let rest = found.into_iter().filter(|digest| wanted.after.as_ref().is_none_or(|after| digest > after));
        let read = |digest: Digest| async move {
            let Some(stored) = self.intact_manifest(name, &digest).await? else { return Ok(None) };
            let manifest = self.read(name, &stored).await?;
            let manifest = manifest.filter(|manifest| manifest.subject.as_ref() == Some(subject));
            let referrer = manifest.map(|manifest| manifest.into_referrer(&digest, stored.bytes.len() as u64));
            Ok::<_, Error>(referrer.filter(|referrer| wanted.takes(referrer)).map(|referrer| (digest, referrer)))
        };
        let mut referrers = stream::iter(rest.map(|digest| read(digest).boxed())).buffered(PARALLEL);
        let (mut items, mut bytes) = (Vec::new(), 0);
        while let Some(read) = referrers.try_next().await? {
            let Some((digest, referrer)) = read else { continue };
            let json = referrer.to_json();
            bytes += json.len() + 1;
            if bytes > wanted.bytes && !items.is_empty() {
                return Ok(Page { items, has_more: true });
            }
            items.push((digest, json));
        }
        Ok(Page { items, has_more: false })
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

impl WantedReferrers {
    fn takes(&self, referrer: &Referrer) -> bool {
        self.kinds.is_empty() || referrer.artifact_type.as_ref().is_some_and(|kind| self.kinds.contains(kind))
    }
}
