//! Components as storage drivers: the constructor that the factory knows, and the driver that it opens.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::FutureExt;

use super::bindings::exports::wharf::storage::driver as wit;
use super::component::Component;
use super::pool::Pool;
use super::reading::{take_body, take_listing};
use super::worker::{Effect, Spec};
use super::writer::GuestWriter;
use super::{Grants, Limits, convert};
use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, Operation, Position, Reader,
    RedirectRequest, Result, StorageDriver, StoragePath, WriteMode, walk_by_listing,
};

/// A component with what it is granted: opens drivers.
#[derive(Clone, Debug)]
pub struct ComponentDriver {
    component: Component,
    grants: Grants,
    limits: Limits,
}

impl ComponentDriver {
    /// Puts a component together with what it may touch and use up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] if something is granted that this version cannot grant.
    pub fn new(component: Component, grants: Grants, limits: Limits) -> Result<Self> {
        if let Some(host) = grants.http.first() {
            let message =
                format!("`allow: {{ http: [{host:?}] }}`: this version of wharf cannot grant outgoing HTTP yet");
            return Err(Error::new(ErrorKind::Other, message));
        }
        Ok(ComponentDriver { component, grants, limits })
    }

    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Opens a driver: instantiates the component and configures it with `parameters`, a JSON object. `name` is the
    /// driver's name in errors and logs.
    ///
    /// The driver is plain: the factory wraps it in [`Base`](crate::base::Base), on whose checks a component relies.
    ///
    /// # Errors
    ///
    /// The component's own; [`ErrorKind::InvalidParameters`] if what is granted is not there.
    pub async fn open(&self, name: &str, parameters: String) -> Result<Arc<dyn StorageDriver>> {
        let spec = Spec {
            name: name.into(),
            runtime: self.component.runtime().clone(),
            component: self.component.pre().clone(),
            parameters,
            grants: self.grants.clone(),
            limits: self.limits.clone(),
        };
        let stamp = |error: Error| error.with_driver(name).with_operation(Operation::Open);
        let pool = Pool::open(Arc::new(spec), self.component.description().instances).await.map_err(stamp)?;
        Ok(Arc::new(OpenedDriver { pool: Arc::new(pool) }))
    }
}

/// A driver that runs in instances of a component.
#[derive(Clone)]
struct OpenedDriver {
    pool: Arc<Pool>,
}

impl std::fmt::Debug for OpenedDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedDriver").field("name", &self.pool.spec().name).finish_non_exhaustive()
    }
}

/// Calls one function of the guest's driver that answers with a plain result, with arguments to be cloned for each try.
macro_rules! call {
    ($self:ident, $operation:expr, $effect:expr, $function:ident($($argument:ident),*)) => {
        $self
            .pool
            .call($operation, $effect, move |accessor, guest, _keep| {
                $(let $argument = $argument.clone();)*
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    driver.$function(accessor, guest.driver $(, $argument)*).await
                }
                .boxed()
            })
            .await?
            .map_err(|error| convert::error(error, 0))
    };
}

type ListingResult = std::result::Result<
    (
        wasmtime::component::StreamReader<wit::Entry>,
        wasmtime::component::FutureReader<std::result::Result<(), wit::Error>>,
    ),
    wit::Error,
>;

/// Calls one function of the guest's driver that answers with a listing.
macro_rules! call_listing {
    ($self:ident, $operation:expr, $function:ident($($argument:ident),*)) => {{
        let items = $self
            .pool
            .call($operation, Effect::Read, move |accessor, guest, keep| {
                $(let $argument = $argument.clone();)*
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let answer: ListingResult = driver.$function(accessor, guest.driver $(, $argument)*).await?;
                    match answer {
                        Ok((stream, result)) => {
                            accessor.with(|mut access| take_listing(&mut access, stream, result, keep)).map(Ok)
                        }
                        Err(error) => Ok(Err(error)),
                    }
                }
                .boxed()
            })
            .await?
            .map_err(|error| convert::error(error, 0))?;
        Ok(items.into_entries($self.pool.spec().limits.stream_idle))
    }};
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for OpenedDriver {
    fn name(&self) -> &str {
        &self.pool.spec().name
    }

    fn capabilities(&self) -> Capabilities {
        self.pool.capabilities()
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let path = path.to_string();
        call!(self, Operation::GetContent, Effect::Read, call_get_content(path)).map(Bytes::from)
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let path = path.to_string();
        let answer = self
            .pool
            .call(Operation::PutContent, Effect::Change, move |accessor, guest, _keep| {
                let (path, content) = (path.clone(), content.clone());
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    driver.call_put_content(accessor, guest.driver, path, content.into()).await
                }
                .boxed()
            })
            .await?;
        answer.map_err(|error| convert::error(error, 0))
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let asked = path.to_string();
        let answer = self
            .pool
            .call(Operation::Reader, Effect::Read, move |accessor, guest, keep| {
                let asked = asked.clone();
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    match driver.call_reader(accessor, guest.driver, asked, range.offset, range.length).await? {
                        Ok((info, stream, result)) => accessor
                            .with(|mut access| take_body(&mut access, stream, result, keep))
                            .map(|body| Ok((info, body))),
                        Err(error) => Ok(Err(error)),
                    }
                }
                .boxed()
            })
            .await?;
        let (info, body) = answer.map_err(|error| convert::error(error, range.offset))?;
        let info = convert::file_info(info, path)?;
        if info.is_dir {
            return Err(convert::fault("it opened a directory for reading"));
        }
        let length = range.count_in(info.size).ok_or_else(|| Error::invalid_offset(path, range.offset))?;
        let spec = self.pool.spec();
        let stream = body.into_stream(length, spec.limits.stream_idle, Arc::clone(&spec.runtime.counters));
        Ok(Reader::new(info, stream))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let path = path.to_string();
        let limits = self.pool.spec().limits.clone();
        let answer = self
            .pool
            .call(Operation::Writer, Effect::Change, move |accessor, guest, keep| {
                let (path, limits) = (path.clone(), limits.clone());
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let append = mode == WriteMode::Append;
                    let opened = driver.call_writer(accessor, guest.driver, path, append).await?;
                    // Made here, so that a caller who has gone away drops, and so closes, it.
                    Ok(opened.map(|(handle, size)| GuestWriter::new(keep, handle, size, &limits)))
                }
                .boxed()
            })
            .await?;
        let writer = answer.map_err(|error| convert::error(error, 0))?;
        Ok(Box::new(writer))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let asked = path.to_string();
        let info = call!(self, Operation::Stat, Effect::Read, call_stat(asked))?;
        convert::file_info(info, path)
    }

    async fn list(&self, path: &StoragePath, start_after: Option<&Position>) -> Result<EntryStream> {
        let path = path.to_string();
        let start_after = start_after.map(convert::position);
        call_listing!(self, Operation::List, call_list(path, start_after))
    }

    async fn walk(&self, path: &StoragePath, start: Option<&Cursor>) -> Result<EntryStream> {
        if !self.capabilities().native_walk {
            let driver = self.clone();
            let list = move |path: StoragePath, after: Option<Position>| {
                let driver = driver.clone();
                async move { driver.list(&path, after.as_ref()).await }.boxed()
            };
            return walk_by_listing(list, path, start).await;
        }
        let path = path.to_string();
        let start = start.map(convert::cursor);
        call_listing!(self, Operation::Walk, call_walk(path, start))
    }

    async fn move_file(&self, source: &StoragePath, destination: &StoragePath) -> Result<()> {
        let (source, destination) = (source.to_string(), destination.to_string());
        call!(self, Operation::Move, Effect::Change, call_move(source, destination))
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let path = path.to_string();
        call!(self, Operation::Delete, Effect::Change, call_delete(path))
    }

    async fn delete_files(&self, paths: &[StoragePath]) -> Result<()> {
        let paths: Vec<String> = paths.iter().map(StoragePath::to_string).collect();
        call!(self, Operation::DeleteFiles, Effect::Change, call_delete_files(paths))
    }

    async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        let path = path.to_string();
        let request = convert::redirect_request(request);
        call!(self, Operation::RedirectUrl, Effect::Read, call_redirect_url(path, request))
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        let path = path.to_string();
        call_listing!(self, Operation::Uploads, call_uploads(path))
    }
}
