//! Images that are made here, without a network: layers that are archives, a configuration, the manifest that names
//! them, an index of several architectures, and the OCI layout from which clients push them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::content::{content, digest};

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bytes and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The digest, with its algorithm.
    pub digest: String,
    /// The bytes.
    pub bytes: Bytes,
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Blob { digest: digest(&bytes), bytes }
    }
}

/// An image for one architecture.
#[derive(Clone, Debug)]
pub struct Image {
    /// The architecture, by Go's name.
    pub architecture: String,
    /// The configuration.
    pub configuration: Blob,
    /// The layers, the lowest first.
    pub layers: Vec<Blob>,
    /// The manifest.
    pub manifest: Blob,
}

/// An index of images for several architectures.
#[derive(Clone, Debug)]
pub struct Index {
    /// The images.
    pub images: Vec<Image>,
    /// The index itself.
    pub index: Blob,
}

impl Image {
    /// Makes an image with a layer for each size: a compressed archive of one file of so many bytes. Another seed gives
    /// other bytes.
    ///
    /// # Errors
    ///
    /// None that a size below some gigabytes could bring.
    pub fn new(architecture: &str, seed: u64, sizes: &[usize]) -> io::Result<Self> {
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for (number, &size) in sizes.iter().enumerate() {
            let archive = archive(&format!("layer-{number}"), &content(seed * 100 + number as u64, size))?;
            diff_ids.push(digest(&archive));
            layers.push(Blob::from(compress(&archive)?));
        }
        let history: Vec<Value> = diff_ids.iter().map(|_| json!({ "created_by": "tests" })).collect();
        let configuration = json!({
            "architecture": architecture, "os": "linux", "config": {}, "author": format!("seed {seed}"),
            "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": history,
        });
        Ok(Self::of(architecture, Blob::from(Bytes::from(configuration.to_string())), layers))
    }

    /// Makes an image of any bytes, which no client could unpack.
    pub fn of(architecture: &str, configuration: Blob, layers: Vec<Blob>) -> Self {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIGURATION, &configuration),
            "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<Value>>(),
        });
        let manifest = Blob::from(Bytes::from(manifest.to_string()));
        Image { architecture: architecture.to_owned(), configuration, layers, manifest }
    }

    /// Returns the configuration and the layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.configuration).chain(&self.layers)
    }

    fn descriptor(&self) -> Value {
        descriptor(MANIFEST, &self.manifest)
    }
}

impl Index {
    /// Makes an index of images.
    pub fn new(images: Vec<Image>) -> Self {
        let manifests: Vec<Value> = images
            .iter()
            .map(|image| {
                let mut descriptor = image.descriptor();
                descriptor["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
                descriptor
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        Index { images, index: Blob::from(Bytes::from(index.to_string())) }
    }
}

/// Writes an OCI layout in which the image has the name `one` and the index the name `many`.
///
/// # Errors
///
/// The system's.
pub fn write_layout(directory: &Path, one: &Image, many: &Index) -> io::Result<()> {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let images = many.images.iter().chain([one]);
    for blob in images.flat_map(|image| image.blobs().chain([&image.manifest])).chain([&many.index]) {
        fs::write(blobs.join(blob.digest.trim_start_matches("sha256:")), &blob.bytes)?;
    }
    fs::write(directory.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    let named = |mut descriptor: Value, name: &str| {
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        descriptor
    };
    let manifests = [named(one.descriptor(), "one"), named(descriptor(INDEX, &many.index), "many")];
    fs::write(directory.join("index.json"), json!({ "schemaVersion": 2, "manifests": manifests }).to_string())
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len() })
}

/// An archive of one file. Without a time or an owner, so that its digest is always the same.
fn archive(name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::with_capacity(content.len() + 4096));
    archive.append_data(&mut header, name, content)?;
    archive.into_inner()
}

fn compress(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}
