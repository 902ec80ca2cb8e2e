//! Tags: names of manifests, which may name another one later.

use futures::{FutureExt, StreamExt, TryStreamExt};

use super::{Store, is_missing, run_all};
use crate::contract::{Position, Result};
use crate::registry::{Digest, RepositoryName, Tag, layout};

/// How many tags are looked at before others are listed.
const PORTION: usize = 1000;

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Page<T> {
    pub(in crate::registry) items: Vec<T>,
    /// Whether others come after these.
    pub(in crate::registry) has_more: bool,
}

impl Store {
    /// Returns the tags after `last`, at most so many, in the order of their bytes, as the specification asks.
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
        let is_after = |tag: &str| last.is_none_or(|last| tag > last);
        let start = match last {
            Some(last) if Tag::is_valid(last) => Some(Position::file(directory.join(last)?)),
            // No tag, and yet a place among them: they are listed from the first.
            _ => None,
        };
        let mut entries = match self.driver.list(&directory, start.as_ref()).await {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Page { items: Vec::new(), has_more: false }),
            Err(error) => return Err(error),
        };
        let mut tags: Vec<String> = Vec::new();
        while let Some(entry) = entries.next().await {
            let entry = match entry {
                Err(error) if is_missing(&error) => break,
                entry => entry?,
            };
            let Some(tag) = entry.path.file_name().filter(|tag| entry.is_dir && Tag::is_valid(tag) && is_after(tag))
            else {
                continue;
            };
            tags.push(tag.to_owned());
            if tags.len() > limit {
                break;
            }
        }
        if tags.len() > limit {
            drop(entries);
            let cut = tags[tags.len() - 1].clone();
            let prefixes = cut.match_indices(['-', '.']).map(|(end, _)| &cut[..end]);
            for prefix in prefixes.filter(|prefix| Tag::is_valid(prefix) && is_after(prefix)) {
                if self.driver.stat(&directory.join(prefix)?).await.is_ok_and(|info| info.is_dir) {
                    tags.push(prefix.to_owned());
                }
            }
        }
        tags.sort_unstable();
        tags.dedup();
        let has_more = tags.len() > limit;
        tags.truncate(limit);
        Ok(Page { items: tags, has_more })
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
        let mut tags = match self.driver.list(&layout::tags(name), None).await {
            Ok(tags) => tags,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut naming = Vec::new();
        loop {
            // In portions, since a repository can have a great many tags.
            let mut looks = Vec::new();
            while looks.len() < PORTION
                && let Some(entry) = tags.try_next().await?
            {
                let Some(tag) = entry.path.file_name().and_then(|tag| tag.parse::<Tag>().ok()) else { continue };
                let look = async move {
                    let named = self.link(&layout::tag_link(name, &tag)).await?;
                    Ok((named.as_ref() == Some(digest)).then_some(tag))
                };
                looks.push(look.boxed());
            }
            if looks.is_empty() {
                return Ok(naming);
            }
            naming.extend(run_all(looks).await?);
        }
    }

    /// Deletes a tag; what it names stays. Returns whether it was there.
    pub(in crate::registry) async fn delete_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<bool> {
        self.delete_directory(&layout::tag(name, tag)).await
    }
}
