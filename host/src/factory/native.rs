//! The drivers that are compiled in, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{Constructor, Entry, Parameters};
use crate::contract::StorageDriver;
use crate::drivers::inmemory::InMemory;

/// The parameters of a driver that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

pub(super) fn register(entries: &mut BTreeMap<String, Entry>) {
    let mut add = |name: &str, constructor: Constructor| {
        entries.insert(name.to_owned(), Entry::Native(constructor));
    };
    add(
        "inmemory",
        Arc::new(|parameters: Parameters| {
            Box::pin(async move {
                let NoParameters {} = parameters.parse()?;
                Ok(Arc::new(InMemory::new()) as Arc<dyn StorageDriver>)
            })
        }),
    );
    #[cfg(feature = "filesystem")]
    add(
        "filesystem",
        Arc::new(|parameters: Parameters| {
            Box::pin(async move {
                let config: crate::drivers::filesystem::FilesystemConfig = parameters.parse()?;
                let limit = config.max_threads();
                let driver = crate::drivers::filesystem::Filesystem::open(config).await?;
                Ok(Arc::new(crate::base::ConcurrencyLimit::new(Arc::new(driver), limit)) as Arc<dyn StorageDriver>)
            })
        }),
    );
    #[cfg(feature = "s3")]
    for name in ["s3", "s3aws"] {
        add(
            name,
            Arc::new(|parameters: Parameters| {
                Box::pin(async move {
                    let driver = crate::drivers::s3::S3::open(parameters.parse()?).await?;
                    Ok(Arc::new(driver) as Arc<dyn StorageDriver>)
                })
            }),
        );
    }
}
