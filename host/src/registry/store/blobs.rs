//! Blobs: bytes under their digest, and links to them.
//!
//! Bytes can be damaged: by a disk, by somebody who writes to the store, by a crash of a registry that does not sync its files.
//! What is read whole into memory is hashed before it is served ([`verify`]); what is streamed is not, since hashing costs more
//! than sending. A push of a digest leaves the right bytes, whatever lay there: what is there is read and hashed.

use bytes::Bytes;
use futures::TryStreamExt;
use http::HeaderValue;

use super::{Store, is_missing};
use crate::contract::{ByteRange, Error, ErrorKind, Reader, RedirectRequest, Result, StoragePath};
use crate::registry::hasher::Hasher;
use crate::registry::{Algorithm, Digest, RepositoryName, layout};

/// An open blob.
#[derive(Debug)]
pub(in crate::registry) struct Blob {
    /// The size of the whole, in bytes.
    pub(in crate::registry) size: u64,
    /// The bytes that were asked for.
    pub(in crate::registry) reader: Reader,
}

/// Checks that bytes have the digest under which they are stored.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`], with the digest in the message.
pub(in crate::registry) fn verify(digest: &Digest, bytes: &[u8]) -> Result<()> {
    if Digest::of(digest.algorithm(), bytes) == *digest {
        return Ok(());
    }
    let message = format!(
        "the {} bytes that are stored as {digest} do not have this digest; restore the file, or push it again",
        bytes.len()
    );
    Err(Error::new(ErrorKind::Corrupt, message).with_path(&layout::blob(digest)))
}

impl Store {
    /// Returns whether a blob can be read in a repository, by its link alone.
    pub(in crate::registry) async fn is_linked(&self, name: &RepositoryName, digest: &Digest) -> Result<bool> {
        Ok(self.link(&layout::layer_link(name, digest)).await?.is_some())
    }

    /// Returns the size of a repository's blob; none if the repository has no such blob.
    pub(in crate::registry) async fn blob_size(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<u64>> {
        let link = layout::layer_link(name, digest);
        let (linked, size) = tokio::try_join!(self.link(&link), self.stored_size(digest))?;
        Ok(size.filter(|_| linked.is_some()))
    }

    /// Returns the size of what lies under a digest; none if nothing does.
    ///
    /// No bytes under a digest of some are nothing: that is what a crash leaves of a registry that does not sync its files. A
    /// client that asks before it pushes brings them again then.
    pub(super) async fn stored_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = layout::blob(digest);
        let size = self.size(&path).await?;
        if size == Some(0) && *digest != Digest::of(digest.algorithm(), b"") {
            tracing::error!(%digest, %path, "a file is empty that cannot be, and counts as missing; push it again");
            return Ok(None);
        }
        Ok(size)
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
        if self.stored_size(digest).await?.is_none() {
            return Ok(false);
        }
        self.put_link(&layout::layer_link(name, digest), digest).await?;
        Ok(true)
    }

    /// Stores the bytes of a blob, of which the digest has been computed, unless exactly they are there.
    pub(super) async fn put_bytes(&self, digest: &Digest, bytes: Bytes) -> Result<()> {
        if self.is_intact(digest, bytes.len() as u64).await? {
            return Ok(());
        }
        self.driver.put_content(&layout::blob(digest), bytes).await
    }

    /// Returns whether what lies under a digest has this size and the digest. Costs the reading of what has the size: less than
    /// the push that asks for it.
    pub(super) async fn is_intact(&self, digest: &Digest, size: u64) -> Result<bool> {
        let path = layout::blob(digest);
        match self.size(&path).await? {
            Some(stored) if stored == size => {}
            None => return Ok(false),
            Some(stored) => {
                tracing::warn!(%digest, stored, size, "stored bytes have another size than they should, and are replaced");
                return Ok(false);
            }
        }
        match self.digest_of(&path, digest.algorithm()).await {
            Ok(computed) if computed == *digest => Ok(true),
            Ok(computed) => {
                tracing::warn!(%digest, %computed, "stored bytes have another digest than they should, and are replaced");
                Ok(false)
            }
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => match error.kind() {
                // The bytes themselves cannot be read: a broken disk, or a checksum of the store's.
                ErrorKind::Corrupt | ErrorKind::Other => {
                    tracing::warn!(%digest, %error, "stored bytes cannot be read, and are replaced");
                    Ok(false)
                }
                _ => Err(error),
            },
        }
    }

    /// Hashes what lies at a path.
    pub(super) async fn digest_of(&self, path: &StoragePath, algorithm: Algorithm) -> Result<Digest> {
        let mut hasher = Hasher::new(algorithm);
        let mut reader = self.driver.reader(path, ByteRange::ALL).await?;
        while let Some(piece) = reader.try_next().await? {
            hasher.update(&piece);
        }
        Ok(hasher.digest())
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
