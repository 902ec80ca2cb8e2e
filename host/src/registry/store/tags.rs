//! Tags: names of manifests, which may name another one later.

use std::future::ready;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::locks::Lock;
use super::{PARALLEL, Store, is_missing, run_all};
use crate::contract::{Position, Result};
use crate::registry::{Digest, RepositoryName, Tag, layout};

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Page<T> {
    pub(in crate::registry) items: Vec<T>,
    /// Whether others come after these.
    pub(in crate::registry) has_more: bool,
}

/// Returns a name as a tag, if it is one and comes after `last`.
fn tag_after(name: &str, last: Option<&str>) -> Option<Tag> {
    name.parse().ok().filter(|_| last.is_none_or(|last| name > last))
}

impl Store {
    /// Returns the tags after `last`, at most so many, in the order of their bytes, as the specification asks.
    ///
    /// A tag is one whose link can be read: a directory that a push left which was stopped half-way, or that somebody else
    /// made, names nothing that could be pulled. So each tag of the page is looked at, several at a time.
    ///
    /// A driver lists directories in the order of their names with `/` behind: `v1-rc` and `v1.1` come before `v1`. So the
    /// listing begins where names that begin with `last` do, and when it is cut, those that the last name begins with are
    /// looked for: what was not listed yet and yet comes before what was can only be one of these.
    pub(in crate::registry) async fn tags(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        let directory = layout::tags(name);
        let start = match last {
            Some(last) if Tag::is_valid(last) => Some(Position::file(directory.join(last)?)),
            // No tag, and yet a place among them: they are listed from the first.
            _ => None,
        };
        let mut looked_at = self.named(name, start.as_ref(), last).await?;
        let mut tags: Vec<String> = Vec::new();
        let mut cut = None;
        while let Some((tag, named)) = looked_at.try_next().await? {
            if named.is_some() {
                tags.push(tag.as_str().to_owned());
            }
            if tags.len() > limit {
                cut = Some(tag);
                break;
            }
        }
        drop(looked_at);
        if let Some(cut) = cut {
            let prefixes = cut.as_str().match_indices(['-', '.']).map(|(end, _)| &cut.as_str()[..end]);
            let prefixes: Vec<Tag> = prefixes.filter_map(|prefix| tag_after(prefix, last)).collect();
            let look = |prefix: Tag| {
                let named = async move {
                    let named = self.link(&layout::tag_link(name, &prefix)).await?;
                    Ok(named.map(|_| prefix.as_str().to_owned()))
                };
                named.boxed()
            };
            tags.extend(run_all(prefixes.into_iter().map(look)).await?);
        }
        tags.sort_unstable();
        tags.dedup();
        let has_more = tags.len() > limit;
        tags.truncate(limit);
        Ok(Page { items: tags, has_more })
    }

    /// Returns the tags after `last` in the order of listings, each with what it names: none for one that cannot be pulled.
    async fn named<'a>(
        &'a self,
        name: &'a RepositoryName,
        start: Option<&Position>,
        last: Option<&'a str>,
    ) -> Result<BoxStream<'a, Result<(Tag, Option<Digest>)>>> {
        let entries = match self.driver.list(&layout::tags(name), start).await {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(stream::empty().boxed()),
            Err(error) => return Err(error),
        };
        // Deleted while it is listed: the end of it.
        let entries = entries.take_while(|entry| ready(!entry.as_ref().is_err_and(is_missing)));
        let tags = entries.try_filter_map(move |entry| {
            let tag = entry.path.file_name().filter(|_| entry.is_dir);
            ready(Ok(tag.and_then(|tag| tag_after(tag, last))))
        });
        let look = move |tag: Tag| {
            let named = async move {
                let named = self.link(&layout::tag_link(name, &tag)).await?;
                Ok((tag, named))
            };
            named.boxed()
        };
        Ok(tags.map_ok(look).try_buffered(PARALLEL).boxed())
    }

    /// Returns whether a repository is there: it has manifests, blobs or an upload.
    pub(in crate::registry) async fn has_repository(&self, name: &RepositoryName) -> Result<bool> {
        match self.driver.stat(&layout::manifests(name)).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the tags that name a manifest.
    pub(super) async fn tags_of(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Tag>> {
        let looked_at = self.named(name, None, None).await?;
        let naming = |(tag, named): (Tag, Option<Digest>)| ready(Ok((named.as_ref() == Some(digest)).then_some(tag)));
        looked_at.try_filter_map(naming).try_collect().await
    }

    /// Makes a tag name a manifest, which is there.
    pub(super) async fn put_tag(&self, name: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<()> {
        let lock = self.locks.of(layout::tag(name, tag));
        let _held = lock.hold().await;
        self.put_link(&layout::tag_index_link(name, tag, digest), digest).await?;
        self.put_link(&layout::tag_link(name, tag), digest).await
    }

    /// Deletes a tag; what it names stays. Returns whether it was there.
    pub(in crate::registry) async fn delete_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<bool> {
        let lock = self.locks.of(layout::tag(name, tag));
        let _held = lock.hold().await;
        self.delete(&layout::tag(name, tag)).await
    }

    /// Deletes a tag if it names a manifest now, unless that was pushed again since `pushes` were counted under its lock.
    ///
    /// It is looked at again right before: between the listing of many tags and this, it may have been pushed with another
    /// manifest. A push of the tag in this process waits meanwhile. One in another process can come between the look and the
    /// delete, until drivers can delete on a condition.
    pub(super) async fn delete_tag_of(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        manifest: &Lock,
        pushes: u64,
    ) -> Result<()> {
        let lock = self.locks.of(layout::tag(name, tag));
        let _held = lock.hold().await;
        let is_pushed_again = *manifest.hold().await != pushes;
        if !is_pushed_again && self.link(&layout::tag_link(name, tag)).await?.as_ref() == Some(digest) {
            self.delete(&layout::tag(name, tag)).await?;
        }
        Ok(())
    }
}
