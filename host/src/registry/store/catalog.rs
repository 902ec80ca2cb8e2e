//! The catalog: every repository of a store.

use futures::TryStreamExt;

use super::tags::Page;
use super::{Store, is_missing};
use crate::contract::{Entry, EntryStream, Position, Result, StoragePath};
use crate::registry::{RepositoryName, layout};

impl Store {
    /// Returns the repositories after `last`, at most so many, in the order of listings: that of their names, with `/` behind
    /// each. A repository is a directory with manifests in it. `last` need be no name, as in Distribution: then the listing
    /// begins with the first, and passes over those before it.
    ///
    /// Costs a listing for each directory, and none of what lies inside a repository: `_layers` alone can have thousands of
    /// entries.
    pub(in crate::registry) async fn repositories(
        &self,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>> {
        let mut found = Vec::new();
        let name = last.and_then(|last| last.parse::<RepositoryName>().ok());
        let mut descent = Descent::begin(self, name.as_ref()).await?;
        let passed_over = last.filter(|_| name.is_none()).map(|last| format!("{last}/"));
        while let Some(directory) = descent.next(self).await? {
            if let Some(last) = &passed_over
                && layout::repository_at(&directory).is_none_or(|name| format!("{name}/") <= *last)
            {
                continue;
            }
            if self.driver.stat(&directory.join("_manifests")?).await.is_err_and(|error| is_missing(&error)) {
                continue;
            }
            let Some(name) = layout::repository_at(&directory) else { continue };
            if found.len() == limit {
                return Ok(Page { items: found, has_more: true });
            }
            found.push(name);
        }
        Ok(Page { items: found, has_more: false })
    }
}

/// A walk through the directories that are, or may hold, repositories: one open listing for each level. There are no more
/// levels than a repository's name can have, whatever a store says that it holds.
pub(super) struct Descent {
    open: Vec<EntryStream>,
    entering: Option<StoragePath>,
}

impl Descent {
    /// Begins after a repository, of which what lies below is still to come.
    pub(super) async fn begin(store: &Store, last: Option<&RepositoryName>) -> Result<Self> {
        let mut descent = Descent { open: Vec::new(), entering: None };
        let mut directory = layout::repositories();
        let Some(last) = last else {
            descent.entering = Some(directory);
            return Ok(descent);
        };
        for component in last.as_str().split('/') {
            let child = directory.join(component)?;
            descent.open(store, &directory, Some(&Position::directory(child.clone()))).await?;
            directory = child;
        }
        descent.entering = Some(directory);
        Ok(descent)
    }

    async fn open(&mut self, store: &Store, directory: &StoragePath, after: Option<&Position>) -> Result<()> {
        match store.driver.list(directory, after).await {
            Ok(entries) => self.open.push(entries),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the next directory.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Option<StoragePath>> {
        if let Some(directory) = self.entering.take() {
            self.open(store, &directory, None).await?;
        }
        while let Some(entries) = self.open.last_mut() {
            let found = match entries.try_next().await {
                Err(error) if is_missing(&error) => None,
                found => found?,
            };
            match found {
                None => {
                    self.open.pop();
                }
                Some(Entry { path, is_dir: true, .. })
                    if path.file_name().is_some_and(|name| !name.starts_with('_')) =>
                {
                    if layout::may_hold_repositories(&path) {
                        self.entering = Some(path.clone());
                    }
                    return Ok(Some(path));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::contract::StorageDriver;
    use crate::drivers::inmemory::InMemory;

    #[tokio::test]
    async fn a_store_without_a_bottom_costs_no_more_listings_than_a_name_has_components() {
        let driver = Arc::new(InMemory::new());
        let deep = format!("{}{}/file", layout::repositories(), "/a".repeat(400));
        driver.put_content(&StoragePath::parse(deep).unwrap(), Bytes::new()).await.unwrap();
        let store = Store::new(driver);
        let mut descent = Descent::begin(&store, None).await.unwrap();
        let (mut directories, mut most) = (0, 0);
        while descent.next(&store).await.unwrap().is_some() {
            directories += 1;
            most = most.max(descent.open.len());
        }
        assert_eq!((directories, most), (128, 128), "`a/a/...` of 255 characters has 128 components");
    }
}
