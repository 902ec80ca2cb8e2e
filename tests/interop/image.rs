//! Images: a configuration, layers and the manifest that names them; and `skopeo`, which copies them.

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::check::{Outcome, ensure, same};
use crate::content::{content, digest};
use crate::curl;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Bytes and their digest.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) digest: String,
    pub(crate) bytes: Bytes,
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Content { digest: digest(&bytes), bytes }
    }
}

/// An image in a repository.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) configuration: Content,
    pub(crate) layers: Vec<Content>,
    pub(crate) manifest: Content,
}

impl Image {
    /// Makes an image with layers of those sizes. Another seed gives other bytes.
    pub(crate) fn new(name: &str, tags: &[&str], seed: u64, sizes: &[usize]) -> Self {
        let layers: Vec<Content> = (seed * 100..).zip(sizes).map(|(seed, &size)| content(seed, size).into()).collect();
        let diff_ids: Vec<&str> = layers.iter().map(|layer| &*layer.digest).collect();
        let configuration = json!({
            "architecture": "amd64", "os": "linux", "config": {}, "author": format!("seed {seed}"),
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let configuration = Content::from(Bytes::from(configuration.to_string()));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIGURATION, &configuration),
            "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<Value>>(),
        });
        let manifest = Content::from(Bytes::from(manifest.to_string()));
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Image { name: name.to_owned(), tags, configuration, layers, manifest }
    }

    /// Returns the manifest's media type.
    pub(crate) fn media_type() -> &'static str {
        MANIFEST
    }

    /// Returns the configuration and the layers.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Content> {
        std::iter::once(&self.configuration).chain(&self.layers)
    }

    /// Pushes the image from an OCI layout with `skopeo`, under each of its tags.
    pub(crate) fn push_with_skopeo(&self, registry: &str) -> Outcome {
        let directory = tempfile::tempdir()?;
        self.write_layout(directory.path())?;
        for tag in &self.tags {
            let source = format!("oci:{}", directory.path().display());
            skopeo(&["--dest-tls-verify=false", &source, &format!("docker://{registry}/{}:{tag}", self.name)])?;
        }
        Ok(())
    }

    /// Pulls the image by each of its tags with `skopeo` and compares every file with what it has to be.
    pub(crate) fn pull_with_skopeo(&self, registry: &str) -> Outcome {
        for tag in &self.tags {
            let directory = tempfile::tempdir()?;
            let destination = format!("dir:{}", directory.path().display());
            skopeo(&["--src-tls-verify=false", &format!("docker://{registry}/{}:{tag}", self.name), &destination])?;
            for content in self.blobs() {
                let file = content.digest.trim_start_matches("sha256:");
                let seen = fs::read(directory.path().join(file))?;
                same(format_args!("{} pulled", content.digest), digest(&seen), content.digest.clone())?;
            }
            let seen = fs::read(directory.path().join("manifest.json"))?;
            same("the manifest pulled", digest(&seen), self.manifest.digest.clone())?;
        }
        Ok(())
    }

    fn write_layout(&self, directory: &Path) -> Outcome {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for content in self.blobs().chain([&self.manifest]) {
            fs::write(blobs.join(content.digest.trim_start_matches("sha256:")), &content.bytes)?;
        }
        fs::write(directory.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor(MANIFEST, &self.manifest)] });
        fs::write(directory.join("index.json"), index.to_string())?;
        Ok(())
    }
}

fn descriptor(media_type: &str, content: &Content) -> Value {
    json!({ "mediaType": media_type, "digest": content.digest, "size": content.bytes.len() })
}

fn skopeo(arguments: &[&str]) -> Outcome {
    let mut command = Command::new("skopeo");
    // The layers are no archives: compressed on the way, they would become others.
    command.args(["copy", "--insecure-policy", "--preserve-digests", "--quiet"]).args(arguments);
    let output = curl::run(&mut command)?;
    ensure(output.success, format_args!("skopeo copy {} failed: {}", arguments.join(" "), output.stderr))
}
