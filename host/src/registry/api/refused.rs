//! The rest of a body that is not wanted: read and dropped, so that the client gets the answer.
//!
//! A client that is still sending when the connection closes sees a broken connection and no answer. So what it sends is
//! taken for a while, as other servers do; a client that asks before it sends (`Expect: 100-continue`) is told at once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};

/// The most that is read and dropped, in bytes.
const MOST: u64 = 64 * 1024 * 1024;

/// How long it is read.
const LONGEST: Duration = Duration::from_secs(5);

/// A body that is lent to whoever answers the request.
pub(super) struct Lent(Arc<Mutex<Body>>);

impl Lent {
    /// Keeps a body, and returns one that reads from it; none if it is empty, or its client waits to be asked for it.
    pub(super) fn lend(body: Body, headers: &HeaderMap) -> (Option<Lent>, Body) {
        if body.is_end_stream() || headers.contains_key(EXPECT) {
            return (None, body);
        }
        let shared = Arc::new(Mutex::new(body));
        (Some(Lent(Arc::clone(&shared))), Body::new(Lent(shared)))
    }

    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads and drops what is left.
    pub(super) async fn drain(mut self) {
        let drain = async {
            let mut dropped = 0;
            while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
                dropped += frame.data_ref().map_or(0, |data| data.len() as u64);
                if dropped > MOST {
                    break;
                }
            }
        };
        // What comes later finds the connection closed.
        let _ = tokio::time::timeout(LONGEST, drain).await;
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
