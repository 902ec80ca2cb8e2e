//! Manifests: what they are, and what they refer to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Digest, InvalidDigest, members};

/// The largest manifest: 4 MiB, which the specification asks registries to take, and Distribution takes no more.
pub(super) const MAX_MANIFEST: usize = 4 * 1024 * 1024;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const DOCKER_SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// Whether a media type is that of a manifest or an index.
fn is_manifest_type(media_type: &str) -> bool {
    [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].contains(&media_type)
}

/// A manifest, as far as a registry reads it.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    /// What it is served as.
    pub(super) media_type: String,
    /// Who says so.
    pub(super) type_from: TypeFrom,
    /// What it refers to.
    pub(super) content: Content,
    /// The manifest that it says something about.
    pub(super) subject: Option<Digest>,
    /// What kind of artifact it is, if it says so; else the configuration's media type.
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
}

/// Where the media type of a manifest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeFrom {
    /// From the document itself, which is what everybody reads.
    Document,
    /// From what was said beside it.
    ContentType,
    /// From its form, since nobody says: an OCI document.
    Form,
}

/// What a manifest refers to.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Blobs: the configuration and the layers, without those that lie elsewhere.
    Blobs(Vec<Digest>),
    /// Other manifests, with their platforms; or blobs, as in the caches that BuildKit exports.
    Manifests(Vec<Child>),
}

/// An entry of an index.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) digest: Digest,
    /// Whether its media type is a manifest's. Others may be blobs.
    pub(super) is_manifest: bool,
    /// `linux`, `amd64`: of Docker's lists, which older clients cannot read.
    pub(super) platform: Option<(String, String)>,
}

/// Why a manifest cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct InvalidManifest(String);

impl From<InvalidDigest> for InvalidManifest {
    fn from(invalid: InvalidDigest) -> Self {
        InvalidManifest(format!("a digest in the manifest is invalid: {invalid}"))
    }
}

/// The entry of a manifest in a list of referrers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Referrer {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    size: Option<i64>,
    urls: Option<Vec<String>>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: Option<String>,
    os: Option<String>,
}

impl Descriptor {
    fn digest(&self) -> Result<Digest, InvalidManifest> {
        if self.size.is_some_and(|size| size < 0) {
            return Err(InvalidManifest(format!("the size of {} in the manifest is negative", shown(&self.digest))));
        }
        Ok(self.digest.parse()?)
    }

    /// Whether it may lie elsewhere: layers that must not be distributed have addresses, and no registry needs them.
    fn is_foreign(&self) -> bool {
        let is_foreign = |kind: &str| kind.contains(".foreign.") || kind.contains(".nondistributable.");
        self.urls.as_ref().is_some_and(|urls| !urls.is_empty()) && self.media_type.as_deref().is_some_and(is_foreign)
    }
}

/// Returns what a manifest of Docker's schema 1 is served as; none if it is no such manifest. Nobody pushes them any more, but
/// old stores have some, with or without their signatures.
pub(super) fn schema_1_type(bytes: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Schema1 {
        schema_version: u64,
        signatures: Option<Vec<serde::de::IgnoredAny>>,
    }
    let manifest: Schema1 =
        serde_json::from_slice(bytes).ok().filter(|manifest: &Schema1| manifest.schema_version == 1)?;
    let is_signed = manifest.signatures.is_some_and(|signatures| !signatures.is_empty());
    Some(if is_signed { DOCKER_SCHEMA_1_SIGNED } else { DOCKER_SCHEMA_1 })
}

/// Cuts a text of the client's to what can stand in a sentence.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Manifest {
    /// As [`parse`](Self::parse), for one that a client pushes: every reader must read it alike. What is stored already is
    /// served as it is.
    pub(super) fn parse_pushed(bytes: &[u8], content_type: Option<&str>) -> Result<Self, InvalidManifest> {
        let manifest = Self::parse(bytes, content_type)?;
        members::check(bytes).map_err(|why| InvalidManifest(format!("the manifest is ambiguous: {why}")))?;
        Ok(manifest)
    }

    /// Reads a manifest that came with that media type, if any did.
    pub(super) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, InvalidManifest> {
        let invalid = |text: &str| Err(InvalidManifest(text.to_owned()));
        if bytes.is_empty() {
            return invalid("the manifest is empty");
        }
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| InvalidManifest(format!("the manifest is no JSON document of a known form: {error}")))?;
        let given =
            content_type.map(|kind| kind.split(';').next().unwrap_or("").trim()).filter(|kind| !kind.is_empty());
        let generic =
            ["application/json", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"];
        let given = given.filter(|kind| !generic.contains(kind));
        if document.schema_version == Some(1)
            || given.is_some_and(|kind| [DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED].contains(&kind))
        {
            return invalid("manifests of Docker's schema 1 are not taken; push it as schema 2 or OCI");
        }
        if document.schema_version != Some(2) {
            return invalid("the manifest's schemaVersion is not 2");
        }
        if let (Some(given), Some(own)) = (given, &document.media_type)
            && given != own
        {
            let text =
                format!("the manifest says that it is {}, and Content-Type that it is {}", shown(own), shown(given));
            return Err(InvalidManifest(text));
        }
        // Without either: an OCI document, of which the form tells which.
        let by_form = if document.manifests.is_some() { OCI_INDEX } else { OCI_MANIFEST };
        let type_from = match (&document.media_type, given) {
            (Some(_), _) => TypeFrom::Document,
            (None, Some(_)) => TypeFrom::ContentType,
            (None, None) => TypeFrom::Form,
        };
        let media_type = given.map(str::to_owned).or(document.media_type).unwrap_or_else(|| by_form.to_owned());

        let is_index = match &*media_type {
            OCI_INDEX | DOCKER_LIST => true,
            OCI_MANIFEST | DOCKER_MANIFEST => false,
            other => {
                let text = format!("manifests of the media type {} are not taken", shown(other));
                return Err(InvalidManifest(text));
            }
        };
        if is_index && (document.layers.is_some() || document.config.is_some())
            || !is_index && document.manifests.is_some()
        {
            // One document that two clients read as two things (CVE-2021-41190).
            return invalid("the manifest has both layers or a configuration and manifests");
        }
        let content = if is_index {
            // Of nothing there need be no list: programs in Go write it as `null`.
            let children = document.manifests.iter().flatten().filter(|child| !child.is_foreign());
            Content::Manifests(children.map(Child::of).collect::<Result<_, _>>()?)
        } else {
            let Some(config) = &document.config else { return invalid("the manifest has no configuration") };
            let here = document.layers.iter().flatten().filter(|layer| !layer.is_foreign());
            Content::Blobs(std::iter::once(config).chain(here).map(Descriptor::digest).collect::<Result<_, _>>()?)
        };
        let config_type = document.config.and_then(|config| config.media_type);
        let artifact_type = document.artifact_type.filter(|kind| !kind.is_empty()).or(config_type);
        let annotations = document.annotations.unwrap_or_default();
        Ok(Manifest {
            media_type,
            type_from,
            content,
            subject: document.subject.map(|subject| subject.digest()).transpose()?,
            artifact_type,
            // As Go reads them.
            annotations: annotations.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect(),
        })
    }

    /// Returns the entry for it in a list of referrers.
    pub(super) fn into_referrer(self, digest: &Digest, size: u64) -> Referrer {
        let Manifest { media_type, artifact_type, annotations, .. } = self;
        Referrer { media_type, digest: digest.to_string(), size, artifact_type, annotations }
    }
}

impl Referrer {
    /// Writes it as JSON.
    pub(super) fn to_json(&self) -> String {
        json!(self).to_string()
    }
}

impl Child {
    fn of(descriptor: &Descriptor) -> Result<Self, InvalidManifest> {
        let platform = descriptor.platform.as_ref();
        let platform = platform.and_then(|platform| Some((platform.os.clone()?, platform.architecture.clone()?)));
        let is_manifest = descriptor.media_type.as_deref().is_some_and(is_manifest_type);
        Ok(Child { digest: descriptor.digest()?, is_manifest, platform })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use super::*;

    const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn image(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/config","digest":"{DIGEST}","size":2}},"layers":[]{extra}}}"#
        )
    }

    #[test]
    fn the_kind_is_that_of_the_header_the_document_or_the_form() {
        let kind = |text: &str, header| Manifest::parse(text.as_bytes(), header).unwrap().media_type;
        assert_eq!(kind(&image(""), None), OCI_MANIFEST);
        assert_eq!(kind(&image(""), Some(DOCKER_MANIFEST)), DOCKER_MANIFEST);
        assert_eq!(kind(&image(&format!(r#","mediaType":"{DOCKER_MANIFEST}""#)), None), DOCKER_MANIFEST);
        assert_eq!(kind(r#"{"schemaVersion":2,"manifests":[]}"#, Some("application/json; charset=utf-8")), OCI_INDEX);
    }

    #[test]
    fn what_can_be_read_as_two_things_is_refused() {
        let index = image(r#","manifests":[]"#);
        for header in [None, Some(OCI_INDEX), Some(OCI_MANIFEST)] {
            assert!(Manifest::parse(index.as_bytes(), header).is_err());
        }
        let told = image(&format!(r#","mediaType":"{OCI_MANIFEST}""#));
        assert!(Manifest::parse(told.as_bytes(), Some(DOCKER_MANIFEST)).is_err());
    }

    #[test]
    fn layers_that_lie_elsewhere_are_not_asked_for_of_images_and_of_indexes() {
        let foreign = r#"{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":1,"urls":["https://example.com/x"],"digest":""#;
        let text = image("").replace("[]", &format!("[{foreign}{}\"}}]", DIGEST.replace('2', "3")));
        let Content::Blobs(blobs) = Manifest::parse(text.as_bytes(), None).unwrap().content else { panic!("no image") };
        assert_eq!(blobs, [DIGEST.parse().unwrap()]);
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{foreign}{DIGEST}"}}]}}"#);
        let Content::Manifests(children) = Manifest::parse(text.as_bytes(), None).unwrap().content else {
            panic!("no index")
        };
        assert!(children.is_empty());
    }

    #[test]
    fn the_artifact_is_of_the_type_it_says_or_of_its_configurations() {
        let of = |text: &str| Manifest::parse(text.as_bytes(), None).unwrap().artifact_type;
        assert_eq!(of(&image("")).as_deref(), Some("a/config"));
        assert_eq!(of(&image(r#","artifactType":"a/b""#)).as_deref(), Some("a/b"));
    }
}
