//! Images, indexes and what refers to them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Client, Request, Response};
use crate::content::{content, sha256};
use crate::requirement::Outcome;
use crate::upload::push_blob;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// All types of manifests, for `Accept`: what `docker` and `skopeo` send.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A manifest: its type, its bytes and their digest.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) digest: String,
}

impl Manifest {
    pub(crate) fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Manifest { media_type: media_type.to_owned(), digest: sha256(&bytes), bytes }
    }

    /// Writes JSON with line breaks and spaces: a registry that writes it anew has other bytes.
    pub(crate) fn json(media_type: &str, json: &Value) -> Self {
        Manifest::new(media_type, serde_json::to_vec_pretty(json).unwrap())
    }

    /// Returns the descriptor by which others name it.
    pub(crate) fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }

    /// Begins the request that pushes it.
    pub(crate) fn put(&self, client: &Client, repository: &str, reference: &str) -> Request {
        let request = client.put(format!("/v2/{repository}/manifests/{reference}"));
        request.header("content-type", &self.media_type).body(self.bytes.clone())
    }

    /// Pushes it.
    pub(crate) async fn push(&self, client: &Client, repository: &str, reference: &str) -> Outcome<Response> {
        self.put(client, repository, reference).expect(201).await
    }
}

/// An image of a configuration and a layer.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) configuration: Bytes,
    pub(crate) layer: Bytes,
    pub(crate) json: Value,
}

impl Image {
    /// Makes an image. Another seed gives other bytes.
    pub(crate) fn new(seed: u64) -> Self {
        Image::typed(seed, MANIFEST, CONFIGURATION, LAYER)
    }

    /// Makes an image with types of its own.
    pub(crate) fn typed(seed: u64, manifest: &str, configuration_type: &str, layer_type: &str) -> Self {
        let layer = content(seed, 1500);
        let configuration = json!({
            "architecture": "amd64", "os": "linux", "config": {}, "author": format!("seed {seed}"),
            "rootfs": { "type": "layers", "diff_ids": [sha256(&layer)] },
        });
        let configuration = Bytes::from(configuration.to_string());
        let json = json!({
            "schemaVersion": 2, "mediaType": manifest,
            "config": blob(configuration_type, &configuration), "layers": [blob(layer_type, &layer)],
        });
        Image { configuration, layer, json }
    }

    /// Returns the image with a field set in its manifest.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.json[field] = value.into();
        self
    }

    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::json(self.json["mediaType"].as_str().unwrap_or(MANIFEST), &self.json)
    }

    /// Pushes the configuration and the layer.
    pub(crate) async fn push_blobs(&self, client: &Client, repository: &str) -> Outcome {
        push_blob(client, repository, &self.configuration).await?;
        push_blob(client, repository, &self.layer).await.map(drop)
    }

    /// Pushes all of it, under a tag or a digest.
    pub(crate) async fn push(&self, client: &Client, repository: &str, reference: &str) -> Outcome<Manifest> {
        self.push_blobs(client, repository).await?;
        let manifest = self.manifest();
        manifest.push(client, repository, reference).await?;
        Ok(manifest)
    }
}

/// Returns the descriptor of a blob.
pub(crate) fn blob(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
}

/// Makes an index of manifests.
pub(crate) fn index(manifests: &[&Manifest]) -> Manifest {
    let manifests: Vec<Value> = manifests.iter().map(|manifest| manifest.descriptor()).collect();
    Manifest::json(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }))
}

/// Begins the request that pulls a manifest, as clients do: with all types that they know.
pub(crate) fn pull(client: &Client, repository: &str, reference: &str) -> Request {
    client.get(format!("/v2/{repository}/manifests/{reference}")).header("accept", ACCEPT)
}
