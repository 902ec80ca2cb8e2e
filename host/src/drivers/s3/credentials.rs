//! With whose credentials requests are signed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::{Mutex, OnceCell};

use super::S3Config;
use super::identity::Identities;

/// Where credentials can come from, in the order of the SDK's default chain.
const PARAMETERS: &str = "the parameters accesskey and secretkey";
const ENVIRONMENT: &str = "the environment (AWS_ACCESS_KEY_ID)";
const PROFILE: &str = "the shared configuration (AWS_PROFILE)";
const WEB_IDENTITY: &str = "a web identity token (AWS_ROLE_ARN)";
const CONTAINER: &str = "the container's credentials (AWS_CONTAINER_CREDENTIALS_*)";
const INSTANCE: &str = "the instance's metadata";

/// Makes a new provider for a source. What the SDK reads of files it keeps there for ever.
type MakeConfig = dyn Fn() -> ProviderConfig + Send + Sync;

/// The credentials of a driver: static, or of the first source of the chain that has any, and of that one from then on.
///
/// Without the last, a source that fails when it is to be renewed would let the next one in its place, and the driver
/// would go on as somebody else.
pub(super) struct Chain {
    sources: Vec<Source>,
    chosen: OnceCell<usize>,
    /// Whose were got last.
    last: Mutex<Option<Credentials>>,
    /// Where the SDK keeps them.
    identities: Identities,
    /// How often other ones were found in files.
    renewals: AtomicU64,
}

struct Source {
    name: &'static str,
    provider: RwLock<SharedCredentialsProvider>,
    /// Makes a new provider, if it reads files that may have other keys by then.
    files: Option<Box<dyn Fn() -> SharedCredentialsProvider + Send + Sync>>,
}

impl Source {
    fn new(name: &'static str, provider: impl ProvideCredentials + 'static) -> Self {
        Source { name, provider: RwLock::new(SharedCredentialsProvider::new(provider)), files: None }
    }

    fn of_files(name: &'static str, make: impl Fn() -> SharedCredentialsProvider + Send + Sync + 'static) -> Self {
        Source { name, provider: RwLock::new(make()), files: Some(Box::new(make)) }
    }

    fn provider(&self) -> SharedCredentialsProvider {
        self.provider.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = self.chosen.get().map(|chosen| self.sources[*chosen].name);
        f.debug_struct("Chain").field("chosen", &chosen).finish_non_exhaustive()
    }
}

impl Chain {
    pub(super) fn new(config: &S3Config, make: Box<MakeConfig>, identities: Identities) -> Self {
        let sources = if config.accesskey.is_empty() {
            let provider = make();
            vec![
                Source::new(ENVIRONMENT, EnvironmentVariableCredentialsProvider::new()),
                Source::of_files(PROFILE, move || {
                    let files = ProfileFileCredentialsProvider::builder().configure(&make()).build();
                    SharedCredentialsProvider::new(files)
                }),
                Source::new(WEB_IDENTITY, WebIdentityTokenCredentialsProvider::builder().configure(&provider).build()),
                Source::new(CONTAINER, EcsCredentialsProvider::builder().configure(&provider).build()),
                Source::new(INSTANCE, ImdsCredentialsProvider::builder().configure(&provider).build()),
            ]
        } else {
            let token = Some(config.sessiontoken.expose().to_owned()).filter(|token| !token.is_empty());
            let keys = Credentials::new(
                config.accesskey.clone(),
                config.secretkey.expose().to_owned(),
                token,
                None,
                "parameters",
            );
            vec![Source::new(PARAMETERS, keys)]
        };
        Chain { sources, chosen: OnceCell::new(), last: Mutex::default(), identities, renewals: AtomicU64::new(0) }
    }

    /// Returns credentials, and where they come from.
    pub(super) async fn resolve(&self) -> Result<(Credentials, &'static str), CredentialsError> {
        let mut found = None;
        let choose = async || {
            for (index, source) in self.sources.iter().enumerate() {
                match source.provider().provide_credentials().await {
                    Ok(credentials) => {
                        found = Some(credentials);
                        return Ok(index);
                    }
                    // This source is not set up. Any other failure ends the search: whoever set it up meant it.
                    Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let tried: Vec<&str> = self.sources.iter().map(|source| source.name).collect();
            Err(CredentialsError::not_loaded(format!("looked in {}", tried.join(", "))))
        };
        let chosen = *self.chosen.get_or_try_init(choose).await?;
        let source = &self.sources[chosen];
        let credentials = match found {
            Some(credentials) => credentials,
            None => source.provider().provide_credentials().await?,
        };
        *self.last.lock().await = Some(credentials.clone());
        Ok((credentials, source.name))
    }

    /// Returns how often keys were replaced in the files that they come from, as far as is known.
    pub(super) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Acquire)
    }

    /// Reads the files that the credentials come from again, since the store refused those of a request. Returns whether there
    /// are others since `renewals` was this.
    pub(super) async fn renew(&self, renewals: u64) -> bool {
        let Some(source) = self.chosen.get().map(|chosen| &self.sources[*chosen]) else { return false };
        let Some(make) = &source.files else { return false };
        // One at a time: the others find that it was done.
        let mut last = self.last.lock().await;
        if self.renewals() != renewals {
            return true;
        }
        let provider = make();
        let credentials = match provider.provide_credentials().await {
            Ok(credentials) => credentials,
            Err(error) => {
                tracing::warn!(target: "wharf::s3", source = source.name, %error, "the credentials could not be read again");
                return false;
            }
        };
        if last.as_ref() == Some(&credentials) {
            return false;
        }
        let key = credentials.access_key_id().to_owned();
        *source.provider.write().unwrap_or_else(PoisonError::into_inner) = provider;
        *last = Some(credentials);
        self.identities.forget();
        // Last: whoever sees this signs with the new ones.
        self.renewals.fetch_add(1, Ordering::AcqRel);
        tracing::info!(
            target: "wharf::s3",
            credential = format!("access key {key}"),
            source = source.name,
            "S3 refused the credentials, and is used with new ones"
        );
        true
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.resolve().await.map(|(credentials, _)| credentials) })
    }
}
