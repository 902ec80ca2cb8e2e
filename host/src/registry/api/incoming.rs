//! What a client sends, read no faster than the store takes it, and no longer than the client sends something.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::registry::error::{Code, Failure, Result};
use crate::registry::store::uploads::{Incoming, Stopped};

/// The memory that all uploads share.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Buffers {
    free: Arc<Semaphore>,
    /// What all take together, in units.
    total: usize,
    /// What one upload takes, in units.
    each: u32,
}

/// Permits are counted in these, so that their number fits in 32 bits.
const UNIT: u64 = 64 * 1024;

impl Buffers {
    /// Shares so many bytes among uploads that take so many each.
    pub(in crate::registry) fn new(total: u64, each: u64) -> Self {
        let units = |bytes: u64| u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX / 2);
        let each = units(each);
        // One upload at least goes on.
        let total = (units(total).max(each) as usize).min(Semaphore::MAX_PERMITS);
        Buffers { free: Arc::new(Semaphore::new(total)), total, each }
    }

    /// Returns how many bytes are lent to uploads that are under way, and how many there are.
    pub(in crate::registry) fn lent(&self) -> (u64, u64) {
        let bytes = |units: usize| units as u64 * UNIT;
        (bytes(self.total.saturating_sub(self.free.available_permits())), bytes(self.total))
    }

    /// Waits until there is room for one more upload. In the order of asking.
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        // None only if the semaphore were closed, which nobody does.
        Arc::clone(&self.free).acquire_many_owned(self.each).await.ok()
    }
}

/// The body of a request.
pub(super) struct Received {
    body: Body,
    /// How many bytes are to come, where the client said so.
    left: Option<u64>,
    idle: Duration,
    /// Held until all has come.
    _room: Option<OwnedSemaphorePermit>,
}

impl Received {
    /// Takes a body, once there is room for it. `length` is what the client said of it beside `Content-Length`.
    pub(super) async fn new(
        body: Body,
        headers: &HeaderMap,
        length: Option<u64>,
        idle: Duration,
        buffers: &Buffers,
    ) -> Result<Self> {
        let given = content_length(headers)?;
        if let (Some(given), Some(length)) = (given, length)
            && given != length
        {
            let message = format!("Content-Length is {given}, and Content-Range holds {length} bytes");
            return Err(Failure::new(Code::SizeInvalid, message));
        }
        let left = length.or(given);
        // Nothing to come needs no room.
        let room = if left == Some(0) { None } else { buffers.wait().await };
        Ok(Received { body, left, idle, _room: room })
    }
}

/// Returns `Content-Length`.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Failure::new(Code::SizeInvalid, "Content-Length is no number"))
}

#[async_trait]
impl Incoming for Received {
    async fn next(&mut self) -> Result<Option<Bytes>, Stopped> {
        loop {
            let frame = match tokio::time::timeout(self.idle, self.body.frame()).await {
                Err(_) => return Err(Stopped::Stalled),
                Ok(Some(Err(_))) => return Err(Stopped::Vanished),
                Ok(Some(Ok(frame))) => frame,
                Ok(None) if self.left.is_some_and(|left| left > 0) => return Err(Stopped::WrongLength),
                Ok(None) => return Ok(None),
            };
            // Trailers say nothing here.
            let Ok(piece) = frame.into_data() else { continue };
            if piece.is_empty() {
                continue;
            }
            if let Some(left) = &mut self.left {
                *left = left.checked_sub(piece.len() as u64).ok_or(Stopped::WrongLength)?;
            }
            return Ok(Some(piece));
        }
    }

    fn at_most(&self) -> Option<u64> {
        self.left
    }
}
