//! Components as storage drivers: the constructor that the factory knows, and the driver that it opens.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{Stream, StreamExt};
use wasmtime::AsContextMut;
use wasmtime::component::Access as StoreAccess;

use super::bindings::exports::wharf::storage::driver as wit;
use super::component::{Access, Component, Instances};
use super::config::ComponentConfig;
use super::convert;
use super::cpu_time::Budget;
use super::death::Effect;
use super::exclusive::Exclusive;
use super::http::{HttpClient, check_redirect};
use super::log::LogBudget;
use super::pool::Pool;
use super::reading::{take_body, take_listing};
use super::state::{Share, State};
use super::worker::Spec;
use super::writer::GuestWriter;
use crate::base::capacity::Taken;
use crate::base::seldom::Seldom;
use crate::base::{OrderedChanges, address};
use crate::contract::{
    ByteRange, Capabilities, Cursor, EntryStream, Error, ErrorKind, FileInfo, FileWriter, MAX_CONTENT, Operation,
    Position, Reader, RedirectRequest, Result, StorageDriver, StoragePath, WriteMode, walk_by_listing,
};

/// A component with what it is granted: opens drivers.
#[derive(Clone, Debug)]
pub struct ComponentDriver {
    component: Component,
    config: ComponentConfig,
}

impl ComponentDriver {
    /// Puts a component together with what it may touch and use up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidParameters`], with the line of the configuration that would help, if it imports outgoing HTTP
    /// and no host is granted.
    pub fn new(component: Component, config: &ComponentConfig) -> Result<Self> {
        if config.allow.http.is_empty()
            && let Some(import) = component.imports().iter().find(|import| import.access == Access::Http)
        {
            let message = format!(
                "{} imports {}, outgoing HTTP, and no host is granted: add `allow: {{ http: [\"HOST:PORT\"] }}`, or \
                 --grant http:HOST:PORT, with the hosts that it needs",
                component.origin(),
                import.name
            );
            return Err(Error::new(ErrorKind::InvalidParameters, message));
        }
        Ok(ComponentDriver { component, config: config.clone() })
    }

    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Opens a driver: instantiates the component and configures it with `parameters`, a JSON object. `name` is the
    /// driver's name in errors and logs.
    ///
    /// Dropping the future ends the instance that it started.
    ///
    /// Its changes are [ordered](OrderedChanges). Otherwise the driver is plain: the factory wraps it in
    /// [`Base`](crate::base::Base), on whose checks a component relies.
    ///
    /// # Errors
    ///
    /// The component's own; [`ErrorKind::InvalidParameters`] if what is granted is not there, or a file of `http:`
    /// cannot be used.
    pub async fn open(&self, name: &str, parameters: String) -> Result<Arc<dyn StorageDriver>> {
        let stamp = |error: Error| error.with_driver(name).with_operation(Operation::Open);
        let spec = Arc::new(self.spec(name.into(), parameters).await.map_err(stamp)?);
        let pool = Pool::open(spec, self.component.description().instances).await.map_err(stamp)?;
        if pool.capabilities().redirect && self.config.allow.redirect.is_empty() {
            tracing::info!(
                driver = name,
                "the component can send clients to other hosts, and none is granted: its files come through this one. \
                 Add `allow: {{ redirect: [\"HOST:PORT\"] }}`, or --grant redirect:HOST:PORT, with those that it may name"
            );
        }
        let opened = OpenedDriver { pool, not_granted: Arc::default() };
        // A call that a component has begun cannot be taken back.
        Ok(Arc::new(OrderedChanges::new(Arc::new(opened))))
    }

    async fn spec(&self, name: Arc<str>, parameters: String) -> Result<Spec> {
        let ComponentConfig { allow, limits, http, .. } = &self.config;
        let runtime = self.component.runtime().clone();
        let client = if allow.http.is_empty() {
            None
        } else {
            // It reads files.
            let (name, grants, http) = (Arc::clone(&name), allow.http.clone(), http.clone());
            let (requests, resolver) = (limits.requests, Arc::clone(&runtime.resolver));
            let made = tokio::task::spawn_blocking(move || HttpClient::new(name, &grants, &http, requests, resolver));
            let made =
                made.await.map_err(|error| Error::new(ErrorKind::Other, "the HTTP client").with_source(error))?;
            Some(Arc::new(made?))
        };
        let share = Share::new(limits, runtime.share(self.component.places()))?;
        if share.files < limits.files {
            tracing::info!(
                driver = &*name,
                files = share.files,
                limit = limits.files,
                "each instance may have fewer files open than `limits: {{ files: .. }}` says: all together may have half of what \
                 the process may; raise `ulimit -n`, or lower `limits: {{ files: .. }}`"
            );
        }
        let exclusive = if self.component.description().instances == Instances::Exclusive {
            let (in_use, patience) = (&runtime.exclusive, limits.open);
            Some(Exclusive::take(in_use, self.component.sha256(), &parameters, allow, patience).await?)
        } else {
            None
        };
        Ok(Spec {
            log: LogBudget::new(Arc::clone(&name), limits.log.as_u64()),
            budget: Arc::new(Budget::new(limits.cpu_share)),
            conduct: Arc::clone(self.component.conduct()),
            name,
            component: self.component.pre().clone(),
            parameters,
            grants: allow.clone(),
            limits: limits.clone(),
            http: client,
            share,
            places: self.component.places(),
            exclusive,
            runtime,
        })
    }
}

/// A driver that runs in instances of a component.
#[derive(Clone)]
struct OpenedDriver {
    pool: Arc<Pool>,
    /// When it was last logged that it named a host to which clients may not be sent.
    not_granted: Arc<Seldom>,
}

impl OpenedDriver {
    /// Lets an address through to a client if its host is granted. Otherwise the file comes through the host, and the log
    /// says what would grant it.
    fn granted_address(&self, address: String) -> Result<Option<String>> {
        let spec = self.pool.spec();
        convert::within(&address, "address", &spec.limits)?;
        let parsed = address::parse(&address)
            .map_err(|why| convert::fault(format!("the address that `redirect-url` returned {why}")))?;
        match check_redirect(&spec.grants.redirect, &parsed) {
            Ok(()) => Ok(Some(address)),
            Err(pattern) => {
                if self.not_granted.is_due() {
                    let advice = match pattern {
                        Some(pattern) => format!(
                            "add `allow: {{ redirect: [\"{pattern}\"] }}`, or --grant redirect:{pattern}, if it may"
                        ),
                        None => "nothing can grant it: its host is neither a name nor an address".to_owned(),
                    };
                    tracing::warn!(
                        driver = &*spec.name,
                        "the component would send clients to a host that is not granted, and its files come through this \
                         one instead (logged once a minute); {advice}"
                    );
                }
                Ok(None)
            }
        }
    }
}

impl std::fmt::Debug for OpenedDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedDriver").field("name", &self.pool.spec().name).finish_non_exhaustive()
    }
}

/// Calls one function of the guest's driver that answers with a plain result, with arguments to be cloned for each try. What a
/// guest says is cut to what is shown before anybody waits with it.
macro_rules! call {
    ($self:ident, $operation:expr, $effect:expr, $function:ident($($argument:ident),*)) => {
        $self
            .pool
            .call($operation, $effect, move |accessor, guest, _keep| {
                $(let $argument = $argument.clone();)*
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let answer = driver.$function(accessor, guest.driver $(, $argument)*).await?;
                    Ok(answer.map_err(|error| convert::error(error, 0)))
                }
                .boxed()
            })
            .await?
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
        let open = $self.pool.open_reader()?;
        let spec = Arc::clone($self.pool.spec());
        let items = $self
            .pool
            .call($operation, Effect::Read, move |accessor, guest, keep| {
                $(let $argument = $argument.clone();)*
                let spec = Arc::clone(&spec);
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let answer: ListingResult = driver.$function(accessor, guest.driver $(, $argument)*).await?;
                    match answer {
                        Ok((stream, result)) => {
                            let take = |mut access: StoreAccess<'_, State>| {
                                take_listing(&mut access, stream, result, keep, &spec.limits)
                            };
                            accessor.with(take).map(Ok)
                        }
                        Err(error) => Ok(Err(convert::error(error, 0))),
                    }
                }
                .boxed()
            })
            .await??;
        Ok(counted(items.into_entries($self.pool.spec().limits.clone()), open).boxed())
    }};
}

/// Counts a stream as open for as long as it lives.
fn counted<S: Stream>(stream: S, open: Taken) -> impl Stream<Item = S::Item> {
    stream.inspect(move |_| {
        let _ = &open;
    })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl StorageDriver for OpenedDriver {
    fn name(&self) -> &str {
        &self.pool.spec().name
    }

    fn capabilities(&self) -> Capabilities {
        let declared = self.pool.capabilities();
        // Without any grant no address comes through, and nobody need ask for one.
        Capabilities { redirect: declared.redirect && !self.pool.spec().grants.redirect.is_empty(), ..declared }
    }

    async fn get_content(&self, path: &StoragePath) -> Result<Bytes> {
        let path = path.to_string();
        let undelivered = Arc::clone(&self.pool.spec().share.undelivered);
        let answer = self
            .pool
            .call(Operation::GetContent, Effect::Read, move |accessor, guest, _keep| {
                let (path, undelivered) = (path.clone(), Arc::clone(&undelivered));
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let content = match driver.call_get_content(accessor, guest.driver, path).await? {
                        Ok(content) => content,
                        Err(error) => return Ok(Err(convert::error(error, 0))),
                    };
                    // Let go of here, and not only when the caller gets to it.
                    let length = content.len();
                    if length as u64 > MAX_CONTENT {
                        let message = format!("`get-content` returned {length} bytes; it may {MAX_CONTENT}");
                        return Ok(Err(convert::fault(message)));
                    }
                    let delivery = undelivered.add(length);
                    if undelivered.is_too_much() {
                        // The instance is interrupted before it returns another one.
                        accessor.with(|mut access| access.as_context_mut().set_epoch_deadline(0));
                    }
                    Ok(Ok((Bytes::from(content), delivery)))
                }
                .boxed()
            })
            .await?;
        // It is the caller's from here on.
        answer.map(|(content, _delivery)| content)
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes) -> Result<()> {
        let path = path.to_string();
        self.pool
            .call(Operation::PutContent, Effect::Change, move |accessor, guest, _keep| {
                let (path, content) = (path.clone(), content.clone());
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let answer = driver.call_put_content(accessor, guest.driver, path, content.into()).await?;
                    Ok(answer.map_err(|error| convert::error(error, 0)))
                }
                .boxed()
            })
            .await?
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let spec = self.pool.spec();
        let (asked, limits) = (path.clone(), Arc::clone(spec));
        let open = self.pool.open_reader()?;
        let answer = self
            .pool
            .call(Operation::Reader, Effect::Read, move |accessor, guest, keep| {
                let (asked, limits) = (asked.clone(), Arc::clone(&limits));
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let path = asked.to_string();
                    match driver.call_reader(accessor, guest.driver, path, range.offset, range.length).await? {
                        Ok((info, stream, result)) => {
                            let info = convert::file_info(info, &asked, &limits.limits);
                            // Taken in any case, so that the guest's ends are not left open.
                            let body = accessor.with(|mut access| take_body(&mut access, stream, result, keep))?;
                            Ok(info.map(|info| (info, body)))
                        }
                        Err(error) => Ok(Err(convert::error(error, range.offset))),
                    }
                }
                .boxed()
            })
            .await?;
        let (info, body) = answer?;
        if info.is_dir {
            return Err(convert::fault("it opened a directory for reading"));
        }
        let length = range.count_in(info.size).ok_or_else(|| Error::invalid_offset(path, range.offset))?;
        let counters = Arc::clone(&spec.runtime.counters);
        let stream = body.into_stream(length, spec.limits.stream_idle, counters, &spec.share.threads);
        Ok(Reader::new(info, counted(stream, open).boxed()))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let path = path.to_string();
        let limits = self.pool.spec().limits.clone();
        let open = Arc::new(self.pool.open_writer()?);
        let answer = self
            .pool
            .call(Operation::Writer, Effect::Change, move |accessor, guest, keep| {
                let (path, limits, open) = (path.clone(), limits.clone(), Arc::clone(&open));
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let append = mode == WriteMode::Append;
                    let opened = driver.call_writer(accessor, guest.driver, path, append).await?;
                    // Made here, so that a caller who has gone away drops, and so closes, it.
                    let writer = opened.map(|(handle, size)| GuestWriter::new(keep, open, handle, size, &limits));
                    Ok(writer.map_err(|error| convert::error(error, 0)))
                }
                .boxed()
            })
            .await?;
        Ok(Box::new(answer?))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let (asked, spec) = (path.clone(), Arc::clone(self.pool.spec()));
        self.pool
            .call(Operation::Stat, Effect::Read, move |accessor, guest, _keep| {
                let (asked, spec) = (asked.clone(), Arc::clone(&spec));
                async move {
                    let driver = guest.bindings.wharf_storage_driver().storage_driver();
                    let info = driver.call_stat(accessor, guest.driver, asked.to_string()).await?;
                    let info = info.map_err(|error| convert::error(error, 0));
                    Ok(info.and_then(|info| convert::file_info(info, &asked, &spec.limits)))
                }
                .boxed()
            })
            .await?
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
        let address = call!(self, Operation::RedirectUrl, Effect::Read, call_redirect_url(path, request))?;
        match address {
            Some(address) => self.granted_address(address),
            None => Ok(None),
        }
    }

    async fn uploads(&self, path: &StoragePath) -> Result<EntryStream> {
        let path = path.to_string();
        call_listing!(self, Operation::Uploads, call_uploads(path))
    }
}
