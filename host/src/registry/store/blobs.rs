//! Blobs: bytes under their digest, and links to them.

use bytes::Bytes;
use http::HeaderValue;

use super::Store;
use crate::contract::{ByteRange, Reader, RedirectRequest, Result};
use crate::registry::{Digest, RepositoryName, layout};

/// An open blob.
#[derive(Debug)]
pub(in crate::registry) struct Blob {
    /// The size of the whole, in bytes.
    pub(in crate::registry) size: u64,
    /// The bytes that were asked for.
    pub(in crate::registry) reader: Reader,
}

impl Store {
    /// Returns whether a blob can be read in a repository, by its link alone.
    pub(in crate::registry) async fn is_linked(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        Ok(self.link(&layout::layer_link(name, digest)).await?.is_some())
    }

    /// Returns the size of a repository's blob; none if the repository has no such blob.
    pub(in crate::registry) async fn blob_size(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<u64>> {
        let (link, blob) = (layout::layer_link(name, digest), layout::blob(digest));
        let (linked, size) = tokio::try_join!(self.link(&link), self.size(&blob))?;
        Ok(size.filter(|_| linked.is_some()))
    }

    /// Opens a repository's blob; none if the repository has no such blob.
    pub(in crate::registry) async fn open_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        range: ByteRange,
    ) -> Result<Option<Blob>> {
        let (link, blob) = (layout::layer_link(name, digest), layout::blob(digest));
        // At a time: a blob that is not linked is hardly ever asked for.
        let (linked, reader) = tokio::join!(self.link(&link), self.driver.reader(&blob, range));
        if linked?.is_none() {
            return Ok(None);
        }
        match reader {
            Ok(reader) => Ok(Some(Blob { size: reader.info().size, reader })),
            Err(error) if error.is_path_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns an address at which a client can fetch a blob by itself; none where it must come through the registry.
    ///
    /// It is none too where the driver fails to give one: a pull goes on without, and the log says why.
    pub(in crate::registry) async fn blob_address(
        &self,
        digest: &Digest,
        request: &RedirectRequest,
    ) -> Option<HeaderValue> {
        let address = match self.driver.redirect_url(&layout::blob(digest), request).await {
            Ok(address) => address?,
            Err(error) => {
                if !error.is_path_not_found() && self.no_address.is_due() {
                    tracing::warn!(
                        %error,
                        "the driver gave no address for clients; blobs go through the registry meanwhile (logged once a \
                         minute)"
                    );
                }
                return None;
            }
        };
        // `base` lets through what a header can hold.
        HeaderValue::try_from(address).ok()
    }

    /// Makes one repository's blob another's too; returns its size, or none if the first has no such blob.
    pub(in crate::registry) async fn mount(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<bool> {
        if self.blob_size(from, digest).await?.is_none() {
            return Ok(false);
        }
        self.put_link(&layout::layer_link(name, digest), digest).await?;
        Ok(true)
    }

    /// Makes a blob that lies in the store, wherever from, a repository's. Returns whether it is there.
    pub(in crate::registry) async fn adopt(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        if self.size(&layout::blob(digest)).await?.is_none() {
            return Ok(false);
        }
        self.put_link(&layout::layer_link(name, digest), digest).await?;
        Ok(true)
    }

    /// Stores the bytes of a blob, of which the digest has been computed, unless they are there.
    pub(super) async fn put_bytes(&self, digest: &Digest, bytes: Bytes) -> Result<()> {
        let path = layout::blob(digest);
        // Of another size: what a crash left of a registry that does not sync its files. It is replaced.
        if self.size(&path).await? == Some(bytes.len() as u64) {
            return Ok(());
        }
        self.driver.put_content(&path, bytes).await
    }

    /// Takes a blob out of a repository; its bytes stay for other repositories. Returns whether it was there.
    pub(in crate::registry) async fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        let link = layout::layer_link(name, digest);
        match link.parent() {
            Some(directory) => self.delete(&directory).await,
            None => Ok(false),
        }
    }
}
