//! The bucket: requests to it, tried again where that helps.

use std::sync::Arc;
use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectCannedAcl, ServerSideEncryption, StorageClass};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::retry::{ReconnectMode, RetryConfig};
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use futures::FutureExt;

use super::connector::Connector;
use super::credentials::Chain;
use super::error::{Effect, Refusal, failure, root_cause};
use super::identity::Identities;
use super::keys::Keys;
use super::{Checksum, ListOrder, S3Config};
use crate::base::retry::{Repeat, Retry, RetryPolicy};
use crate::contract::{Error, ErrorKind, Identity, Result, StoragePath};

/// The slowest that a store is expected to take or copy bytes, per second: what a large request may take longer than a small one.
const SLOWEST: u64 = 256 * 1024;

/// A bucket, and how the driver uses it.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) client: Client,
    /// Sends what an object's bytes are in, with their checksum where one is asked for. The other would only name it.
    checked: Client,
    /// Signs addresses for clients. The same unless they reach the store by another name.
    pub(super) public: Client,
    pub(super) config: S3Config,
    pub(super) keys: Keys,
    pub(super) object: ObjectOptions,
    /// Whether the store lists directory by directory.
    pub(super) is_tree_order: bool,
    pub(super) retry: Retry,
    attempt_timeout: Duration,
    credentials: Arc<Chain>,
    connector: Connector,
}

/// What is said of each object that is written.
#[derive(Debug)]
pub(super) struct ObjectOptions {
    /// None: the bucket takes none.
    pub(super) acl: Option<ObjectCannedAcl>,
    pub(super) encryption: Option<ServerSideEncryption>,
    pub(super) kms_key: Option<String>,
    pub(super) storage_class: Option<StorageClass>,
    pub(super) checksum: Option<ChecksumAlgorithm>,
    /// The same, of the whole of an upload in parts. Not on a store of one's own: SeaweedFS asks for the parts' checksums at
    /// the completion and does not list them, so that no other process could complete the upload.
    pub(super) upload_checksum: Option<ChecksumAlgorithm>,
}

/// Says of a request what is said of each object that is written. A macro, since the SDK has a type for each kind of request
/// and no trait for all of them.
macro_rules! describe {
    ($request:expr, $object:expr) => {
        $request
            .content_type("application/octet-stream")
            .set_acl($object.acl.clone())
            .set_server_side_encryption($object.encryption.clone())
            .set_ssekms_key_id($object.kms_key.clone())
            .set_storage_class($object.storage_class.clone())
    };
}
pub(super) use describe;

impl ObjectOptions {
    fn new(config: &S3Config) -> Self {
        let has_key = config.encrypt && !config.keyid.is_empty();
        let checksum = match config.checksum() {
            Checksum::None => None,
            Checksum::Crc32 => Some(ChecksumAlgorithm::Crc32),
            Checksum::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            Checksum::Sha256 => Some(ChecksumAlgorithm::Sha256),
        };
        ObjectOptions {
            acl: Some(&*config.objectacl).filter(|acl| !acl.is_empty()).map(ObjectCannedAcl::from),
            encryption: config.encrypt.then_some(if has_key {
                ServerSideEncryption::AwsKms
            } else {
                ServerSideEncryption::Aes256
            }),
            kms_key: has_key.then(|| config.keyid.clone()),
            storage_class: (config.storageclass != "NONE").then(|| StorageClass::from(&*config.storageclass)),
            upload_checksum: checksum.clone().filter(|_| !config.is_own_store()),
            checksum,
        }
    }
}

impl Store {
    pub(super) fn new(config: S3Config, policy: RetryPolicy) -> Result<Self> {
        let connector = Connector::new(config.skipverify, &config.useragent, config.logs_requests())?;
        let region = Region::new(config.region.clone());
        let (others, of) = (connector.for_others(), region.clone());
        let provider =
            move || ProviderConfig::without_region().with_http_client(others.clone()).with_region(Some(of.clone()));
        let identities = Identities::new();
        let credentials = Arc::new(Chain::new(&config, Box::new(provider), identities.clone()));
        let mut sdk = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(connector.clone())
            .region(region)
            .credentials_provider(SharedChain(credentials.clone()))
            // One for all clients of this bucket, so that credentials are got once.
            .identity_cache(identities)
            .force_path_style(config.forcepathstyle)
            .accelerate(config.accelerate)
            // `base` tries again, knows the operation's budget, and waits.
            .retry_config(no_retries())
            .timeout_config(TimeoutConfig::disabled())
            // A slow client of the registry must not end its download. `base` watches for a stalled store.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // Elsewhere the SDK's trailers break many an S3-like store.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if config.usedualstack {
            sdk = sdk.use_dual_stack(true);
        }
        if config.usefipsendpoint {
            sdk = sdk.use_fips(true);
        }
        if !config.regionendpoint.is_empty() {
            sdk = sdk.endpoint_url(&config.regionendpoint);
        }
        let client = Client::from_conf(sdk.clone().build());
        let checking = sdk.clone().request_checksum_calculation(RequestChecksumCalculation::WhenSupported);
        let checked = Client::from_conf(checking.build());
        let public = match &*config.redirectendpoint {
            "" => client.clone(),
            endpoint => Client::from_conf(sdk.endpoint_url(endpoint.trim_end_matches('/')).build()),
        };
        let attempt_timeout = policy.attempt_timeout;
        // How long an attempt may take depends on its bytes, so it is watched here.
        let retry = Retry::new(RetryPolicy { attempt_timeout: Duration::MAX, ..policy });
        Ok(Store {
            client,
            checked,
            public,
            keys: Keys::new(&config.rootdirectory),
            object: ObjectOptions::new(&config),
            config,
            is_tree_order: false,
            retry,
            attempt_timeout,
            credentials,
            connector,
        })
    }

    pub(super) fn bucket(&self) -> &str {
        &self.config.bucket
    }

    /// Sends a request, again where that may help. The store's refusal is an answer like others: what it means depends
    /// on what was asked. One of credentials that were replaced in their file since is asked once more, with the new ones.
    pub(super) async fn send<T, E, F>(
        &self,
        effect: Effect,
        bytes: u64,
        request: impl Fn() -> F + Send + Sync,
    ) -> Result<std::result::Result<T, Refusal>>
    where
        F: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let limit = self.attempt_timeout.saturating_add(Duration::from_secs(bytes / SLOWEST));
        let attempt = || {
            // The SDK's futures are so deeply nested that a program which awaits one would meet the compiler's limits.
            let request = request().boxed();
            async move {
                match tokio::time::timeout(limit, request).await {
                    Ok(Ok(answer)) => Ok(Ok(answer)),
                    Ok(Err(error)) => failure(error, effect).map(Err),
                    Err(_) => Err(Error::new(effect.lost(), format!("no answer within {} s", limit.as_secs()))),
                }
            }
        };
        // Each of this driver's requests, done twice, does the same; the two that do not are looked after where they
        // are made.
        let renewals = self.credentials.renewals();
        match self.retry.run(Repeat::Always, attempt).await? {
            Err(refusal) if refusal.is_of_credentials() && self.credentials.renew(renewals).await => {
                self.retry.run(Repeat::Always, attempt).await
            }
            answer => Ok(answer),
        }
    }

    /// Returns the client to send bytes with that have such a checksum. None must be sent for an upload that was begun
    /// without.
    pub(super) fn client_for(&self, checksum: &Option<ChecksumAlgorithm>) -> &Client {
        if checksum.is_some() { &self.checked } else { &self.client }
    }

    /// Stores an object: one request.
    pub(super) async fn put(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let key = self.keys.key(path);
        let object = &self.object;
        let request = || {
            let put = self.client_for(&object.checksum).put_object().bucket(self.bucket()).key(&key);
            let put = describe!(put, object).set_checksum_algorithm(object.checksum.clone());
            put.body(content.clone().into()).send()
        };
        let answer = self.send(Effect::Writes, content.len() as u64, request).await?;
        answer.map(|_| ()).map_err(Error::from)
    }

    /// Returns whether the store lists directory by directory. One that does is known by the name that it gives itself in
    /// its answers: one request, of a store of one's own.
    pub(super) async fn lists_as_a_tree(&self) -> Result<bool> {
        match self.config.listorder {
            ListOrder::Tree => return Ok(true),
            ListOrder::Bytewise => return Ok(false),
            ListOrder::Auto if !self.config.is_own_store() => return Ok(false),
            ListOrder::Auto => {}
        }
        self.has_keys_below(&StoragePath::root()).await?;
        Ok(self.connector.server().is_some_and(|server| server.contains("SeaweedFS")))
    }

    /// Returns who signs, as far as that is known here.
    pub(super) async fn identity(&self) -> Result<Identity> {
        let (credentials, source) = self.credentials.resolve().await.map_err(|error| {
            Error::new(ErrorKind::AccessDenied, format!("there are no credentials: {}", root_cause(&error)))
        })?;
        Ok(Identity {
            principal: None,
            credential: format!("access key {}", credentials.access_key_id()),
            source: source.to_owned(),
            expires: credentials.expiry(),
        })
    }

    /// Asks the store for whom it takes us: Amazon's STS, or a store of one's own for the owner of our buckets.
    pub(super) async fn principal(&self) -> Result<Option<String>> {
        if self.config.is_own_store() {
            let answer = self.send(Effect::Reads, 0, || self.client.list_buckets().send()).await?;
            let owner = match answer {
                Ok(answer) => answer.owner,
                // Known, and not allowed to list the buckets, as a registry need not be.
                Err(refusal) if refusal.code == "AccessDenied" => return Ok(None),
                Err(refusal) => return Err(refusal.into()),
            };
            return Ok(owner.and_then(|owner| owner.id.filter(|id| !id.is_empty()).or(owner.display_name)));
        }
        // By way of the environment, which may name another endpoint for STS.
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.connector.for_others())
            .region(Region::new(self.config.region.clone()))
            .credentials_provider(SharedChain(self.credentials.clone()))
            .retry_config(no_retries())
            .load()
            .boxed()
            .await;
        let sts = aws_sdk_sts::Client::new(&config);
        let answer = self.send(Effect::Reads, 0, || sts.get_caller_identity().send()).await?;
        Ok(answer.map_err(Error::from)?.arn)
    }
}

/// The SDK tries once, and leaves connections to the HTTP client.
fn no_retries() -> RetryConfig {
    RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// The chain as the SDK takes it.
#[derive(Debug)]
struct SharedChain(Arc<Chain>);

impl aws_credential_types::provider::ProvideCredentials for SharedChain {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.provide_credentials()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_without_acls_is_sent_none() {
        let acl = |objectacl: &str| {
            ObjectOptions::new(&S3Config { objectacl: objectacl.to_owned(), ..S3Config::default() }).acl
        };
        assert_eq!(acl(""), None);
        assert_eq!(acl("private"), Some(ObjectCannedAcl::Private));
    }
}
