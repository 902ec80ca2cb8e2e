//! Where a registry keeps what: Distribution's layout (`registry/storage/paths.go`), so that either registry works on the
//! other's store.
//!
//! Two things are Wharf's own, and Distribution does not look at them: the directory `_manifests/referrers` of a repository,
//! which says which manifests name which subject; and a file `mediatype` beside the link of a manifest that does not say itself
//! what it is.

use super::name::MAX_NAME;
use super::{Algorithm, Digest, RepositoryName, Tag};
use crate::contract::StoragePath;

const BLOBS: &str = "/docker/registry/v2/blobs";
const REPOSITORIES: &str = "/docker/registry/v2/repositories";

/// Makes a path of parts that were checked: each keeps to the grammar of paths, which is wider than those of names,
/// tags, digests and identifiers of uploads.
fn path(text: String) -> StoragePath {
    StoragePath::parse(text).unwrap_or_else(|error| unreachable!("a checked name made no path: {error}"))
}

/// The bytes of a blob or a manifest.
pub(super) fn blob(digest: &Digest) -> StoragePath {
    let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
    path(format!("{BLOBS}/{algorithm}/{}/{hex}/data", &hex[..2]))
}

/// The directory of all repositories.
pub(super) fn repositories() -> StoragePath {
    path(REPOSITORIES.to_owned())
}

/// Returns the name of the repository that a directory is; none if it has no valid name.
pub(super) fn repository_at(directory: &StoragePath) -> Option<RepositoryName> {
    directory.as_str().strip_prefix(REPOSITORIES)?.strip_prefix('/')?.parse().ok()
}

/// Returns whether a repository may lie below a directory: not where its name would be longer than a name may be.
pub(super) fn may_hold_repositories(directory: &StoragePath) -> bool {
    let name = directory.as_str().strip_prefix(REPOSITORIES).unwrap_or_default();
    // With a slash before it, and at least one more with a letter behind.
    name.len() < MAX_NAME
}

/// The manifests of a repository. It is one if this is there.
pub(super) fn manifests(name: &RepositoryName) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests"))
}

fn directory_of(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm().name(), digest.hex())
}

/// Says that a blob can be read in a repository.
pub(super) fn layer_link(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_layers/{}/link", directory_of(digest)))
}

/// The manifests of a repository, by algorithm and digest.
pub(super) fn revisions(name: &RepositoryName) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/revisions"))
}

/// Says that a manifest can be read in a repository.
pub(super) fn revision_link(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/revisions/{}/link", directory_of(digest)))
}

/// Says what a manifest was pushed as that does not say it itself.
pub(super) fn revision_type(name: &RepositoryName, digest: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/revisions/{}/mediatype", directory_of(digest)))
}

/// The tags of a repository.
pub(super) fn tags(name: &RepositoryName) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags"))
}

/// All of a tag.
pub(super) fn tag(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}"))
}

/// Says which manifest a tag names.
pub(super) fn tag_link(name: &RepositoryName, tag: &Tag) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}/current/link"))
}

/// Says that a tag names a manifest, or has named it.
pub(super) fn tag_index_link(name: &RepositoryName, tag: &Tag, digest: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/tags/{tag}/index/{}/link", directory_of(digest)))
}

/// The referrers of a manifest.
pub(super) fn referrers(name: &RepositoryName, subject: &Digest) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/referrers/{}", directory_of(subject)))
}

/// Says that a manifest names a subject.
pub(super) fn referrer_link(name: &RepositoryName, subject: &Digest, referrer: &Digest) -> StoragePath {
    path(format!(
        "{REPOSITORIES}/{name}/_manifests/referrers/{}/{}/link",
        directory_of(subject),
        directory_of(referrer)
    ))
}

/// Says that every manifest which was there when Wharf first asked stands among the referrers.
pub(super) fn referrers_complete(name: &RepositoryName) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_manifests/referrers/complete"))
}

/// All of an upload.
pub(super) fn upload(name: &RepositoryName, id: uuid::Uuid) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}"))
}

/// The bytes of an upload.
pub(super) fn upload_data(name: &RepositoryName, id: uuid::Uuid) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/data"))
}

/// When an upload began.
pub(super) fn upload_started(name: &RepositoryName, id: uuid::Uuid) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/startedat"))
}

/// The state of the hash after so many bytes.
pub(super) fn hash_state(name: &RepositoryName, id: uuid::Uuid, algorithm: Algorithm, offset: u64) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/hashstates/{}/{offset}", algorithm.name()))
}

/// Returns the directory of the states of an upload's hashes.
pub(super) fn hash_states(name: &RepositoryName, id: uuid::Uuid) -> StoragePath {
    path(format!("{REPOSITORIES}/{name}/_uploads/{id}/hashstates"))
}

/// Returns after how many bytes a state of a hash is one; none if a path is that of no state.
pub(super) fn hash_state_offset(path: &StoragePath) -> Option<u64> {
    let mut parts = path.as_str().rsplit('/');
    let offset = parts.next()?.parse().ok()?;
    let (_algorithm, directory) = (parts.next()?, parts.next()?);
    (directory == "hashstates").then_some(offset)
}

/// Returns the digest whose directory a path is: `.../ALGORITHM/HEX`.
pub(super) fn digest_at(directory: &StoragePath) -> Option<Digest> {
    let mut parts = directory.as_str().rsplit('/');
    let (hex, algorithm) = (parts.next()?, parts.next()?);
    format!("{algorithm}:{hex}").parse().ok()
}
