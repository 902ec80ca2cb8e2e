//! Storage drivers for container registries: native, or WebAssembly components that somebody else wrote.
//!
//! A driver is a filesystem-like store of files at paths: a directory, a bucket, a component dropped in as a `.wasm`
//! file. All are the same to the caller: one contract, one factory, one conformance suite (the package
//! `wharf-conformance`).
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use wharf::base::Base;
//! use wharf::contract::{Result, StorageDriver, StorageDriverExt, StoragePath};
//! use wharf::drivers::inmemory::InMemory;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let driver: Arc<dyn StorageDriver> = Arc::new(Base::new(Arc::new(InMemory::new())));
//! let path = StoragePath::parse("/docker/registry/v2/version")?;
//! driver.put_content(&path, Bytes::from("2")).await?;
//! assert_eq!(driver.get_content(&path).await?, "2");
//! assert_eq!(driver.stat(&path).await?.size, 1);
//! let entries = driver.list_all(&StoragePath::root()).await?;
//! assert!(entries[0].is_dir && entries[0].path.as_str() == "/docker");
//! # Ok(())
//! # }
//! ```
//!
//! # The modules
//!
//! - [`contract`]: what a driver is: the trait, paths, errors, the order of listings.
//! - [`base`]: what every driver has in front of it: checks, measurements, retries, a limit on concurrency.
//! - [`drivers`]: the native drivers.
//! - [`middleware`]: what can stand before a driver, and changes the addresses that it answers.
//! - `runtime`: drivers that are components (feature `wasm`).
//! - [`factory`]: opens drivers of either kind by name.
//! - `registry`: a container registry over a driver, to be mounted in a server (feature `registry`).
//!
//! Dependencies point one way: `contract` <- `base` <- { `drivers`, `middleware`, `runtime` } <- `factory` <- `registry`.
//!
//! To read the project, begin with `wit/`, which says what a driver is in any language; then [`contract`], which says it
//! in Rust; then [`drivers::inmemory`], the smallest whole driver; then the cases in `tests/`; then `runtime`.
//!
//! # Features
//!
//! All are on by default, so that the program does everything it says; an embedder turns them off. Without features
//! there are the contract, `base`, the factory, the middlewares and the in-memory driver, and neither wasmtime nor an HTTP client is
//! pulled in.
//!
//! | feature | adds |
//! |---|---|
//! | `filesystem` | the native driver that stores files under a root directory |
//! | `registry` | the registry: the OCI distribution API as an axum router, without a server |
//! | `s3` | the native driver that stores objects in a bucket, and the middleware `cloudfront` |
//! | `wasm` | the runtime for drivers that are WebAssembly components |

pub mod base;
pub mod contract;
pub mod drivers;
pub mod factory;
pub mod middleware;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "wasm")]
pub mod runtime;

/// The README's example of embedding, compiled and run with the documentation's own.
#[cfg(all(doctest, feature = "wasm"))]
#[doc = include_str!("../../README.md")]
struct Readme;
