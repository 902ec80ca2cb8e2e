//! The credentials that the SDK keeps between requests, until they expire or are replaced.

use std::sync::{Arc, PoisonError, RwLock};

use aws_sdk_s3::config::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// The SDK's cache, which can be emptied. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Identities(Arc<RwLock<SharedIdentityCache>>);

impl Identities {
    pub(super) fn new() -> Self {
        Identities(Arc::new(RwLock::new(IdentityCache::lazy().build())))
    }

    /// Forgets what was kept: the next request asks for credentials.
    pub(super) fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = IdentityCache::lazy().build();
    }
}

impl ResolveCachedIdentity for Identities {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        runtime_components: &'a RuntimeComponents,
        config_bag: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let cache = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        IdentityFuture::new(
            async move { cache.resolve_cached_identity(resolver, runtime_components, config_bag).await },
        )
    }
}
