//! What a store has acknowledged of an upload, whatever it says of its bytes at the moment.
//!
//! A listing that is behind, or fails in a way that looks like an empty answer, would restart an upload in silence, and
//! the bytes that the client has sent would be gone. The states of the hash, one after each request, lie in other files. They
//! say that there were bytes.

use futures::TryStreamExt;
use uuid::Uuid;

use super::super::{Store, is_missing};
use crate::contract::{Entry, Error, ErrorKind, Result};
use crate::registry::{RepositoryName, layout};

/// What lies beside the bytes of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Whether it says when it began: without, there is no such upload.
    pub(super) has_begun: bool,
    /// How many bytes it had at least after a request that was answered.
    pub(super) bytes: u64,
}

impl Beside {
    /// Returns what is wrong if the store shows fewer bytes than it had. Asked again, it may show them.
    pub(super) fn behind(self, shown: u64) -> Option<Error> {
        if shown >= self.bytes {
            return None;
        }
        let message = format!(
            "the store shows {shown} of at least {} bytes of the upload; retry, or begin another upload if that does not help",
            self.bytes
        );
        Some(Error::new(ErrorKind::Unavailable, message))
    }
}

impl Store {
    /// Looks at what lies beside the bytes of an upload: one listing of few files.
    pub(super) async fn beside_upload(&self, name: &RepositoryName, id: Uuid) -> Result<Beside> {
        let directory = layout::upload(name, id);
        let started = layout::upload_started(name, id);
        let mut entries = match self.driver.walk(&directory, None).await {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(Beside::default()),
            Err(error) => return Err(error),
        };
        let mut beside = Beside::default();
        while let Some(Entry { path, is_dir, .. }) = entries.try_next().await? {
            beside.has_begun |= path == started;
            if let Some(offset) = layout::hash_state_offset(&path).filter(|_| !is_dir) {
                beside.bytes = beside.bytes.max(offset);
            }
        }
        Ok(beside)
    }
}
