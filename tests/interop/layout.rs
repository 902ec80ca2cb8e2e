//! Where a registry keeps what, by Distribution's `registry/storage/paths.go`.

use std::collections::BTreeSet;

use wharf::contract::StoragePath;

use crate::check::Outcome;
use crate::image::Image;

const ROOT: &str = "/docker/registry/v2";

/// Returns the path's checked form.
pub(crate) fn path(text: impl Into<String>) -> Outcome<StoragePath> {
    Ok(StoragePath::parse(text)?)
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

/// The bytes of a layer, a configuration or a manifest.
pub(crate) fn blob(digest: &str) -> String {
    let hex = hex(digest);
    format!("{ROOT}/blobs/sha256/{}/{hex}/data", &hex[..2])
}

/// Everything of a repository but the bytes of its blobs.
pub(crate) fn repository(name: &str) -> String {
    format!("{ROOT}/repositories/{name}")
}

/// Says that a blob may be read in a repository.
pub(crate) fn layer_link(name: &str, digest: &str) -> String {
    format!("{}/_layers/sha256/{}/link", repository(name), hex(digest))
}

/// Says that a manifest may be read in a repository.
pub(crate) fn revision_link(name: &str, digest: &str) -> String {
    format!("{}/_manifests/revisions/sha256/{}/link", repository(name), hex(digest))
}

/// All of a tag.
pub(crate) fn tag(name: &str, tag: &str) -> String {
    format!("{}/_manifests/tags/{tag}", repository(name))
}

/// Says which manifest a tag names.
pub(crate) fn tag_link(name: &str, name_of_tag: &str) -> String {
    format!("{}/current/link", tag(name, name_of_tag))
}

/// Says that a tag names a manifest, or has named it.
pub(crate) fn tag_index_link(name: &str, name_of_tag: &str, digest: &str) -> String {
    format!("{}/index/sha256/{}/link", tag(name, name_of_tag), hex(digest))
}

/// All of an upload.
pub(crate) fn upload(name: &str, uuid: &str) -> String {
    format!("{}/_uploads/{uuid}", repository(name))
}

/// Returns whether a path is that of a link's file.
pub(crate) fn is_link(path: &str) -> bool {
    path.starts_with(&repository("")) && path.ends_with("/link")
}

/// Returns the digest that stands in the path of a blob's bytes; none if it is not such a path.
pub(crate) fn digest_in(path: &str) -> Option<String> {
    let rest = path.strip_prefix(ROOT)?.strip_prefix("/blobs/sha256/")?.strip_suffix("/data")?;
    let (two, hex) = rest.split_once('/')?;
    (hex.len() == 64 && hex.starts_with(two) && two.len() == 2).then(|| format!("sha256:{hex}"))
}

/// Returns every file that a registry holds which holds these images and nothing else.
pub(crate) fn files<'a>(images: impl IntoIterator<Item = &'a Image>) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for image in images {
        for content in image.blobs() {
            files.extend([blob(&content.digest), layer_link(&image.name, &content.digest)]);
        }
        files.extend([blob(&image.manifest.digest), revision_link(&image.name, &image.manifest.digest)]);
        for tag in &image.tags {
            files.extend([tag_link(&image.name, tag), tag_index_link(&image.name, tag, &image.manifest.digest)]);
        }
    }
    files
}
