//! With whose credentials requests are signed.

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::OnceCell;

use super::S3Config;

/// Where credentials can come from, in the order of the SDK's default chain.
const PARAMETERS: &str = "the parameters accesskey and secretkey";
const ENVIRONMENT: &str = "the environment (AWS_ACCESS_KEY_ID)";
const PROFILE: &str = "the shared configuration (AWS_PROFILE)";
const WEB_IDENTITY: &str = "a web identity token (AWS_ROLE_ARN)";
const CONTAINER: &str = "the container's credentials (AWS_CONTAINER_CREDENTIALS_*)";
const INSTANCE: &str = "the instance's metadata";

/// The credentials of a driver: static, or of the first source of the chain that has any, and of that one from then on.
///
/// Without the last, a source that fails when it is to be renewed would let the next one in its place, and the driver
/// would go on as somebody else.
#[derive(Debug)]
pub(super) struct Chain {
    sources: Vec<(&'static str, SharedCredentialsProvider)>,
    chosen: OnceCell<usize>,
}

impl Chain {
    pub(super) fn new(config: &S3Config, provider: &ProviderConfig) -> Self {
        let sources = if config.accesskey.is_empty() {
            vec![
                (ENVIRONMENT, SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())),
                (
                    PROFILE,
                    SharedCredentialsProvider::new(
                        ProfileFileCredentialsProvider::builder().configure(provider).build(),
                    ),
                ),
                (
                    WEB_IDENTITY,
                    SharedCredentialsProvider::new(
                        WebIdentityTokenCredentialsProvider::builder().configure(provider).build(),
                    ),
                ),
                (
                    CONTAINER,
                    SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(provider).build()),
                ),
                (
                    INSTANCE,
                    SharedCredentialsProvider::new(ImdsCredentialsProvider::builder().configure(provider).build()),
                ),
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
            vec![(PARAMETERS, SharedCredentialsProvider::new(keys))]
        };
        Chain { sources, chosen: OnceCell::new() }
    }

    /// Returns credentials, and where they come from.
    pub(super) async fn resolve(&self) -> Result<(Credentials, &'static str), CredentialsError> {
        let mut found = None;
        let choose = async || {
            for (index, (_, provider)) in self.sources.iter().enumerate() {
                match provider.provide_credentials().await {
                    Ok(credentials) => {
                        found = Some(credentials);
                        return Ok(index);
                    }
                    // This source is not set up. Any other failure ends the search: whoever set it up meant it.
                    Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let tried: Vec<&str> = self.sources.iter().map(|(name, _)| *name).collect();
            Err(CredentialsError::not_loaded(format!("looked in {}", tried.join(", "))))
        };
        let chosen = *self.chosen.get_or_try_init(choose).await?;
        let (source, provider) = &self.sources[chosen];
        let credentials = match found {
            Some(credentials) => credentials,
            None => provider.provide_credentials().await?,
        };
        Ok((credentials, source))
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
