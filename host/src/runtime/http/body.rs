//! The bodies of requests and responses, in a form that the host recognises when it comes back.
//!
//! wasmtime's own streams of bodies cannot be unwrapped outside of it. These take their place, so that an upload that a
//! component sends on, and a download that it returns, never enter it.

use std::any::{Any, TypeId};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{Stream, StreamExt};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use wasmtime::component::{
    Access, Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi_http::p3::bindings::http::types::{ErrorCode, HostRequestWithStore};
use wasmtime_wasi_http::p3::{MaybeMutable, Request, Response};
use wasmtime_wasi_http::{Error as HttpError, FieldMap, RequestOptions, WasiBody, WasiHttp, WasiHttpView};

use super::super::state::State;
use super::super::streams::{ChunkProducer, PassedThrough, deliver};
use super::TYPES;

type Trailers = Result<Option<Resource<FieldMap>>, ErrorCode>;

/// Replaces the functions in a linker that has wasmtime's own.
pub(super) fn shadow(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("[static]request.new", new_request)?;
    types.func_wrap("[static]response.consume-body", consume_response)?;
    linker.allow_shadowing(false);
    Ok(())
}

type NewRequest = (
    Resource<FieldMap>,
    Option<StreamReader<u8>>,
    FutureReader<Trailers>,
    Option<Resource<MaybeMutable<RequestOptions>>>,
);

/// A request, and how its sending ended.
type MadeRequest = (Resource<Request>, FutureReader<Result<(), ErrorCode>>);

/// A request; one whose body is an upload's takes the chunks from the upload itself.
fn new_request(
    mut store: StoreContextMut<'_, State>,
    (headers, contents, mut trailers, options): NewRequest,
) -> wasmtime::Result<(MadeRequest,)> {
    let contents = match contents.map(|contents| contents.try_into::<ChunkProducer>(&mut store)) {
        Some(Ok(producer)) => {
            let chunks = PassedThrough::new(producer, Arc::clone(&store.data().counters));
            let body = StreamBody::new(chunks.map(|chunk| Ok::<_, HttpError>(Frame::data(chunk))));
            // Nothing can follow a body that the guest does not send itself.
            trailers.close(&mut store)?;
            let table = &mut store.data_mut().table;
            let mut headers = table.delete(headers)?;
            headers.set_immutable();
            let options = options.map(|options| table.delete(options)).transpose()?.map(Arc::from);
            let (request, sent) = Request::new(http::Method::GET, None, None, None, headers, options, body);
            let request = table.push(request)?;
            let sent = async move { Ok::<_, wasmtime::Error>(sent.await.map_err(|error| error_code(&error))) };
            return Ok(((request, FutureReader::new(&mut store, sent)?),));
        }
        Some(Err(contents)) => Some(contents),
        None => None,
    };
    let access = Access::<State, WasiHttp>::new(store, State::http);
    let made = <WasiHttp as HostRequestWithStore<State>>::new(access, headers, contents, trailers, options)?;
    Ok((made,))
}

/// The stream of a response's body, and the trailers after it.
fn consume_response(
    mut store: StoreContextMut<'_, State>,
    (response, mut consumed): (Resource<Response>, FutureReader<Result<(), ErrorCode>>),
) -> wasmtime::Result<((StreamReader<u8>, FutureReader<Trailers>),)> {
    // What the guest makes of the body is nothing to its sender.
    consumed.close(&mut store)?;
    let mut response = store.data_mut().table.delete(response)?;
    // Its `content-length` would be held against the body, which an answer to HEAD does not have. The client has checked
    // it as the protocol says.
    response.headers = FieldMap::default();
    let body = response.into_http(store.as_context_mut(), async { Ok(()) })?.into_body();
    let (sender, trailers) = oneshot::channel();
    let producer = BodyProducer { body, rest: Bytes::new(), begun: false, trailers: Some(sender) };
    let reader = StreamReader::new(&mut store, producer)?;
    Ok(((reader, FutureReader::new(&mut store, trailers)?),))
}

/// The bytes of a response for a guest, or, unwrapped, for the host itself.
pub(in super::super) struct BodyProducer {
    body: WasiBody,
    /// What the guest did not take of the last frame.
    rest: Bytes,
    begun: bool,
    trailers: Option<oneshot::Sender<Trailers>>,
}

impl BodyProducer {
    /// Takes the body out, to be read by the host. The guest is told nothing of how it ends: there were no trailers.
    pub(in super::super) fn into_stream(mut self) -> impl Stream<Item = Result<Bytes, HttpError>> + Send + use<> {
        self.end(Ok(None));
        let body = std::mem::replace(
            &mut self.body,
            http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync(),
        );
        // Trailers are no content.
        body.into_data_stream()
    }

    fn end(&mut self, trailers: Trailers) {
        if let Some(sender) = self.trailers.take() {
            // A guest that is gone does not want to know.
            let _ = sender.send(trailers);
        }
    }
}

impl Drop for BodyProducer {
    fn drop(&mut self) {
        self.end(Ok(None));
    }
}

impl StreamProducer<State> for BodyProducer {
    type Item = u8;
    type Buffer = Option<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        destination: Destination<'a, u8, Option<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        this.begun = true;
        while this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        let state = store.data_mut();
                        let trailers = FieldMap::new_immutable(&mut state.hooks, trailers);
                        let trailers = state.table.push(trailers)?;
                        this.end(Ok(Some(trailers)));
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    this.end(Err(error_code(&error)));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Ready(None) => {
                    this.end(Ok(None));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(deliver(&mut this.rest, destination, store)))
    }

    fn try_into(me: Pin<Box<Self>>, to: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        // Once the guest has read some of it, the rest must come the same way.
        if to == TypeId::of::<Self>() && !me.begun {
            let me: Box<Self> = Pin::into_inner(me);
            Ok(me)
        } else {
            Err(me)
        }
    }
}

/// What a guest is told of an error in a body.
fn error_code(error: &HttpError) -> ErrorCode {
    match error {
        HttpError::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        HttpError::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        HttpError::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        HttpError::Hyper(_) => ErrorCode::HttpResponseIncomplete,
        _ => ErrorCode::InternalError(None),
    }
}
