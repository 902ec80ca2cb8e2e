//! A host that checks nothing: wasmtime and its WASI as they come, for the controls of the checks.

use std::path::Path;
use std::sync::LazyLock;

use futures::StreamExt;
use futures::channel::mpsc;
use serde_json::Value;
use wasmtime::component::{
    Accessor, Component, FutureConsumer, Lift, Linker, ResourceTable, Source, StreamConsumer, StreamResult,
};
use wasmtime::{Config, Engine, Store, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/, which documents every item")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "storage-driver-component",
        exports: { default: async | store },
    });
}

use bindings::StorageDriverComponent;

/// What it asks the driver.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    Stat,
    Read,
    GetContent,
    List,
    RedirectUrl,
    /// Twice.
    Describe,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_component_model(true).wasm_component_model_async(true);
    Engine::new(&config).unwrap()
});

/// Opens the component in a file with these parameters, asks it, and returns what it told.
pub(crate) async fn ask(file: &Path, parameters: &Value, question: Question) -> wasmtime::Result<String> {
    let component = Component::from_file(&ENGINE, file)?;
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    let state = State { wasi: WasiCtxBuilder::new().build(), table: ResourceTable::new() };
    let mut store = Store::new(&ENGINE, state);
    let driver = StorageDriverComponent::instantiate_async(&mut store, &component, &linker).await?;
    let parameters = parameters.to_string();
    store.run_concurrent(async |accessor| answer(accessor, &driver, parameters, question).await).await?
}

async fn answer(
    accessor: &Accessor<State>,
    component: &StorageDriverComponent,
    parameters: String,
    question: Question,
) -> wasmtime::Result<String> {
    let exports = component.wharf_storage_driver();
    if let Question::Describe = question {
        let (first, second) = (exports.call_describe(accessor).await?, exports.call_describe(accessor).await?);
        return Ok(format!("{} {}, then {} {}", first.name, first.version, second.name, second.version));
    }
    let calls = exports.storage_driver();
    let told = |error: bindings::wharf::storage::types::Error| wasmtime::format_err!("{}", error.message);
    let opened = calls.call_open(accessor, parameters).await?.map_err(told)?;
    let target = "/attack".to_owned();
    let text = match question {
        Question::Stat => {
            let info = match calls.call_stat(accessor, opened, target).await? {
                Ok(info) => info,
                Err(error) => {
                    let said: String = error.message.chars().take(40).collect();
                    return Ok(format!("an error of {} bytes, {:?}, {said:?}", error.message.len(), error.kind));
                }
            };
            let modified = info.modified.map(|moment| moment.seconds);
            format!("{:?}, of {modified:?}, version {:?}", info.path, info.version)
        }
        Question::Read => {
            let (info, stream, result) = calls.call_reader(accessor, opened, target, 0, None).await?.map_err(told)?;
            let (sender, mut bytes) = mpsc::channel(4);
            accessor.with(|mut access| {
                result.pipe(&mut access, Ignore(std::marker::PhantomData))?;
                stream.pipe(&mut access, Chunks(sender))
            })?;
            let mut got = 0;
            while let Some(chunk) = bytes.next().await {
                got += chunk;
                if got > 2 * info.size {
                    return Ok(format!("more than {} bytes of {}", 2 * info.size, info.size));
                }
            }
            format!("{got} bytes of {}", info.size)
        }
        Question::GetContent => {
            let content = calls.call_get_content(accessor, opened, target).await?.map_err(told)?;
            format!("{} bytes", content.len())
        }
        Question::RedirectUrl => {
            let request = bindings::exports::wharf::storage::driver::RedirectRequest {
                method: "GET".to_owned(),
                client_address: None,
            };
            format!("{:?}", calls.call_redirect_url(accessor, opened, target, request).await?.map_err(told)?)
        }
        Question::List => {
            let (stream, result) = calls.call_list(accessor, opened, target, None).await?.map_err(told)?;
            let (sender, mut entries) = mpsc::unbounded();
            accessor.with(|mut access| {
                result.pipe(&mut access, Ignore(std::marker::PhantomData))?;
                stream.pipe(&mut access, Collect(sender))
            })?;
            let first = entries.next().await;
            format!("listed {:?}", first.map(|entry: bindings::wharf::storage::types::Entry| entry.path))
        }
        Question::Describe => String::new(),
    };
    Ok(text.chars().take(200).collect())
}

struct Chunks(mpsc::Sender<u64>);

impl StreamConsumer<State> for Chunks {
    type Item = u8;
    fn poll_consume(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        _: bool,
    ) -> std::task::Poll<wasmtime::Result<StreamResult>> {
        if std::task::ready!(self.0.poll_ready(cx)).is_err() {
            return std::task::Poll::Ready(Ok(StreamResult::Dropped));
        }
        let mut source = source.as_direct(store);
        let count = source.remaining().len();
        source.mark_read(count);
        let _ = self.0.start_send(count as u64);
        std::task::Poll::Ready(Ok(StreamResult::Completed))
    }
}

struct Ignore<T>(std::marker::PhantomData<fn() -> T>);

impl<T: Lift + Send + 'static> FutureConsumer<State> for Ignore<T> {
    type Item = T;
    fn poll_consume(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> std::task::Poll<wasmtime::Result<()>> {
        let mut item = None;
        source.read(&mut store, &mut item)?;
        std::task::Poll::Ready(Ok(()))
    }
}

struct Collect<T>(mpsc::UnboundedSender<T>);

impl<T: Lift + Send + 'static> StreamConsumer<State> for Collect<T> {
    type Item = T;
    fn poll_consume(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> std::task::Poll<wasmtime::Result<StreamResult>> {
        let mut items = Vec::with_capacity(16);
        source.read(&mut store, &mut items)?;
        for item in items {
            let _ = self.0.unbounded_send(item);
        }
        std::task::Poll::Ready(Ok(StreamResult::Completed))
    }
}
