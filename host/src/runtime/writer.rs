//! An upload through a component.
//!
//! One `write` call of the guest takes many chunks: it is begun with the first and ends when the upload does, so that
//! bytes flow without a call for each. What the guest says of it is heard at the next chunk, or at the end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::SinkExt;
use futures::channel::{mpsc, oneshot};
use wasmtime::component::{Accessor, ResourceAny, StreamReader};

use super::death::Effect;
use super::state::State;
use super::streams::ChunkProducer;
use super::worker::{Busy, Failure, Guest, Job};
use super::{Limits, convert};
use crate::base::capacity::Taken;
use crate::contract::{Error, ErrorKind, FileWriter, Operation, Result};

/// What a guest said, cut to what is shown of it: nobody may ask for it for a while.
type Written = Result<u64>;

/// The host's end of an upload. Dropped, it closes the guest's.
pub(super) struct GuestWriter {
    worker: Busy,
    /// Counts it as open.
    _open: Arc<Taken>,
    /// The guest's handle; none once one of its ends was called.
    handle: Option<ResourceAny>,
    /// Where chunks go while a `write` is under way.
    chunks: Option<mpsc::Sender<Bytes>>,
    /// What that `write` will say.
    written: Option<oneshot::Receiver<Written>>,
    /// The bytes that were handed over, those included that the upload had when it was opened.
    size: u64,
    limit: Duration,
    /// Whether a `write` failed, and so `size` counts bytes that the guest does not have.
    failed: bool,
}

#[derive(Clone, Copy)]
enum End {
    Close,
    Commit,
    Cancel,
}

impl GuestWriter {
    pub(super) fn new(worker: Busy, open: Arc<Taken>, handle: ResourceAny, size: u64, limits: &Limits) -> Self {
        GuestWriter {
            worker,
            _open: open,
            handle: Some(handle),
            chunks: None,
            written: None,
            size,
            limit: limits.operation,
            failed: false,
        }
    }

    /// Begins a `write` in the guest.
    async fn begin_write(&mut self, handle: ResourceAny) -> Result<()> {
        let (chunks, receiver) = mpsc::channel(0);
        let (result, written) = oneshot::channel();
        let call: Job = Box::new(move |accessor, guest| Box::pin(write(accessor, guest, handle, receiver, result)));
        if self.worker.submit(call).await.is_err() {
            return Err(self.worker.died(Effect::Change).await);
        }
        self.chunks = Some(chunks);
        self.written = Some(written);
        Ok(())
    }

    /// Hands one chunk over, to the `write` under way or to a new one. False: the `write` under way has ended.
    async fn send(&mut self, data: Bytes) -> Result<bool> {
        if self.chunks.is_none()
            && let Some(handle) = self.handle
        {
            self.begin_write(handle).await?;
        }
        match &mut self.chunks {
            Some(chunks) => Ok(chunks.feed(data).await.is_ok()),
            // An upload that has ended has no handle, and nobody can call this on it.
            None => Ok(false),
        }
    }

    /// Ends the `write` under way and waits for what the guest says of it. Fails unless it took every byte.
    async fn end_write(&mut self) -> Result<()> {
        self.chunks = None;
        // Taken only once it has ended: should this future be dropped, `drop` must still wait for the `write` before it
        // closes the upload, since a call on an upload that a `write` works on is the death of the instance.
        let Some(written) = &mut self.written else { return Ok(()) };
        let ended = tokio::time::timeout(self.limit, written).await;
        self.written = None;
        match ended {
            Ok(Ok(Ok(size))) if size == self.size => Ok(()),
            Ok(Ok(Ok(size))) => {
                let fault = format!("its writer has {size} bytes after it was given {}", self.size);
                Err(convert::fault(fault))
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(self.worker.died(Effect::Change).await),
            Err(_) => Err(self.no_progress()),
        }
    }

    fn no_progress(&self) -> Error {
        let limit = self.limit;
        self.worker.kill(format!("its writer took no bytes for {limit:?}"));
        let message = format!("the component took no bytes for {limit:?} (`limits: {{ operation: .. }}`)");
        Error::new(ErrorKind::OutcomeUnknown, message).with_limit("operation")
    }

    async fn end(&mut self, end: End) -> Result<u64> {
        let written = self.end_write().await;
        // A commit of what is not whole would store a damaged file: the upload is closed instead.
        let end = if written.is_err() && matches!(end, End::Commit) { End::Close } else { end };
        let Some(handle) = self.handle.take() else { return Ok(self.size) };
        let operation = end.operation();
        let ended = self
            .worker
            .call(operation, Effect::Change, self.limit, move |accessor, guest| {
                Box::pin(end_upload(accessor, guest, handle, end))
            })
            .await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::NotBegun) => Err(self.worker.died(Effect::Change).await),
        };
        match (end, written) {
            (End::Cancel, _) => ended,
            (_, Err(error)) => Err(error),
            (_, Ok(())) => {
                let size = ended?;
                if size != self.size && !self.failed {
                    let fault = format!("`{operation}` says {size} bytes after it was given {}", self.size);
                    return Err(convert::fault(fault));
                }
                Ok(size)
            }
        }
    }
}

#[async_trait]
impl FileWriter for GuestWriter {
    fn size(&self) -> u64 {
        self.size
    }

    async fn write(&mut self, data: Bytes) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let length = data.len() as u64;
        match tokio::time::timeout(self.limit, self.send(data)).await {
            Ok(Ok(true)) => {
                self.size += length;
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(false)) => {
                // Whoever took the stream has let go of it: what the guest says tells why.
                self.failed = true;
                match self.end_write().await {
                    Ok(()) => Err(convert::fault("its writer stopped before the end of the stream")),
                    Err(error) => Err(error),
                }
            }
            Err(_) => {
                self.failed = true;
                Err(self.no_progress())
            }
        }
    }

    async fn close(mut self: Box<Self>) -> Result<u64> {
        self.end(End::Close).await
    }

    async fn commit(mut self: Box<Self>) -> Result<u64> {
        self.end(End::Commit).await
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        self.end(End::Cancel).await.map(|_| ())
    }
}

impl Drop for GuestWriter {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        // Ends the stream: what was handed over by now is what the upload has.
        self.chunks = None;
        let written = self.written.take();
        let worker = self.worker.busy();
        let close: Job = Box::new(move |accessor, guest| {
            Box::pin(async move {
                if let Some(written) = written {
                    // Either way the `write` is over, and the handle free to be closed.
                    let _ = written.await;
                }
                // Nobody is left to hear of a failure but the log.
                if let Err(error) = end_upload(accessor, guest, handle, End::Close).await? {
                    tracing::warn!(error = error.message(), "a dropped upload could not be closed");
                }
                Ok(())
            })
        });
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let limit = self.limit;
                runtime.spawn(async move { worker.finish(Operation::Close, limit, close).await });
            }
            Err(_) => tracing::warn!("an upload was dropped outside of the executor and stays open"),
        }
    }
}

impl End {
    fn operation(self) -> Operation {
        match self {
            End::Close => Operation::Close,
            End::Commit => Operation::Commit,
            End::Cancel => Operation::Cancel,
        }
    }
}

/// Calls one of the ends, which consumes the guest's handle.
async fn end_upload(
    accessor: &Accessor<State>,
    guest: &Guest,
    handle: ResourceAny,
    end: End,
) -> wasmtime::Result<Written> {
    let writer = guest.bindings.wharf_storage_driver().file_writer();
    let ended = match end {
        End::Close => writer.call_close(accessor, handle).await?,
        End::Commit => writer.call_commit(accessor, handle).await?,
        End::Cancel => writer.call_cancel(accessor, handle).await?.map(|()| 0),
    };
    Ok(ended.map_err(|error| convert::error(error, 0)))
}

async fn write(
    accessor: &Accessor<State>,
    guest: &Guest,
    handle: ResourceAny,
    chunks: mpsc::Receiver<Bytes>,
    written: oneshot::Sender<Written>,
) -> wasmtime::Result<()> {
    let stream = accessor.with(|access| StreamReader::new(access, ChunkProducer::new(chunks)))?;
    let result = guest.bindings.wharf_storage_driver().file_writer().call_write(accessor, handle, stream).await?;
    // A writer that is gone does not want to know.
    let _ = written.send(result.map_err(|error| convert::error(error, 0)));
    Ok(())
}
