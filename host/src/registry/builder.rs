//! Putting a registry together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::auth::AccessController;
use super::{MinRate, Registry, TrustedProxies};
use crate::contract::StorageDriver;

/// A registry's settings. [`Registry::builder`] begins one, [`build`](RegistryBuilder::build) ends it.
///
/// By default everybody may read and write, nothing is deleted, and clients are sent to the store where the driver knows
/// an address.
#[derive(Clone, Debug)]
#[must_use]
pub struct RegistryBuilder {
    pub(super) driver: Arc<dyn StorageDriver>,
    pub(super) access: Option<Arc<dyn AccessController>>,
    pub(super) read_only: bool,
    pub(super) delete: bool,
    pub(super) redirect: bool,
    pub(super) relative_urls: bool,
    pub(super) host: Option<String>,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) secret: Option<SigningKey>,
    pub(super) buffers: u64,
    pub(super) upload_buffer: u64,
    pub(super) at_once: u64,
    pub(super) idle: Duration,
    pub(super) min_rate: Option<MinRate>,
    pub(super) downloads: usize,
    pub(super) uploads: usize,
    pub(super) client_share: u8,
    pub(super) verify_index: bool,
    pub(super) catalog_limit: usize,
    pub(super) tags_limit: usize,
}

/// What addresses of uploads are signed with. Does not print.
#[derive(Clone)]
pub(super) struct SigningKey(pub(super) Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl RegistryBuilder {
    pub(super) fn new(driver: Arc<dyn StorageDriver>) -> Self {
        RegistryBuilder {
            driver,
            access: None,
            read_only: false,
            delete: false,
            redirect: true,
            relative_urls: false,
            host: None,
            trusted_proxies: TrustedProxies::Everybody,
            secret: None,
            buffers: 256 * 1024 * 1024,
            upload_buffer: 256 * 1024,
            at_once: 64 * 1024,
            idle: Duration::from_secs(60),
            min_rate: Some(MinRate::default()),
            downloads: 4096,
            uploads: usize::MAX,
            client_share: 50,
            verify_index: true,
            catalog_limit: 1000,
            tags_limit: 1000,
        }
    }

    /// Asks this controller before each request. Without one, everybody may do everything that is switched on.
    pub fn access(mut self, controller: Arc<dyn AccessController>) -> Self {
        self.access = Some(controller);
        self
    }

    /// Refuses whatever would change the store: Distribution's `storage: maintenance: readonly: enabled`. A registry on a driver
    /// that declares [`read_only`](crate::contract::Capabilities::read_only) does so in any case.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Lets clients delete manifests, tags and blobs: Distribution's `storage: delete: enabled`.
    pub fn delete(mut self, delete: bool) -> Self {
        self.delete = delete;
        self
    }

    /// Sends clients to the store for blobs where the driver knows an address: Distribution's `storage: redirect`. On by
    /// default.
    pub fn redirect(mut self, redirect: bool) -> Self {
        self.redirect = redirect;
        self
    }

    /// Answers addresses without scheme and host: Distribution's `http: relativeurls`.
    pub fn relative_urls(mut self, relative: bool) -> Self {
        self.relative_urls = relative;
        self
    }

    /// Begins addresses with this, such as `https://registry.example.com`, whatever the client called the registry:
    /// Distribution's `http: host`. If it has a path, that is the whole path before `/v2/`: no [`PathPrefix`](super::PathPrefix)
    /// is put behind it.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Believes `Forwarded` and `X-Forwarded-*` headers of these alone; by default everybody's, as Distribution does. They say
    /// nothing where [`host`](RegistryBuilder::host) or [`relative_urls`](RegistryBuilder::relative_urls) is set.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted_proxies = proxies;
        self
    }

    /// Signs the addresses of uploads with this: Distribution's `http: secret`, which must be the same where
    /// Distribution continues Wharf's uploads. Other Wharfs continue them whatever it is. By default random.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(SigningKey(secret.into()));
        self
    }

    /// Bounds what all uploads together hold in memory, in bytes; 256 MiB by default. An upload for which there is no room,
    /// or whose client has its share, waits for its turn, and is not read meanwhile; after
    /// [`idle`](RegistryBuilder::idle) it is refused. An eighth is set aside for manifests and blobs of at most 64 KiB.
    pub fn buffers(mut self, bytes: u64) -> Self {
        self.buffers = bytes;
        self
    }

    /// Says how many bytes the driver and the registry hold for one upload; 256 KiB by default. A driver that gathers large
    /// parts, as `s3` does, holds its chunk size and more.
    pub fn upload_buffer(mut self, bytes: u64) -> Self {
        self.upload_buffer = bytes;
        self
    }

    /// Stores a blob that comes in one request by one operation, without an upload in the store, if it has at most so many
    /// bytes: they are held meanwhile, and count as [`upload_buffer`](RegistryBuilder::upload_buffer) at the most. 64 KiB by
    /// default. More is good for a store that takes long for each request.
    pub fn put_at_once(mut self, bytes: u64) -> Self {
        self.at_once = bytes;
        self
    }

    /// Ends an upload's request when its client sends nothing for so long; 60 s by default. What came before is kept, and
    /// can be continued.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Ends an upload's request when its client is slower than this; 1 KiB a second, with a grace of 60 s, by default. None:
    /// it may be as slow as it likes. What came before is kept, and can be continued. For downloads the server does the same.
    pub fn min_rate(mut self, rate: Option<MinRate>) -> Self {
        self.min_rate = rate;
        self
    }

    /// Bounds how many answers of more than 64 KiB are under way at a time; 4,096 by default. Each blob counts as one, and
    /// what is held in memory, such as a manifest, as one for each 256 KiB begun. For one that is too many the answer is 429 or
    /// 503, with `Retry-After`.
    pub fn downloads(mut self, count: usize) -> Self {
        self.downloads = count;
        self
    }

    /// Bounds how many uploads send at a time, beside what [`buffers`](RegistryBuilder::buffers) allows: give it where the
    /// driver has a bound of its own.
    pub fn uploads(mut self, count: usize) -> Self {
        self.uploads = count;
        self
    }

    /// Says how much of the downloads, and of the uploads, one client address may have, in percent; 50 by default. More
    /// exactly, an address that has some gets no more than this share of what it then leaves free: alone it gets half of all,
    /// beside another one as greedy a third. With 100 an address may have all: where clients come through a proxy.
    pub fn client_share(mut self, percent: u8) -> Self {
        self.client_share = percent;
        self
    }

    /// Refuses an index or manifest list of which a manifest is missing, as Distribution does; on by default.
    pub fn verify_index(mut self, verify: bool) -> Self {
        self.verify_index = verify;
        self
    }

    /// Bounds a page of the catalog: Distribution's `catalog: maxentries`; 1,000 by default.
    pub fn catalog_limit(mut self, entries: usize) -> Self {
        self.catalog_limit = entries;
        self
    }

    /// Bounds a page of a list of tags: Distribution's `tags: maxtags`; 1,000 by default.
    pub fn tags_limit(mut self, tags: usize) -> Self {
        self.tags_limit = tags;
        self
    }

    /// Builds the registry. Asks the store nothing.
    pub fn build(self) -> Registry {
        Registry::from_builder(self)
    }
}
