//! The drivers that are compiled in, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

#[cfg(feature = "s3")]
use super::Identify;
use super::{Constructor, Entry, Native};
use crate::contract::StorageDriver;
use crate::drivers::inmemory::InMemory;

/// The parameters of a driver that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

pub(super) fn register(entries: &mut BTreeMap<String, Entry>) {
    let inmemory: Constructor = Arc::new(|parameters, _| {
        Box::pin(async move {
            let NoParameters {} = parameters.parse()?;
            Ok(Arc::new(InMemory::new()) as Arc<dyn StorageDriver>)
        })
    });
    entries.insert("inmemory".to_owned(), Entry::Native(Native::new(inmemory)));
    #[cfg(feature = "filesystem")]
    {
        use crate::base::ConcurrencyLimit;
        use crate::drivers::filesystem::{Filesystem, FilesystemConfig};
        let filesystem: Constructor = Arc::new(|parameters, _| {
            Box::pin(async move {
                let config: FilesystemConfig = parameters.parse()?;
                let limit = config.max_threads();
                let driver = Filesystem::open(config).await?;
                Ok(Arc::new(ConcurrencyLimit::new(Arc::new(driver), limit)) as Arc<dyn StorageDriver>)
            })
        });
        entries.insert("filesystem".to_owned(), Entry::Native(Native::new(filesystem)));
    }
    #[cfg(feature = "s3")]
    for name in ["s3", "s3aws"] {
        use crate::base::OrderedChanges;
        use crate::drivers::s3::S3;
        let constructor: Constructor = Arc::new(|parameters, retries| {
            Box::pin(async move {
                // A request that was sent cannot be taken back.
                let driver = S3::open_with(parameters.parse()?, retries).await?;
                Ok(Arc::new(OrderedChanges::new(Arc::new(driver))) as Arc<dyn StorageDriver>)
            })
        });
        let identify: Identify = Arc::new(|parameters, retries| {
            Box::pin(async move { S3::open_with(parameters.parse()?, retries).await?.identity().await })
        });
        entries.insert(name.to_owned(), Entry::Native(Native { constructor, identify: Some(identify) }));
    }
}
