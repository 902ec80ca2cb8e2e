//! Manifests: blobs that name others, linked as revisions of a repository.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{PARALLEL, Store, is_missing, run_all, verify};
use crate::contract::{Error, ErrorKind, Result};
use crate::registry::manifest::{Child, Content, Manifest, TypeFrom};
use crate::registry::{Digest, Reference, RepositoryName, Tag, layout};

/// A stored manifest.
#[derive(Debug)]
pub(in crate::registry) struct Stored {
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) bytes: Bytes,
}

/// As what something has to be there that a manifest refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum As {
    Blob,
    Manifest,
    /// An entry of an index of which the media type is no manifest's.
    Either,
}

/// A manifest that is to be stored, and has been checked.
#[derive(Debug)]
pub(in crate::registry) struct Pushed<'a> {
    pub(in crate::registry) digest: &'a Digest,
    pub(in crate::registry) bytes: Bytes,
    /// What it is, if it was said beside it and not in it.
    pub(in crate::registry) media_type: Option<&'a str>,
    pub(in crate::registry) subject: Option<&'a Digest>,
    /// The tags that are to name it.
    pub(in crate::registry) tags: &'a [Tag],
}

impl Store {
    /// Returns the digest of what a reference names; none if it is a tag that is not there.
    pub(in crate::registry) async fn resolve(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Digest>> {
        match reference {
            Reference::Digest(digest) => Ok(Some(digest.clone())),
            Reference::Tag(tag) => self.link(&layout::tag_link(name, tag)).await,
        }
    }

    /// Returns a manifest of a repository; none if it has no such manifest.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if what is stored does not have the digest: it is hashed, which costs little for 4 MiB at most.
    pub(in crate::registry) async fn manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<Stored>> {
        let (link, blob) = (layout::revision_link(name, digest), layout::blob(digest));
        let (linked, content) = tokio::join!(self.link(&link), self.driver.get_content(&blob));
        if linked?.is_none() {
            return Ok(None);
        }
        match content {
            Ok(bytes) => {
                verify(digest, &bytes)?;
                Ok(Some(Stored { digest: digest.clone(), bytes }))
            }
            Err(error) if error.is_path_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns a manifest as [`manifest`](Self::manifest) does, for what reads many: one that is damaged is left out, and named
    /// in the log.
    pub(super) async fn intact_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<Stored>> {
        match self.manifest(name, digest).await {
            Err(error) if *error.kind() == ErrorKind::Corrupt => {
                tracing::error!(repository = %name, %digest, %error, "a manifest is damaged, and left out");
                Ok(None)
            }
            found => found,
        }
    }

    /// Reads a repository's manifest; none if it is none that Wharf knows. One that does not say what it is, is what it was
    /// pushed as.
    pub(in crate::registry) async fn read(&self, name: &RepositoryName, stored: &Stored) -> Result<Option<Manifest>> {
        let by_form = Manifest::parse(&stored.bytes, None).ok();
        if by_form.as_ref().is_some_and(|manifest| manifest.type_from == TypeFrom::Document) {
            return Ok(by_form);
        }
        let pushed_as = match self.driver.get_content(&layout::revision_type(name, &stored.digest)).await {
            Ok(content) => content,
            Err(error) if is_missing(&error) => return Ok(by_form),
            Err(error) => return Err(error),
        };
        let pushed_as = std::str::from_utf8(&pushed_as).ok().map(str::trim);
        Ok(Manifest::parse(&stored.bytes, pushed_as).ok().or(by_form))
    }

    /// Returns whether a repository has a manifest.
    pub(in crate::registry) async fn has_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        let link = layout::revision_link(name, digest);
        let (linked, size) = tokio::try_join!(self.link(&link), self.stored_size(digest))?;
        Ok(linked.is_some() && size.is_some())
    }

    /// Returns what a manifest refers to and its repository does not have.
    pub(in crate::registry) async fn missing(
        &self,
        name: &RepositoryName,
        manifest: &Manifest,
        with_manifests: bool,
    ) -> Result<Vec<Digest>> {
        let wanted: Vec<(&Digest, As)> = match &manifest.content {
            Content::Blobs(blobs) => blobs.iter().map(|blob| (blob, As::Blob)).collect(),
            Content::Manifests(children) if with_manifests => {
                let kind = |child: &Child| if child.is_manifest { As::Manifest } else { As::Either };
                children.iter().map(|child| (&child.digest, kind(child))).collect()
            }
            Content::Manifests(_) => return Ok(Vec::new()),
        };
        let look = |(digest, kind): (&Digest, As)| {
            let digest = digest.clone();
            let found = async move {
                let is_blob = kind != As::Manifest && self.blob_size(name, &digest).await?.is_some();
                let is_there = is_blob || kind != As::Blob && self.has_manifest(name, &digest).await?;
                Ok((!is_there).then_some(digest))
            };
            found.boxed()
        };
        run_all(wanted.into_iter().map(look)).await
    }

    /// Stores a manifest, and makes tags name it.
    ///
    /// In this order, so that whatever stops it in between leaves no link to what is not there.
    pub(in crate::registry) async fn put_manifest(&self, name: &RepositoryName, manifest: Pushed<'_>) -> Result<()> {
        let Pushed { digest, bytes, media_type, subject, tags } = manifest;
        self.put_bytes(digest, bytes).await?;
        {
            let lock = self.locks.of(layout::revision_link(name, digest));
            let mut pushes = lock.hold().await;
            // Before anything is written: whoever deletes this manifest at the moment stops there.
            *pushes += 1;
            if let Some(media_type) = media_type {
                let content = Bytes::copy_from_slice(media_type.as_bytes());
                self.driver.put_content(&layout::revision_type(name, digest), content).await?;
            }
            if let Some(subject) = subject {
                self.put_link(&layout::referrer_link(name, subject, digest), digest).await?;
            }
            self.put_link(&layout::revision_link(name, digest), digest).await?;
        }
        for tag in tags {
            self.put_tag(name, tag, digest).await?;
        }
        Ok(())
    }

    /// Takes a manifest out of a repository, and the tags that name it. Returns whether it was there.
    ///
    /// Tags go first, several at a time, so that whatever stops it in between leaves no tag of what is not there. A tag that
    /// names another manifest by the time that it would go stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the manifest was pushed again in this process meanwhile: what was pushed stays, and so may
    /// other tags that named it.
    pub(in crate::registry) async fn delete_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        let link = layout::revision_link(name, digest);
        let lock = self.locks.of(link.clone());
        let pushes = *lock.hold().await;
        if self.link(&link).await?.is_none() {
            return Ok(false);
        }
        let stored = self.intact_manifest(name, digest).await?;
        let subject = stored.and_then(|stored| Manifest::parse(&stored.bytes, None).ok()?.subject);
        let tags = self.tags_of(name, digest).await?;
        let delete = |tag| {
            let lock = &lock;
            async move { self.delete_tag_of(name, &tag, digest, lock, pushes).await }.boxed()
        };
        stream::iter(tags.into_iter().map(delete)).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        // Until it is gone, for a push that comes now writes its link after that.
        let held = lock.hold().await;
        if *held != pushes {
            let message =
                "it was pushed again while it was being deleted; look which tags name it, then delete it again";
            return Err(Error::new(ErrorKind::Conflict, message).with_path(&link));
        }
        if let Some(directory) = link.parent() {
            self.delete(&directory).await?;
        }
        if let Some(directory) = subject.and_then(|subject| layout::referrer_link(name, &subject, digest).parent()) {
            self.delete(&directory).await?;
        }
        Ok(true)
    }
}
