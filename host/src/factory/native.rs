//! The drivers that are compiled in, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

#[cfg(feature = "filesystem")]
use super::CheckWritable;
#[cfg(feature = "s3")]
use super::Identify;
use super::{Constructor, Entry, Native};
use crate::base::{ParameterFault, Parameters};
use crate::contract::StorageDriver;
use crate::drivers::inmemory::InMemory;

/// The parameters of a driver that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Says all that is wrong with parameters that are to become a `T`.
fn faults_of<T: serde::de::DeserializeOwned>(parameters: Parameters) -> Vec<ParameterFault> {
    parameters.examine::<T>().1
}

pub(super) fn register(entries: &mut BTreeMap<String, Entry>) {
    let inmemory: Constructor = Arc::new(|parameters, _| {
        Box::pin(async move {
            let NoParameters {} = parameters.parse()?;
            Ok(Arc::new(InMemory::new()) as Arc<dyn StorageDriver>)
        })
    });
    entries.insert("inmemory".to_owned(), Entry::Native(Native::examined(inmemory, faults_of::<NoParameters>)));
    #[cfg(feature = "filesystem")]
    {
        use crate::base::ConcurrencyLimit;
        use crate::drivers::filesystem::{Filesystem, FilesystemConfig, Seen};
        let filesystem: Constructor = Arc::new(|parameters, _| {
            Box::pin(async move {
                let config: FilesystemConfig = parameters.parse()?;
                let limit = config.max_threads();
                let driver = Filesystem::open(config).await?;
                Ok(Arc::new(ConcurrencyLimit::new(Arc::new(driver), limit)) as Arc<dyn StorageDriver>)
            })
        });
        let seen = Arc::new(Seen::default());
        let check_writable: CheckWritable = Arc::new(move |parameters| {
            let seen = Arc::clone(&seen);
            Box::pin(async move { Filesystem::check_still_writable(parameters.parse()?, &seen).await })
        });
        let filesystem = Native {
            check_writable: Some(check_writable),
            ..Native::examined(filesystem, faults_of::<FilesystemConfig>)
        };
        entries.insert("filesystem".to_owned(), Entry::Native(filesystem));
    }
    #[cfg(feature = "s3")]
    for name in ["s3", "s3aws"] {
        use crate::base::OrderedChanges;
        use crate::drivers::s3::{S3, S3Config};
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
        let native = Native { identify: Some(identify), ..Native::examined(constructor, S3Config::faults) };
        entries.insert(name.to_owned(), Entry::Native(native));
    }
}
